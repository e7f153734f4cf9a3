/** Each load driver once, tiny, against our own agent: that it comes to an end and fills its rows. What the figures are is no matter of tests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OUR_TARGET } from "../../native-free-bench/load/agent.ts";
import type { Bench, Scale } from "../../native-free-bench/load/bench.ts";
import { DRIVERS } from "../../native-free-bench/options.ts";
import type { Row } from "../../native-free-bench/rows.ts";
import { nextLoopbackIp } from "../support/loopback.ts";

const TINY: Scale = {
  runs: 1, warmMs: 10, warmOperations: 0, windowMs: 60, memberCounts: [1, 12], connections: 3, drainMs: 50,
  wrappings: ["both"], streamWrappings: ["both"], freshPackets: 20, freshWarmPackets: 5, openMs: 60, openTrials: 1,
  profile: "local", nodes: 3, clusterRuns: 1, joinDeadlineMs: 10_000, idleMs: 50, events: 1, eventGapMs: 50, eventRate: 20, eventLoadMs: 200, kills: 1, starts: 1,
};
/** Figures that may be 0: a clock tick of 10 ms is longer than some of these runs, and the only rate tried may be too high for a busy machine. */
const NONE_OR_MORE: ReadonlySet<string> = new Set(["joins tried again", "rate without a drop", "CPU", "CPU per agent", "CPU per call", "CPU per packet", "CPU per event", "server busy", "load generator busy"]);

const bench: Bench = {
  targets: [OUR_TARGET],
  scale: TINY,
  seed: 1,
  pinning: { text: "not pinned", server: [], cluster: [] },
  nextIp: nextLoopbackIp,
  progress: () => undefined,
};

for (const driver of DRIVERS) {
  test(`driver ${driver.name}: ${driver.about}`, { timeout: 60_000 }, async () => {
    const rows: Row[] = [];
    await driver.run(bench, (more) => rows.push(...more));
    assert(rows.length > 0);
    for (const { group, operation, metric, samples } of rows) {
      assert.equal(group, driver.name);
      assert.deepEqual(samples.peer, []);
      assert(samples.ours.length > 0, `${operation}, ${metric}: no sample`);
      for (const value of samples.ours) assert(NONE_OR_MORE.has(metric) ? value >= 0 : value > 0, `${operation}, ${metric}: ${value}`);
    }
  });
}
