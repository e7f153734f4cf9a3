/** Clusters of production nodes in the simulation: a handful of seeds per scenario; `npm run sim` plays many more. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunReport } from "../../src/sim/run-report.ts";
import { replayCommand } from "../../src/cli/sim/play.ts";
import { prepareScenario, runScenario, type RunChoice } from "./run.ts";

function play(scenario: string, seed: number, nodes: number, codec: RunChoice["codec"] = "sampled"): RunReport {
  const choice: RunChoice = { scenario, seed, nodes, codec, original: false };
  const report = runScenario(choice);
  const complaints = report.violations.map(({ atUs, checker, text }) => `at ${atUs / 1e6} s, ${checker}: ${text}`);
  assert.deepEqual(complaints, [], `replay: ${replayCommand(choice)}`);
  return report;
}

test("steady: nobody is called failed, queues empty", () => {
  assert.equal(play("steady", 1, 10, "full").falseFailures, 0);
});

test("200 nodes join within 5 s and see each other", () => {
  assert.ok(play("join-storm", 1, 200).convergedAfterSeconds < 30);
});

test("60 nodes that join one at the same moment see each other within 2 s", () => {
  for (const seed of [1, 2]) assert.ok(play("mass-join-60", seed, 60).convergedAfterSeconds <= 2);
});

test("1,000 events at 60 nodes: 99.99 % of the deliveries within 2 s, all within 10 s", () => {
  const { events } = play("event-burst", 1, 60);
  assert.equal(events.pairs, 60_000);
});

test("mixed faults: losses, cuts, pauses, kills, restarts, leaves, events and queries", () => {
  for (const seed of [1, 2, 3, 5, 10]) play("mixed-faults", seed, 30);
  play("mixed-faults", 6, 50, "full");
  // A fresh node showed a member as leaving for ever, because a left list came with the time of the member's newer join.
  play("mixed-faults", 9, 60);
});

test("halves apart for ten minutes are one view again within a minute, with all events", () => {
  const { events } = play("partition-heal", 1, 20);
  assert.ok(events.pairs > 0 && events.delivered === events.pairs);
});

test("starved nodes do not make healthy ones look failed", () => {
  assert.equal(play("cpu-starved", 1, 40).falseFailures, 0);
});

test("one-way cuts and flapping processes end in one view", () => {
  play("one-way", 1, 40);
  play("flapping", 1, 40);
});

test("one seed is one run, in every codec mode; another seed is another one", () => {
  const hashOf = (seed: number, codec: RunChoice["codec"]): string => play("mixed-faults", seed, 12, codec).traceHash;
  const hash = hashOf(7, "sampled");
  assert.equal(hashOf(7, "sampled"), hash);
  assert.equal(hashOf(7, "full"), hash);
  assert.equal(hashOf(7, "off"), hash);
  assert.notEqual(hashOf(8, "sampled"), hash);
});

test("a node cut off behind the scenario's back is noticed: the checkers see real nodes", () => {
  const run = prepareScenario({ scenario: "steady", seed: 1, nodes: 5, codec: "off", original: false });
  // Cut off for ever, behind the scenario's back.
  run.sim.after(10_000_000, () => run.operator.disturb([run.sim.hosts[4] as (typeof run.sim.hosts)[number]], run.sim.hosts, 1_000_000, 0, 1e12));
  const { violations } = run.run();
  assert.equal(violations[0]?.checker, "false-failure");
});
