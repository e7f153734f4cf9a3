import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/base/random.ts";
import { percentile, sortWhole } from "../../src/sim/percentile.ts";

test("numbers are sorted alike whether they are counted or compared", () => {
  const random = new SeededRandom(1);
  for (const [count, below, change] of [[1000, 50, 0], [1000, 50, 0.5], [1000, 50, -10], [20, 1000, 0], [1, 1, 0], [0, 1, 0]] as const) {
    const values = Float64Array.from({ length: count }, () => random.below(below) + change);
    const expected = values.slice().sort();
    assert.deepEqual(sortWhole(values), expected);
  }
});

test("a percentile is the value of the nearest rank", () => {
  assert.deepEqual([0, 100, 101, 500, 990, 1000].map((perMille) => percentile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], perMille)), [1, 1, 2, 5, 10, 10]);
  assert.equal(percentile([], 500), 0);
});
