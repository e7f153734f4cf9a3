/** A simulation in shards is one run whatever plays it, and tells the same of a cluster as one that has all nodes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prepare, type PlayOptions } from "../../src/cli/sim/play.ts";
import type { RunReport } from "../../src/sim/run-report.ts";
import type { Scenario } from "../../src/sim/scenario.ts";
import type { ScenarioRun } from "../../src/sim/scenario-run.ts";
import { SCENARIOS } from "../../src/sim/scenarios.ts";
import { whyUndivided } from "../../src/sim/shards/dividable.ts";
import { playInTurns } from "../../src/sim/shards/lockstep.ts";
import { shardMemory, type Shard } from "../../src/sim/shards/shard.ts";
import type { MachineFactory } from "../../src/sim/sim-machine.ts";

const NODES = 40;

function built(name: string, nodes: number): Scenario {
  const scenario = SCENARIOS.get(name)?.build(nodes, 1);
  assert.ok(scenario !== undefined);
  return scenario;
}

function converged(name: string, nodes = NODES): Scenario {
  const scenario = built(name, nodes);
  return { ...scenario, start: "converged", steps: scenario.steps.filter(({ action }) => action.kind !== "start" && action.kind !== "join") };
}

const CHOICE = { seed: 5, codec: "off", original: false } as const;

function play(scenario: Scenario, count: number, options: Partial<PlayOptions> = {}, change: (run: ScenarioRun) => void = () => {}): RunReport {
  const memory = shardMemory(scenario, count);
  const runs = Array.from({ length: count }, (_, index) => prepare(scenario, { ...CHOICE, ...options, shard: { memory, index } }));
  runs.forEach(change);
  const report = playInTurns(runs.map(({ shard }) => shard as Shard), runs.map((run) => run.script()));
  assert.ok(report !== null);
  return report;
}

for (const name of ["steady", "crash-1pct", "event-burst"]) {
  test(`${name} in shards: no checker complains, one seed is one run, and it is like the run of one thread`, () => {
    const scenario = converged(name);
    const alone = prepare(scenario, CHOICE).run();
    for (const count of [2, 3]) {
      const report = play(scenario, count);
      assert.deepEqual(report.violations, []);
      assert.equal(report.threads, count);
      if (count === 2) assert.deepEqual(play(scenario, count), report);
      else assert.notEqual(play(scenario, count, { seed: 6 }).traceHash, report.traceHash);
      assert.notEqual(report.traceHash, alone.traceHash);
      assert.deepEqual([report.events.pairs, report.events.delivered, report.detections, report.falseFailures, report.virtualSeconds], [alone.events.pairs, alone.events.delivered, alone.detections, alone.falseFailures, alone.virtualSeconds]);
      const figures = (one: RunReport): number[] => [one.bytes, one.datagrams, one.messages, one.events.p50Ms, one.events.p90Ms, one.detectionP50Ms];
      const expected = figures(alone);
      figures(report).forEach((figure, i) => assert.ok(Math.abs(figure - (expected[i] as number)) <= 0.15 * (expected[i] as number), `${figures(report).join(" ")} and ${expected.join(" ")}`));
    }
  });
}

test("packets that really are encoded, and full states that cross as bytes, change nothing", () => {
  for (const name of ["crash-1pct", "event-burst"]) {
    const scenario = converged(name);
    const { traceHash } = play(scenario, 2);
    const sampled = play(scenario, 2, { codec: "sampled" });
    assert.ok(sampled.encoded > 100);
    assert.equal(sampled.traceHash, traceHash);
    const asBytes = play(scenario, 2, {}, ({ shard }) => Object.assign((shard as Shard).crossing, { seal: () => {} }));
    assert.equal(asBytes.traceHash, traceHash);
  }
});

/** The node throws at its first step after `atMs` of its own clock. */
function failing(node: number, afterMs: number): Pick<PlayOptions, "wrap"> {
  const wrap = (factory: MachineFactory): MachineFactory => (spec, out) => {
    const machine = factory(spec, out);
    if (spec.index !== node) return machine;
    const wake = machine.wake.bind(machine);
    machine.wake = (nowMs, to) => {
      if (nowMs > spec.nowMs + afterMs) throw new Error("this node has had enough");
      wake(nowMs, to);
    };
    return machine;
  };
  return { wrap };
}

test("a violation in any shard ends the run of all of them, at the same time whenever it is played", () => {
  const scenario = converged("event-burst");
  for (const node of [3, NODES - 1]) {
    const report = play(scenario, 3, failing(node, 12_000));
    assert.deepEqual(report.violations.map(({ checker, text }) => [checker, text.split("\n")[0]]), [["no-throw", `node-${node} threw: Error: this node has had enough`]]);
    assert.ok(report.virtualSeconds > 12 && report.virtualSeconds < 13, String(report.virtualSeconds));
    assert.equal(play(scenario, 3, failing(node, 12_000)).traceHash, report.traceHash);
  }
});

test("what is asked of all nodes is asked of those of all shards", () => {
  const crash = converged("crash-1pct");
  const late = play({ ...crash, expect: { ...crash.expect, convergedWithinMs: 1_000 } }, 2);
  assert.deepEqual(late.violations.map(({ checker }) => checker), ["convergence"]);
  assert.ok(late.violations[0]?.text.includes("shows node-"), late.violations[0]?.text);
  const slow = play({ ...crash, expect: { ...crash.expect, detectedWithinMs: 1_000 } }, 2);
  assert.deepEqual(slow.violations.map(({ checker }) => checker), ["detection"]);
  const burst = converged("event-burst");
  const latency = play({ ...burst, expect: { ...burst.expect, eventLatency: { fastMs: 1, fastPpm: 999_000, allMs: 60_000 } } }, 2);
  assert.match(latency.violations[0]?.text ?? "", new RegExp(`^\\d+ of ${1_000 * NODES} deliveries within 1 ms$`));
});

test("what cannot be divided is told", () => {
  for (const name of ["steady", "crash-1pct", "event-burst"]) {
    assert.equal(whyUndivided(built(name, 10_000)), null);
    assert.match(whyUndivided(built(name, 1_000)) ?? "", /join each other/);
  }
  for (const name of ["join-storm", "mixed-faults", "flapping"]) assert.match(whyUndivided(built(name, 10_000)) ?? "", /join each other/);
  const crash = built("crash-1pct", 10_000);
  assert.match(whyUndivided({ ...crash, steps: [{ atMs: 0, overMs: 0, action: { kind: "partition", groups: 2, forMs: 1 } }] }) ?? "", /: partition$/);
  assert.match(whyUndivided({ ...crash, network: { ...crash.network, delayUsMin: 20 } }) ?? "", /less than 100 µs/);
});
