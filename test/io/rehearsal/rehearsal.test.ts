import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lesson } from "../../../src/io/rehearsal/lesson.ts";
import { BUSY_LOOK_MS, CALM_LOOKS, CALM_WAIT_MS, LOOKS_MAX, QUESTION_BYTES, Rehearsal, SPELL_MS, WORK_BYTES_MAX, WORK_BYTES_PER_MS_MAX } from "../../../src/io/rehearsal/rehearsal.ts";

/** Turns that the test runs one by one; `acts` many acts, the last of them for speed; `waitPerTurnMs` is added to the time waited before each turn. */
function rig(acts: number, { fails = false, patient = false, loaded = Promise.resolve() } = {}) {
  const state = { nowMs: 0, waitedMs: 100, waitPerTurnMs: 0, acts: 0, cleaned: 0, failures: [] as string[], pausesMs: [] as number[], learning: [] as (Lesson | null)[] };
  const turns: (() => void)[] = [];
  async function* play(): AsyncGenerator<Lesson, void> {
    try {
      for (let i = 0; i < acts; i += 1) {
        state.acts += 1;
        if (fails) throw new Error("forgot the text");
        yield i >= acts - 2 ? "speed" : "shapes";
      }
    } finally {
      state.cleaned += 1;
    }
  }
  const rehearsal = new Rehearsal({
    acts: () => loaded.then(play),
    learning: (lesson) => state.learning.push(lesson),
    waitedMs: () => state.waitedMs,
    patient,
    now: () => state.nowMs,
    soon: (next) => {
      turns.push(next);
      state.pausesMs.push(0);
    },
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

test("acts follow each other for a spell, then there is a pause", async () => {
  const { state, run } = rig(9);
  await run(CALM_LOOKS + 1);
  const pauses = state.pausesMs.length;
  await run(1);
  for (let turn = 0; turn < 3; turn += 1) {
    await run(1);
    state.nowMs += SPELL_MS / 2;
  }
  assert.deepEqual(state.pausesMs.slice(pauses).map((ms) => ms > 0), [false, false, false, true]);
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
  const { rehearsal, state, run } = rig(9, { fails: true });
  await run(CALM_LOOKS + 3);
  assert.deepEqual([rehearsal.ended, state.acts, state.failures], [true, 1, ["forgot the text"]]);
});

test("what an act says is learned from the next one, and nothing after the last, after work that ends practice, or after a mistake", async () => {
  for (const [acts, stopped, fails, expected] of [[3, false, false, ["shapes", "speed", null]], [9, true, false, ["shapes", null]], [9, false, true, ["shapes", null]]] as const) {
    const { rehearsal, state, run } = rig(acts, { fails });
    await run(CALM_LOOKS);
    assert.deepEqual(state.learning, []);
    await run(1);
    assert.equal(state.learning[0], "shapes");
    if (stopped) rehearsal.stop();
    await run(5);
    assert.deepEqual(state.learning, expected);
  }
});

test("a patient agent rests while there is work, and then goes on with the act that comes next", async () => {
  const { rehearsal, state, run } = rig(4, { patient: true });
  await run(CALM_LOOKS + 1);
  rehearsal.work(WORK_BYTES_MAX);
  await run(1);
  assert.equal(state.acts, 2);
  for (const work of [() => rehearsal.work(WORK_BYTES_MAX + 1), () => rehearsal.command()]) {
    work();
    await run(CALM_LOOKS);
    assert.deepEqual([state.acts, state.learning.at(-1)], [2, null]);
  }
  await run(1 + 1);
  assert.deepEqual([state.acts, state.learning.at(-1)], [3, "shapes"]);
  await run(9);
  assert.deepEqual([state.acts, state.cleaned, rehearsal.ended, state.learning.at(-1)], [4, 1, true, null]);
});

test("packets that come slowly are no work", async () => {
  const { rehearsal, state, run } = rig(4, { patient: true });
  await run(CALM_LOOKS + 1);
  const bytes = 2 * WORK_BYTES_MAX;
  const slowMs = bytes / WORK_BYTES_PER_MS_MAX;
  for (const [ms, acts] of [[slowMs, 2], [slowMs - 1, 2]] as const) {
    state.nowMs += ms;
    rehearsal.work(bytes);
    await run(1);
    assert.equal(state.acts, acts);
  }
  await run(1);
  assert.equal(state.acts, 2); // It rests since.
});

test("a few questions are no work, a flood of them is", async () => {
  for (const [questions, acts] of [[WORK_BYTES_MAX / QUESTION_BYTES, 2], [WORK_BYTES_MAX / QUESTION_BYTES + 1, 1]] as const) {
    const { rehearsal, state, run } = rig(4, { patient: true });
    await run(CALM_LOOKS + 1);
    for (let i = 0; i < questions; i += 1) rehearsal.question();
    await run(1);
    assert.equal(state.acts, acts);
  }
});

test("work during a look begins the count of calm looks anew", async () => {
  const { rehearsal, state, run } = rig(4, { patient: true });
  await run(CALM_LOOKS - 1);
  rehearsal.command();
  await run(CALM_LOOKS);
  assert.equal(state.acts, 0);
  await run(2);
  assert.equal(state.acts, 1);
});

test("a patient agent whose work never ends gives up in the end, and cleans up", async () => {
  const { rehearsal, state, run } = rig(4, { patient: true });
  await run(CALM_LOOKS + 1);
  for (let turn = 0; turn < 2 * LOOKS_MAX; turn += 1) {
    rehearsal.command();
    await run(1);
  }
  assert.deepEqual([rehearsal.ended, state.acts, state.cleaned], [true, 1, 1]);
});

test("who stops while the acts are being loaded does not begin them", async () => {
  let load = (): void => undefined;
  const loaded = new Promise<void>((resolve) => (load = resolve));
  const { rehearsal, state, run } = rig(9, { loaded });
  await run(CALM_LOOKS + 1);
  rehearsal.stop();
  load();
  await run(5);
  assert.deepEqual([state.acts, state.learning], [0, ["shapes", null]]);
});

test("who started on a busy machine ends practice with the first packet or command", async () => {
  for (const work of ["packet", "command"]) {
    const { rehearsal, state, run } = rig(4);
    await run(CALM_LOOKS + 1);
    if (work === "packet") rehearsal.work(1);
    else rehearsal.command();
    assert.equal(rehearsal.ended, true);
    await run(CALM_LOOKS + 5);
    assert.deepEqual([state.acts, state.cleaned], [1, 1]);
  }
});

test("without an act nothing is learnt, and nothing to be ended", async () => {
  const { rehearsal, state, run } = rig(9);
  await run(2);
  rehearsal.stop();
  await run(CALM_LOOKS + 5);
  assert.deepEqual(state.learning, []);
});
