/**
 * A node's own clock: the virtual time of the simulation, seen through an offset and a drift. Nodes read a monotonic clock in
 * production, so it may run fast or slow and jump ahead (a suspended machine) but never goes back.
 */
import { assert } from "../base/assert.ts";

/** Own ms that pass in one virtual ms. */
export function rateOf(driftPpm: number): number {
  return 1 + driftPpm / 1e6;
}

/** Own time in ms at the virtual time `atUs`; `offsetMs`: own ms at virtual time 0. */
export function localMs(offsetMs: number, rate: number, atUs: number): number {
  return offsetMs + (atUs / 1000) * rate;
}

/** The earliest virtual time, in whole µs, at which the own clock shows at least `ownMs`. */
export function virtualUs(offsetMs: number, rate: number, ownMs: number): number {
  let atUs = Math.ceil(((ownMs - offsetMs) * 1000) / rate);
  // Rounding may leave the own clock a hair short of a deadline; a wake must never be early.
  while (localMs(offsetMs, rate, atUs) < ownMs) atUs += 1;
  return atUs;
}

export class NodeClock {
  #offsetMs: number;
  readonly #rate: number;

  constructor(offsetMs: number, driftPpm: number) {
    this.#offsetMs = offsetMs;
    this.#rate = rateOf(driftPpm);
  }

  localMs(atUs: number): number {
    return localMs(this.#offsetMs, this.#rate, atUs);
  }

  virtualUs(ownMs: number): number {
    return virtualUs(this.#offsetMs, this.#rate, ownMs);
  }

  jumpAhead(ms: number): void {
    assert(ms >= 0, "a monotonic clock never goes back");
    this.#offsetMs += ms;
  }
}
