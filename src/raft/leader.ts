/**
 * What only a leader does: takes proposals, commits by counting, answers linearizable reads, changes the configuration one server at a
 * time, hands leadership over, and steps down when it cannot know any more that it leads (no quorum heard) or cannot write.
 */
import { assert } from "../base/assert.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";
import { encodeConfiguration } from "../wire/raft-configuration.ts";
import { ENTRY_TYPE, type EntryType, type RaftConfiguration, type RaftResponse } from "../wire/raft-messages.ts";
import type { Applier } from "./applier.ts";
import { changed, isVoter, voters } from "./configuration.ts";
import type { Context } from "./context.ts";
import { HandOver } from "./hand-over.ts";
import { Proposals } from "./proposals.ts";
import { READS_MAX, Reads } from "./reads.ts";
import type { Replicator } from "./replicator.ts";
import type { CallFailure, ConfigurationCommand, OutgoingCall, Proposal, RaftError, RequestId } from "./types.ts";

/** Configuration changes that wait for the one under way. */
export const CHANGES_MAX = 64;
/** A new look at the quorum comes no sooner than this. */
const LEASE_CHECK_MS_MIN = 10;

export interface LeaderHost {
  stepDown(): void;
  configurationChanged(): void;
  configurationCommitted(): void;
}

interface Change {
  readonly request: RequestId;
  readonly command: ConfigurationCommand;
  readonly prevIndex: number;
}

export class Leader {
  readonly #context: Context;
  readonly #applier: Applier;
  readonly #replicator: Replicator;
  readonly #host: LeaderHost;
  readonly #proposals = new Proposals();
  readonly #reads = new Reads();
  readonly #handOver: HandOver;
  #changes: Change[] = [];
  /** Index of the first entry of our term: nothing is committed, read or reconfigured before it is. */
  #termStart = 0;
  #quorumCheckAtMs = Infinity;

  constructor(context: Context, applier: Applier, replicator: Replicator, host: LeaderHost) {
    this.#context = context;
    this.#applier = applier;
    this.#replicator = replicator;
    this.#host = host;
    this.#handOver = new HandOver(context, replicator);
  }

  get wakeAtMs(): number {
    const stuckAtMs = this.#context.writes.waitingSinceMs + this.#context.config.timing.electionTimeoutMs;
    return Math.min(this.#replicator.wakeAtMs, this.#quorumCheckAtMs, this.#handOver.wakeAtMs, stuckAtMs);
  }

  start(): void {
    const { nowMs, config, writes } = this.#context;
    this.#replicator.start();
    this.#quorumCheckAtMs = nowMs + config.timing.leaderLeaseTimeoutMs;
    this.#handOver.start();
    // Entries of older terms are committed only behind one of ours (section 5.4.2), so there must be one even without a proposal.
    this.#termStart = this.#append(ENTRY_TYPE.noop, EMPTY_BYTES, EMPTY_BYTES);
    assert(this.#context.log.lastTerm === writes.term, "the log of a leader ends in its term");
    this.#replicator.wake();
  }

  /** We lead no longer: whoever waits is told. */
  stop(error: "leadershipLost" | "diskFull"): void {
    const text = error === "diskFull" ? "no space left for the log" : "leadership lost while committing log";
    for (const { request } of this.#proposals.takeAll()) this.#fail(request, error, text);
    for (const { request } of this.#reads.takeAll()) this.#fail(request, "notLeader", "node is not the leader");
    for (const { request } of this.#changes) this.#fail(request, "notLeader", "node is not the leader");
    this.#changes = [];
    this.#handOver.stop();
    this.#replicator.stop();
    this.#quorumCheckAtMs = Infinity;
  }

  #fail(request: RequestId, error: RaftError, text: string): void {
    this.#context.out.push({ kind: "reply", request, result: { ok: false, error, text } });
  }

  #append(type: EntryType, data: Uint8Array, extensions: Uint8Array, configuration: RaftConfiguration | null = null): number {
    const { log, writes } = this.#context;
    const index = log.lastIndex + 1;
    writes.append({ index, term: writes.term, type, data, extensions }, configuration);
    return index;
  }

  propose(proposals: readonly Proposal[]): void {
    const { nowMs, config } = this.#context;
    for (const { request, type, data, extensions } of proposals) {
      if (this.#handOver.isUnderWay) this.#fail(request, "transferring", "leadership transfer in progress");
      else if (this.#proposals.bytes + data.length > config.limits.uncommittedBytesMax) this.#fail(request, "overloaded", "too many uncommitted entries");
      else {
        const index = this.#append(type, data, extensions);
        this.#proposals.add({ request, index, bytes: data.length, sinceMs: nowMs });
      }
    }
    this.#replicator.replicateAll();
  }

  read(request: RequestId, applied: boolean): void {
    if (this.#reads.size >= READS_MAX) return this.#fail(request, "overloaded", "too many reads wait");
    // Before the first entry of our term is committed, the commit index may lag behind what an older leader acknowledged.
    const index = Math.max(this.#context.commitIndex, this.#termStart);
    this.#reads.add({ request, index, round: this.#replicator.newRound(), applied });
    this.#answerReads();
  }

  #answerReads(): void {
    if (this.#reads.size === 0) return;
    const { term, out } = this.#context;
    for (const { request, index } of this.#reads.take(this.#replicator.confirmedRound, this.#applier.handedIndex)) {
      out.push({ kind: "reply", request, result: { ok: true, index, term } });
    }
  }

  change(change: Change): void {
    if (this.#changes.length >= CHANGES_MAX) this.#fail(change.request, "overloaded", "too many configuration changes wait");
    else this.#changes.push(change);
    this.#changeNext();
  }

  /** One change at a time, and none before an entry of our term is committed: majorities of neighbouring configurations must overlap. */
  #changeNext(): void {
    const { configurations, nowMs } = this.#context;
    while (this.#changes.length > 0 && !configurations.isChanging && this.#context.commitIndex >= this.#termStart) {
      const { request, command, prevIndex } = this.#changes.shift() as Change;
      const { index, configuration } = configurations.latest;
      const next = changed(configuration, command);
      if (this.#handOver.isUnderWay) this.#fail(request, "transferring", "leadership transfer in progress");
      else if (prevIndex !== 0 && prevIndex !== index) {
        this.#fail(request, "refused", `configuration changed since ${prevIndex} (latest is ${index})`);
      } else if (!next.ok) this.#fail(request, "refused", next.error);
      else {
        const data = encodeConfiguration(next.value);
        this.#context.say("info", `updating configuration: command=${command.kind} server-id=${command.id}`);
        this.#proposals.add({ request, index: this.#append(ENTRY_TYPE.configuration, data, EMPTY_BYTES, next.value), bytes: 0, sinceMs: nowMs });
        this.#host.configurationChanged();
        this.#replicator.followConfiguration();
        this.#replicator.wake();
      }
    }
  }

  transfer(request: RequestId, to: string | null): void {
    this.#handOver.request(request, to);
  }

  /** Something matched, became durable, or was confirmed. */
  progressed(): void {
    const context = this.#context;
    const index = this.#replicator.matchedByQuorum;
    // Only entries of our own term are committed by counting (section 5.4.2).
    if (index > context.commitIndex && context.log.termAt(index) === context.term) {
      context.commitTo(index);
      this.#replicator.commitGrew();
      this.#host.configurationCommitted();
      if (!isVoter(context.configurations.committed.configuration, context.config.id)) return this.#removed();
    }
    this.#changeNext();
    this.#answerReads();
    this.#handOver.progressed();
  }

  /** The cluster goes on without us; whom we served last takes over. */
  #removed(): void {
    this.#context.say("info", "removed ourself, transitioning to follower");
    this.#applier.advance();
    this.handed();
    this.#handOver.giveAway();
    this.#host.stepDown();
  }

  /** Entries went to the state machine. */
  handed(): void {
    const { out, term, nowMs } = this.#context;
    let sinceMs = Infinity;
    for (;;) {
      const waiting = this.#proposals.takeUpTo(this.#applier.handedIndex);
      if (waiting === undefined) break;
      // One sample for those that came together: a turn's proposals are one write.
      if (waiting.sinceMs !== sinceMs) out.push({ kind: "sample", name: "raft.commitTime", valueMs: nowMs - waiting.sinceMs });
      sinceMs = waiting.sinceMs;
      out.push({ kind: "reply", request: waiting.request, result: { ok: true, index: waiting.index, term } });
    }
    this.#answerReads();
  }

  canReadLocally(nowMs: number): boolean {
    if (this.#applier.appliedIndex < this.#termStart || this.#handOver.gaveAway) return false;
    if (voters(this.#context.configurations.latest.configuration).length === 1) return true;
    return nowMs - this.#replicator.leaseFromMs < this.#context.config.timing.leaderLeaseTimeoutMs;
  }

  wake(): void {
    const { nowMs, config, writes } = this.#context;
    if (nowMs - writes.waitingSinceMs >= config.timing.electionTimeoutMs) {
      this.#context.say("err", `log write takes too long, stepping down: waited=${Math.round(nowMs - writes.waitingSinceMs)}ms`);
      this.#context.count("raft.leader.stuckDisk");
      this.#handOver.giveAway();
      return this.#host.stepDown();
    }
    if (nowMs >= this.#quorumCheckAtMs && !this.#checkQuorum()) return;
    this.#handOver.wake();
    this.#replicator.wake();
  }

  #checkQuorum(): boolean {
    const { nowMs, config } = this.#context;
    const lease = config.timing.leaderLeaseTimeoutMs;
    const silentMs = nowMs - this.#replicator.heardByQuorumMs;
    if (silentMs >= lease) {
      this.#context.say("warn", "failed to contact quorum of nodes, stepping down");
      this.#host.stepDown();
      return false;
    }
    this.#quorumCheckAtMs = nowMs + Math.max(LEASE_CHECK_MS_MIN, lease - silentMs);
    return true;
  }

  /** The log refused our writes. */
  giveAway(): void {
    this.#handOver.giveAway();
  }

  response(call: OutgoingCall, message: RaftResponse): boolean {
    return this.#replicator.response(call, message) || this.#handOver.response(call);
  }

  failed(call: OutgoingCall, failure: CallFailure, error: string): boolean {
    return this.#replicator.failed(call, failure, error) || this.#handOver.failed(call, failure);
  }
}
