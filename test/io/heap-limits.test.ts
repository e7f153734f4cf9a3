import assert from "node:assert/strict";
import { test } from "node:test";
import { limitHeapGrowth, YOUNG_BYTES_ENOUGH, youngBytes } from "../../src/io/heap-limits.ts";

const TURNS = 4000;
const OBJECTS = 3000;

/** Objects that outlive a collection: what makes V8 enlarge the young generation. */
function work(kept: object[][]): void {
  kept.push(Array.from({ length: OBJECTS }, (_, i) => ({ i })));
  if (kept.length > 8) kept.shift();
}

test("the young generation of a busy program grows as far as is good for it, and no further", async () => {
  limitHeapGrowth();
  const kept: object[][] = [];
  let most = 0;
  for (let turn = 0; turn < TURNS; turn += 1) {
    work(kept);
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, youngBytes());
  }
  assert.ok(kept.length > 0);
  assert.equal(most, YOUNG_BYTES_ENOUGH);
});
