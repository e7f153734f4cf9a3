/**
 * Snapshots: when to take one and what may be forgotten afterwards (Raft, section 7), and the installation of a leader's.
 * An installation is announced by its request, streamed into the store by the driver, and takes effect once it is complete there.
 */
import type { InstallSnapshotRequest } from "../wire/raft-messages.ts";
import type { Applier } from "./applier.ts";
import type { Context } from "./context.ts";
import type { Receiver } from "./receiver.ts";
import type { Replicator } from "./replicator.ts";
import type { ConnectionId, IncomingCall, RaftError, RequestId, SnapshotMeta } from "./types.ts";

/** An installing follower holds back compaction, but not beyond this many times the usual trailing entries. */
const HELD_BACK_TIMES = 8;
/** Requests for a snapshot that wait for one under way. */
const WAITING_MAX = 64;

interface Receiving {
  readonly call: IncomingCall;
  readonly term: number;
}

export class Snapshots {
  readonly #context: Context;
  readonly #applier: Applier;
  readonly #receiver: Receiver;
  readonly #replicator: Replicator;
  #checkAtMs = Infinity;
  /** Index of the snapshot being taken; 0: none. */
  #taking = 0;
  #waiting: RequestId[] = [];
  #receiving: Receiving | null = null;

  constructor(context: Context, applier: Applier, receiver: Receiver, replicator: Replicator) {
    this.#context = context;
    this.#applier = applier;
    this.#receiver = receiver;
    this.#replicator = replicator;
  }

  get wakeAtMs(): number {
    return this.#checkAtMs;
  }

  start(): void {
    this.#checkAtMs = this.#context.nowMs + this.#context.randomMs(this.#context.config.timing.snapshotIntervalMs);
  }

  wake(): void {
    if (this.#context.nowMs < this.#checkAtMs) return;
    this.start();
    const behind = this.#applier.handedIndex - this.#context.snapshotIndex;
    if (behind >= this.#context.config.limits.snapshotThreshold) this.#take();
  }

  /** Somebody asks for one now. */
  request(request: RequestId): void {
    if (this.#waiting.length >= WAITING_MAX) return this.#fail(request, "overloaded", "too many requests wait for a snapshot");
    if (this.#taking === 0) {
      const error = this.#take();
      if (error !== null) return this.#fail(request, "refused", error);
    }
    this.#waiting.push(request);
  }

  #fail(request: RequestId, error: RaftError, text: string): void {
    this.#context.out.push({ kind: "reply", request, result: { ok: false, error, text } });
  }

  /** Null, or why there is none to take now. */
  #take(): string | null {
    const index = this.#applier.handedIndex;
    const { index: configurationIndex, configuration } = this.#context.configurations.committed;
    if (this.#taking !== 0) return "a snapshot is being taken";
    if (this.#applier.isRestoring) return "a snapshot is being restored";
    if (index === this.#context.snapshotIndex) return "nothing new to snapshot";
    // The configuration in a snapshot is the one at its index; what was committed later is none of its business.
    if (configurationIndex > index) return `cannot take snapshot now, wait until the configuration entry at ${configurationIndex} has been applied`;
    this.#taking = index;
    this.#context.say("info", `starting snapshot up to: index=${index}`);
    this.#context.out.push({ kind: "takeSnapshot", index, term: this.#applier.handedTerm, configuration, configurationIndex });
    return null;
  }

  taken(meta: SnapshotMeta): void {
    if (this.#taking !== meta.index) return;
    this.#taking = 0;
    const { term } = this.#context;
    for (const request of this.#waiting) this.#context.out.push({ kind: "reply", request, result: { ok: true, index: meta.index, term } });
    this.#waiting = [];
    if (meta.index <= this.#context.snapshotIndex) return; // A leader's snapshot overtook ours.
    this.#use(meta);
    this.#context.say("info", `snapshot complete up to: index=${meta.index}`);
  }

  failed(error: string): void {
    if (this.#taking === 0) return;
    this.#taking = 0;
    this.#context.say("err", `failed to take snapshot: error="${error}"`);
    for (const request of this.#waiting) this.#fail(request, "refused", error);
    this.#waiting = [];
  }

  /** It is the newest from now on. The entries behind the one before it stay, so that one can take its place should it turn out to be damaged. */
  #use(meta: SnapshotMeta): void {
    const before = this.#context.snapshotIndex;
    this.#context.snapshot = meta;
    this.#compact(before);
  }

  /** Forgets what the older snapshot covers, save what slow followers may still want. */
  #compact(olderIndex: number): void {
    const { log, config, snapshotIndex } = this.#context;
    const { trailingLogs } = config.limits;
    const usual = Math.min(olderIndex, log.lastIndex - trailingLogs);
    const needed = Math.max(this.#replicator.neededFrom, snapshotIndex - HELD_BACK_TIMES * trailingLogs);
    const upTo = Math.min(usual, needed);
    if (upTo < log.firstIndex) return;
    this.#context.say("info", `compacting logs: from=${log.firstIndex} to=${upTo}`);
    log.compact(upTo);
    this.#context.out.push({ kind: "compact", upTo });
  }

  install(call: IncomingCall, connection: ConnectionId, message: InstallSnapshotRequest): void {
    const { header, commitIndex } = this.#context;
    if (!this.#receiver.speaksOurVersion(call, message)) return;
    const reply = (success: boolean): void =>
      this.#receiver.answer(call, { kind: "installSnapshot", header, term: this.#context.term, success });
    if (!this.#receiver.acceptLeader(message.term, connection, { id: message.header.id, address: message.leader })) return reply(false);
    // We have everything it covers: whatever the leader thinks, it can go on from there.
    if (message.lastLogIndex <= commitIndex) return reply(true);
    if (this.#receiving !== null) this.#receiver.refuse(this.#receiving.call, "superseded by another snapshot");
    this.#receiving = { call, term: message.term };
    this.#context.out.push({ kind: "receiveSnapshot", call, message });
  }

  /** The call's connection is gone: nobody waits for an answer, and the stream will not end well. */
  received(call: IncomingCall, meta: SnapshotMeta | null, error: string): void {
    const receiving = this.#receiving;
    if (receiving === null || receiving.call !== call) return;
    this.#receiving = null;
    const { header, term, log, commitIndex } = this.#context;
    if (meta === null) {
      this.#context.say("err", `failed to receive snapshot: error="${error}"`);
      return this.#receiver.refuse(call, error);
    }
    const valid = receiving.term === term && this.#context.role === "follower";
    const reply = { kind: "installSnapshot", header, term, success: valid } as const;
    if (!valid || meta.index <= commitIndex) return this.#receiver.answer(call, reply);
    const matches = meta.index <= log.lastIndex && log.termAt(meta.index) === meta.term;
    if (matches) this.#adopt(meta);
    else this.#replaceLog(meta);
    this.#context.commitTo(meta.index);
    this.#applier.restore(meta);
    this.#context.say("info", `installed remote snapshot: index=${meta.index}`);
    this.#receiver.answerDurable(call, reply);
  }

  /** Our log holds the snapshot's last entry: what follows it stays (Raft, figure 13, step 6). */
  #adopt(meta: SnapshotMeta): void {
    const { configurations } = this.#context;
    configurations.rebase({ index: meta.configurationIndex, configuration: meta.configuration }, meta.index);
    this.#use(meta);
  }

  #replaceLog(meta: SnapshotMeta): void {
    const { configurations, writes } = this.#context;
    writes.reset(meta.index, meta.term);
    configurations.rebase({ index: meta.configurationIndex, configuration: meta.configuration }, Infinity);
    this.#context.snapshot = meta;
  }
}
