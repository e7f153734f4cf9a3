import assert from "node:assert/strict";
import { test } from "node:test";
import { IntervalMetrics } from "../../src/io/metrics-intervals.ts";

test("the last minute is printed by interval, in the original's format", () => {
  let nowMs = Date.UTC(2026, 10, 21, 3, 50, 10, 0);
  const metrics = new IntervalMetrics("serf-agent", () => nowMs);
  assert.equal(metrics.dump(), "");
  metrics.count("serf.events", 2);
  nowMs += 1120;
  metrics.sample("agent.invoke.x", 1);
  metrics.sample("agent.invoke.x", 3);
  metrics.sample("same", 4);
  metrics.sample("same", 4);
  nowMs += 9000;
  metrics.gauge("g", 7);
  metrics.gauge("g", 8);
  assert.deepEqual(metrics.dump().split("\n"), [
    "[2026-11-21 03:50:10 +0000 UTC][C] 'serf-agent.serf.events': Count: 1 Sum: 2.000 LastUpdated: 2026-11-21 03:50:10 +0000 UTC",
    "[2026-11-21 03:50:10 +0000 UTC][S] 'serf-agent.agent.invoke.x': Count: 2 Min: 1.000 Mean: 2.000 Max: 3.000 Stddev: 1.414 Sum: 4.000 LastUpdated: 2026-11-21 03:50:11.12 +0000 UTC",
    "[2026-11-21 03:50:10 +0000 UTC][S] 'serf-agent.same': Count: 2 Sum: 8.000 LastUpdated: 2026-11-21 03:50:11.12 +0000 UTC",
    "[2026-11-21 03:50:20 +0000 UTC][G] 'serf-agent.g': 8.000",
  ]);
});

test("what is older than a minute is forgotten, and names are bounded", () => {
  let nowMs = 0;
  const metrics = new IntervalMetrics("p", () => nowMs);
  for (let i = 0; i < 2000; i += 1) metrics.count(`c${i}`, 1);
  assert.equal(metrics.dump().split("\n").length, 1024);
  nowMs = 59_000;
  metrics.count("late", 1);
  assert.equal(metrics.dump().split("\n").length, 1025);
  nowMs = 60_000;
  assert.equal(metrics.dump().split("\n").length, 1);
});
