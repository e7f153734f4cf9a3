import assert from "node:assert/strict";
import { test } from "node:test";
import { BIG_CROWD, BIG_CROWD_ANSWERS, CROWD, CrowdMember, CrowdRests, LARGE_BYTES, REST_MS, WINDOW_MS } from "../../src/io/crowd-rests.ts";

const SMALL_BYTES = 24;

function rig() {
  const state = { nowMs: 0 };
  const restsMs: number[] = [];
  const planned: (() => void)[] = [];
  const rests = new CrowdRests({ soon: (next) => planned.push(next), rest: (ms) => restsMs.push(ms) });
  /** What `clients` are given in one turn; how long the rest at its end is, in ms. */
  const turn = (clients: readonly CrowdMember[], bytes: number): number => {
    for (const client of clients) rests.given(client, bytes, state.nowMs);
    for (const next of planned.splice(0)) next();
    assert.ok(restsMs.length <= 1, "one rest a turn");
    return restsMs.pop() ?? 0;
  };
  return { state, turn };
}

const crowdOf = (count: number): CrowdMember[] => Array.from({ length: count }, () => new CrowdMember());

/** A window in which each of `clients` is given `answers` small ones. */
function fillWindow({ state, turn }: ReturnType<typeof rig>, clients: readonly CrowdMember[], answers: number): void {
  for (let round = 0; round < answers; round += 1) assert.equal(turn(clients, SMALL_BYTES), 0);
  state.nowMs += WINDOW_MS;
}

test("a crowd that gets large answers is given one rest a turn, from the next window on", () => {
  const { state, turn } = rig();
  const clients = crowdOf(CROWD);
  assert.equal(turn(clients, LARGE_BYTES), 0);
  state.nowMs += WINDOW_MS;
  assert.equal(turn(clients, LARGE_BYTES), REST_MS);
  state.nowMs += WINDOW_MS / 2;
  assert.equal(turn(clients.slice(0, 1), LARGE_BYTES), REST_MS);
});

test("a few clients are answered without rest, however often they ask and however much they get", () => {
  const { state, turn } = rig();
  const clients = crowdOf(CROWD - 1);
  for (let round = 0; round < 20; round += 1) {
    assert.equal(turn([...clients, ...clients], LARGE_BYTES), 0);
    state.nowMs += WINDOW_MS / 4;
  }
});

test("a crowd that was there long ago is none", () => {
  const { state, turn } = rig();
  const clients = crowdOf(CROWD);
  turn(clients, LARGE_BYTES);
  state.nowMs += 2 * WINDOW_MS;
  assert.equal(turn(clients, LARGE_BYTES), 0);
  state.nowMs += WINDOW_MS;
  assert.equal(turn(clients, LARGE_BYTES), REST_MS);
});

test("a big crowd that gets many small answers is given a rest after each turn with a few of them, from the next window on", () => {
  const rests = [BIG_CROWD, BIG_CROWD + 16, 10 * BIG_CROWD].map((size) => {
    const crowd = rig();
    const clients = crowdOf(size);
    fillWindow(crowd, clients, Math.ceil(BIG_CROWD_ANSWERS / BIG_CROWD));
    const rest = crowd.turn(clients.slice(0, 1), SMALL_BYTES);
    assert.equal(crowd.turn(clients.slice(0, size / 4 - 1), SMALL_BYTES), rest);
    assert.equal(crowd.turn(clients.slice(0, size / 4), SMALL_BYTES), 0);
    return rest;
  });
  const [least, more, most] = rests as [number, number, number];
  // Longer for more clients, who take longer to ask.
  assert.ok(least > 0 && more > least && most > more && most === REST_MS, rests.join(" "));
});

test("a big crowd that gets small answers now and then, or a smaller one that gets many, is given no rest", () => {
  const idle = rig();
  const many = crowdOf(BIG_CROWD);
  fillWindow(idle, many, Math.floor(BIG_CROWD_ANSWERS / BIG_CROWD));
  assert.equal(idle.turn(many.slice(0, 1), SMALL_BYTES), 0);

  const small = rig();
  const few = crowdOf(BIG_CROWD - 1);
  fillWindow(small, few, BIG_CROWD_ANSWERS);
  assert.equal(small.turn(few.slice(0, 1), SMALL_BYTES), 0);
});
