/**
 * A Consul server without I/O: calls come in from HTTP, clients and peers; writes go through the Raft log into the catalog, reads are answered as consistently
 * as they ask; the leader looks after the rest. See `types.ts` for the contract.
 *
 * Order within a step: the input first, then whatever Raft hands back (entries to apply before the replies that belong to them), then readers that were woken.
 */
import type { Random } from "../../base/random.ts";
import type { ClusterHealth, CoordinateArgs, RpcArgs, RpcMethod, RpcOutcome } from "../../api/rpc/types.ts";
import type { AutopilotSettings } from "../../wire/autopilot-command.ts";
import type { Restorer, StateMachine } from "../../catalog/types.ts";
import type { ConfigurationCommand, PeerAddress, RaftEffect, RaftInput, RaftMachine, RaftReply, RaftStatus, Role } from "../../raft/types.ts";
import { ENTRY_TYPE, type LogEntry } from "../../wire/raft-messages.ts";
import type { Session } from "../../wire/fsm-commands.ts";
import { Answers } from "./answers.ts";
import { BlockedReads } from "./blocked-reads.ts";
import { Bootstrap, type BootstrapStep } from "./bootstrap.ts";
import { Calls, type CallHost } from "./calls.ts";
import { LeaderDuties } from "./leader.ts";
import { Proposals } from "./proposals.ts";
import type { CallId, PassedEffect, ServerConfig, ServerEffect, ServerInput, ServerMember } from "./types.ts";
import { randomUuid } from "./uuid.ts";

const NOTHING = new Uint8Array();

export class Server {
  readonly config: ServerConfig;
  readonly state: StateMachine;
  readonly proposals = new Proposals();
  readonly blocked: BlockedReads;
  readonly members = new Map<string, ServerMember>();
  readonly #raft: RaftMachine;
  readonly #random: Random;
  readonly #calls: Calls;
  readonly #answers: Answers;
  readonly #duties: LeaderDuties;
  readonly #bootstrap: Bootstrap;
  readonly #raftOut: RaftEffect[] = [];
  readonly #raftInputs: RaftInput[] = [];
  #role: Role = "follower";
  #leader: PeerAddress | null = null;
  #everHadLeader = false;
  #restorer: Restorer | null = null;
  #restoringIndex = 0;
  #stopped = false;
  // Valid inside a step only.
  #nowMs = 0;
  #out: ServerEffect[] = [];

  constructor(config: ServerConfig, raft: RaftMachine, state: StateMachine, random: Random) {
    this.config = config;
    this.state = state;
    this.#raft = raft;
    this.#random = random;
    this.blocked = new BlockedReads(state, random);
    this.#calls = new Calls(this.#callHost());
    this.#answers = new Answers(this);
    this.#duties = new LeaderDuties(this);
    this.#bootstrap = new Bootstrap({ name: config.nodeName, id: config.nodeId, address: config.address }, config.bootstrapExpect);
  }

  #callHost(): CallHost {
    return {
      datacenter: this.config.datacenter,
      rpcHoldTimeoutMs: this.config.rpcHoldTimeoutMs,
      isLeader: () => this.isLeader,
      leader: () => this.#leader,
      everHadLeader: () => this.#everHadLeader,
      answer: (call, method, args, nowMs) => this.#answers.answer(call, method, args, nowMs),
    };
  }

  get wakeAtMs(): number {
    return Math.min(this.#raft.wakeAtMs, this.#calls.wakeAtMs, this.blocked.wakeAtMs, this.#duties.wakeAtMs, this.#bootstrap.wakeAtMs);
  }

  get isLeader(): boolean {
    return this.#role === "leader";
  }

  get leader(): PeerAddress | null {
    return this.#leader;
  }

  get knownLeader(): boolean {
    return this.#leader !== null;
  }

  status(nowMs: number): RaftStatus {
    return this.#raft.status(nowMs);
  }

  canReadLocally(nowMs: number): boolean {
    return this.#duties.active && this.#raft.canReadLocally(nowMs);
  }

  lastContactMs(nowMs: number): number {
    return this.isLeader ? 0 : (this.#raft.status(nowMs).lastContactMs ?? 0);
  }

  newUuid(): string {
    return randomUuid(this.#random);
  }

  step(input: ServerInput, nowMs: number, out: ServerEffect[]): void {
    if (this.#stopped) return;
    this.#nowMs = nowMs;
    this.#out = out;
    this.#take(input);
    this.#settle();
  }

  /** Hands what the turn's calls want to write to Raft as one input. */
  flush(nowMs: number, out: ServerEffect[]): void {
    if (this.#stopped) return;
    this.#nowMs = nowMs;
    this.#out = out;
    const gathered = this.proposals.take();
    if (gathered === null) return;
    this.#raftInputs.push(gathered);
    this.#settle();
  }

  #take(input: ServerInput): void {
    switch (input.kind) {
      case "wake":
        this.#wake();
        break;
      case "raft":
        this.#raftInputs.push(input.input);
        break;
      case "call":
        this.#calls.call(input.call, input.method, input.args, this.#nowMs, this.#out);
        break;
      case "cancel":
        this.blocked.cancel(input.call);
        this.#answers.cancel(input.call);
        this.#calls.cancel(input.call, this.#out);
        break;
      case "forwarded":
        this.#calls.forwarded(input.call, input.outcome, this.#nowMs, this.#out);
        break;
      case "member":
        this.#member(input.member);
        break;
      case "reaped":
        this.members.delete(input.name);
        this.#duties.memberReaped(input.name);
        break;
      case "peers":
        this.#bootstrapStep(this.#bootstrap.answer(input.name, input.peers));
        break;
      case "snapshotPiece":
        this.#snapshotPiece(input.piece);
        break;
      case "leave":
        this.#leave();
        break;
    }
  }

  #wake(): void {
    if (this.#raft.wakeAtMs <= this.#nowMs) this.#raftInputs.push({ kind: "wake" });
    this.#calls.wake(this.#nowMs, this.#out);
    this.blocked.expire(this.#nowMs);
    this.#duties.wake(this.#nowMs);
    if (this.#bootstrap.wakeAtMs <= this.#nowMs) this.#bootstrapStep(this.#bootstrap.look([...this.members.values()], this.#nowMs));
    this.state.expireLockDelays(this.#nowMs);
  }

  #member(member: ServerMember): void {
    this.members.set(member.name, member);
    this.#duties.memberChanged(member, this.#nowMs);
    if (this.#hasState()) this.#bootstrap.stop();
    else this.#bootstrapStep(this.#bootstrap.look([...this.members.values()], this.#nowMs));
  }

  #hasState(): boolean {
    const status = this.#raft.status(this.#nowMs);
    return status.lastIndex > 0 || status.snapshotIndex > 0 || status.leader !== null;
  }

  #bootstrapStep(step: BootstrapStep): void {
    if (step.kind === "ask") this.#out.push({ kind: "askPeers", servers: step.servers });
    else if (step.kind === "giveUp") this.#out.push({ kind: "log", level: "info", text: step.because });
    else if (step.kind === "bootstrap" && !this.#hasState()) {
      const addresses = step.configuration.servers.map(({ address }) => address).join(",");
      this.#out.push({ kind: "log", level: "info", text: `Found expected number of peers, attempting bootstrap: peers=${addresses}` });
      const request = this.proposals.request((_result, reply) => {
        if (!reply.ok) this.#out.push({ kind: "log", level: "err", text: `failed to bootstrap cluster: error=${JSON.stringify(reply.text)}` });
      });
      this.#raftInputs.push({ kind: "bootstrap", request, configuration: step.configuration });
    }
  }

  /** Until nothing is left to do: Raft's inputs, their effects, and the readers they wake. */
  #settle(): void {
    for (;;) {
      const input = this.#raftInputs.shift();
      if (input !== undefined) {
        this.#raft.step(input, this.#nowMs, this.#raftOut);
        this.#takeEffects();
        continue;
      }
      this.blocked.runWoken(this.#nowMs);
      if (this.#raftInputs.length === 0) break;
    }
    this.proposals.endOfStep();
  }

  #takeEffects(): void {
    const effects = this.#raftOut.splice(0);
    for (const effect of effects) this.#effect(effect);
  }

  #effect(effect: RaftEffect): void {
    switch (effect.kind) {
      case "apply":
        this.#apply(effect.entries);
        return;
      case "reply":
        this.proposals.replied(effect.request, effect.result);
        return;
      case "roleChanged":
        this.#roleChanged(effect.role, effect.term, effect.leader);
        return;
      case "takeSnapshot":
        this.#out.push({ ...effect, kind: "saveSnapshot", snapshot: this.state.snapshot() });
        return;
      case "restore":
        this.#restorer = this.state.beginRestore();
        this.#restoringIndex = effect.meta.index;
        this.#out.push({ kind: "loadSnapshot", meta: effect.meta });
        return;
      case "configurationChanged":
        return;
      default:
        this.#out.push(effect satisfies PassedEffect);
    }
  }

  #apply(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      if (entry.type !== ENTRY_TYPE.command) continue;
      const result = this.state.apply(entry.index, entry.data, this.#nowMs, entry.extensions.length === 0 ? null : entry.extensions);
      if (result.kind === "fatal") {
        this.#stopped = true;
        this.#out.push({ kind: "fatal", reason: `entry ${entry.index} cannot be applied: ${result.reason}` });
        return;
      }
      this.proposals.applied(entry.index, result);
    }
    const last = entries.at(-1);
    if (last !== undefined) this.#raftInputs.push({ kind: "applied", index: last.index });
  }

  #roleChanged(role: Role, term: number, leader: PeerAddress | null): void {
    const was = this.#role;
    this.#role = role;
    this.#leader = leader;
    if (leader !== null) {
      this.#everHadLeader = true;
      this.#bootstrap.stop();
    }
    this.#out.push({ kind: "roleChanged", role, term, leader });
    if (was === "leader" && role !== "leader") this.#duties.end();
    if (role === "leader" && was !== "leader") this.#establish(term);
    this.#calls.leaderChanged(this.#nowMs, this.#out);
  }

  /** A barrier first: once it is applied, so is everything that was committed before us. */
  #establish(term: number): void {
    this.proposals.propose(NOTHING, (_result, reply) => {
      if (!reply.ok || !this.isLeader || this.#raft.status(this.#nowMs).term !== term) return;
      this.#duties.begin(this.#nowMs);
      this.#out.push({ kind: "userEvent", name: "consul:new-leader", payload: this.config.nodeName });
      this.#calls.leaderChanged(this.#nowMs, this.#out);
    }, ENTRY_TYPE.barrier);
    const gathered = this.proposals.take();
    if (gathered !== null) this.#raftInputs.push(gathered);
  }

  #snapshotPiece(piece: Uint8Array | null): void {
    const restorer = this.#restorer;
    if (restorer === null) return;
    const error = piece === null ? restorer.finish(this.#restoringIndex) : restorer.push(piece);
    if (error !== null) {
      this.#stopped = true;
      this.#out.push({ kind: "fatal", reason: `a snapshot that was verified cannot be restored: ${error}` });
    } else if (piece === null) {
      this.#restorer = null;
      this.#raftInputs.push({ kind: "restored", index: this.#restoringIndex });
    }
  }

  #leave(): void {
    const done = (): void => {
      this.#out.push({ kind: "left" });
    };
    const status = this.#raft.status(this.#nowMs);
    const alone = status.configuration.servers.filter(({ suffrage }) => suffrage === "voter").length <= 1;
    if (!this.isLeader || alone) done();
    else this.removeServer(this.config.nodeId, done);
  }

  // What answers and duties ask of the server.

  reply(call: CallId, outcome: RpcOutcome): void {
    this.#out.push({ kind: "reply", call, outcome });
  }

  again(call: CallId, method: RpcMethod, args: RpcArgs, sinceMs: number): void {
    this.#calls.again(call, method, args, sinceMs, this.#nowMs, this.#out);
  }

  readIndex(done: (reply: RaftReply, nowMs: number) => void): void {
    const request = this.proposals.request((_result, reply) => done(reply, this.#nowMs));
    this.#raftInputs.push({ kind: "readIndex", request });
  }

  removeServer(id: string, done: (reply: RaftReply) => void): void {
    const request = this.proposals.request((_result, reply) => done(reply));
    this.#raftInputs.push({ kind: "changeConfiguration", request, command: { kind: "removeServer", id }, prevIndex: 0 });
  }

  changeConfiguration(command: ConfigurationCommand): void {
    const request = this.proposals.request((_result, reply) => {
      const id = JSON.stringify(command.id);
      if (reply.ok) this.#out.push({ kind: "log", level: "info", text: `changed the Raft configuration: change=${command.kind} id=${id}` });
      else this.#out.push({ kind: "log", level: "warn", text: `could not change the Raft configuration: change=${command.kind} id=${id} error=${JSON.stringify(reply.text)}` });
    });
    this.#raftInputs.push({ kind: "changeConfiguration", request, command, prevIndex: 0 });
  }

  sessionTouched(session: Session, nowMs: number): void {
    this.#duties.sessionTouched(session, nowMs);
  }

  autopilotSettings(): AutopilotSettings {
    return this.#duties.autopilotSettings();
  }

  clusterHealth(nowMs: number): ClusterHealth {
    return this.#duties.clusterHealth(nowMs);
  }

  coordinateTold(told: CoordinateArgs, nowMs: number): string | null {
    return this.#duties.coordinateTold(told, nowMs);
  }
}
