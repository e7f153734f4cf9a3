/** Where calls are answered: here, at the leader, later, or not at all. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DirEntry } from "../../../src/wire/fsm-commands.ts";
import { LATE_ANSWER_MS, PARKED_MAX } from "../../../src/node/server/calls.ts";
import type { Queried } from "../../../src/api/rpc/types.ts";
import { addressOf, Bench, errorOf, getArgs, HOLD_MS, putArgs, READ, valueOf } from "./bench.ts";

function entriesOf(value: unknown): readonly string[] {
  return (value as Queried<readonly DirEntry[]>).value.map((entry) => String.fromCharCode(...(entry.value ?? [])));
}

test("a server that expects only itself leads, applies a write and answers it", () => {
  const { bench, node } = Bench.alone();
  // The state machine says nothing of a set, and false is what the original's servers make of that.
  assert.equal(valueOf(bench.call(node, "KVS.Apply", putArgs("k", "v"))), false);
  assert.deepEqual(entriesOf(valueOf(bench.call(node, "KVS.Get", getArgs("k")))), ["v"]);
  assert.equal(valueOf(bench.call(node, "Status.Leader", { datacenter: "dc1" })), addressOf("a"));
  assert.ok(node.effects.some((effect) => effect.kind === "userEvent" && effect.name === "consul:new-leader"));
});

test("without a leader a call is held, then refused in the words of the original", () => {
  const bench = new Bench();
  const node = bench.add("a");
  const write = bench.call(node, "KVS.Apply", putArgs("k", "v"));
  const read = bench.call(node, "KVS.Get", getArgs("k"));
  bench.advance(HOLD_MS - 1);
  assert.deepEqual([write.replies, read.replies], [[], []]);
  bench.advance(1);
  assert.equal(errorOf(write), "No cluster leader");
  assert.equal(errorOf(read), "No cluster leader");
  bench.advance(60_000);
  assert.equal(write.replies.length, 1);
});

test("calls that wait for a leader are bounded: one more is refused at once, and there is room again when one is given up", () => {
  const bench = new Bench();
  const node = bench.add("a");
  const held = Array.from({ length: PARKED_MAX }, () => bench.call(node, "KVS.Get", getArgs("k")));
  assert.ok(held.every(({ replies }) => replies.length === 0));
  assert.equal(errorOf(bench.call(node, "KVS.Get", getArgs("k"))), "No cluster leader");
  bench.cancel(held[0] as (typeof held)[number]);
  assert.deepEqual(bench.call(node, "KVS.Get", getArgs("k")).replies, []);
  assert.equal(errorOf(bench.call(node, "KVS.Get", getArgs("k"))), "No cluster leader");
});

test("a held call is carried out as soon as there is a leader", () => {
  const bench = new Bench();
  const node = bench.add("a", { expect: 1 });
  const write = bench.call(node, "KVS.Apply", putArgs("k", "v"));
  assert.deepEqual(write.replies, []);
  bench.give(node, { kind: "member", member: { name: "b", id: "", ip: "127.0.50.9", status: "alive", server: null } });
  bench.advance(HOLD_MS);
  valueOf(write);
  assert.deepEqual(entriesOf(valueOf(bench.call(node, "KVS.Get", getArgs("k")))), ["v"]);
  assert.ok(write.answeredMs < 1000 + HOLD_MS);
});

test("a cancelled call is neither answered nor kept", () => {
  const bench = new Bench();
  const node = bench.add("a");
  const call = bench.call(node, "KVS.Get", getArgs("k"));
  bench.cancel(call);
  bench.advance(2 * HOLD_MS);
  assert.deepEqual(call.replies, []);
});

test("questions about this server alone need no leader and no datacenter, all others name ours", () => {
  const bench = new Bench();
  const node = bench.add("a");
  assert.equal(valueOf(bench.call(node, "Status.Leader", { datacenter: "dc1" })), "");
  assert.deepEqual(valueOf(bench.call(node, "Status.Peers", { datacenter: "" })), []);
  assert.deepEqual(valueOf(bench.call(node, "Catalog.ListDatacenters", { datacenter: "" })), ["dc1"]);
  assert.deepEqual(valueOf(bench.call(node, "Status.RaftStats", { datacenter: "" })), { lastContact: "never", lastTerm: 0, lastIndex: 0 });
  assert.equal(errorOf(bench.call(node, "Status.Leader", { datacenter: "dc2" })), "No path to datacenter");
  assert.equal(errorOf(bench.call(node, "KVS.Get", { ...getArgs("k"), datacenter: "" })), "No path to datacenter");
});

test("three servers that expect each other found one cluster; a follower passes calls on to the leader", () => {
  const { bench, leader, followers } = Bench.three();
  const configuration = leader.server.status(bench.nowMs).configuration.servers;
  assert.deepEqual(configuration.map(({ suffrage }) => suffrage), ["voter", "voter", "voter"]);
  valueOf(bench.call(followers[0], "KVS.Apply", putArgs("k", "v")));
  assert.deepEqual(entriesOf(valueOf(bench.call(followers[1], "KVS.Get", getArgs("k")))), ["v"]);
  assert.equal(followers[1].effects.filter(({ kind }) => kind === "forward").length, 1);
  bench.advance(1000);
  const stale = bench.call(followers[1], "KVS.Get", getArgs("k", { allowStale: true }));
  assert.deepEqual(entriesOf(valueOf(stale)), ["v"]);
  assert.equal(followers[1].effects.filter(({ kind }) => kind === "forward").length, 1, "a stale read is answered here");
  assert.deepEqual(entriesOf(valueOf(bench.call(followers[0], "KVS.Get", getArgs("k", { requireConsistent: true })))), ["v"]);
});

test("the leader's refusal carries the prefix of the hop", () => {
  const { bench, followers } = Bench.three();
  assert.equal(errorOf(bench.call(followers[0], "KVS.Apply", putArgs("", "v"))), "rpc error making call: Must provide key");
});

test("a write whose connection broke is reported, not repeated; a read is asked again", () => {
  const { bench, leader, followers } = Bench.three();
  const [follower, other] = followers;
  const read = bench.call(follower, "KVS.Get", getArgs("k", { minQueryIndex: 1_000_000, maxQueryTimeMs: 3000 }));
  // It waits at the leader, which cannot commit it: nobody else is reached.
  bench.cut.add(other.name);
  bench.cutRaft.add(follower.name);
  const write = bench.call(follower, "KVS.Apply", putArgs("k", "v"));
  assert.equal(write.replies.length, 0);
  bench.kill(leader);
  bench.cut.delete(other.name);
  bench.cutRaft.delete(follower.name);
  assert.equal(errorOf(write), "rpc error making call: EOF");
  bench.advance(12_000);
  assert.equal(errorOf(write), "rpc error making call: EOF");
  assert.equal(read.replies.length, 1);
  assert.equal((valueOf(read) as Queried<readonly DirEntry[]>).meta.knownLeader, true, "the new leader answers it");
});

test("the rules of repetition, one by one", () => {
  for (const [method, error, repeated] of [
    ["KVS.Get", "EOF", true], ["KVS.Get", "dial tcp 127.0.0.1:8300: connection refused", true], ["KVS.Get", "rpc error making call: No cluster leader", true],
    ["KVS.Get", "Permission denied", false], ["KVS.Apply", "EOF", false], ["KVS.Apply", "No cluster leader", true], ["KVS.Apply", "read: connection reset by peer", false],
    ["KVS.Apply", "failed to get conn: dial tcp 127.0.0.1:8300: connection refused", true],
  ] as const) {
    const { bench, leader, followers } = Bench.three();
    const [follower] = followers;
    bench.lost.add(leader.name);
    const call = method === "KVS.Get" ? bench.call(follower, method, getArgs("k")) : bench.call(follower, method, putArgs("k", "v"));
    assert.equal(call.replies.length, 0);
    bench.lost.delete(leader.name);
    bench.give(follower, { kind: "forwarded", call: call.id, outcome: { ok: false, error } });
    bench.advance(200);
    const outcome = call.replies[0];
    assert.equal(call.replies.length, 1);
    if (repeated) assert.equal(outcome?.ok, true, `${method} after ${error}`);
    else assert.deepEqual(outcome, { ok: false, error: `rpc error making call: ${error}` });
  }
});

test("a leader cut off from the others commits nothing, and says so", () => {
  const { bench, leader } = Bench.three();
  bench.isolate(leader);
  const write = bench.call(leader, "KVS.Apply", putArgs("b", "2"));
  bench.advance(20_000);
  assert.equal(errorOf(write), "leadership lost while committing log");
  const next = bench.leader();
  bench.cut.delete(leader.name);
  bench.advance(5000);
  assert.deepEqual(entriesOf(valueOf(bench.call(next, "KVS.Get", getArgs("b")))), []);
});

test("calls at a leader that was cut off wait for it no longer than until the next one leads: reads are asked again, writes reported lost", () => {
  const { bench, leader, followers } = Bench.three();
  const [follower] = followers;
  bench.lost.add(leader.name);
  const read = bench.call(follower, "KVS.Get", getArgs("k"));
  const write = bench.call(follower, "KVS.Apply", putArgs("k", "v"));
  const cancelled = bench.call(follower, "KVS.Apply", putArgs("l", "v"));
  bench.cut.add(leader.name); // No connection breaks.
  while (bench.nowMs < 60_000 && ![...bench.nodes.values()].some((node) => node !== leader && node.server.isLeader)) bench.advance(10);
  const electedMs = bench.nowMs;
  bench.advance(100);
  assert.deepEqual(entriesOf(valueOf(read)), []);
  assert.deepEqual(write.replies, []);
  bench.cancel(cancelled);
  bench.advance(LATE_ANSWER_MS);
  assert.equal(errorOf(write), "rpc error making call: leadership lost while committing log");
  assert.deepEqual(follower.effects.flatMap((effect) => (effect.kind === "abandonForward" ? [effect.call] : [])), [write.id], "it must not be carried out late");
  assert.ok(write.answeredMs <= electedMs + LATE_ANSWER_MS + 10, `${write.answeredMs - electedMs} ms after the election`);
  bench.give(follower, { kind: "forwarded", call: write.id, outcome: { ok: true, value: true } });
  bench.advance(60_000);
  assert.equal(write.replies.length, 1);
  assert.deepEqual(cancelled.replies, []);
});

test("a cancelled forward is forgotten, and its late answer drops", () => {
  const { bench, followers } = Bench.three();
  const [follower] = followers;
  const call = bench.call(follower, "KVS.Get", getArgs("k", { minQueryIndex: 1_000_000 }));
  bench.cancel(call);
  assert.equal(follower.effects.filter(({ kind }) => kind === "forgetForward").length, 1);
  bench.give(follower, { kind: "forwarded", call: call.id, outcome: { ok: false, error: "EOF" } });
  bench.advance(600_000);
  assert.deepEqual(call.replies, []);
});

test("a filter lets through what it holds for, and is told when it is none, or ignored where the original ignores it", () => {
  const { bench, node } = Bench.alone();
  const list = (filter: string): { readonly datacenter: string; readonly nodeMeta: ReadonlyMap<string, string>; readonly near: string; readonly options: typeof READ } => ({
    datacenter: "dc1", nodeMeta: new Map(), near: "", options: { ...READ, filter },
  });
  const rows = (filter: string): number => (valueOf(bench.call(node, "Catalog.ListNodes", list(filter))) as Queried<readonly unknown[]>).value.length;
  assert.deepEqual([rows("Node == a"), rows("Node != a")], [1, 0]);
  assert.equal(errorOf(bench.call(node, "Catalog.ListNodes", list("Nope == a"))), 'Failed to create boolean expression evaluator: Selector "Nope" is not valid');
  assert.ok(bench.call(node, "Catalog.ListServices", list("x y")).replies[0]?.ok);
});

test("a command that cannot be applied stops the server", () => {
  const { bench, node } = Bench.alone();
  node.server.proposals.propose(Uint8Array.of(100, 0xc1), () => undefined);
  bench.give(node, { kind: "wake" });
  const fatal = node.effects.filter(({ kind }) => kind === "fatal");
  assert.equal(fatal.length, 1);
  assert.equal(node.stopped, true);
  const effects = node.effects.length;
  node.stopped = false;
  bench.call(node, "KVS.Apply", putArgs("k", "v"));
  assert.equal(node.effects.length, effects, "nothing more is answered");
});
