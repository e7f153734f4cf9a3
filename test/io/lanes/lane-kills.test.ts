import assert from "node:assert/strict";
import { test } from "node:test";
import { killLanes } from "./lane-kills.ts";

test("a lane that dies again and again under load is replaced; no member notices, the metrics tell", { timeout: 90_000 }, async () => {
  const { kills, memberEvents, metrics } = await killLanes({ kills: 3, intervalMs: 300, forMs: 20_000 });
  assert.ok(kills >= 3);
  assert.deepEqual(memberEvents, []);
  assert.ok((metrics.get("deaths") ?? 0) >= 3);
  assert.ok((metrics.get("restarts") ?? 0) > 0, "it was started again");
  assert.ok((metrics.get("packets_offloaded") ?? 0) > 0, "the lane did work");
  assert.ok((metrics.get("packets_inline") ?? 0) > 0, "main did the work while it was down");
});
