/**
 * When an agent tells the servers where it is: as the original, every 15 s to 30 s, and in large datacenters so much more seldom that all agents together stay below 64
 * updates a second (reference: consul-agent §8; measured of its dev agent: 15.6 s to 29.6 s after the start, 18 starts).
 *
 * The random half of the wait spreads agents that were started together. Who is alone has nobody to be spread from, and its coordinate is the origin and says nothing:
 * it takes the end of the range.
 */
const INTERVAL_MIN_MS = 15_000;
const UPDATES_PER_SECOND = 64;

export class CoordinatePace {
  /** A fraction below 1. */
  readonly #random: () => number;
  #restMs = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** How long to wait, in ms, before `due` is asked. */
  wait(members: number): number {
    const intervalMs = Math.max(INTERVAL_MIN_MS, (members / UPDATES_PER_SECOND) * 1000);
    const staggerMs = intervalMs * this.#random();
    this.#restMs = intervalMs - staggerMs;
    return intervalMs + staggerMs;
  }

  /** 0: send now. Else wait so many ms, and then send. */
  due(members: number): number {
    return members > 1 ? 0 : this.#restMs;
  }
}
