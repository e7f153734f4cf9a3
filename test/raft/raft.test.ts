/** Single transitions of the core, each for a rule of the paper, a difference of hashicorp/raft, or something that once went wrong. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_BYTES } from "../../src/base/bytes.ts";
import { ENTRY_TYPE, type AppendEntriesRequest, type LogEntry } from "../../src/wire/raft-messages.ts";
import { SUCCESSION_STEP_MS } from "../../src/raft/election.ts";
import { Bench, addressOf, answerOf, headerOf, ofKind, votersOf } from "./support.ts";

function entry(index: number, term: number): LogEntry {
  return { index, term, type: ENTRY_TYPE.command, data: new Uint8Array([index]), extensions: EMPTY_BYTES };
}

function append(from: string, term: number, prev: readonly [index: number, term: number], entries: readonly LogEntry[] | null, leaderCommit = 0): AppendEntriesRequest {
  return { kind: "appendEntries", header: headerOf(from), term, leader: addressOf(from), prevLogIndex: prev[0], prevLogTerm: prev[1], entries, leaderCommit };
}

function follower(): Bench {
  const bench = new Bench("a");
  bench.settle({ kind: "wake" });
  bench.settle({ kind: "bootstrap", request: 1, configuration: votersOf("a", "b", "c") });
  return bench;
}

test("the only voter leads as soon as its vote is durable, and commits alone", () => {
  const bench = new Bench("a");
  bench.settle({ kind: "wake" });
  bench.settle({ kind: "bootstrap", request: 1, configuration: votersOf("a") });
  const elected = bench.step({ kind: "wake" });
  assert.equal(bench.raft.status(bench.nowMs).role, "candidate", "not before the vote is on disk");
  bench.settle({ kind: "durable", seq: ofKind(elected, "append")[0]?.seq ?? 0 });
  const effects = bench.settle({ kind: "propose", proposals: [{ request: 9, type: 0, data: new Uint8Array([1]), extensions: EMPTY_BYTES }] });
  assert.deepEqual(ofKind(effects, "reply").map(({ request, result }) => [request, result.ok]), [[9, true]]);
  assert.equal(bench.raft.canReadLocally(bench.nowMs), true);
});

test("an append is acknowledged only by what follows its write", () => {
  const bench = follower();
  const effects = bench.step({ kind: "request", call: 5, connection: 1, message: append("b", 2, [1, 1], [entry(2, 2)]) });
  assert.deepEqual(ofKind(effects, "answer"), []);
  const [write] = ofKind(effects, "append");
  assert.equal(write?.hardState?.currentTerm, 2);
  assert.deepEqual(write?.afterDurable.map((after) => after.kind === "answer" && after.message?.kind === "appendEntries" && after.message.success), [true]);
  // A repetition finds the entry in memory, but it is not on disk yet.
  const again = bench.step({ kind: "request", call: 6, connection: 1, message: append("b", 2, [1, 1], [entry(2, 2)]) });
  assert.deepEqual(ofKind(again, "answer"), []);
  assert.deepEqual(ofKind(bench.step({ kind: "durable", seq: write?.seq ?? 0 }), "answer").map((answer) => answer.call), [6]);
});

test("a conflicting suffix is replaced, and the hint names the end of the run before the conflict", () => {
  const bench = follower();
  bench.request(append("b", 2, [1, 1], [entry(2, 2), entry(3, 2), entry(4, 2)]));
  const refused = answerOf(bench.request(append("c", 3, [4, 3], [entry(5, 3)])));
  assert.ok(refused?.kind === "appendEntries" && !refused.success && refused.noRetryBackoff);
  assert.equal(refused.lastLog, 1);
  const effects = bench.request(append("c", 3, [1, 1], [entry(2, 3)], 2));
  assert.equal(ofKind(effects, "append")[0]?.truncateFrom, 2);
  assert.deepEqual(ofKind(effects, "apply").flatMap(({ entries }) => entries.map(({ index, term }) => [index, term])), [[1, 1], [2, 3]]);
});

test("a follower commits no further than what the request in hand has matched", () => {
  const bench = follower();
  bench.request(append("b", 2, [1, 1], [entry(2, 2), entry(3, 2)]));
  bench.request(append("c", 3, [1, 1], [], 3));
  assert.equal(bench.raft.status(bench.nowMs).commitIndex, 1, "entries 2 and 3 may not be the new leader's");
});

test("an entry that contradicts a committed one is refused, and nothing changes", () => {
  const bench = follower();
  bench.request(append("b", 2, [1, 1], [entry(2, 2)], 2));
  const effects = bench.request(append("c", 3, [1, 1], [entry(2, 3)]));
  assert.equal(ofKind(effects, "answer")[0]?.message, null);
  assert.equal(bench.raft.status(bench.nowMs).lastTerm, 2);
});

test("while a leader is known votes are refused and the term is left alone, unless it asked for them", () => {
  const bench = follower();
  bench.request(append("b", 2, [0, 0], null));
  const vote = { kind: "requestVote", header: headerOf("c"), term: 7, candidate: addressOf("c"), lastLogIndex: 9, lastLogTerm: 2, leadershipTransfer: false } as const;
  const refused = answerOf(bench.request(vote));
  assert.ok(refused?.kind === "requestVote" && !refused.granted && refused.term === 2);
  const granted = answerOf(bench.request({ ...vote, leadershipTransfer: true }));
  assert.ok(granted?.kind === "requestVote" && granted.granted && granted.term === 7);
});

test("one vote a term, repeated to who has it, and none for a log behind ours", () => {
  const bench = follower();
  const vote = (from: string, term: number, lastLogTerm: number) => answerOf(bench.request({
    kind: "requestVote", header: headerOf(from), term, candidate: addressOf(from), lastLogIndex: 1, lastLogTerm, leadershipTransfer: false,
  }));
  const granted = (answer: ReturnType<typeof vote>): boolean => answer?.kind === "requestVote" && answer.granted;
  assert.equal(granted(vote("b", 2, 0)), false);
  assert.equal(granted(vote("b", 3, 1)), true);
  assert.equal(granted(vote("c", 3, 1)), false);
  assert.equal(granted(vote("b", 3, 1)), true);
});

test("a pre-vote changes nothing at who is asked", () => {
  const bench = follower();
  const before = bench.raft.status(0);
  const answer = answerOf(bench.request({ kind: "requestPreVote", header: headerOf("b"), term: 9, lastLogIndex: 1, lastLogTerm: 1 }));
  assert.ok(answer?.kind === "requestPreVote" && answer.granted);
  assert.deepEqual([bench.raft.status(0).term, bench.raft.status(0).role], [before.term, before.role]);
});

test("nobody is disturbed by a server that the configuration does not name, unless its log is ahead", () => {
  const bench = follower();
  const ask = (lastLogIndex: number): boolean => {
    const answer = answerOf(bench.request({ kind: "requestPreVote", header: headerOf("z"), term: 2, lastLogIndex, lastLogTerm: 1 }));
    return answer?.kind === "requestPreVote" && answer.granted;
  };
  assert.equal(ask(1), false);
  assert.equal(ask(2), true);
});

test("a peer that closes on a pre-vote counts as granting after a whole timeout, never in the eager rounds", () => {
  const bench = follower();
  const eager = bench.wake();
  const calls = ofKind(eager, "send").filter((send) => send.channel === "preVote");
  assert.equal(calls.length, 2);
  for (const { call } of calls) bench.settle({ kind: "failed", call, failure: "closed", error: "" });
  assert.equal(bench.raft.status(0).role, "follower");
  for (let i = 0; i < 50 && bench.raft.status(0).role !== "candidate"; i += 1) bench.wake();
  assert.equal(bench.raft.status(0).role, "candidate");
  assert.ok(bench.nowMs >= 2000, `a whole heartbeat timeout passed: ${bench.nowMs}`);
});

test("the leader's process is gone when its connections are closed and its port refuses: pre-votes at once", () => {
  const bench = follower();
  bench.request(append("b", 2, [0, 0], null), 4);
  bench.request(append("b", 2, [1, 1], [entry(2, 2)]), 5);
  assert.deepEqual(ofKind(bench.settle({ kind: "connectionClosed", connection: 4 }), "dialCheck"), []);
  const [dial] = ofKind(bench.settle({ kind: "connectionClosed", connection: 5 }), "dialCheck");
  assert.equal(dial?.to.id, "b");
  const since = bench.nowMs;
  bench.settle({ kind: "dialed", call: dial?.call ?? 0, outcome: "refused" });
  assert.deepEqual(ofKind(bench.wake(), "send").map((send) => send.channel), ["preVote", "preVote"]);
  assert.ok(bench.nowMs - since <= 100);
});

test("a leader that has been silent for a heartbeat timeout is replaced: the followers ask one after the other, and only real grants count", () => {
  const bench = follower();
  bench.request(append("b", 2, [0, 0], null));
  const since = bench.nowMs;
  const asked = ofKind(bench.wake(), "send");
  assert.equal(bench.nowMs - since, 1000);
  assert.deepEqual(asked.map((send) => send.channel), ["preVote", "preVote"]);
  for (const { call } of asked) bench.settle({ kind: "failed", call, failure: "closed", error: "" });
  assert.equal(bench.raft.status(0).role, "follower");

  const next = new Bench("c");
  next.settle({ kind: "wake" });
  next.settle({ kind: "bootstrap", request: 1, configuration: votersOf("a", "b", "c") });
  next.request(append("b", 2, [0, 0], null));
  const nextSince = next.nowMs;
  assert.deepEqual(ofKind(next.wake(), "send"), []);
  assert.deepEqual(ofKind(next.wake(), "send").map((send) => send.channel), ["preVote", "preVote"]);
  assert.equal(next.nowMs - nextSince, 1000 + SUCCESSION_STEP_MS);
});

test("a server that was not running itself first hears what its leader said meanwhile", () => {
  const bench = follower();
  bench.request(append("b", 2, [0, 0], null));
  bench.nowMs += 5000;
  assert.deepEqual(ofKind(bench.settle({ kind: "wake" }), "send"), []);
  assert.equal(bench.raft.status(bench.nowMs).leader?.id, "b");
  bench.request(append("b", 2, [0, 0], null));
  const heard = bench.nowMs;
  assert.deepEqual(ofKind(bench.wake(), "send").map((send) => send.channel), ["preVote", "preVote"]);
  assert.equal(bench.nowMs - heard, 1000);

  bench.request(append("b", 2, [0, 0], null));
  bench.nowMs += 5000;
  const woken = bench.nowMs;
  bench.settle({ kind: "wake" });
  assert.deepEqual(ofKind(bench.wake(), "send").map((send) => send.channel), ["preVote", "preVote"], "it is allowed for once");
  assert.ok(bench.nowMs - woken <= 200);
});

test("one election at a time: who grants a pre-vote puts its own off, and of two that ask each other the one with the larger id leaves it", () => {
  const ask = (from: string) => ({ kind: "requestPreVote", header: headerOf(from), term: 3, lastLogIndex: 1, lastLogTerm: 1 }) as const;
  const isGranted = (effects: ReturnType<Bench["request"]>): boolean => {
    const answer = answerOf(effects);
    return answer?.kind === "requestPreVote" && answer.granted;
  };
  const bench = follower();
  bench.request(append("b", 2, [0, 0], null));
  bench.nowMs += 999;
  bench.request(append("c", 1, [0, 0], null)); // Of an old term: no sign of the leader.
  bench.nowMs += 1;
  assert.equal(isGranted(bench.request(ask("c"))), true);
  const grantedMs = bench.nowMs;
  assert.deepEqual(ofKind(bench.settle({ kind: "wake" }), "send"), []);
  assert.deepEqual(ofKind(bench.wake(), "send").map((send) => send.channel), ["preVote", "preVote"]);
  assert.ok(bench.nowMs - grantedMs >= 100);

  assert.equal(bench.raft.status(0).role, "preCandidate");
  assert.equal(isGranted(bench.request(ask("c"))), true);
  assert.equal(bench.raft.status(0).role, "preCandidate", "c leaves it to us");
  bench.request({ ...ask("A"), header: { ...headerOf("b"), id: "A" } });
  assert.equal(bench.raft.status(0).role, "preCandidate", "A is not a voter");

  const other = new Bench("c");
  other.settle({ kind: "wake" });
  other.settle({ kind: "bootstrap", request: 1, configuration: votersOf("a", "b", "c") });
  other.wake();
  assert.equal(other.raft.status(0).role, "preCandidate");
  assert.equal(isGranted(other.request({ ...ask("b"), term: 2 })), true);
  assert.equal(other.raft.status(0).role, "follower");
});

test("a pre-vote is refused where the vote is given already, and who asked learns the term", () => {
  const bench = follower();
  bench.request({ kind: "requestVote", header: headerOf("b"), term: 2, candidate: addressOf("b"), lastLogIndex: 1, lastLogTerm: 1, leadershipTransfer: false });
  const ask = (from: string) => answerOf(bench.request({ kind: "requestPreVote", header: headerOf(from), term: 2, lastLogIndex: 1, lastLogTerm: 1 }));
  const refused = ask("c");
  assert.ok(refused?.kind === "requestPreVote" && !refused.granted && refused.term === 2);
  const granted = ask("b");
  assert.ok(granted?.kind === "requestPreVote" && granted.granted);

  const asking = follower();
  const [first] = ofKind(asking.wake(), "send");
  asking.settle({ kind: "response", call: first?.call ?? 0, message: refused });
  assert.deepEqual([asking.raft.status(0).term, asking.raft.status(0).role], [2, "follower"], "or it would ask for term 2 for ever");
});

test("a dial that was refused after we took over ourselves means nothing", () => {
  const bench = follower();
  bench.request(append("b", 2, [0, 0], null), 4);
  const [dial] = ofKind(bench.settle({ kind: "connectionClosed", connection: 4 }), "dialCheck");
  const votes = ofKind(bench.request({ kind: "timeoutNow", header: headerOf("b") }), "send");
  for (const { call } of votes) bench.settle({ kind: "response", call, message: { kind: "requestVote", header: headerOf("c"), term: 3, granted: true } });
  assert.equal(bench.raft.status(0).role, "leader");
  bench.settle({ kind: "dialed", call: dial?.call ?? 0, outcome: "refused" });
  assert.equal(bench.raft.status(0).leader?.id, "a");
});

test("a leader's lease ends with a connection, and is back with the next answer", () => {
  const bench = Bench.leader();
  const answer = (effects: ReturnType<Bench["wake"]>): void => {
    for (const { call, message, to } of ofKind(effects, "send")) {
      if (message.kind !== "appendEntries" || to.id !== "b") continue;
      bench.settle({ kind: "response", call, message: { kind: "appendEntries", header: headerOf("b"), term: 2, lastLog: 2, success: true, noRetryBackoff: false } });
    }
  };
  const first = bench.settle({ kind: "verifyLeader", request: 3 });
  for (let call = 3; call <= 6; call += 1) bench.settle({ kind: "response", call, message: { kind: "appendEntries", header: headerOf("b"), term: 2, lastLog: 2, success: true, noRetryBackoff: false } });
  answer(first);
  assert.equal(bench.raft.canReadLocally(bench.nowMs), true);
  bench.settle({ kind: "channelClosed", peer: "b", channel: "heartbeat" });
  bench.settle({ kind: "channelClosed", peer: "c", channel: "heartbeat" });
  assert.equal(bench.raft.canReadLocally(bench.nowMs), false);
  answer(bench.wake());
  assert.equal(bench.raft.canReadLocally(bench.nowMs), true);
});

test("a refused write is taken back: the leader steps down, and the replaced entry is not committed in the place of the new one", () => {
  const leader = Bench.leader();
  const [write] = ofKind(leader.step({ kind: "propose", proposals: [{ request: 7, type: 0, data: EMPTY_BYTES, extensions: EMPTY_BYTES }] }), "append");
  const refused = leader.settle({ kind: "appendRefused", seq: write?.seq ?? 0, error: "full" });
  assert.deepEqual(ofKind(refused, "reply").map(({ request, result }) => [request, !result.ok && result.error]), [[7, "diskFull"]]);
  assert.equal(leader.raft.status(0).role, "follower");
  assert.equal(leader.raft.status(0).lastIndex, 2);

  const bench = follower();
  bench.request(append("b", 2, [1, 1], [entry(2, 2)]));
  const [replaced] = ofKind(bench.step({ kind: "request", call: 90, connection: 1, message: append("c", 3, [1, 1], [entry(2, 3)], 2) }), "append");
  assert.equal(replaced?.truncateFrom, 2);
  bench.settle({ kind: "appendRefused", seq: replaced?.seq ?? 0, error: "full" });
  const { commitIndex, lastTerm } = bench.raft.status(0);
  assert.deepEqual([commitIndex, lastTerm], [1, 2]);
  const [next] = ofKind(bench.step({ kind: "request", call: 91, connection: 1, message: append("c", 3, [1, 1], [entry(2, 3)], 2) }), "append");
  assert.equal(next?.afterRefusal, replaced?.seq);
});

test("a snapshot on disk ahead of term and log is what counts at the start", () => {
  const meta = { id: "s", index: 9, term: 5, configuration: votersOf("a", "b", "c"), configurationIndex: 1, size: 1 };
  const bench = new Bench("a", {
    hardState: { currentTerm: 4, lastVoteTerm: 4, lastVoteCandidate: "x" }, snapshot: meta,
    firstIndex: 1, lastIndex: 7, termRuns: [{ firstIndex: 1, term: 1 }], configurations: [], tail: [],
  });
  bench.settle({ kind: "wake" });
  const status = bench.raft.status(0);
  assert.deepEqual([status.term, status.lastIndex, status.lastTerm, status.commitIndex], [5, 9, 5, 9]);
  const [write] = ofKind(bench.request(append("b", 5, [9, 5], [entry(10, 5)])), "append");
  assert.deepEqual([write?.truncateFrom, write?.hardState?.currentTerm], [1, 5]);
});

test("a log that does not reach its snapshot is no start", () => {
  const start = { hardState: { currentTerm: 1, lastVoteTerm: 0, lastVoteCandidate: "" }, snapshot: null, firstIndex: 5, lastIndex: 6, termRuns: [{ firstIndex: 5, term: 1 }], configurations: [], tail: [] };
  assert.throws(() => new Bench("a", start), /the log begins behind its start/);
});

test("a peer of another protocol version gets the original's error", () => {
  const bench = follower();
  const old = { ...append("b", 2, [0, 0], null), header: { protocolVersion: 1, id: "", address: "" } };
  assert.match(ofKind(bench.request(old), "answer")[0]?.error ?? "", /not supported with current protocol version/);
});
