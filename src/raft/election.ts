/**
 * How a node that is not the leader becomes it (Raft, section 5.2; dissertation 9.6 for the pre-vote): the timer that waits for a leader,
 * the pre-vote that asks whether an election could be won before any term is raised, and the election.
 *
 * Beside the usual timer there is an eager mode: right after the start, when the leader's process is known to be gone, and when the leader
 * has been silent for as long as voters stay with it, pre-votes are asked for at short intervals. They disturb nobody (a peer with a live
 * leader refuses), and only real grants count in them, because a peer without pre-vote could be disturbed by the election that follows.
 */
import { assert } from "../base/assert.ts";
import type { RaftResponse, RaftServer } from "../wire/raft-messages.ts";
import { voters } from "./configuration.ts";
import type { Context } from "./context.ts";
import { quorumSize } from "./quorum.ts";
import type { AppendSeq, CallFailure, OutgoingCall } from "./types.ts";

/** After the leader is gone, or silent for too long, its followers ask one after the other, so that votes do not split. */
export const SUCCESSION_STEP_MS = 50;
/** Eager attempts come after a random part of [T, 2T) of the heartbeat timeout divided by this, … */
const EAGER_DIVISOR = 10;
/** … and end after this many election timeouts without a leader. */
const EAGER_TIMEOUTS = 4;
/** Who looks at the clock later than planned by more than the heartbeat timeout divided by this was not running itself. */
const STALL_DIVISOR = 10;

/** What the election asks of the machine around it. */
export interface ElectionHost {
  becomePreCandidate(): void;
  becomeCandidate(transfer: boolean): void;
  becomeFollower(term: number): void;
  becomeLeader(): void;
}

interface Round {
  readonly kind: "preVote" | "vote";
  /** Peers without pre-vote count as granting. */
  readonly lenient: boolean;
  readonly term: number;
  readonly granted: Set<string>;
  readonly refused: Set<string>;
  readonly calls: Map<OutgoingCall, string>;
}

export class Election {
  readonly #context: Context;
  readonly #host: ElectionHost;
  #deadlineMs = Infinity;
  #eagerAtMs = Infinity;
  #eagerUntilMs = -Infinity;
  /** When the leader will have been silent for so long that others may vote for us. */
  #silentAtMs = Infinity;
  /** Our own stall was allowed for since the last look in time. */
  #stalled = false;
  #round: Round | null = null;
  /** Our own vote counts once this write is durable. */
  #voteSeq: AppendSeq = Infinity;
  /** Peers that closed the connection on a pre-vote request (hashicorp/raft up to 1.6) since we last had a leader. */
  readonly #withoutPreVote = new Set<string>();

  constructor(context: Context, host: ElectionHost) {
    this.#context = context;
    this.#host = host;
  }

  get wakeAtMs(): number {
    return this.#context.role === "leader" ? Infinity : Math.min(this.#deadlineMs, this.#eagerAtMs, this.#silentAtMs);
  }

  /** The process has just started, or the cluster was just founded: nobody can be disturbed, so do not wait for a whole timeout. */
  begin(): void {
    this.waitForLeader();
    const servers = voters(this.#context.configurations.latest.configuration);
    if (!this.#context.isVoter) return;
    if (servers.length === 1) this.#deadlineMs = this.#context.nowMs;
    else this.#beEager(this.#eagerPauseMs());
  }

  /** A leader is there, or a vote was given: everything starts over. */
  waitForLeader(): void {
    const { timing } = this.#context.config;
    this.#silentAtMs = Infinity;
    this.#deadlineMs = this.#context.nowMs + this.#context.randomMs(timing.heartbeatTimeoutMs);
    if (this.#eagerAtMs < Infinity) this.#eagerAtMs = this.#context.nowMs + this.#context.randomMs(timing.electionTimeoutMs / 2);
  }

  /** The leader spoke. */
  leaderContact(): void {
    this.#eagerAtMs = Infinity;
    // A peer that died while we asked looks like one without pre-vote: find out anew next time.
    this.#withoutPreVote.clear();
    this.waitForLeader();
    this.#silentAtMs = this.#context.nowMs + this.#context.config.timing.heartbeatTimeoutMs;
  }

  /** The leader's process is gone (its connections are closed and its port refuses), or it has been silent for too long. */
  leaderGone(leaderId: string): void {
    const others = voters(this.#context.configurations.latest.configuration).filter((server) => server.id !== leaderId);
    const rank = others.map((server) => server.id).sort().indexOf(this.#context.config.id);
    if (rank >= 0) this.#beEager(rank * SUCCESSION_STEP_MS);
  }

  /** A leader stepped down because it cannot write: let somebody else come first. */
  standBack(): void {
    this.#eagerAtMs = Infinity;
    this.#silentAtMs = Infinity;
    this.#deadlineMs = this.#context.nowMs + 2 * this.#context.randomMs(this.#context.config.timing.electionTimeoutMs);
  }

  /** The role changed: answers of the old round mean nothing any more. */
  stop(): void {
    this.#round = null;
    this.#voteSeq = Infinity;
  }

  wake(): void {
    const { nowMs } = this.#context;
    if (this.#wasStalled()) return;
    if (nowMs >= this.#silentAtMs) {
      this.#silentAtMs = Infinity;
      this.leaderGone(this.#context.leader?.id ?? "");
    }
    const late = nowMs >= this.#deadlineMs;
    if (!late && nowMs < this.#eagerAtMs) return;
    const polling = this.#context.role === "candidate" && !late; // An election on its way is not cut short.
    if (late) this.#deadlineMs = nowMs + this.#context.randomMs(this.#context.config.timing.electionTimeoutMs);
    this.#planEager();
    if (polling || !this.#mayStand(late)) return;
    if (late) this.#context.say("warn", `heartbeat timeout reached, starting election: last-leader=${this.#context.leader?.address ?? ""}`);
    const alone = voters(this.#context.configurations.latest.configuration).length === 1;
    if (alone || (late && !this.#context.config.preVote)) this.#host.becomeCandidate(false);
    else if (this.#context.config.preVote) this.#startPreVote(late);
  }

  /** We were not running when something was due: what the leader said meanwhile may still wait to be read, so everything is put off a little, once. */
  #wasStalled(): boolean {
    const { nowMs, config } = this.#context;
    const lateMs = nowMs - this.wakeAtMs;
    const stalled = !this.#stalled && lateMs > config.timing.heartbeatTimeoutMs / STALL_DIVISOR;
    this.#stalled = stalled;
    if (!stalled) return false;
    const atMs = nowMs + this.#eagerPauseMs();
    this.#deadlineMs = Math.max(this.#deadlineMs, atMs);
    if (this.#eagerAtMs < Infinity) this.#eagerAtMs = Math.max(this.#eagerAtMs, atMs);
    if (this.#silentAtMs < Infinity) this.#silentAtMs = Math.max(this.#silentAtMs, atMs);
    return true;
  }

  /** The vote of this node's own election, right after the term was raised. */
  startElection(transfer: boolean): void {
    const { term, log, header, config } = this.#context;
    assert(this.#context.role === "candidate", "only a candidate asks for votes");
    this.#deadlineMs = this.#context.nowMs + this.#context.randomMs(config.timing.electionTimeoutMs);
    this.#voteSeq = this.#context.writes.currentSeq;
    this.#round = { kind: "vote", lenient: true, term, granted: new Set(), refused: new Set(), calls: new Map() };
    const last = { lastLogIndex: log.lastIndex, lastLogTerm: log.lastTerm };
    for (const server of this.#others()) {
      const call = this.#context.nextCall();
      this.#round.calls.set(call, server.id);
      const message = { kind: "requestVote", header, term, candidate: config.address, ...last, leadershipTransfer: transfer } as const;
      const timeoutMs = config.timing.electionTimeoutMs;
      this.#context.whenDurable({ kind: "send", call, to: addressOf(server), channel: "vote", message, timeoutMs, snapshotId: "" });
    }
  }

  durable(seq: AppendSeq): void {
    if (seq < this.#voteSeq) return;
    this.#voteSeq = Infinity;
    this.#count(this.#context.config.id, true);
  }

  /** True when the call was one of this round's. */
  response(call: OutgoingCall, message: RaftResponse): boolean {
    const round = this.#round;
    const peer = round?.calls.get(call);
    if (round === null || peer === undefined) return false;
    round.calls.delete(call);
    if (message.kind !== "requestVote" && message.kind !== "requestPreVote") return true;
    if (message.kind === "requestPreVote") this.#withoutPreVote.delete(peer);
    // A peer grants a pre-vote with the term asked for, and refuses one with its own.
    if (message.term > round.term || (!message.granted && message.term > this.#context.term)) {
      this.#context.say("debug", `newer term discovered, fallback to follower: term=${message.term}`);
      this.#host.becomeFollower(message.term);
      return true;
    }
    this.#count(peer, message.granted);
    return true;
  }

  failed(call: OutgoingCall, failure: CallFailure, error: string): boolean {
    const round = this.#round;
    const peer = round?.calls.get(call);
    if (round === null || peer === undefined) return false;
    round.calls.delete(call);
    const unsupported = failure === "closed" || (failure === "error" && error.includes("unexpected command"));
    if (round.kind === "vote" || !unsupported) {
      this.#count(peer, false);
      return true;
    }
    if (!this.#withoutPreVote.has(peer)) this.#context.say("info", `peer does not support pre-votes: peer=${peer}`);
    this.#withoutPreVote.add(peer);
    this.#count(peer, round.lenient);
    return true;
  }

  /** We granted a pre-vote: one election at a time, or votes split. Of two who ask each other, the one with the larger id leaves it to the other. */
  granted(peer: string): void {
    const { nowMs, role, config, term } = this.#context;
    const asks = role === "preCandidate" && this.#round !== null;
    if (asks && peer >= config.id) return;
    if (asks) this.#host.becomeFollower(term);
    const atMs = nowMs + this.#eagerPauseMs();
    if (this.#eagerAtMs < Infinity) this.#eagerAtMs = Math.max(this.#eagerAtMs, atMs);
    if (this.#silentAtMs < Infinity) this.#silentAtMs = Math.max(this.#silentAtMs, atMs);
  }

  /** A peer asked for a pre-vote: it knows them. */
  knowsPreVote(peer: string): void {
    this.#withoutPreVote.delete(peer);
  }

  #mayStand(loud: boolean): boolean {
    const { configuration } = this.#context.configurations.latest;
    if (this.#context.isVoter) return this.#context.nowMs - this.#context.writes.waitingSinceMs < this.#context.config.timing.electionTimeoutMs;
    if (loud) this.#context.say("warn", configuration.servers.length === 0 ? "no known peers, aborting election" : "not part of stable configuration, aborting election");
    return false;
  }

  #startPreVote(lenient: boolean): void {
    const { log, header, config } = this.#context;
    const peers = this.#others();
    const asked = peers.filter((server) => !this.#withoutPreVote.has(server.id));
    if (!lenient && asked.length + 1 < quorumSize(peers.length + 1)) return;
    this.#host.becomePreCandidate();
    const term = this.#context.term + 1;
    const round: Round = { kind: "preVote", lenient, term, granted: new Set(), refused: new Set(), calls: new Map() };
    this.#round = round;
    for (const server of asked) {
      const message = { kind: "requestPreVote", header, term, lastLogIndex: log.lastIndex, lastLogTerm: log.lastTerm } as const;
      const timeoutMs = config.timing.electionTimeoutMs;
      round.calls.set(this.#context.send({ to: addressOf(server), channel: "preVote", message, timeoutMs }), server.id);
    }
    // Old peers can only be asked by an election; without them nobody could win beside them.
    if (lenient) for (const server of peers) if (!asked.includes(server)) round.granted.add(server.id);
    this.#count(config.id, true);
  }

  #count(peer: string, granted: boolean): void {
    const round = this.#round;
    if (round === null) return;
    (granted ? round.granted : round.refused).add(peer);
    const ids = voters(this.#context.configurations.latest.configuration).map((server) => server.id);
    const quorum = quorumSize(ids.length);
    const tally = ids.filter((id) => round.granted.has(id)).length;
    if (granted && round.kind === "vote") this.#context.say("debug", `vote granted: from=${peer} term=${round.term} tally=${tally}`);
    if (tally >= quorum) {
      this.#round = null;
      if (round.kind === "preVote") this.#host.becomeCandidate(false);
      else {
        this.#context.say("info", `election won: tally=${tally}`);
        this.#host.becomeLeader();
      }
      return;
    }
    const lost = ids.filter((id) => round.refused.has(id)).length > ids.length - quorum;
    if (lost) this.#host.becomeFollower(this.#context.term);
  }

  #others(): readonly RaftServer[] {
    return voters(this.#context.configurations.latest.configuration).filter((server) => server.id !== this.#context.config.id);
  }

  #beEager(afterMs: number): void {
    if (!this.#context.config.preVote) return;
    this.#eagerAtMs = this.#context.nowMs + afterMs;
    this.#eagerUntilMs = this.#context.nowMs + EAGER_TIMEOUTS * this.#context.config.timing.electionTimeoutMs;
  }

  #planEager(): void {
    if (this.#context.nowMs < this.#eagerAtMs) return;
    this.#eagerAtMs = this.#context.nowMs < this.#eagerUntilMs ? this.#context.nowMs + this.#eagerPauseMs() : Infinity;
  }

  #eagerPauseMs(): number {
    return this.#context.randomMs(this.#context.config.timing.heartbeatTimeoutMs / EAGER_DIVISOR);
  }
}

function addressOf({ id, address }: RaftServer): { readonly id: string; readonly address: string } {
  return { id, address };
}
