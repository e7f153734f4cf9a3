import assert from "node:assert/strict";
import { test } from "node:test";
import { LaneStarter, START_ABOVE_BYTES, WINDOW_MS } from "../../../src/io/lanes/lane-starter.ts";

function rig() {
  const clock = { nowMs: 5000 };
  const calls: string[] = [];
  const starter = new LaneStarter({
    now: () => clock.nowMs,
    start: () => {
      calls.push("start");
      return Promise.resolve("host");
    },
    stop: (host) => {
      calls.push(`stop ${host}`);
      return Promise.resolve();
    },
  });
  return { clock, calls, starter };
}

test("lanes are started once, by more work within a window than is worth doing inline", async () => {
  const { clock, calls, starter } = rig();
  for (let i = 0; i < 10; i += 1) {
    starter.work(START_ABOVE_BYTES / 2);
    clock.nowMs += WINDOW_MS / 2;
  }
  assert.deepEqual(calls, []);
  assert.equal(starter.host, null);
  starter.work(START_ABOVE_BYTES / 2 + 1);
  starter.work(START_ABOVE_BYTES / 2);
  starter.work(START_ABOVE_BYTES);
  await starter.start();
  assert.deepEqual(calls, ["start"]);
  assert.equal(starter.host, "host");
  await starter.stop();
  assert.deepEqual(calls, ["start", "stop host"]);
});

test("what was not started is not stopped, and nothing starts after the stop", async () => {
  const { calls, starter } = rig();
  await starter.stop();
  await starter.start();
  starter.work(2 * START_ABOVE_BYTES);
  await Promise.resolve();
  assert.deepEqual(calls, []);
});
