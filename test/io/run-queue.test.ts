import assert from "node:assert/strict";
import { test } from "node:test";
import { isStarved, runTimes, waitedForOthersMs } from "../../src/io/run-queue.ts";

test("a program is starved when it waited for longer than it ran", () => {
  assert.equal(isStarved("71467663 71467664 6\n"), true);
  assert.equal(isStarved("71467663 71467663 6\n"), false);
  for (const unknown of ["", "0 0 0\n", "\n", "nonsense"]) assert.equal(isStarved(unknown), false, unknown);
  assert.equal(typeof isStarved(), "boolean");
});

test("times come in ms, and are 0 where the system does not count them", () => {
  assert.deepEqual(runTimes("71467663 2000000 6\n"), { ranMs: 71.467663, waitedMs: 2 });
  for (const unknown of ["", "0 0 0\n", "nonsense"]) assert.deepEqual(runTimes(unknown), { ranMs: 0, waitedMs: 0 }, unknown);
});

test("waiting while other threads of the program ran is not waiting for others", () => {
  assert.equal(waitedForOthersMs({ ranMs: 100, waitedMs: 30 }, { user: 90_000, system: 32_000 }), 8);
  assert.equal(typeof waitedForOthersMs(), "number");
});
