import assert from "node:assert/strict";
import { test } from "node:test";
import { BusyWindow } from "../../src/io/busy-window.ts";

test("only what comes within one window adds up, and the limit itself is not yet too much", () => {
  let nowMs = 0;
  const window = new BusyWindow({ amountMax: 100, windowMs: 1000, now: () => nowMs });
  assert.equal(window.add(60), false);
  nowMs = 999;
  assert.equal(window.add(40), false);
  nowMs = 1000;
  assert.equal(window.add(100), false);
  nowMs = 1999;
  assert.equal(window.add(1), true);
  nowMs = 2000;
  assert.equal(window.add(1), false);
});
