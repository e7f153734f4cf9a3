/**
 * A node's own clock: the virtual time of the simulation, seen through an offset and a drift. Nodes read a monotonic clock in
 * production, so it may run fast or slow and jump ahead (a suspended machine) but never goes back.
 */
import { assert } from "../base/assert.ts";

export class NodeClock {
  /** Own ms at virtual time 0. */
  #offsetMs: number;
  /** Own ms that pass in one virtual ms. */
  readonly #rate: number;

  constructor(offsetMs: number, driftPpm: number) {
    this.#offsetMs = offsetMs;
    this.#rate = 1 + driftPpm / 1e6;
  }

  /** Own time in ms at the virtual time `atUs`. */
  localMs(atUs: number): number {
    return this.#offsetMs + (atUs / 1000) * this.#rate;
  }

  /** The earliest virtual time, in whole µs, at which the own clock shows at least `localMs`. */
  virtualUs(localMs: number): number {
    let atUs = Math.ceil(((localMs - this.#offsetMs) * 1000) / this.#rate);
    // Rounding may leave the own clock a hair short of a deadline; a wake must never be early.
    while (this.localMs(atUs) < localMs) atUs += 1;
    return atUs;
  }

  jumpAhead(ms: number): void {
    assert(ms >= 0, "a monotonic clock never goes back");
    this.#offsetMs += ms;
  }
}
