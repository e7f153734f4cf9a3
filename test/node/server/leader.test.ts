/** What the leader does of itself, on virtual time: sessions expire, the catalog follows the pool, the Raft configuration follows the servers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Queried, RpcMethods } from "../../../src/api/rpc/types.ts";
import { AUTOPILOT, addressOf, Bench, clientOf, errorOf, idOf, ipOf, memberOf, putArgs, READ, sessionArgs, valueOf, type Node } from "./bench.ts";

function create(bench: Bench, node: Node, session: Parameters<typeof sessionArgs>[0]): string {
  return valueOf(bench.call(node, "Session.Apply", sessionArgs(session))) as string;
}

function exists(node: Node, id: string): boolean {
  return node.state.session(id).value !== null;
}

function renew(bench: Bench, node: Node, id: string): number {
  return (valueOf(bench.call(node, "Session.Renew", { datacenter: "dc1", sessionId: id, options: READ })) as Queried<readonly unknown[]>).value.length;
}

function lockArgs(key: string, session: string, op: "lock" | "unlock" = "lock"): RpcMethods["KVS.Apply"]["args"] {
  const args = putArgs(key, "held");
  return { ...args, op, entry: { ...args.entry, session } };
}

test("a session with a TTL is destroyed after twice its TTL, and every renewal starts the time afresh", () => {
  const { bench, node } = Bench.alone();
  const id = create(bench, node, { ttl: "10s" });
  bench.advance(19_900);
  assert.ok(exists(node, id));
  assert.equal(renew(bench, node, id), 1);
  bench.advance(19_900);
  assert.ok(exists(node, id), "renewed");
  bench.advance(200);
  assert.ok(!exists(node, id), "expired");
  assert.equal(renew(bench, node, id), 0, "a lost session is not found");
});

test("a session without a TTL stays, and one destroyed by its owner is gone at once", () => {
  const { bench, node } = Bench.alone();
  const id = create(bench, node, {});
  bench.advance(400_000);
  assert.ok(exists(node, id));
  valueOf(bench.call(node, "Session.Apply", sessionArgs({ id }, "destroy")));
  assert.ok(!exists(node, id));
});

test("what a session may not be", () => {
  const { bench, node } = Bench.alone();
  for (const [session, error] of [
    [{ node: "" }, "Must provide Node"],
    [{ behavior: "explode" }, "Invalid Behavior setting 'explode'"],
    [{ ttl: "9s" }, "Invalid Session TTL '9000000000', must be between [10s=24h0m0s]"],
    [{ ttl: "soon" }, "Session TTL 'soon' invalid: "],
  ] as const) {
    const refused = errorOf(bench.call(node, "Session.Apply", sessionArgs(session)));
    assert.ok(refused.startsWith(error), refused);
  }
  assert.equal(errorOf(bench.call(node, "Session.Apply", sessionArgs({ id: "" }, "destroy"))), "Must provide ID");
});

test("nobody takes a lock within the lock delay of its lost holder", () => {
  const { bench, node } = Bench.alone();
  const lost = create(bench, node, { lockDelay: 15e9 });
  const other = create(bench, node, { lockDelay: 0 });
  assert.equal(valueOf(bench.call(node, "KVS.Apply", lockArgs("l", lost))), true);
  assert.equal(valueOf(bench.call(node, "KVS.Apply", lockArgs("l", other))), false, "held");
  valueOf(bench.call(node, "Session.Apply", sessionArgs({ id: lost }, "destroy")));
  assert.equal(valueOf(bench.call(node, "KVS.Apply", lockArgs("l", other))), false, "delayed");
  const outcome = valueOf(bench.call(node, "Txn.Apply", { datacenter: "dc1", token: "", ops: [{ kind: "kv", verb: "lock", entry: lockArgs("l", other).entry }] }));
  assert.deepEqual((outcome as RpcMethods["Txn.Apply"]["reply"]).errors, [{ opIndex: 0, what: 'failed to lock key "l" due to lock delay' }]);
  bench.advance(14_900);
  assert.equal(valueOf(bench.call(node, "KVS.Apply", lockArgs("l", other))), false, "not yet");
  bench.advance(200);
  assert.equal(valueOf(bench.call(node, "KVS.Apply", lockArgs("l", other))), true);
  // A lock that is given back can be taken at once.
  assert.equal(valueOf(bench.call(node, "KVS.Apply", lockArgs("l", other, "unlock"))), true);
  assert.equal(valueOf(bench.call(node, "KVS.Apply", lockArgs("l", create(bench, node, {})))), true);
});

test("members come into the catalog, turn critical when they fail, and go when they leave", () => {
  const { bench, node } = Bench.alone();
  const health = (name: string): string | undefined => node.state.check(name, "serfHealth")?.status;
  assert.equal(health("a"), "passing");
  assert.deepEqual(node.state.nodeServices("a").value.map(({ service, port }) => [service, port]), [["consul", 8300]]);
  bench.give(node, { kind: "member", member: clientOf("w") });
  assert.equal(node.state.node("w").value?.address, ipOf("w"));
  assert.equal(node.state.node("w").value?.id, idOf("w"));
  assert.deepEqual([health("w"), node.state.nodeServices("w").value.length], ["passing", 0]);
  const session = create(bench, node, { node: "w" });
  bench.give(node, { kind: "member", member: clientOf("w", "failed") });
  assert.equal(health("w"), "critical");
  assert.ok(!exists(node, session), "sessions of a failed node are lost");
  const index = node.state.appliedIndex;
  bench.give(node, { kind: "member", member: clientOf("w", "failed") });
  assert.equal(node.state.appliedIndex, index, "what the catalog says already is not written again");
  bench.give(node, { kind: "member", member: clientOf("w") });
  assert.equal(health("w"), "passing");
  bench.give(node, { kind: "member", member: { ...clientOf("w"), ip: "127.0.50.99" } });
  assert.equal(node.state.node("w").value?.address, "127.0.50.99", "a node that moved");
  bench.give(node, { kind: "member", member: clientOf("w", "left") });
  assert.equal(node.state.node("w").value, null);
  bench.give(node, { kind: "member", member: clientOf("x") });
  bench.give(node, { kind: "reaped", name: "x" });
  assert.equal(node.state.node("x").value, null);
});

test("a node that the pool does not know is taken out at the next comparison, unless it is not of the pool", () => {
  const { bench, node } = Bench.alone();
  const register = (name: string, checkId: string): RpcMethods["Catalog.Register"]["args"] => ({
    datacenter: "dc1", id: "", node: name, address: "127.0.50.77", taggedAddresses: null, nodeMeta: null, service: null, checks: null, skipNodeUpdate: false, token: "",
    check: {
      node: name, checkId, name: "c", status: "passing", notes: "", output: "", serviceId: "", serviceName: "", serviceTags: null, type: "", definition: undefined,
      createIndex: 0, modifyIndex: 0,
    },
    createIndex: 0, modifyIndex: 0,
  });
  valueOf(bench.call(node, "Catalog.Register", register("ghost", "serfHealth")));
  valueOf(bench.call(node, "Catalog.Register", register("external", "ping")));
  bench.advance(61_000);
  assert.equal(node.state.node("ghost").value, null);
  assert.notEqual(node.state.node("external").value, null);
});

test("the next leader keeps sessions alive afresh, and expires them", () => {
  const { bench, leader } = Bench.three();
  const id = create(bench, leader, { node: leader.name, ttl: "10s", nodeChecks: null });
  bench.advance(15_000);
  bench.kill(leader);
  bench.advance(8000);
  const next = bench.leader();
  assert.ok(exists(next, id));
  bench.advance(11_000);
  assert.ok(exists(next, id), "its time began with the new leader");
  bench.advance(10_000);
  assert.ok(!exists(next, id));
});

// ---- Raft configuration

function suffrages(node: Node, bench: Bench): Record<string, string> {
  return Object.fromEntries(node.server.status(bench.nowMs).configuration.servers.map(({ address, suffrage }) => [address, suffrage]));
}

function tellAll(bench: Bench, member: ReturnType<typeof memberOf>): void {
  for (const node of bench.nodes.values()) if (!node.stopped) bench.give(node, { kind: "member", member });
}

test("a new server joins without a vote, and gets one once it has been healthy for long enough", () => {
  const { bench, leader } = Bench.three();
  const joined = bench.add("d");
  for (const name of ["a", "b", "c", "d"]) bench.give(joined, { kind: "member", member: memberOf(name) });
  tellAll(bench, memberOf("d"));
  bench.advance(3000);
  assert.equal(suffrages(leader, bench)[addressOf("d")], "nonvoter");
  bench.advance(AUTOPILOT.serverStabilizationMs - 3000);
  assert.equal(suffrages(leader, bench)[addressOf("d")], "nonvoter");
  bench.advance(6000);
  assert.equal(suffrages(leader, bench)[addressOf("d")], "voter");
});

test("a server that asks for no vote gets none, and one that is not healthy waits", () => {
  const { bench, leader } = Bench.three();
  const joined = bench.add("d");
  bench.add("e");
  const silent = memberOf("d");
  tellAll(bench, { ...silent, server: { ...(silent.server as NonNullable<typeof silent.server>), nonVoter: true } });
  tellAll(bench, memberOf("e"));
  bench.advance(3000);
  bench.cut.add("e");
  bench.advance(40_000);
  assert.deepEqual([suffrages(leader, bench)[addressOf("d")], suffrages(leader, bench)[addressOf("e")]], ["nonvoter", "nonvoter"]);
  assert.ok(!joined.server.isLeader);
});

test("of five servers two dead ones are removed; a third would leave no majority and stays", () => {
  const bench = new Bench();
  const names = ["a", "b", "c", "d", "e"];
  for (const name of names) bench.add(name, { expect: 5 });
  for (const node of bench.nodes.values()) for (const name of names) bench.give(node, { kind: "member", member: memberOf(name, "alive", 5) });
  bench.advance(10_000);
  const leader = bench.leader();
  const others = [...bench.nodes.values()].filter((node) => node !== leader);
  for (const dead of others.slice(0, 2)) {
    bench.kill(dead);
    tellAll(bench, memberOf(dead.name, "failed", 5));
  }
  bench.advance(10_000);
  assert.equal(Object.keys(suffrages(leader, bench)).length, 3);
  const third = others[2] as Node;
  bench.kill(third);
  tellAll(bench, memberOf(third.name, "failed", 5));
  bench.advance(10_000);
  assert.equal(Object.keys(suffrages(leader, bench)).length, 2, "one of three is a minority");
  const fourth = others[3] as Node;
  bench.kill(fourth);
  tellAll(bench, memberOf(fourth.name, "failed", 5));
  bench.advance(10_000);
  assert.equal(Object.keys(suffrages(leader, bench)).length, 2, "one of two is not");
});

test("dead servers stay while clean-up is off or the quorum is to be larger; a server that left goes all the same", () => {
  for (const autopilot of [{ cleanupDeadServers: false }, { minQuorum: 3 }]) {
    const { bench, leader, followers } = Bench.three({ autopilot });
    bench.kill(followers[0]);
    tellAll(bench, memberOf(followers[0].name, "failed", 3));
    bench.advance(10_000);
    assert.equal(Object.keys(suffrages(leader, bench)).length, 3, JSON.stringify(autopilot));
    tellAll(bench, memberOf(followers[0].name, "left", 3));
    bench.advance(10_000);
    assert.equal(Object.keys(suffrages(leader, bench)).length, 2);
  }
});

test("an operator removes a peer by id or address; an unknown one is named", () => {
  const { bench, leader, followers } = Bench.three();
  bench.give(leader, { kind: "member", member: memberOf(followers[0].name, "failed", 3) });
  assert.equal(errorOf(bench.call(leader, "Operator.RaftRemovePeerByID", { datacenter: "dc1", id: "nobody" })), 'id "nobody" was not found in the Raft configuration');
  assert.equal(
    errorOf(bench.call(leader, "Operator.RaftRemovePeerByAddress", { datacenter: "dc1", address: "127.0.50.1:1" })),
    'address "127.0.50.1:1" was not found in the Raft configuration',
  );
  assert.equal(valueOf(bench.call(leader, "Operator.RaftRemovePeerByAddress", { datacenter: "dc1", address: addressOf(followers[0].name) })), null);
  assert.equal(Object.keys(suffrages(leader, bench)).length, 2);
});

test("a leader that leaves takes itself out of the configuration first; the last one just goes", () => {
  const { bench, leader } = Bench.three();
  bench.give(leader, { kind: "leave" });
  assert.ok(!(addressOf(leader.name) in suffrages(leader, bench)));
  for (const node of bench.nodes.values()) if (node !== leader) bench.give(node, { kind: "member", member: memberOf(leader.name, "left", 3) });
  bench.advance(10_000);
  assert.equal(leader.effects.filter(({ kind }) => kind === "left").length, 1);
  const next = [...bench.nodes.values()].find((node) => node !== leader && node.server.isLeader);
  assert.ok(next !== undefined);
  assert.ok(!(addressOf(leader.name) in suffrages(next, bench)));
  const alone = Bench.alone();
  alone.bench.give(alone.node, { kind: "leave" });
  assert.equal(alone.node.effects.filter(({ kind }) => kind === "left").length, 1);
});
