import assert from "node:assert/strict";
import { test } from "node:test";
import { CoordinatePace } from "../../src/io/coordinate-pace.ts";

test("the wait is drawn from 15 s to 30 s, and from so much more that all members together send 64 a second at most", () => {
  const waits = (members: number): readonly number[] => [0, 0.5, 0.999].map((share) => new CoordinatePace(() => share).wait(members));
  assert.deepEqual(waits(3), [15_000, 22_500, 29_985]);
  assert.deepEqual(waits(960), [15_000, 22_500, 29_985]);
  assert.deepEqual(waits(6400), [100_000, 150_000, 199_900]);
});

test("who is alone when the wait is over waits for the end of the range, always the same; who met others meanwhile sends at once", () => {
  for (const share of [0, 0.25, 0.999]) {
    const pace = new CoordinatePace(() => share);
    const waitMs = pace.wait(1);
    assert.equal(pace.due(2), 0);
    assert.equal(waitMs + pace.due(1), 30_000);
  }
});
