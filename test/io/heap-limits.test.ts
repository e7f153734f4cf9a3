import assert from "node:assert/strict";
import { test } from "node:test";
import { limitHeapGrowth, YOUNG_BYTES_BUSY, YOUNG_BYTES_QUIET, youngBytes } from "../../src/io/heap-limits.ts";

const OBJECTS = 3000;
/** 100 kB a turn: not enough within one second, and more than enough. */
const QUIET_TURNS = 50;
const BUSY_TURNS = 4000;

/** The most that the young generation had while objects came that outlive a collection, which is what makes V8 enlarge it. */
async function mostYoungBytes(turns: number): Promise<number> {
  const kept: object[][] = [];
  let most = 0;
  for (let turn = 0; turn < turns; turn += 1) {
    kept.push(Array.from({ length: OBJECTS }, (_, i) => ({ i })));
    if (kept.length > 8) kept.shift();
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, youngBytes());
  }
  return most;
}

/** From V8 14 on pages are taken one by one up to what the last growth allows, so that the size tells late that there has been enough of it. */
const OVERSHOOT = Number.parseInt(process.versions.v8, 10) >= 14 ? 2 : 1;

test("the young generation grows as far as is good for a quiet program, and further for a busy one", async () => {
  limitHeapGrowth();
  const quiet = await mostYoungBytes(QUIET_TURNS);
  assert.ok(quiet >= YOUNG_BYTES_QUIET && quiet <= OVERSHOOT * YOUNG_BYTES_QUIET, `${quiet} bytes`);
  const busy = await mostYoungBytes(BUSY_TURNS);
  assert.ok(busy >= YOUNG_BYTES_BUSY && busy <= OVERSHOOT * YOUNG_BYTES_BUSY, `${busy} bytes`);
});
