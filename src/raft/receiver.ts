/**
 * Answers what peers ask: AppendEntries, votes, pre-votes, TimeoutNow (Raft, figure 2; differences of hashicorp/raft in the reference,
 * consul-agent §7.5). Nothing a peer sends may throw; what cannot be is counted and refused.
 */
import { ok, fail, type Result } from "../base/result.ts";
import { decodeConfiguration } from "../wire/raft-configuration.ts";
import {
  ENTRY_TYPE, PROTOCOL_VERSION_ERROR, RAFT_PROTOCOL_MAX, RAFT_PROTOCOL_MIN,
  type AppendEntriesRequest, type LogEntry, type RaftConfiguration, type RaftRequest, type RaftResponse, type RequestPreVoteRequest, type RequestVoteRequest,
} from "../wire/raft-messages.ts";
import { isVoter, peerOf, serverById } from "./configuration.ts";
import type { Context } from "./context.ts";
import type { Election } from "./election.ts";
import type { ConnectionId, IncomingCall, PeerAddress } from "./types.ts";

export interface ReceiverHost {
  /** `leader` null: unknown. */
  becomeFollower(term: number, leader: PeerAddress | null): void;
  becomeCandidate(transfer: boolean): void;
  /** The leader of this term spoke on this connection. */
  leaderSpoke(connection: ConnectionId): void;
  configurationChanged(): void;
}

export class Receiver {
  readonly #context: Context;
  readonly #election: Election;
  readonly #host: ReceiverHost;

  constructor(context: Context, election: Election, host: ReceiverHost) {
    this.#context = context;
    this.#election = election;
    this.#host = host;
  }

  /** Everything but InstallSnapshot. */
  request(call: IncomingCall, connection: ConnectionId, message: Exclude<RaftRequest, { kind: "installSnapshot" }>): void {
    if (!this.speaksOurVersion(call, message)) return;
    switch (message.kind) {
      case "appendEntries":
        return this.#appendEntries(call, connection, message);
      case "requestVote":
        return this.#requestVote(call, message);
      case "requestPreVote":
        return this.#requestPreVote(call, message);
      case "timeoutNow":
        this.answer(call, { kind: "timeoutNow", header: this.#context.header });
        if (this.#context.role === "follower" && this.#context.isVoter) this.#host.becomeCandidate(true);
        return;
    }
  }

  speaksOurVersion(call: IncomingCall, { header }: RaftRequest): boolean {
    if (header.protocolVersion >= RAFT_PROTOCOL_MIN && header.protocolVersion <= RAFT_PROTOCOL_MAX) return true;
    this.refuse(call, PROTOCOL_VERSION_ERROR);
    return false;
  }

  /** Takes the sender of an AppendEntries or InstallSnapshot as the leader of its term; false when it is not. */
  acceptLeader(term: number, connection: ConnectionId, sender: PeerAddress): boolean {
    const context = this.#context;
    if (term < context.term) return false;
    const leader = peerOf(context.configurations.latest.configuration, sender);
    if (term === context.term && this.#contradicts(leader)) {
      context.say("err", `two leaders in one term: term=${term} leader=${leader.address} other=${context.leader?.address ?? ""}`);
      context.count("raft.peer.secondLeader");
      return false;
    }
    if (term > context.term || context.role !== "follower" || context.leader?.address !== leader.address) this.#host.becomeFollower(term, leader);
    if (context.leader?.id === "") context.leader = leader; // An old leader sends no id: its configuration tells it.
    context.lastContactMs = context.nowMs;
    this.#election.leaderContact();
    this.#host.leaderSpoke(connection);
    return true;
  }

  /** A term has one leader; a peer that claims otherwise is broken. */
  #contradicts(leader: PeerAddress): boolean {
    if (this.#context.role === "leader") return true;
    const known = this.#context.leader;
    // The id tells more than the address, which may change.
    return known !== null && known.address !== leader.address && (known.id !== leader.id || known.id === "");
  }

  answer(call: IncomingCall, message: RaftResponse): void {
    this.#context.out.push({ kind: "answer", call, message, error: "" });
  }

  answerDurable(call: IncomingCall, message: RaftResponse): void {
    this.#context.whenDurable({ kind: "answer", call, message, error: "" });
  }

  refuse(call: IncomingCall, error: string): void {
    this.#context.out.push({ kind: "answer", call, message: null, error });
  }

  #appendEntries(call: IncomingCall, connection: ConnectionId, message: AppendEntriesRequest): void {
    const context = this.#context;
    const { header, log } = context;
    const sender = { id: message.header.id, address: message.leader };
    const accepted = this.acceptLeader(message.term, connection, sender);
    const reply = (success: boolean, lastLog: number, noRetryBackoff: boolean): RaftResponse =>
      ({ kind: "appendEntries", header, term: context.term, lastLog, success, noRetryBackoff });
    if (!accepted) return this.answer(call, reply(false, log.lastIndex, false));
    // A heartbeat promises nothing about the log, so it does not wait for the disk.
    if (message.entries === null) return this.answer(call, reply(true, log.lastIndex, false));

    const { prevLogIndex, prevLogTerm } = message;
    const hint = this.#mismatch(prevLogIndex, prevLogTerm);
    if (hint !== null) {
      context.say("warn", `previous log term mis-match: ours=${log.termAt(prevLogIndex) ?? 0} remote=${prevLogTerm} index=${prevLogIndex}`);
      return this.answer(call, reply(false, hint, true));
    }
    const entries = this.#newEntries(message, message.entries);
    if (!entries.ok) {
      context.count("raft.peer.malformed");
      context.say("err", `appendEntries refused: from=${message.leader} error="${entries.error}"`);
      return this.refuse(call, entries.error);
    }
    this.#store(entries.value);
    const matched = prevLogIndex + message.entries.length;
    const commit = Math.min(message.leaderCommit, matched);
    if (commit > context.commitIndex) context.commitTo(commit);
    this.answerDurable(call, reply(true, log.lastIndex, false));
  }

  /**
   * Null when our log holds the entry before the new ones; else the index behind which the leader should look next. We name the end of
   * the run before the conflicting term, which spares a round trip for each entry of it.
   */
  #mismatch(index: number, term: number): number | null {
    const { log, commitIndex } = this.#context;
    // What is committed is in every leader's log, even where ours has compacted it away.
    if (index <= commitIndex) return null;
    if (index > log.lastIndex) return log.lastIndex;
    if (log.termAt(index) === term) return null;
    return Math.max(commitIndex, log.termStart(index) - 1);
  }

  /** The entries that our log does not have yet, decoded where we must understand them; the rest is checked only for its order. */
  #newEntries({ prevLogIndex, prevLogTerm, term }: AppendEntriesRequest, entries: readonly LogEntry[]): Result<readonly NewEntry[]> {
    const { log, commitIndex } = this.#context;
    let last = { index: prevLogIndex, term: prevLogTerm };
    const fresh: NewEntry[] = [];
    for (const entry of entries) {
      if (entry.index !== last.index + 1 || entry.term < last.term || entry.term > term) return fail("entries do not follow each other");
      last = entry;
      if (fresh.length === 0) {
        const ours = log.termAt(entry.index);
        if (entry.index <= commitIndex && ours !== null && ours !== entry.term) return fail("an entry contradicts a committed one");
        if (entry.index <= commitIndex) continue;
        if (entry.index <= log.lastIndex && ours === entry.term) continue;
      }
      if (entry.type !== ENTRY_TYPE.configuration) {
        fresh.push({ entry, configuration: null });
        continue;
      }
      const configuration = decodeConfiguration(entry.data);
      if (!configuration.ok) return configuration;
      fresh.push({ entry, configuration: configuration.value });
    }
    return ok(fresh);
  }

  #store(entries: readonly NewEntry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const { log, writes } = this.#context;
    let changed = false;
    if (first.entry.index <= log.lastIndex) {
      this.#context.say("warn", `clearing log suffix: from=${first.entry.index} to=${log.lastIndex}`);
      changed = writes.truncateFrom(first.entry.index);
    }
    for (const { entry, configuration } of entries) {
      writes.append(entry, configuration);
      changed ||= configuration !== null;
    }
    if (changed) this.#host.configurationChanged();
  }

  #requestVote(call: IncomingCall, message: RequestVoteRequest): void {
    const context = this.#context;
    const { header, log } = context;
    const reply = (granted: boolean): RaftResponse => ({ kind: "requestVote", header, term: context.term, granted });
    const why = this.#refusesCandidate({ id: message.header.id, address: message.candidate }, message, message.leadershipTransfer);
    if (why !== null) {
      // The term stays as it is: a candidate that cannot win must not disturb those who have a leader.
      context.say("warn", `rejecting vote request since ${why}: from=${message.candidate} leader=${context.leader?.address ?? ""}`);
      return this.answer(call, reply(false));
    }
    if (message.term < context.term) return this.answer(call, reply(false));
    if (message.term > context.term) this.#host.becomeFollower(message.term, null);

    const { lastVoteTerm, lastVoteCandidate } = context.writes.hardState;
    const voted = lastVoteTerm === message.term;
    if (voted && lastVoteCandidate !== message.candidate) {
      context.say("info", `duplicate requestVote for same term: term=${message.term}`);
      return this.answer(call, reply(false));
    }
    // A candidate or leader has voted for itself, so here we are a follower.
    if (!voted && isBehind(message, context.lastEntry)) {
      const last = `last-index=${log.lastIndex} last-candidate-index=${message.lastLogIndex} last-term=${log.lastTerm} last-candidate-term=${message.lastLogTerm}`;
      context.say("warn", `rejecting vote request since our log is ahead: candidate=${message.candidate} ${last}`);
      return this.answer(call, reply(false));
    }
    if (!voted) context.writes.setHardState({ currentTerm: message.term, lastVoteTerm: message.term, lastVoteCandidate: message.candidate });
    this.#election.waitForLeader();
    this.answerDurable(call, reply(true));
  }

  #requestPreVote(call: IncomingCall, message: RequestPreVoteRequest): void {
    const context = this.#context;
    const { header, term } = context;
    const { id, address } = message.header;
    this.#election.knowsPreVote(id);
    const { lastVoteTerm, lastVoteCandidate } = context.writes.hardState;
    // What the vote itself would be: in its term it may be given already.
    const voted = lastVoteTerm === message.term && lastVoteCandidate !== address;
    const refused = this.#refusesCandidate({ id, address }, message, false) !== null || message.term < term || voted || isBehind(message, context.lastEntry);
    if (!refused) this.#election.granted(id);
    this.answer(call, { kind: "requestPreVote", header, term: refused ? term : Math.max(term, message.term), granted: !refused });
  }

  /** Why this candidate gets no vote whatever its term; null when nothing is against it. */
  #refusesCandidate({ id, address }: PeerAddress, last: LastEntry, transfer: boolean): string | null {
    const context = this.#context;
    const { configuration } = context.configurations.latest;
    // Old peers send no id; then nothing is known against them. Nor is it when the candidate's log is ahead: the entry that made it a
    // voter may be among those we lack, and refusing it then could leave a majority without a leader.
    const mayKnowMore = isBehind(context.lastEntry, last);
    if (id !== "" && configuration.servers.length > 0 && !mayKnowMore) {
      if (serverById(configuration, id) === null) return "node is not in configuration";
      if (!isVoter(configuration, id)) return "node is not a voter";
    }
    if (!transfer && context.hasLiveLeader && context.leader?.address !== address) return "we have a leader";
    return null;
  }
}

interface LastEntry {
  readonly lastLogIndex: number;
  readonly lastLogTerm: number;
}

interface NewEntry {
  readonly entry: LogEntry;
  /** Of a configuration entry; else null. */
  readonly configuration: RaftConfiguration | null;
}

/** The first log is less up to date than the second (Raft, section 5.4.1). */
function isBehind(first: LastEntry, second: LastEntry): boolean {
  if (first.lastLogTerm !== second.lastLogTerm) return first.lastLogTerm < second.lastLogTerm;
  return first.lastLogIndex < second.lastLogIndex;
}
