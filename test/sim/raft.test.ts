/** The Raft core under the simulation: safety after every effect, recovery after every stretch of faults, client histories. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runRaft } from "../../src/sim/raft/raft-run.ts";

/** Each once broke something; what, stands behind it. */
const PAST_FAILURES: readonly (readonly [seed: number, minutes: number])[] = [
  [1, 4], // A log replaced by a snapshot kept entries that were compacted in memory only.
  [5, 8], // A refused write was taken back behind a configuration that others had committed meanwhile.
  [7, 3], // A snapshot had reached the disk when the term it came with had not.
];

for (const [seed, minutes] of PAST_FAILURES) {
  test(`seed ${seed} of past failures stays whole`, () => {
    assert.equal(runRaft({ seed, minutes }).violation, null);
  });
}

test("under mixed faults nothing acknowledged is lost, and the run meets what it is for", () => {
  const report = runRaft({ seed: 16, minutes: 10 });
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
