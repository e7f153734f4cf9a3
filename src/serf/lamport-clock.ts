/**
 * Lamport's logical clock ("Time, Clocks, and the Ordering of Events", 1978) as Serf uses it: `time` is the stamp of the next
 * message of ours. It never goes back.
 */
import { assert } from "../base/assert.ts";

/** The largest time that we hold or send: decoders refuse larger ones, so a peer cannot push a clock out of the range of exact integers. */
export const LAMPORT_TIME_MAX = Number.MAX_SAFE_INTEGER;

export class LamportClock {
  #time = 0;

  get time(): number {
    return this.#time;
  }

  /** Moves on by one and returns the new time. */
  increment(): number {
    this.#time = Math.min(this.#time + 1, LAMPORT_TIME_MAX);
    return this.#time;
  }

  /** A message stamped `time` was seen: afterwards our clock is later than it. */
  witness(time: number): void {
    assert(time >= 0);
    if (time >= this.#time) this.#time = Math.min(time + 1, LAMPORT_TIME_MAX);
  }
}
