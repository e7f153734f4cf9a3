import assert from "node:assert/strict";
import { test } from "node:test";
import { readScenario } from "../../src/sim/scenario-file.ts";
import { QUIET_NETWORK } from "../../src/sim/network.ts";

const START = { atMs: 0, do: "start", nodes: "all" };

function errorOf(change: object): string {
  const read = readScenario("x.json", JSON.stringify({ name: "x", steps: [START], ...change }));
  return read.ok ? "accepted" : read.error;
}

test("the shortest scenario file gets the defaults", () => {
  const read = readScenario("x.json", JSON.stringify({ name: "x", steps: [START, { atMs: 500, overMs: 1_500, do: "pause", nodes: "2.5%", forMs: 3_000 }] }));
  assert.ok(read.ok);
  const { steps, expect, nodes, network, profile } = read.value;
  assert.deepEqual([nodes, network, profile], [20, QUIET_NETWORK, "lan"]);
  assert.deepEqual(steps[1], { atMs: 500, overMs: 1_500, action: { kind: "pause", nodes: { kind: "share", perMille: 25 }, forMs: 3_000 } });
  assert.equal(expect.faultsEndMs, 5_000, "the last step is over then");
});

test("selectors and actions are read as they are meant", () => {
  const steps = [
    { atMs: 1, do: "join", nodes: "3-7", to: "earlier" },
    { atMs: 2, do: "kill", nodes: "random 4", power: true },
    { atMs: 3, do: "network", change: { lossPpm: 5 } },
    { atMs: 4, do: "stallDisk", nodes: "10%", forMs: 500 },
    { atMs: 4, do: "chaos", forMs: 10, everyMs: 1, weights: { kill: 2 } },
  ];
  const read = readScenario("x.json", JSON.stringify({ name: "x", steps, expect: { eventsWithinMs: null } }));
  assert.ok(read.ok);
  assert.deepEqual(read.value.steps.map(({ action }) => action).slice(0, 4), [
    { kind: "join", nodes: { kind: "range", first: 3, last: 7 }, to: { kind: "earlier" } },
    { kind: "kill", nodes: { kind: "random", count: 4 }, power: true },
    { kind: "network", change: { lossPpm: 5 } },
    { kind: "stallDisk", nodes: { kind: "share", perMille: 100 }, forMs: 500 },
  ]);
  assert.equal(read.value.expect.eventsWithinMs, Infinity);
});

test("a mistake is named by file and key, with the accepted form", () => {
  const step = (change: object): object => ({ steps: [START, { atMs: 1, do: "pause", nodes: "all", forMs: 5, ...change }] });
  for (const [change, error] of [
    [{ nodes: 1 }, "x.json: nodes: 1 is not an integer from 2 to 20000"],
    [{ name: undefined }, "x.json: name: is missing"],
    [{ colour: 1 }, "x.json: colour: there is no such key here; known are expect, name, about, profile, nodes, network, clockDriftPpmMax, start, steps, durationMs, settledMs"],
    [{ profile: "fast" }, 'x.json: profile: "fast" is not one of "lan", "wan", "local"'],
    [{ steps: [] }, "x.json: steps: [] is not a list of 1 to 10000 steps"],
    [{ network: { delayUsMin: 5_000 } }, "x.json: network.delayUsMin: 5000 is not at most delayUsMax, which is 1000"],
    [{ network: { los: 1 } }, /^x\.json: network\.los: there is no such key here; known are delayUsMin, /],
    [{ expect: { leftIsLeft: 1 } }, "x.json: expect.leftIsLeft: 1 is not true or false"],
    [step({ do: "sleep" }), /^x\.json: steps\[1\]\.do: "sleep" is not one of "start", "join", /],
    [step({ nodes: "al" }), /^x\.json: steps\[1\]\.nodes: "al" is not a selector: "all", "others"/],
    [step({ nodes: "earlier" }), /^x\.json: steps\[1\]\.nodes: "earlier" is not a selector/],
    [step({ nodes: "9-3" }), /^x\.json: steps\[1\]\.nodes: "9-3" is not a selector/],
    [step({ nodes: "101%" }), /^x\.json: steps\[1\]\.nodes: "101%" is not a selector/],
    [step({ forMs: undefined }), "x.json: steps[1].forMs: is missing"],
    [step({ forMs: 1.5 }), "x.json: steps[1].forMs: 1.5 is not an integer from 1 to 315360000000"],
    [{ steps: [{ ...START, do: "chaos", nodes: undefined, forMs: 5, everyMs: 1, weights: {} }] }, /^x\.json: steps\[0\]\.weights: \{\} is not a set of weights/],
  ] as const) {
    const seen = errorOf(change);
    if (typeof error === "string") assert.equal(seen, error);
    else assert.match(seen, error);
  }
  const broken = readScenario("x.json", "{");
  assert.ok(!broken.ok && broken.error.startsWith("x.json: is not JSON: "));
});
