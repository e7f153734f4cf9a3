/** What the parts of the core share: the log, the writes, the role, and the effects of the present step. */
import { assert } from "../base/assert.ts";
import type { Random } from "../base/random.ts";
import type { RaftHeader } from "../wire/raft-messages.ts";
import { isVoter } from "./configuration.ts";
import type { Configurations } from "./configurations.ts";
import type { RaftLog } from "./log.ts";
import type { AfterDurable, LogLevel, OutgoingCall, PeerAddress, RaftConfig, RaftEffect, Role, SendEffect, SnapshotMeta } from "./types.ts";
import type { Writes } from "./writes.ts";

export class Context {
  readonly config: RaftConfig;
  readonly random: Random;
  readonly log: RaftLog;
  readonly writes: Writes;
  readonly configurations: Configurations;
  readonly header: RaftHeader;
  role: Role = "follower";
  leader: PeerAddress | null = null;
  /** When we last heard of the leader, in ms; -Infinity when never. */
  lastContactMs = -Infinity;
  commitIndex: number;
  /** The newest snapshot in the store. */
  snapshot: SnapshotMeta | null;
  nowMs = 0;
  out: RaftEffect[] = [];
  #lastCall: OutgoingCall = 0;

  constructor(config: RaftConfig, random: Random, log: RaftLog, writes: Writes, configurations: Configurations, snapshot: SnapshotMeta | null) {
    this.config = config;
    this.random = random;
    this.log = log;
    this.writes = writes;
    this.configurations = configurations;
    this.snapshot = snapshot;
    this.commitIndex = snapshot?.index ?? 0;
    this.header = { protocolVersion: config.protocolVersion, id: config.id, address: config.address };
  }

  get term(): number {
    return this.writes.term;
  }

  get snapshotIndex(): number {
    return this.snapshot?.index ?? 0;
  }

  get isVoter(): boolean {
    return isVoter(this.configurations.latest.configuration, this.config.id);
  }

  get self(): PeerAddress {
    return { id: this.config.id, address: this.config.address };
  }

  /** What a vote is asked for with. */
  get lastEntry(): { readonly lastLogIndex: number; readonly lastLogTerm: number } {
    return { lastLogIndex: this.log.lastIndex, lastLogTerm: this.log.lastTerm };
  }

  /** In [T, 2T). */
  randomMs(timeoutMs: number): number {
    return timeoutMs + this.random.below(Math.max(1, Math.floor(timeoutMs)));
  }

  nextCall(): OutgoingCall {
    this.#lastCall += 1;
    return this.#lastCall;
  }

  send(effect: Omit<SendEffect, "kind" | "call" | "snapshotId"> & { readonly snapshotId?: string }): OutgoingCall {
    const call = this.nextCall();
    this.out.push({ kind: "send", call, snapshotId: "", ...effect });
    return call;
  }

  whenDurable(effect: AfterDurable): void {
    this.writes.whenDurable(effect, this.out);
  }

  /** A leader is known and has been heard of within the shortest time after which anyone would replace it. */
  get hasLiveLeader(): boolean {
    if (this.role === "leader") return true;
    return this.leader !== null && this.nowMs - this.lastContactMs < this.config.timing.heartbeatTimeoutMs;
  }

  commitTo(index: number): void {
    assert(index >= this.commitIndex, "the commit index never falls");
    assert(index <= this.log.lastIndex, "only entries we have are committed");
    this.commitIndex = index;
  }

  say(level: LogLevel, text: string): void {
    this.out.push({ kind: "log", level, text });
  }

  count(name: string): void {
    this.out.push({ kind: "count", name, delta: 1 });
  }
}
