import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/base/random.ts";
import { prepare } from "../../src/cli/sim/play.ts";
import { RememberedMembers } from "../../src/serf/remembered-members.ts";
import { QUIET_NETWORK } from "../../src/sim/network.ts";
import type { Scenario } from "../../src/sim/scenario.ts";

const endpoint = { ip: "10.0.0.1", port: 7946 };

test("the newest 32 are remembered, each once; who is back is forgotten", () => {
  const members = new RememberedMembers();
  for (let i = 0; i < 40; i += 1) members.add({ name: `n${i}`, endpoint });
  members.add({ name: "n39", endpoint });
  assert.equal(members.size, 32);
  members.delete("n39");
  const random = new SeededRandom(1);
  const names = new Set(Array.from({ length: 2_000 }, () => members.pick(1, random)?.name));
  assert.equal(names.size, 31);
  assert.ok(!names.has("n7") && names.has("n8") && !names.has("n39"));
});

test("all nodes together make about four attempts per interval", () => {
  const members = new RememberedMembers();
  members.add({ name: "a", endpoint });
  const random = new SeededRandom(2);
  const attempts = Array.from({ length: 10_000 }, () => members.pick(100, random)).filter((member) => member !== null).length;
  assert.ok(attempts > 300 && attempts < 500, String(attempts));
});

const SECOND = 1_000;
const CUT_MS = 300 * SECOND;

/** Halves apart for longer than failed members are kept. */
function split(convergedWithinMs: number): Scenario {
  const faultsEndMs = 20 * SECOND + CUT_MS;
  return {
    name: "long split",
    about: "",
    profile: "lan",
    nodes: 12,
    network: QUIET_NETWORK,
    clockDriftPpmMax: 200,
    steps: [
      { atMs: 0, overMs: 0, action: { kind: "start", nodes: { kind: "all" } } },
      { atMs: 0, overMs: SECOND, action: { kind: "join", nodes: { kind: "others" }, to: { kind: "earlier" } } },
      { atMs: 20 * SECOND, overMs: 0, action: { kind: "partition", groups: 2, forMs: CUT_MS } },
    ],
    expect: { faultsEndMs, convergedWithinMs, quietWithinMs: 60 * SECOND, noFalseFailures: false, leftIsLeft: false, eventsWithinMs: Infinity, detectedWithinMs: null, eventLatency: null },
    durationMs: faultsEndMs,
  };
}

test("halves apart for longer than reconnect_timeout are one cluster within 60 s of healing", () => {
  for (const seed of [1, 2, 3]) {
    const run = prepare(split(60 * SECOND), { seed, codec: "off", original: false, overrides: { reconnectTimeoutMs: 120 * SECOND } });
    let fewest = Infinity;
    run.sim.after((19 * SECOND + CUT_MS) * 1_000, () => (fewest = Math.min(...run.sim.hosts.map(({ machine }) => machine?.view.members().length ?? 0))));
    const { violations } = run.run();
    assert.equal(fewest, 6, "each half had forgotten the other one");
    assert.deepEqual(violations, []);
  }
});
