import assert from "node:assert/strict";
import { test } from "node:test";
import { EventGaps, GAP_TRIES_MAX } from "../../src/serf/event-gaps.ts";
import { EventRing } from "../../src/serf/event-ring.ts";
import { LamportClock } from "../../src/serf/lamport-clock.ts";

function setUp(ringSize = 16) {
  const ring = new EventRing(ringSize);
  const clock = new LamportClock();
  const gaps = new EventGaps({ gossipIntervalMs: 100, pushPullIntervalMs: () => 16_000 }, ring, 0);
  const receive = (lamportTime: number, nowMs: number): void => {
    assert.equal(ring.witness(clock, lamportTime, "e", null), "new");
    gaps.seen(lamportTime, nowMs);
  };
  return { gaps, receive };
}

test("events in order, or late by less than gossip may take, ask for nothing", () => {
  const { gaps, receive } = setUp();
  receive(1, 0);
  assert.equal(gaps.wakeAtMs, Infinity);
  receive(3, 10);
  assert.equal(gaps.wakeAtMs, 1010);
  receive(2, 900);
  assert.equal(gaps.wake(1010), false);
  assert.equal(gaps.wakeAtMs, Infinity);
});

test("a hole that lasts asks for a push/pull, a few times, then is given up", () => {
  const { gaps, receive } = setUp();
  receive(2, 0);
  const asked: number[] = [];
  for (let nowMs = gaps.wakeAtMs; nowMs !== Infinity; nowMs = gaps.wakeAtMs) if (gaps.wake(nowMs)) asked.push(nowMs);
  // The first at once, further ones at the distance of the rate limit.
  assert.deepEqual(asked, [1000, 2000, 3000]);
  assert.equal(asked.length, GAP_TRIES_MAX);
  receive(3, 5000);
  assert.equal(gaps.wakeAtMs, Infinity);
});

test("a repaired hole ends the watch, the next hole is watched on its own", () => {
  const { gaps, receive } = setUp();
  receive(2, 0);
  receive(4, 500);
  assert.equal(gaps.wake(1000), true);
  receive(1, 1050);
  assert.equal(gaps.wake(2000), false);
  assert.equal(gaps.wakeAtMs, 3000);
  receive(3, 2500);
  assert.equal(gaps.wake(3000), false);
  assert.equal(gaps.wakeAtMs, Infinity);
});

test("a peer that jumps ahead costs a bounded number of exchanges", () => {
  const { gaps, receive } = setUp(8);
  let asked = 0;
  for (let jump = 1; jump <= 50; jump += 1) receive(jump * 1000, jump * 20);
  for (let nowMs = gaps.wakeAtMs; nowMs !== Infinity; nowMs = gaps.wakeAtMs) if (gaps.wake(nowMs)) asked += 1;
  assert.ok(asked <= 2 * GAP_TRIES_MAX, `${asked} exchanges`);
});

test("a crowded queue asks for one push/pull after the crowd has passed on, and again at a distance", () => {
  const { gaps } = setUp();
  gaps.crowded(0);
  gaps.crowded(500);
  assert.equal(gaps.wakeAtMs, 1000);
  assert.equal(gaps.wake(999), false);
  assert.equal(gaps.wake(1000), true);
  assert.equal(gaps.wakeAtMs, Infinity);
  gaps.crowded(1050);
  assert.equal(gaps.wakeAtMs, 2050);
});
