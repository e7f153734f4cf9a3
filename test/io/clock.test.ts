import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { holdWall, releaseWall, wallMs } from "../../src/io/clock.ts";

/** A wall clock that goes on by 1 ms each time it is asked. */
function tickingClock(t: TestContext): { readonly asked: () => number } {
  let nowMs = 1000;
  const mock = t.mock.method(Date, "now", () => (nowMs += 1));
  return { asked: () => mock.mock.callCount() };
}

test("the wall clock stands still while it is held, and goes on afterwards", (t) => {
  const { asked } = tickingClock(t);
  assert.equal(wallMs(), 1001);
  assert.ok(holdWall());
  assert.equal(asked(), 1, "nobody has asked yet");
  assert.equal(wallMs(), 1002);
  assert.equal(wallMs(), 1002);
  releaseWall();
  assert.equal(wallMs(), 1003);
  assert.ok(holdWall());
  assert.equal(wallMs(), 1004, "what was held before is forgotten");
  releaseWall();
});

test("who has just asked the other clock need not ask this one within a ms of the last time", (t) => {
  const { asked } = tickingClock(t);
  const heldAt = (nowMs?: number): number => {
    assert.ok(holdWall(nowMs));
    const shown = wallMs();
    releaseWall();
    return shown;
  };
  const first = heldAt(500);
  assert.deepEqual([heldAt(500.4), heldAt(500.9), asked()], [first, first, 1]);
  assert.deepEqual([heldAt(501), heldAt(501.5), asked()], [first + 1, first + 1, 2]);
  assert.deepEqual([heldAt(), heldAt(), asked()], [first + 2, first + 3, 4], "who does not know is told the present time");
  assert.equal(heldAt(501.6), first + 4, "nobody knows when that was");
});

test("who holds it inside of another does not release it", (t) => {
  const { asked } = tickingClock(t);
  assert.ok(holdWall());
  assert.equal(wallMs(), 1001);
  assert.ok(!holdWall());
  assert.equal(wallMs(), 1001);
  releaseWall();
  assert.equal(asked(), 1);
});
