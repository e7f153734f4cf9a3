/** What a core keeps for others is bounded: one more is refused in words, and there is room again. Disks and followers that do not answer make the crowds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_BYTES } from "../../src/base/bytes.ts";
import { CHANGES_MAX } from "../../src/raft/leader.ts";
import { READS_MAX } from "../../src/raft/reads.ts";
import type { RaftEffect } from "../../src/raft/types.ts";
import { HELD_MAX } from "../../src/raft/writes.ts";
import { ENTRY_TYPE } from "../../src/wire/raft-messages.ts";
import { addressOf, Bench, configOf, headerOf, ofKind, votersOf } from "./support.ts";

function refusals(effects: readonly RaftEffect[]): readonly string[] {
  return ofKind(effects, "reply").flatMap(({ result }) => (result.ok ? [] : [`${result.error}: ${result.text}`]));
}

test("reads that wait for a quorum's word are bounded", () => {
  const bench = Bench.leader();
  for (let request = 1; request <= READS_MAX; request += 1) assert.deepEqual(refusals(bench.step({ kind: "readIndex", request })), []);
  assert.deepEqual(refusals(bench.step({ kind: "readIndex", request: 0x7fff_ffff })), ["overloaded: too many reads wait"]);
});

test("changes of the configuration that wait for the one before them are bounded", () => {
  const bench = Bench.leader(); // No entry of its term is committed: none may begin.
  const change = (request: number) => bench.step({ kind: "changeConfiguration", request, command: { kind: "addNonvoter", id: "d", address: addressOf("d") }, prevIndex: 0 });
  for (let request = 1; request <= CHANGES_MAX; request += 1) assert.deepEqual(refusals(change(request)), []);
  assert.deepEqual(refusals(change(9999)), ["overloaded: too many configuration changes wait"]);
});

test("what clients write and nobody has committed is bounded in bytes; a smaller proposal still fits", () => {
  const bench = Bench.leader();
  const { uncommittedBytesMax } = configOf("a").limits;
  const propose = (request: number, byteLength: number) => bench.settle({ kind: "propose", proposals: [{ request, type: ENTRY_TYPE.command, data: new Uint8Array(byteLength), extensions: EMPTY_BYTES }] });
  const piece = uncommittedBytesMax / 4;
  for (let request = 1; request <= 3; request += 1) assert.deepEqual(refusals(propose(request, piece)), []);
  assert.deepEqual(refusals(propose(4, piece + 1)), ["overloaded: too many uncommitted entries"]);
  assert.deepEqual(refusals(propose(5, piece)), []);
  assert.deepEqual(refusals(propose(6, 1)), ["overloaded: too many uncommitted entries"]);
});

test("answers that wait for the disk are bounded: what comes beyond is answered without it", () => {
  const bench = new Bench("a");
  bench.settle({ kind: "wake" });
  let call = 0;
  const append = (entries: number) => {
    call += 1;
    const message = { kind: "appendEntries", header: headerOf("b"), term: 2, leader: addressOf("b"), prevLogIndex: 0, prevLogTerm: 0, leaderCommit: 0 } as const;
    return bench.step({ kind: "request", call, connection: 1, message: { ...message, entries: Array.from({ length: entries }, (_, i) => ({ index: i + 1, term: 2, type: ENTRY_TYPE.command, data: Uint8Array.of(i), extensions: EMPTY_BYTES })) } });
  };
  const [write] = ofKind(append(1), "append");
  assert.ok(write !== undefined);
  // Repetitions: the entry is in memory, and its write has not come back.
  for (let i = 0; i < HELD_MAX; i += 1) assert.deepEqual(ofKind(append(1), "answer"), []);
  assert.deepEqual(ofKind(append(1), "answer").map(({ message, error }) => [message, error]), [[null, "too many requests wait for the disk"]]);
  assert.equal(ofKind(bench.step({ kind: "durable", seq: write.seq }), "answer").length, HELD_MAX);
  assert.equal(ofKind(append(1), "answer")[0]?.message?.kind, "appendEntries");
});

test("requests for a snapshot that is being taken are bounded, and all are told of it", () => {
  const bench = new Bench("a");
  bench.settle({ kind: "wake" });
  bench.settle({ kind: "bootstrap", request: 1, configuration: votersOf("a") });
  bench.settle({ kind: "wake" });
  const waitingMax = 64;
  const effects: RaftEffect[] = [];
  for (let request = 1; request <= waitingMax; request += 1) effects.push(...bench.settle({ kind: "snapshot", request }));
  assert.deepEqual([refusals(effects), ofKind(effects, "takeSnapshot").length], [[], 1]);
  assert.deepEqual(refusals(bench.settle({ kind: "snapshot", request: 999 })), ["overloaded: too many requests wait for a snapshot"]);
  assert.equal(refusals(bench.settle({ kind: "snapshotFailed", error: "disk" })).length, waitingMax);
});
