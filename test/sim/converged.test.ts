/** A cluster that stands from the beginning is the one that joining would have led to. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prepare } from "../../src/cli/sim/play.ts";
import type { Scenario } from "../../src/sim/scenario.ts";
import { SCENARIOS } from "../../src/sim/scenarios.ts";

const NODES = 40;

function converged(name: string): Scenario {
  const built = SCENARIOS.get(name)?.build(NODES, 1);
  assert.ok(built !== undefined);
  return { ...built, start: "converged", steps: built.steps.filter(({ action }) => action.kind !== "start" && action.kind !== "join") };
}

for (const name of ["steady", "crash-1pct", "event-burst"]) {
  test(`${name} from a converged start: no checker complains, and sharing changes nothing`, () => {
    const hashes = [true, false].map((filterRepeats) => {
      const run = prepare(converged(name), { seed: 5, codec: "off", original: false, filterRepeats });
      for (const { machine } of run.sim.hosts) assert.equal(machine?.view.members().filter(({ status }) => status === "alive").length, NODES);
      const report = run.run();
      assert.deepEqual(report.violations, []);
      return report.traceHash;
    });
    assert.equal(hashes[0], hashes[1]);
  });
}

test("large clusters of the scenarios that are not about joining stand from the beginning", () => {
  for (const name of ["steady", "crash-1pct", "event-burst"]) assert.equal(SCENARIOS.get(name)?.build(1_001, 1).start, "converged");
  assert.equal(SCENARIOS.get("join-storm")?.build(1_001, 1).start, undefined);
});
