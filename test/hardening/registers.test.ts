/** Each fault once upon three real servers, while clients look (`test/load/registers.ts` goes on for as long as one likes, and beside originals). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Cluster } from "../load/failover-cluster.ts";
import { FAULTS } from "../load/faults.ts";
import { playRegisters, STALE_MS_MAX } from "../load/register-play.ts";

/** null when this machine does not let us make network namespaces. */
function makeCluster(): Cluster | null {
  try {
    return new Cluster({ peer: "", multiplier: 1, namespaces: true, net: "" });
  } catch {
    return null;
  }
}

test("servers killed, paused, cut off, deaf and mute: the history of registers stays linearizable, a lock has one holder, and all end with one state", async (t) => {
  const cluster = makeCluster();
  if (cluster === null) return t.skip("cannot make network namespaces here");
  let passed = false;
  t.after(() => cluster.close(!passed));
  const report = await playRegisters(cluster, Object.keys(FAULTS), { seed: 1, staleMsMax: STALE_MS_MAX }, (line) => t.diagnostic(line));
  assert.deepEqual({ violations: report.violations, sameState: report.sameState }, { violations: [], sameState: true }, `logs in ${cluster.work}`);
  for (const kind of ["reads", "writes", "swaps", "locks"] as const) assert.ok(report[kind] > 0, `no ${kind} were done`);
  passed = true;
});
