import assert from "node:assert/strict";
import { test } from "node:test";
import { prepare } from "../../src/cli/sim/play.ts";
import { Inboxes } from "../../src/sim/inboxes.ts";
import type { RunReport } from "../../src/sim/run-report.ts";
import type { Scenario, Selector, Step } from "../../src/sim/scenario.ts";
import { SCENARIOS } from "../../src/sim/scenarios.ts";
import { patched } from "../support/patched.ts";

const ALL: Selector = { kind: "all" };

/** Everything of a node, in pairs of time and number. */
function emptied(inboxes: Inboxes, node: number): [number, number, number][] {
  const found: [number, number, number][] = [];
  while (inboxes.take(node)) for (let i = 0; i < inboxes.count; i += 1) found.push([inboxes.atUs, inboxes.from, inboxes.numberAt(i)]);
  return found;
}

test("each node gets what came for it, in order, with time and sender", () => {
  const inboxes = new Inboxes(3);
  const expected: [number, number, number][][] = [[], [], []];
  for (let round = 0; round < 3; round += 1) {
    for (let i = 0; i < 5_000; i += 1) {
      const node = i % 3;
      const came: [number, number, number] = [Math.floor(i / 40), Math.floor(i / 20) % 2, i];
      inboxes.put(node, ...came);
      expected[node]?.push(came);
    }
    for (const [node, came] of expected.entries()) {
      assert.equal(inboxes.isEmpty(node), false);
      assert.deepEqual(emptied(inboxes, node), came);
      assert.equal(inboxes.isEmpty(node), true);
      came.length = 0;
    }
  }
});

/** Events while processes pause, end, are started anew and have their clocks moved. Without snapshots: each step of a node that writes one ends with lines for it. */
function disturbedBurst(): Scenario {
  const calm = SCENARIOS.get("event-burst")?.build(40, 1) as Scenario;
  const steps: readonly Step[] = [
    { atMs: 12_000, overMs: 6_000, action: { kind: "pause", nodes: { kind: "random", count: 20 }, forMs: 700 } },
    { atMs: 14_000, overMs: 6_000, action: { kind: "jumpClock", nodes: { kind: "random", count: 20 }, byMs: 150 } },
    { atMs: 16_000, overMs: 2_000, action: { kind: "kill", nodes: { kind: "range", first: 5, last: 9 }, power: false } },
    { atMs: 20_000, overMs: 2_000, action: { kind: "start", nodes: ALL } },
    { atMs: 22_100, overMs: 0, action: { kind: "join", nodes: { kind: "range", first: 5, last: 9 }, to: { kind: "range", first: 0, last: 0 } } },
    { atMs: 21_000, overMs: 6_000, action: { kind: "queries", nodes: ALL, count: 20 } },
  ];
  const expect = { ...calm.expect, noFalseFailures: false, eventLatency: null, eventsWithinMs: Infinity };
  return { ...calm, steps: [...calm.steps, ...steps], expect };
}

test("events that wait for the next input of their node change nothing that happens, nor when", () => {
  const { take } = Inboxes.prototype;
  let waited = 0;
  const reportOf = (filterRepeats: boolean): RunReport => prepare(disturbedBurst(), { seed: 3, codec: "off", original: false, filterRepeats }).run();
  const counting = function (this: Inboxes, node: number): boolean {
    const isThere = take.call(this, node);
    if (isThere) waited += 1;
    return isThere;
  };
  const { steps: _, ...waiting } = patched(Inboxes.prototype, { take: counting }, () => reportOf(true));
  assert.ok(waited > 10_000, `only ${waited} datagrams had to wait`);
  const { steps: __, ...atOnce } = reportOf(false); // Copies that are left out are no steps.
  assert.deepEqual(waiting, atOnce);
});
