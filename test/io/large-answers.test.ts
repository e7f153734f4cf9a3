import assert from "node:assert/strict";
import { test } from "node:test";
import { CROWD, LargeAnswers, WINDOW_MS } from "../../src/io/large-answers.ts";

function rig() {
  const state = { nowMs: 0, rests: 0 };
  const planned: (() => void)[] = [];
  const answers = new LargeAnswers({
    now: () => state.nowMs,
    soon: (next) => planned.push(next),
    rest: () => (state.rests += 1),
  });
  /** What `clients` are given in one turn; the rests at its end. */
  const turn = (clients: readonly object[]): number => {
    const before = state.rests;
    for (const client of clients) answers.given(client);
    for (const next of planned.splice(0)) next();
    return state.rests - before;
  };
  return { answers, state, turn };
}

const clients = Array.from({ length: CROWD }, (_, id) => ({ id }));

test("a crowd that gets large answers is given one rest a turn, from the next window on", () => {
  const { state, turn } = rig();
  assert.equal(turn(clients), 0);
  state.nowMs += WINDOW_MS;
  assert.equal(turn(clients), 1);
  state.nowMs += WINDOW_MS / 2;
  assert.equal(turn(clients.slice(0, 1)), 1);
});

test("a few clients are answered without rest, however often they ask", () => {
  const { state, turn } = rig();
  for (let round = 0; round < 20; round += 1) {
    assert.equal(turn([...clients.slice(1), ...clients.slice(1)]), 0);
    state.nowMs += WINDOW_MS / 4;
  }
});

test("a crowd that was there long ago, or has gone, is none", () => {
  const { answers, state, turn } = rig();
  turn(clients);
  state.nowMs += 2 * WINDOW_MS;
  assert.equal(turn(clients), 0);
  answers.gone(clients[0] as object);
  state.nowMs += WINDOW_MS;
  assert.equal(turn(clients), 0);
  state.nowMs += WINDOW_MS;
  assert.equal(turn(clients), 1);
});
