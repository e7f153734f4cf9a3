/** The Raft core under the simulation: safety after every effect, recovery after every stretch of faults, client histories. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runRaft } from "../../src/sim/raft/raft-run.ts";

test("under mixed faults nothing acknowledged is lost, and the run meets what it is for", () => {
  const report = runRaft({ seed: 3, minutes: 12 });
  assert.equal(report.violation, null);
  assert.ok(report.acknowledged > 500, `${report.acknowledged} acknowledged`);
  assert.ok(report.operations > 300, `${report.operations} operations`);
  assert.ok(report.elections > 5 && report.snapshots > 5 && report.installations > 0, JSON.stringify(report));
  for (const name of ["raft.log.refused", "raft.leader.gone", "raft.leader.stuckDisk"]) assert.ok((report.counters[name] ?? 0) > 0, `${name} never happened`);
});

test("the same seed is the same run", () => {
  const [one, other] = [runRaft({ seed: 3, minutes: 4 }), runRaft({ seed: 3, minutes: 4 })];
  assert.deepEqual(one, other);
  assert.notEqual(runRaft({ seed: 6, minutes: 4 }).traceHash, one.traceHash);
});
