import assert from "node:assert/strict";
import { test } from "node:test";
import { BUSY_LOOK_MS, CALM_LOOKS, CALM_WAIT_MS, LOOKS_MAX, Rehearsal } from "../../../src/io/rehearsal/rehearsal.ts";

/** Turns that the test runs one by one; `acts` many acts, `waitPerTurnMs` is added to the time waited before each turn. */
function rig(acts: number, fails = false) {
  const state = { waitedMs: 100, waitPerTurnMs: 0, acts: 0, cleaned: 0, failures: [] as string[], pausesMs: [] as number[], learning: [] as boolean[] };
  const turns: (() => void)[] = [];
  async function* play(): AsyncGenerator<void, void> {
    try {
      for (let i = 0; i < acts; i += 1) {
        state.acts += 1;
        if (fails) throw new Error("forgot the text");
        yield;
      }
    } finally {
      state.cleaned += 1;
    }
  }
  const rehearsal = new Rehearsal({
    acts: () => Promise.resolve(play()),
    learning: (on) => state.learning.push(on),
    runTimes: () => ({ ranMs: 0, waitedMs: state.waitedMs }),
    later: (next, ms) => {
      turns.push(next);
      state.pausesMs.push(ms);
    },
    failed: (error) => state.failures.push(error instanceof Error ? error.message : String(error)),
    random: () => 0.5,
  });
  /** False when nothing is planned. */
  const turn = async (): Promise<boolean> => {
    const next = turns.shift();
    state.waitedMs += state.waitPerTurnMs;
    next?.();
    await new Promise((resolve) => setImmediate(resolve)); // What a turn awaits settles within it.
    return next !== undefined;
  };
  const run = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i += 1) await turn();
  };
  return { rehearsal, state, turn, run };
}

test("practice begins after calm looks in a row, does one act a turn, and ends with the last", async () => {
  const { rehearsal, state, turn, run } = rig(3);
  await run(CALM_LOOKS);
  assert.equal(state.acts, 0);
  for (const acts of [1, 2, 3]) {
    await turn();
    assert.equal(state.acts, acts);
  }
  assert.equal(rehearsal.ended, false);
  await turn();
  assert.equal(rehearsal.ended, true);
  assert.equal(await turn(), false);
  assert.equal(state.cleaned, 1);
});

test("nothing is practised while the machine lets us wait, and one such look begins the count anew", async () => {
  const { state, run } = rig(3);
  state.waitPerTurnMs = CALM_WAIT_MS + 0.1;
  await run(50);
  assert.deepEqual([state.acts, state.pausesMs.at(-1)], [0, BUSY_LOOK_MS]);
  state.waitPerTurnMs = 0;
  await run(CALM_LOOKS - 1);
  state.waitedMs += 2 * CALM_WAIT_MS;
  await run(CALM_LOOKS);
  assert.equal(state.acts, 0);
  await run(2);
  assert.equal(state.acts, 1);
});

test("who never finds the machine idle gives up", async () => {
  const { rehearsal, state, turn, run } = rig(3);
  state.waitPerTurnMs = 10;
  await run(LOOKS_MAX);
  assert.equal(rehearsal.ended, true);
  assert.equal(await turn(), false);
});

test("pauses between acts grow with the time waited for a processor", async () => {
  const { state, run } = rig(9);
  await run(CALM_LOOKS + 1);
  const quietMs = state.pausesMs.at(-1) as number;
  state.waitPerTurnMs = 5;
  await run(1);
  assert.ok((state.pausesMs.at(-1) as number) >= quietMs + 20, `${state.pausesMs.at(-1)} after ${quietMs}`);
});

test("work ends the practice: no further act, and what it had made is cleaned up", async () => {
  const { rehearsal, state, run } = rig(9);
  await run(CALM_LOOKS + 2);
  assert.equal(state.acts, 2);
  rehearsal.stop();
  rehearsal.stop();
  assert.equal(state.cleaned, 0); // The turn that brought the work is not held up.
  await run(5);
  assert.deepEqual([state.acts, state.cleaned], [2, 1]);
});

test("work before the first act: there is none", async () => {
  const { rehearsal, state, run } = rig(9);
  await run(2);
  rehearsal.stop();
  await run(CALM_LOOKS + 5);
  assert.equal(state.acts, 0);
});

test("an act that throws is told, and ends the practice", async () => {
  const { rehearsal, state, run } = rig(9, true);
  await run(CALM_LOOKS + 3);
  assert.deepEqual([rehearsal.ended, state.acts, state.failures], [true, 1, ["forgot the text"]]);
});

test("learning is on from the first act to the last, to the work that ends it, or to a mistake", async () => {
  for (const [acts, stopped, fails] of [[2, false, false], [9, true, false], [9, false, true]] as const) {
    const { rehearsal, state, run } = rig(acts, fails);
    await run(CALM_LOOKS);
    assert.deepEqual(state.learning, []);
    await run(1);
    assert.equal(state.learning[0], true);
    if (stopped) rehearsal.stop();
    await run(5);
    assert.deepEqual(state.learning, [true, false]);
  }
});

test("without an act nothing is learnt, and nothing to be ended", async () => {
  const { rehearsal, state, run } = rig(9);
  await run(2);
  rehearsal.stop();
  await run(CALM_LOOKS + 5);
  assert.deepEqual(state.learning, []);
});
