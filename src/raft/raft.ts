/**
 * The Raft core (Ongaro and Ousterhout, "In search of an understandable consensus algorithm"; Ongaro's dissertation for pre-vote, read
 * index, transfer and single-server changes), with hashicorp/raft's messages and constants. See `types.ts` for the contract.
 *
 * Where it leaves hashicorp/raft on purpose: the leader writes its own disk while it replicates; a timer restarts with each sign of the
 * leader; elections are preceded by pre-votes even beside peers that have none, and come early at the start and when the leader's process
 * is gone; the lease counts from when a request was sent; a follower commits no further than what the request in hand has matched.
 */
import { assert } from "../base/assert.ts";
import type { Random } from "../base/random.ts";
import { encodeConfiguration } from "../wire/raft-configuration.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";
import { ENTRY_TYPE } from "../wire/raft-messages.ts";
import { Applier } from "./applier.ts";
import { checkConfiguration, peerOf } from "./configuration.ts";
import { Context } from "./context.ts";
import { Election } from "./election.ts";
import { Invariants } from "./invariants.ts";
import { Leader } from "./leader.ts";
import { LeaderWatch } from "./leader-watch.ts";
import { Receiver } from "./receiver.ts";
import { Replicator } from "./replicator.ts";
import { Snapshots } from "./snapshots.ts";
import { restoreLog } from "./start.ts";
import { raftStatus } from "./status.ts";
import type { AppendSeq, PeerAddress, RaftConfig, RaftEffect, RaftError, RaftInput, RaftMachine, RaftStart, RaftStatus, RequestId, Role } from "./types.ts";

export class Raft implements RaftMachine {
  readonly #context: Context;
  readonly #applier: Applier;
  readonly #election: Election;
  readonly #receiver: Receiver;
  readonly #replicator: Replicator;
  readonly #leader: Leader;
  readonly #snapshots: Snapshots;
  readonly #watch: LeaderWatch;
  readonly #invariants = new Invariants();
  #begun = false;
  /** What `roleChanged` said last. */
  #toldRole: Role | null = null;
  #toldTerm = 0;
  #toldLeader: PeerAddress | null = null;
  #toldConfiguration = 0;

  /** The first step begins the timers; give it a `wake` at once. */
  constructor(config: RaftConfig, start: RaftStart, random: Random) {
    assert(config.timing.leaderLeaseTimeoutMs <= config.timing.heartbeatTimeoutMs, "a lease ends before anyone may replace the leader");
    const { log, writes, configurations } = restoreLog(config, start);
    const context = new Context(config, random, log, writes, configurations, start.snapshot);
    this.#context = context;
    this.#applier = new Applier(context);
    this.#election = new Election(context, {
      becomePreCandidate: () => this.#becomePreCandidate(),
      becomeCandidate: (transfer) => this.#becomeCandidate(transfer),
      becomeFollower: (term) => this.#becomeFollower(term, null),
      becomeLeader: () => this.#becomeLeader(),
    });
    this.#watch = new LeaderWatch(context, this.#election);
    const configurationChanged = (): void => this.#configurationChanged();
    this.#receiver = new Receiver(context, this.#election, {
      becomeFollower: (term, leader) => this.#becomeFollower(term, leader),
      becomeCandidate: (transfer) => this.#becomeCandidate(transfer),
      leaderSpoke: (connection) => this.#watch.spoke(connection),
      configurationChanged,
    });
    this.#replicator = new Replicator(context, {
      newerTerm: (term) => this.#becomeFollower(term, null),
      progressed: () => this.#leader.progressed(),
    });
    this.#leader = new Leader(context, this.#applier, this.#replicator, {
      stepDown: () => this.#becomeFollower(context.term, null),
      configurationChanged,
      configurationCommitted: () => this.#configurationCommitted(),
    });
    this.#snapshots = new Snapshots(context, this.#applier, this.#receiver, this.#replicator);
  }

  get wakeAtMs(): number {
    if (!this.#begun) return -Infinity;
    const role = this.#context.role === "leader" ? this.#leader.wakeAtMs : this.#election.wakeAtMs;
    return Math.min(role, this.#snapshots.wakeAtMs, this.#watch.wakeAtMs);
  }

  status(nowMs: number): RaftStatus {
    return raftStatus(this.#context, this.#applier, this.#replicator, nowMs);
  }

  canReadLocally(nowMs: number): boolean {
    return this.#context.role === "leader" && this.#leader.canReadLocally(nowMs);
  }

  step(input: RaftInput, nowMs: number, out: RaftEffect[]): void {
    const context = this.#context;
    context.nowMs = nowMs;
    context.out = out;
    if (!this.#begun) this.#begin();
    this.#dispatch(input);
    this.#settle();
    this.#invariants.check(context, this.#applier);
  }

  #begin(): void {
    this.#begun = true;
    this.#election.begin();
    this.#snapshots.start();
    const { index, configuration } = this.#context.configurations.latest;
    this.#toldConfiguration = index;
    this.#context.say("info", `initial configuration: index=${index} servers=${configuration.servers.length}`);
    this.#context.say("info", `entering follower state: follower="Node at ${this.#context.config.address} [Follower]" leader=`);
  }

  /** Everything that follows from what the input changed, whatever it was. */
  #settle(): void {
    const context = this.#context;
    const applier = this.#applier;
    this.#configurationCommitted();
    const before = applier.handedIndex;
    applier.advance();
    if (applier.handedIndex > before && context.role === "leader") this.#leader.handed();
    context.writes.flush(context.nowMs, context.out);
    context.log.evict(Math.min(applier.handedIndex, context.writes.durableIndex));
    const { role, term, leader } = context;
    if (role === this.#toldRole && term === this.#toldTerm && leader?.id === this.#toldLeader?.id && leader?.address === this.#toldLeader?.address) return;
    this.#toldRole = role;
    this.#toldTerm = term;
    this.#toldLeader = leader;
    context.out.push({ kind: "roleChanged", role, term, leader });
  }

  #dispatch(input: RaftInput): void {
    const context = this.#context;
    switch (input.kind) {
      case "wake":
        if (context.role === "leader") this.#leader.wake();
        else this.#election.wake();
        this.#watch.wake();
        return this.#snapshots.wake();
      case "request":
        if (input.message.kind === "installSnapshot") return this.#snapshots.install(input.call, input.connection, input.message);
        return this.#receiver.request(input.call, input.connection, input.message);
      case "connectionClosed":
        return this.#watch.closed(input.connection);
      case "dialed":
        return this.#watch.dialed(input.call, input.outcome);
      case "response":
        if (!this.#election.response(input.call, input.message)) this.#leader.response(input.call, input.message);
        return;
      case "failed":
        if (!this.#election.failed(input.call, input.failure, input.error)) this.#leader.failed(input.call, input.failure, input.error);
        return;
      case "channelClosed":
        return this.#replicator.channelClosed(input.peer, input.channel);
      case "durable":
        return this.#durable(input.seq);
      case "appendRefused":
        return this.#refused(input.seq, input.error);
      case "logRead":
        if (!this.#applier.logRead(input.read, input.entries)) this.#replicator.logRead(input.read, input.entries);
        else if (context.role === "leader") this.#leader.handed();
        return;
      case "applied":
        return this.#applier.applied(input.index);
      case "restored":
        return this.#applier.restored(input.index);
      case "snapshotTaken":
        return this.#snapshots.taken(input.meta);
      case "snapshotFailed":
        return this.#snapshots.failed(input.error);
      case "snapshotReceived":
        return this.#snapshots.received(input.call, input.meta, input.error);
      default:
        return this.#command(input);
    }
  }

  #command(input: Extract<RaftInput, { readonly kind: "propose" | "readIndex" | "verifyLeader" | "changeConfiguration" | "bootstrap" | "transferLeadership" | "snapshot" }>): void {
    if (input.kind === "bootstrap") return this.#bootstrap(input.request, input.configuration);
    if (input.kind === "snapshot") return this.#snapshots.request(input.request);
    if (this.#context.role !== "leader") {
      const requests = input.kind === "propose" ? input.proposals.map((proposal) => proposal.request) : [input.request];
      for (const request of requests) this.#fail(request, "notLeader", "node is not the leader");
      return;
    }
    switch (input.kind) {
      case "propose":
        return this.#leader.propose(input.proposals);
      case "readIndex":
        return this.#leader.read(input.request, true);
      case "verifyLeader":
        return this.#leader.read(input.request, false);
      case "changeConfiguration":
        return this.#leader.change(input);
      case "transferLeadership":
        return this.#leader.transfer(input.request, input.to);
    }
  }

  #fail(request: RequestId, error: RaftError, text: string): void {
    this.#context.out.push({ kind: "reply", request, result: { ok: false, error, text } });
  }

  #bootstrap(request: RequestId, configuration: Parameters<typeof encodeConfiguration>[0]): void {
    const context = this.#context;
    const checked = checkConfiguration(configuration);
    if (context.term > 0 || context.log.lastIndex > 0) return this.#fail(request, "refused", "bootstrap only works on new clusters");
    if (!checked.ok) return this.#fail(request, "refused", checked.error);
    context.writes.setHardState({ currentTerm: 1, lastVoteTerm: 0, lastVoteCandidate: "" });
    const entry = { index: 1, term: 1, type: ENTRY_TYPE.configuration, data: encodeConfiguration(configuration), extensions: EMPTY_BYTES };
    context.writes.append(entry, configuration);
    this.#configurationChanged();
    this.#election.begin();
    context.out.push({ kind: "reply", request, result: { ok: true, index: 1, term: 1 } });
  }

  #durable(seq: AppendSeq): void {
    const tookMs = this.#context.writes.durable(seq, this.#context.nowMs, this.#context.out);
    if (tookMs !== null) this.#context.out.push({ kind: "sample", name: "raft.leader.dispatchLog", valueMs: tookMs });
    this.#election.durable(seq);
    if (this.#context.role === "leader") this.#leader.progressed();
  }

  /** The disk is full: what it did not take never happened. We go on answering reads and following, and try again with the next write. */
  #refused(seq: AppendSeq, error: string): void {
    const context = this.#context;
    const { writes } = context;
    const wasLeader = context.role === "leader";
    if (wasLeader) this.#leader.giveAway();
    const { calls, keptIndex, configurationChanged } = writes.refused(seq);
    context.count("raft.log.refused");
    context.say("err", `failed to commit logs: error="${error}"`);
    for (const call of calls) this.#receiver.refuse(call, error);
    // Others may have committed entries that our own disk refused, in the place of older ones that are back; we learn of them again.
    context.commitIndex = Math.min(context.commitIndex, keptIndex);
    if (configurationChanged) this.#configurationChanged();
    if (context.role === "follower") return;
    this.#stopLeading("diskFull");
    this.#enterFollower(null);
    this.#election.standBack();
  }

  #becomePreCandidate(): void {
    assert(this.#context.role !== "leader", "a leader does not ask for votes");
    this.#context.role = "preCandidate";
    this.#context.leader = null;
    this.#election.stop();
    this.#watch.reset();
  }

  #becomeCandidate(transfer: boolean): void {
    const context = this.#context;
    assert(context.role !== "leader", "a leader does not stand for election");
    const term = context.term + 1;
    this.#election.stop();
    this.#watch.reset();
    context.role = "candidate";
    context.leader = null;
    context.writes.setHardState({ currentTerm: term, lastVoteTerm: term, lastVoteCandidate: context.config.address });
    context.say("info", `entering candidate state: node="Node at ${context.config.address} [Candidate]" term=${term}`);
    this.#election.startElection(transfer);
  }

  #becomeLeader(): void {
    const context = this.#context;
    assert(context.role === "candidate", "only a candidate is elected");
    this.#election.stop();
    context.role = "leader";
    context.leader = context.self;
    context.say("info", `entering leader state: leader="Node at ${context.config.address} [Leader]"`);
    this.#leader.start();
  }

  /** `term` is ours or a newer one. */
  #becomeFollower(term: number, leader: PeerAddress | null): void {
    const context = this.#context;
    assert(term >= context.term, "terms never fall");
    this.#stopLeading("leadershipLost");
    if (term > context.term) context.writes.setHardState({ ...context.writes.hardState, currentTerm: term });
    this.#enterFollower(leader);
  }

  #stopLeading(error: "leadershipLost" | "diskFull"): void {
    if (this.#context.role !== "leader") return;
    this.#leader.stop(error);
    this.#election.waitForLeader();
  }

  #enterFollower(leader: PeerAddress | null): void {
    const context = this.#context;
    if (context.role !== "follower" || context.leader?.address !== leader?.address) {
      context.say("info", `entering follower state: follower="Node at ${context.config.address} [Follower]" leader=${leader?.address ?? ""}`);
    }
    context.role = "follower";
    context.leader = leader;
    this.#election.stop();
    this.#watch.reset();
  }

  #configurationChanged(): void {
    const { configurations, leader } = this.#context;
    const { index, configuration } = configurations.latest;
    if (leader !== null && this.#context.role !== "leader") this.#context.leader = peerOf(configuration, leader);
    this.#context.out.push({ kind: "configurationChanged", configuration, index, committed: index === this.#toldConfiguration });
  }

  #configurationCommitted(): void {
    const { configurations, commitIndex } = this.#context;
    configurations.commit(commitIndex);
    const { index, configuration } = configurations.committed;
    if (index <= this.#toldConfiguration) return;
    this.#toldConfiguration = index;
    this.#context.out.push({ kind: "configurationChanged", configuration, index, committed: true });
  }
}
