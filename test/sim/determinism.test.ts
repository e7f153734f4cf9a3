/** Every built-in scenario at a small size: no checker complains, one seed is one run, another seed is another. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { replayCommand } from "../../src/cli/sim/play.ts";
import { SCENARIOS } from "../../src/sim/scenarios.ts";
import { runScenario } from "./run.ts";

const NODES = 8;

function hashOf(scenario: string, seed: number): string {
  const choice = { scenario, seed, nodes: NODES, codec: "off", original: false } as const;
  const { violations, traceHash } = runScenario(choice);
  assert.deepEqual(violations.map(({ checker, text }) => `${checker}: ${text}`), [], replayCommand(choice));
  return traceHash;
}

for (const scenario of SCENARIOS.keys()) {
  test(`${scenario}: the same seed gives the same trace hash, another seed another one`, () => {
    const hash = hashOf(scenario, 11);
    assert.equal(hashOf(scenario, 11), hash);
    assert.notEqual(hashOf(scenario, 12), hash);
  });
}
