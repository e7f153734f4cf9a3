/** The bar on packet lanes in simulation: the repeat filter changes nothing, and mistakes in it are noticed. `npm run sim -- --lanes` plays many seeds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { keyRotationProblems, laneDifferences } from "./lanes.ts";

test("under reordering, duplication, loss, shedding and dying lanes, a run with the repeat filter is the run without it", () => {
  // 142: a hash outlived a long silence. 173: an alive was settled although its member was dead and soon forgotten.
  for (const [seed, nodes] of [[1, 8], [142, 10], [173, 10]] as const) {
    const { differences, filtered } = laneDifferences(seed, nodes, null);
    assert.deepEqual(differences, [], `replay: npm run sim -- --lanes --nodes ${nodes} --seed ${seed}`);
    const { repeats, shed, lost, batches, inline } = filtered.totals;
    assert.ok(repeats > 1_000 && shed > 0 && lost > 0 && batches > 0 && inline > 0, `all paths were taken: ${JSON.stringify(filtered.totals)}`);
  }
});

test("mistake: a message counts as settled when it is first seen", () => {
  assert.match(laneDifferences(1, 8, "firstSight").differences.join("\n"), /the runs part/);
});

test("mistake: pings and acks are filtered and shed like gossip", () => {
  assert.match(laneDifferences(1, 8, "answersFiltered").differences.join("\n"), /the runs part/);
});

test("mistake: a later packet overtakes a batch", () => {
  assert.match(laneDifferences(1, 8, "overtaking").differences.join("\n"), /order: node-\d+ got a message after a later one/);
});

test("a key change is a barrier: every packet opens; without the barrier some do not", () => {
  assert.deepEqual(keyRotationProblems(1, 8, null), []);
  assert.match(keyRotationProblems(1, 8, "ringLate").join("\n"), /ring: node-\d+ cannot open a packet/);
});
