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

test("who holds it inside of another does not release it", (t) => {
  const { asked } = tickingClock(t);
  assert.ok(holdWall());
  assert.equal(wallMs(), 1001);
  assert.ok(!holdWall());
  assert.equal(wallMs(), 1001);
  releaseWall();
  assert.equal(asked(), 1);
});
