/** Lessons of others (their issue in each title) about clusters in trouble, on pools in virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/base/random.ts";
import { Coordinates } from "../../src/serf/coordinates.ts";
import { INTENT_BUFFER_MAX } from "../../src/serf/intent-buffer.ts";
import { Reporter } from "../../src/serf/reporter.ts";
import type { PoolEffect } from "../../src/serf/types.ts";
import { encodeAlive, encodePushPull, encodeUser } from "../../src/wire/gossip-codec.ts";
import { encodeJoin, encodeLeave } from "../../src/wire/serf-codec.ts";
import { encodeCoordinate } from "../../src/wire/serf-coordinate.ts";
import { cluster, type Host } from "../serf/harness.ts";

const ATTACKER = { ip: "10.6.6.6", port: 7946 };

function counted(host: Host, name: string): number {
  return host.effects.reduce((sum, effect) => sum + (effect.kind === "count" && effect.name === name ? effect.delta : 0), 0);
}

test("UDP lost on the way to one member: it stays alive by the TCP ping, and that is told (serf#216, memberlist#37)", () => {
  const { net, hosts } = cluster(4);
  const deaf = hosts[3] as Host;
  net.loses = (_from, to) => to === deaf;
  net.advance(120_000);
  for (const host of hosts) assert.ok(!host.memberEvents.some((event) => event.startsWith("member-failed")), host.memberEvents.join());
  const told = hosts.filter((host) => host !== deaf && counted(host, "memberlist.probe.tcpOnly") > 0);
  assert.ok(told.length > 0, "the link is told of");
});

test("interface down: the cut node sees the others fail and they see it fail; then all are back (memberlist#242, serf#627)", () => {
  const { net, hosts } = cluster(4);
  const cut = hosts[3] as Host;
  const apart = (from: Host, to: Host): boolean => from !== to && (from === cut || to === cut);
  net.loses = apart;
  net.isDark = apart;
  net.until(() => cut.view.filter((line) => line.endsWith(" failed")).length === 3, 120_000);
  net.until(() => hosts.slice(0, 3).every((host) => host.view.includes("n4 failed")), 120_000);
  net.loses = () => false;
  net.isDark = () => false;
  net.until(() => hosts.every((host) => host.view.every((line) => line.endsWith(" alive"))), 300_000);
});

test("a leave completes and ends as left everywhere with half of all packets lost (serf#638, #510)", () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const { net, hosts } = cluster(6);
    const random = new SeededRandom(seed);
    const leaver = hosts[5] as Host;
    net.loses = (from, to) => from !== to && random.below(2) === 0;
    const request = net.command(leaver, { kind: "leave" });
    net.until(() => leaver.reply(request) !== undefined, 15_000);
    leaver.isCut = true;
    net.until(() => hosts.slice(0, 5).every((host) => host.view.includes("n6 left")), 120_000);
  }
});

test("10,000 joins and leaves a minute of members that never come: bounded, passed on, and forgotten (serf#402)", () => {
  const { net, hosts } = cluster(3);
  const [first] = hosts as [Host];
  const minute = 60_000;
  const count = INTENT_BUFFER_MAX + 4_000;
  for (let i = 0; i < count; i += 1) {
    if (i % 500 === 0) net.advance((500 * minute) / 10_000);
    const node = `ghost-${i >> 1}`;
    const body = i % 2 === 0 ? encodeJoin({ lamportTime: 100 + i, node }) : encodeLeave({ lamportTime: 100 + i, node, prune: false });
    net.step(first, { kind: "message", from: ATTACKER, bytes: encodeUser(body) });
  }
  net.advance(minute);
  for (const { pool } of hosts) {
    const stats = pool.stats();
    assert.equal(stats.get("members"), "3");
    assert.ok(Number(stats.get("intent_queue")) <= 4096, `${stats.get("intent_queue")} intents wait`);
  }
  // A member that really comes is seen by all, at once.
  const real = net.start("real");
  net.join(real, first);
  net.until(() => hosts.every((host) => host.view.includes("real alive")), 10_000);
});

test("alive messages with a short, empty or impossible version array do no harm (memberlist#357, #368)", () => {
  const { net, hosts } = cluster(3);
  const [first] = hosts as [Host];
  for (let length = 0; length < 6; length += 1) {
    for (const fill of [0, 1, 255]) {
      const versions = new Uint8Array(length).fill(fill);
      const alive = { incarnation: 1, addr: Uint8Array.of(10, 0, 0, 99), port: 7946, meta: new Uint8Array(0), versions };
      net.step(first, { kind: "message", from: ATTACKER, bytes: encodeAlive({ ...alive, node: `odd-${length}-${fill}` }) });
      const state = { ...alive, name: `pp-${length}-${fill}`, state: 0 };
      net.step(first, { kind: "streamMessage", stream: -1000 - length, from: ATTACKER, bytes: encodePushPull({ join: true, nodes: [state], userState: null }) });
    }
  }
  net.advance(60_000);
  for (const name of ["n1 alive", "n2 alive", "n3 alive"]) for (const host of hosts) assert.ok(host.view.includes(name), host.view.join());
  // The impossible ones have not broken merges for good members.
  const late = net.start("late");
  net.join(late, first);
  net.until(() => hosts.every((host) => host.view.includes("late alive")), 10_000);
});

test("poisoned coordinates are refused and move nobody: NaN, infinite, 1e300, and finite ones that no round trip explains (serf#468, #487, #490)", () => {
  const out: PoolEffect[] = [];
  const coordinates = new Coordinates("self", new SeededRandom(1), new Reporter("trace"));
  const zeros = [0, 0, 0, 0, 0, 0, 0, 0];
  const good = { vec: zeros, error: 1.5, adjustment: 0, height: 1e-5 };
  coordinates.measured("good", 5, encodeCoordinate(good), out);
  const before = coordinates.get("self");
  assert.notEqual(before, null);
  for (const bad of [NaN, Infinity, -Infinity, 1e300, -1e300, 1e9]) {
    for (const poisoned of [
      { ...good, vec: [bad, ...zeros.slice(1)] },
      { ...good, error: bad },
      { ...good, adjustment: bad },
      { ...good, height: bad },
    ]) {
      coordinates.measured("bad", 5, encodeCoordinate(poisoned), out);
    }
  }
  for (const poisoned of [{ ...good, error: -1 }, { ...good, height: -1 }, { ...good, vec: [] }, { ...good, vec: [...zeros, 0] }]) {
    coordinates.measured("bad", 5, encodeCoordinate(poisoned), out);
  }
  assert.deepEqual(coordinates.get("self"), before);
  assert.equal(coordinates.get("bad"), null);
  assert.equal(out.filter((effect) => effect.kind === "count" && effect.name === "serf.coordinate.rejected").length, 28);
});
