import assert from "node:assert/strict";
import { test } from "node:test";
import { PROFILES } from "../../src/swim/profiles.ts";
import { FakeNetwork, type FakeNode } from "./fake-network.ts";

function views(node: FakeNode): string[] {
  return node.swim.members().map(({ name, state }) => `${name} ${state}`).sort();
}

function agree(network: FakeNetwork): boolean {
  const living = network.nodes.filter(({ down }) => !down);
  return living.every(({ swim }) => swim.stateCounts.alive === living.length && swim.stateCounts.suspect === 0);
}

test("two nodes join, see each other, and one leaves", () => {
  const network = new FakeNetwork(1);
  const a = network.add("a");
  const b = network.add("b");
  network.join(b, a);
  network.run(500);
  assert.deepEqual(b.replies, [{ kind: "reply", request: 1, value: { kind: "joined", nodes: 1 }, errors: [] }]);
  assert.deepEqual(views(a), ["a alive", "b alive"]);
  assert.deepEqual(views(b), ["a alive", "b alive"]);

  network.step(b, { kind: "leave", request: 2, timeoutMs: 5000 });
  network.run(3000);
  assert.deepEqual(b.replies[1], { kind: "reply", request: 2, value: { kind: "none" }, errors: [] });
  assert.deepEqual(views(a), ["a alive", "b left"]);
  assert.ok(a.delegate.seen.includes("left b"));
});

test("a join that reaches nobody lists each target's error", () => {
  const network = new FakeNetwork(1);
  const a = network.add("a");
  const targets = [1, 2, 3, 4, 5, 6].map((last) => ({ name: "", to: { ip: `10.9.9.${last}`, port: 7946 } }));
  network.step(a, { kind: "join", request: 7, targets });
  network.run(100);
  const errors = targets.map(({ to }) => `Failed to join ${to.ip}: dial tcp ${to.ip}:7946: connect: connection refused`);
  assert.deepEqual(a.replies, [{ kind: "reply", request: 7, value: { kind: "joined", nodes: 0 }, errors }]);
});

test("twenty nodes: no false suspicion in a minute, a dead one is found, and found again when it returns", () => {
  const network = new FakeNetwork(3);
  for (let i = 0; i < 20; i += 1) network.add(`n${i}`);
  const [first, ...rest] = network.nodes as [FakeNode, ...FakeNode[]];
  for (const node of rest) network.join(node, first);
  network.run(60_000);
  assert.ok(agree(network));
  assert.deepEqual(network.nodes.flatMap(({ logs }) => logs), []);

  const victim = rest[4] as FakeNode;
  victim.down = true;
  network.run(90_000, () => network.nodes.every((node) => node === victim || node.swim.stateCounts.dead === 1));
  assert.ok(network.nowMs < 80_000, `found after ${network.nowMs - 60_000} ms`);

  victim.down = false;
  network.run(network.nowMs + 60_000, () => agree(network));
  assert.ok(agree(network));
  assert.ok((victim.swim.member(victim.name)?.incarnation ?? 0) > 1, "it refuted");
});

test("metadata travels to everybody", () => {
  const network = new FakeNetwork(4);
  for (let i = 0; i < 5; i += 1) network.add(`n${i}`, PROFILES.local);
  const [first, ...rest] = network.nodes as [FakeNode, ...FakeNode[]];
  for (const node of rest) network.join(node, first);
  network.run(2000);
  network.step(first, { kind: "updateMeta", request: 3, meta: Uint8Array.of(9), timeoutMs: 5000 });
  network.run(4000);
  assert.deepEqual(first.replies.at(-1), { kind: "reply", request: 3, value: { kind: "none" }, errors: [] });
  for (const { swim } of network.nodes) assert.deepEqual(swim.member("n0")?.meta, Uint8Array.of(9));
  for (const { delegate } of rest) assert.ok(delegate.seen.includes("updated n0"));
});
