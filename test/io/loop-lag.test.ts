/** When API clients are turned away, on a virtual clock: an event loop that carries gossip, Raft and requests, and what becomes of the first two as requests become more. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OVERLOADED_MS } from "../../src/io/http-server.ts";
import { LoopLag, LOOK_MS, LOOKS } from "../../src/io/loop-lag.ts";
import { PROFILES } from "../../src/swim/profiles.ts";

/** The shortest times after which others take notice: a probe that is not answered, and (Consul's, at `raft_multiplier` 1) a leader's lease. */
const PROBE_MS = PROFILES.lan.probeTimeoutMs;
const LEASE_MS = 500;

class VirtualLoop {
  nowMs = 0;
  idleMs = 0;
  readonly lag = new LoopLag({ nowMs: () => this.nowMs, idleMs: () => this.idleMs });
  #nextLookMs = LOOK_MS;

  constructor() {
    this.lag.stop(); // Looks come from `turn`.
  }

  /** One turn: the loop waits for events, then works; a look that has become due comes behind the work, as a timer does. */
  turn(waitMs: number, workMs: number): void {
    this.idleMs += waitMs;
    this.nowMs += waitMs + workMs;
    if (this.nowMs < this.#nextLookMs) return;
    this.lag.look();
    this.#nextLookMs = this.nowMs + LOOK_MS;
  }
}

test("one pause is no overload; several late looks in a row are, by the least of them, and one in time ends it", () => {
  const loop = new VirtualLoop();
  const look = (workMs: number): number => {
    loop.turn(LOOK_MS + 1 - Math.min(LOOK_MS, workMs), workMs);
    return Math.round(loop.lag.lateMs);
  };
  assert.equal(look(2000), 0);
  for (let i = 0; i < LOOKS; i += 1) assert.equal(look(50), 0);
  const seen = [300, 200, 250, 260, 400].map(look);
  assert.deepEqual(seen.slice(0, LOOKS - 1), Array.from({ length: LOOKS - 1 }, () => 0));
  assert.deepEqual(seen.slice(LOOKS - 1), [101, 101, 151]);
  assert.equal(look(10), 0);
});

test("a loop that is late because the machine gives it no time has waited meanwhile, and turns nobody away", () => {
  const loop = new VirtualLoop();
  for (let i = 0; i < 10; i += 1) {
    loop.turn(LOOK_MS + 400, 20);
    assert.equal(loop.lag.lateMs, 0);
  }
});

/**
 * More and more clients ask, each in every turn, until the first is turned away or a turn takes far too long. A turn is how long a ping or a heartbeat may wait for its
 * answer.
 */
function ramp(costMs: number, turnsAway: (lag: LoopLag) => boolean): { readonly longestMs: number; readonly refused: boolean } {
  const loop = new VirtualLoop();
  let longestMs = 0;
  for (let turns = 0, clients = 1; longestMs < 4 * PROBE_MS; turns += 1) {
    if (turnsAway(loop.lag)) return { longestMs, refused: true };
    const workMs = 1 + clients * costMs;
    longestMs = Math.max(longestMs, workMs);
    loop.turn(0, workMs);
    if (turns % 2 === 0) clients += 1;
  }
  return { longestMs, refused: false };
}

test("as clients become more, requests are turned away before a probe or a heartbeat waits too long, whatever a request costs", () => {
  for (const costMs of [0.1, 1, 20]) {
    const { longestMs, refused } = ramp(costMs, (lag) => lag.lateMs > OVERLOADED_MS);
    assert.equal(refused, true);
    assert.ok(longestMs < Math.min(PROBE_MS, LEASE_MS), `${costMs} ms a request: a turn of ${longestMs} ms`);
    // The same load, everything served: this is what it prevents.
    assert.ok(ramp(costMs, () => false).longestMs > Math.max(PROBE_MS, LEASE_MS));
  }
});
