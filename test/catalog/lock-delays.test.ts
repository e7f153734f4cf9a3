import assert from "node:assert/strict";
import { test } from "node:test";
import { lockDelayMs, LockDelays, LOCK_DELAY_MS_MAX, LOCK_DELAYS_MAX } from "../../src/catalog/lock-delays.ts";

test("the delay of a session is cut to the longest", () => {
  assert.deepEqual([lockDelayMs(15e9), lockDelayMs(LOCK_DELAY_MS_MAX * 1e6), lockDelayMs(LOCK_DELAY_MS_MAX * 1e6 + 1e6), lockDelayMs(2n ** 63n - 1n), lockDelayMs(-1)], [15_000, LOCK_DELAY_MS_MAX, LOCK_DELAY_MS_MAX, LOCK_DELAY_MS_MAX, -1e-6]);
});

test("keys that may not be locked are bounded: the oldest is free too early, the others are not", () => {
  const delays = new LockDelays();
  for (let i = 0; i < LOCK_DELAYS_MAX; i += 1) delays.set(`k${i}`, 1000 + i);
  assert.deepEqual([delays.size, delays.untilMs("k0")], [LOCK_DELAYS_MAX, 1000]);
  // Noted again it is the newest, and the next one is the oldest.
  delays.set("k0", 5000);
  delays.set("one more", 6000);
  assert.deepEqual([delays.size, delays.untilMs("k0"), delays.untilMs("k1"), delays.untilMs("k2"), delays.untilMs("one more")], [LOCK_DELAYS_MAX, 5000, 0, 1002, 6000]);
});
