/**
 * Runs one `Server` on real disks, sockets and clocks. Every effect goes to the one that is responsible for it, in order; what must not leave before a write is
 * durable waits here with that write. Calls of one turn of the event loop become one proposal, and so do those that come while a write is on its way to the disk:
 * they could not be written before it, and together they cost followers and disks less.
 */
import { OVERLOADED } from "../api/rpc/errors.ts";
import type { RpcArgs, RpcMethod, RpcOutcome } from "../api/rpc/types.ts";
import type { AfterDurable, AppendSeq, LogLevel, PeerAddress, RaftInput, RaftStatus, Role, SnapshotMeta } from "../raft/types.ts";
import type { Server } from "../node/server/server.ts";
import type { CallId, PassedEffect, ServerEffect, ServerInput, ServerMember } from "../node/server/types.ts";
import { Slots } from "../base/slots.ts";
import { monotonicMs } from "./clock.ts";
import type { LogEvents, LogStore } from "./lanes/log-store.ts";

/** What the driver needs of the network. Answers and events come back as inputs. */
export interface ServerNetwork {
  raft(effect: Extract<PassedEffect, { readonly kind: "send" | "answer" | "receiveSnapshot" | "dialCheck" | "forgetPeer" }>): void;
  /** Exactly one outcome, unless forgotten. */
  call(call: CallId, to: PeerAddress, method: RpcMethod, args: RpcArgs, done: (outcome: RpcOutcome) => void): void;
  forget(call: CallId): void;
  /** As `forget`, and what was not sent yet never is: the connection of the call is reset. */
  abandon(call: CallId): void;
  askPeers(member: ServerMember, done: (peers: readonly string[] | null) => void): void;
  close(): Promise<void>;
}

export interface ServerDriverHooks {
  log(level: LogLevel, text: string): void;
  count(name: string, delta: number): void;
  sample(name: string, valueMs: number): void;
  roleChanged(role: Role, term: number, leader: PeerAddress | null): void;
  userEvent(name: string, payload: string): void;
  /** Nothing can be trusted any more: say it and end the process. */
  fatal(reason: string): void;
}

/** Bytes of a snapshot handed to the disk or to the state machine at once. */
const SNAPSHOT_PIECE_BYTES = 256 * 1024;
/** Calls wait at most this long for the write before them: other servers' disks may be quicker than ours. */
const HELD_MS_MAX = 3;
/** So many do not wait: two writes of this size, one behind the other, keep the disk busier than one of twice the size. */
const HELD_CALLS_MAX = 128;
/** A timer further away than this is set again. */
const TIMER_MAX_MS = 60_000;
/** Calls without an outcome, from HTTP, clients and servers together; most of so many can only be blocking queries, at some kilobytes each. */
export const CALLS_MAX = 1 << 18;

export class ServerDriver {
  readonly #server: Server;
  readonly #hooks: ServerDriverHooks;
  #log: LogStore | null = null;
  #network: ServerNetwork | null = null;
  readonly #out: ServerEffect[] = [];
  #inputs: ServerInput[] = [];
  #running = false;
  #timer: NodeJS.Timeout | null = null;
  #timerAtMs = Infinity;
  #flushArmed = false;
  /** Runs while calls wait for the write before them. */
  #held: NodeJS.Timeout | null = null;
  #closed = false;
  readonly #callers = new Slots<(outcome: RpcOutcome) => void>();
  /** Writes on their way to the disk, oldest first, with what waits for them. */
  #pending: { readonly seq: AppendSeq; readonly afterDurable: readonly AfterDurable[] }[] = [];
  readonly #left: (() => void)[] = [];

  constructor(server: Server, hooks: ServerDriverHooks) {
    this.#server = server;
    this.#hooks = hooks;
  }

  /** To be given to the log store when it is opened. */
  get logEvents(): LogEvents {
    return {
      durable: (seq) => this.#durable(seq),
      refused: (seq, error) => {
        this.#hooks.log("err", `agent.server.raft: the log refuses to write: error=${JSON.stringify(error)}`);
        this.raft({ kind: "appendRefused", seq, error });
      },
      late: (waitingMs) => this.#hooks.log("warn", `agent.server.raft: a write to the log has not come back: waiting=${Math.round(waitingMs)}ms`),
      failed: (error) => this.#hooks.fatal(`the Raft log failed: ${error}`),
      report: (text) => this.#hooks.log("warn", `agent.server.raft: ${text}`),
    };
  }

  start(log: LogStore, network: ServerNetwork): void {
    this.#log = log;
    this.#network = network;
    this.#give({ kind: "wake" });
  }

  get leader(): PeerAddress | null {
    return this.#server.leader;
  }

  get isLeader(): boolean {
    return this.#server.isLeader;
  }

  status(): RaftStatus {
    return this.#server.status(monotonicMs());
  }

  raft(input: RaftInput): void {
    this.#give({ kind: "raft", input });
  }

  member(member: ServerMember): void {
    this.#give({ kind: "member", member });
  }

  reaped(name: string): void {
    this.#give({ kind: "reaped", name });
  }

  /** `done` is called at once, with an error, when too many calls are under way. */
  call(method: RpcMethod, args: RpcArgs, done: (outcome: RpcOutcome) => void): { cancel(): void } {
    if (this.#callers.size >= CALLS_MAX) {
      this.#hooks.count("rpc.calls.refused", 1);
      done({ ok: false, error: OVERLOADED });
      return { cancel: () => undefined };
    }
    const call = this.#callers.add(done);
    this.#give({ kind: "call", call, method, args });
    return {
      cancel: () => {
        if (this.#callers.take(call) !== undefined) this.#give({ kind: "cancel", call });
      },
    };
  }

  /** Resolves when we have left the Raft configuration, or cannot. */
  leave(): Promise<void> {
    return new Promise((resolve) => {
      this.#left.push(resolve);
      this.#give({ kind: "leave" });
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#unhold();
    await this.#network?.close();
    await this.#log?.close();
    for (const done of this.#callers.takeAll()) done({ ok: false, error: "agent is shutting down" });
  }

  /** Inputs that effects bring in at once wait until the present one is dealt with. */
  #give(input: ServerInput): void {
    if (this.#closed) return;
    this.#inputs.push(input);
    if (!this.#running) this.#run();
  }

  #run(): void {
    this.#running = true;
    while (this.#inputs.length > 0) {
      const inputs = this.#inputs;
      this.#inputs = [];
      for (const input of inputs) {
        this.#server.step(input, monotonicMs(), this.#out);
        this.#carryOut();
      }
    }
    this.#running = false;
    this.#armFlush();
    // The flush looks at the timer itself, once for all calls of the turn.
    if (!this.#flushArmed) this.#armTimer();
  }

  #armFlush(): void {
    const { proposals } = this.#server;
    if (proposals.gathered === 0 || (this.#flushArmed && (this.#held === null || proposals.gathered < HELD_CALLS_MAX))) return;
    this.#flushArmed = true;
    this.#unhold();
    setImmediate(() => {
      if (proposals.gathered >= HELD_CALLS_MAX || (this.#log?.pendingBytes ?? 0) === 0) this.#flush();
      else this.#held = setTimeout(() => this.#flush(), HELD_MS_MAX);
    });
  }

  #unhold(): void {
    if (this.#held !== null) clearTimeout(this.#held);
    this.#held = null;
  }

  #flush(): void {
    this.#unhold();
    this.#flushArmed = false;
    if (this.#closed) return;
    this.#running = true;
    this.#server.flush(monotonicMs(), this.#out);
    this.#carryOut();
    this.#running = false;
    this.#run();
  }

  #armTimer(): void {
    const atMs = this.#server.wakeAtMs;
    if (atMs === this.#timerAtMs && this.#timer !== null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    const delayMs = Math.min(TIMER_MAX_MS, Math.max(0, Math.ceil(atMs - monotonicMs())));
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#give({ kind: "wake" });
    }, delayMs);
  }

  #carryOut(): void {
    // No effect makes a step before all are carried out: what it brings in waits in `#inputs`.
    for (const effect of this.#out) this.#effect(effect);
    this.#out.length = 0;
  }

  #effect(effect: ServerEffect): void {
    switch (effect.kind) {
      case "append":
        this.#pending.push({ seq: effect.seq, afterDurable: effect.afterDurable });
        this.#log?.append(effect);
        return;
      case "compact":
        this.#log?.compact(effect.upTo);
        return;
      case "readLog":
        void this.#readLog(effect.read, effect.from, effect.to, effect.bytesMax);
        return;
      case "send":
      case "answer":
      case "receiveSnapshot":
      case "dialCheck":
      case "forgetPeer":
        this.#network?.raft(effect);
        return;
      case "reply": {
        try {
          this.#callers.take(effect.call)?.(effect.outcome);
        } catch (error) {
          // A fault in what one outcome is made into must not end the step, and with it the server.
          this.#hooks.log("err", `agent.server: an answer could not be given: error=${JSON.stringify(String(error))}`);
        }
        return;
      }
      case "forward":
        this.#network?.call(effect.call, effect.to, effect.method, effect.args, (outcome) => this.#give({ kind: "forwarded", call: effect.call, outcome }));
        return;
      case "forgetForward":
        this.#network?.forget(effect.call);
        return;
      case "abandonForward":
        this.#network?.abandon(effect.call);
        return;
      case "askPeers":
        for (const member of effect.servers) this.#network?.askPeers(member, (peers) => this.#give({ kind: "peers", name: member.name, peers }));
        return;
      case "saveSnapshot":
        void this.#saveSnapshot(effect);
        return;
      case "loadSnapshot":
        void this.#loadSnapshot(effect.meta);
        return;
      case "left":
        for (const resolve of this.#left.splice(0)) resolve();
        return;
      default:
        this.#tell(effect);
    }
  }

  #tell(effect: Extract<ServerEffect, { readonly kind: "log" | "count" | "sample" | "roleChanged" | "userEvent" | "fatal" }>): void {
    switch (effect.kind) {
      case "log":
        this.#hooks.log(effect.level, `agent.server: ${effect.text}`);
        return;
      case "count":
        this.#hooks.count(effect.name, effect.delta);
        return;
      case "sample":
        this.#hooks.sample(effect.name, effect.valueMs);
        return;
      case "roleChanged":
        this.#hooks.roleChanged(effect.role, effect.term, effect.leader);
        return;
      case "userEvent":
        this.#hooks.userEvent(effect.name, effect.payload);
        return;
      case "fatal":
        this.#hooks.fatal(effect.reason);
    }
  }

  /** What waited for this write leaves now, before Raft hears of it. */
  #durable(seq: AppendSeq): void {
    let released = 0;
    while (released < this.#pending.length && (this.#pending[released] as { seq: AppendSeq }).seq <= seq) {
      for (const effect of (this.#pending[released] as { afterDurable: readonly AfterDurable[] }).afterDurable) this.#network?.raft(effect);
      released += 1;
    }
    this.#pending = this.#pending.slice(released);
    // Before the clients of this write are answered, which takes a while: the disk has nothing to do.
    if (this.#held !== null) this.#flush();
    this.raft({ kind: "durable", seq });
  }

  async #readLog(read: number, from: number, to: number, bytesMax: number): Promise<void> {
    const entries = (await this.#log?.read(from, to, bytesMax)) ?? [];
    this.raft({ kind: "logRead", read, entries });
  }

  /** A slice per turn: the state goes on changing meanwhile, the snapshot does not. */
  async #saveSnapshot({ snapshot, index, term, configuration, configurationIndex }: Extract<ServerEffect, { readonly kind: "saveSnapshot" }>): Promise<void> {
    const store = this.#log?.snapshots;
    if (store === undefined) return;
    try {
      const writer = await store.begin({ index, term, configuration, configurationIndex });
      try {
        const pieces = snapshot.encode();
        for (let next = pieces.next(); next.done !== true; next = pieces.next()) {
          await writer.write(next.value);
          await new Promise((resolve) => setImmediate(resolve));
        }
        this.raft({ kind: "snapshotTaken", meta: await writer.finish() });
      } catch (error) {
        await writer.abort();
        throw error;
      }
    } catch (error) {
      this.raft({ kind: "snapshotFailed", error: error instanceof Error ? error.message : String(error) });
    }
  }

  async #loadSnapshot(meta: SnapshotMeta): Promise<void> {
    const store = this.#log?.snapshots;
    if (store === undefined) return;
    try {
      for (let offset = 0; offset < meta.size; ) {
        const piece = await store.read(meta.id, offset, SNAPSHOT_PIECE_BYTES);
        if (piece.length === 0) throw new Error(`it ends at ${offset} of ${meta.size} bytes`);
        offset += piece.length;
        this.#give({ kind: "snapshotPiece", piece });
      }
      this.#give({ kind: "snapshotPiece", piece: null });
    } catch (error) {
      this.#hooks.fatal(`snapshot ${meta.id} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
