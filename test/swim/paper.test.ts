/** One test per claim of the papers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PROFILES } from "../../src/swim/profiles.ts";
import { FakeNetwork, type FakeNode } from "./fake-network.ts";

function cluster(size: number, seed: number): FakeNetwork {
  const network = new FakeNetwork(seed);
  for (let i = 0; i < size; i += 1) network.add(`n${i}`);
  const [first, ...rest] = network.nodes as [FakeNode, ...FakeNode[]];
  for (const node of rest) network.join(node, first);
  network.run(10_000);
  return network;
}

test("SWIM, section 4.3: between two probes of one member a node makes at most 2n − 1 others", () => {
  const size = 12;
  const network = cluster(size, 5);
  const observer = network.nodes[3] as FakeNode;
  // Each answered probe of the observer reports a round-trip time.
  observer.delegate.seen.length = 0;
  network.run(network.nowMs + 200_000);
  const probed = observer.delegate.seen.filter((line) => line.startsWith("rtt ")).map((line) => line.split(" ")[1] as string);
  assert.ok(probed.length > 190, `${probed.length} probes in 200 s`);
  const others = size - 1;
  for (const name of new Set(probed)) {
    let last = 0;
    for (const [i, other] of probed.entries()) {
      if (other !== name) continue;
      assert.ok(i - last <= 2 * others - 1, `${name} was probed at ${last} and then at ${i}`);
      last = i;
    }
  }
  assert.equal(new Set(probed).size, others);
});

test("SWIM, section 3.1: the load per node does not grow with the cluster", () => {
  const perNode = [10, 40].map((size) => {
    const network = cluster(size, 6);
    network.run(30_000);
    const before = network.packets;
    network.run(60_000);
    return (network.packets - before) / size / 30;
  }) as [number, number];
  // A ping and an ack each second.
  for (const rate of perNode) assert.ok(rate > 1.9 && rate < 2.3, `${rate} packets per node and second`);
});

test("SWIM, section 4.2: a member that cannot be reached by one node only is not declared dead", () => {
  const network = cluster(10, 7);
  const [a, b] = [network.nodes[1] as FakeNode, network.nodes[2] as FakeNode];
  network.cut = (from, to) => (from === a && to === b) || (from === b && to === a);
  network.run(network.nowMs + 120_000);
  assert.equal(a.swim.member(b.name)?.state, "alive");
  assert.deepEqual(network.nodes.filter(({ delegate }) => delegate.seen.some((line) => line.startsWith("dead"))), []);
});

test("Lifeguard: a node that sleeps for seconds, again and again, makes nobody look dead", () => {
  const network = cluster(20, 8);
  const sleepers = network.nodes.slice(0, 2);
  for (let round = 0; round < 12; round += 1) {
    for (const node of sleepers) node.pausedUntilMs = network.nowMs + 2500;
    network.run(network.nowMs + 5000);
  }
  const healthy = network.nodes.slice(2).map(({ name }) => name);
  for (const { delegate } of network.nodes) assert.deepEqual(delegate.seen.filter((line) => healthy.some((name) => line === `dead ${name}`)), []);
  for (const { swim } of network.nodes) assert.equal(swim.stateCounts.alive, 20);
});

test("Lifeguard: long pauses of up to 30 s of one node in ten kill no healthy member", () => {
  for (const seed of [1, 2, 3]) {
    const network = cluster(20, seed);
    const sleepers = network.nodes.slice(0, 2);
    for (let round = 0; round < 3; round += 1) {
      for (const [i, node] of sleepers.entries()) node.pausedUntilMs = network.nowMs + 10_000 * (i + 2);
      network.run(network.nowMs + 60_000);
    }
    const healthy = network.nodes.slice(2).map(({ name }) => name);
    for (const { name, delegate } of network.nodes) {
      assert.deepEqual(delegate.seen.filter((line) => healthy.some((other) => line === `dead ${other}`)), [], `seen by ${name}, seed ${seed}`);
    }
    for (const { swim } of network.nodes) assert.equal(swim.stateCounts.alive, 20, `seed ${seed}: everybody is back`);
  }
});

test("a mass join of 60 is complete within two seconds, in each profile but wan", () => {
  for (const profile of [PROFILES.local, PROFILES.lan]) {
    for (const seed of [1, 2]) {
      const network = new FakeNetwork(seed);
      for (let i = 0; i < 60; i += 1) network.add(`n${i}`, profile);
      const [first, ...rest] = network.nodes as [FakeNode, ...FakeNode[]];
      for (const node of rest) network.join(node, first);
      network.run(10_000, () => network.nodes.every(({ swim }) => swim.aliveCount === 60));
      assert.ok(network.nowMs <= 2000, `seed ${seed}: ${network.nowMs} ms`);
    }
  }
});
