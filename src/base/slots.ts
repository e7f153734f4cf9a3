/**
 * Things that come and go by the ten thousand a second, each known by a number while it is here: calls, requests. A Map would do the same, but each time it is
 * rebuilt V8 leaves the old table pointing at the new one; once an old table has been promoted, all younger ones and what they held survive every
 * collection of the young generation. Slots are used again in place: nothing is promoted that is not kept.
 */
import { assert } from "./assert.ts";

/** A number is its slot plus this times how often the slot was used before. */
const SLOTS_MAX = 2 ** 22;

export class Slots<T extends object> {
  readonly #values: (T | undefined)[] = [];
  /** The number that a slot's value has, or its next one will have. */
  readonly #ids: number[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#values.length - this.#free.length;
  }

  /** Keeps a value; its number is never 0 and never given twice. */
  add(value: T): number {
    const free = this.#free.pop();
    if (free !== undefined) {
      this.#values[free] = value;
      return this.#ids[free] as number;
    }
    const slot = this.#values.length;
    assert(slot < SLOTS_MAX, "too many at a time");
    this.#values.push(value);
    this.#ids.push(slot + SLOTS_MAX);
    return slot + SLOTS_MAX;
  }

  get(id: number): T | undefined {
    const slot = id % SLOTS_MAX;
    return this.#ids[slot] === id ? this.#values[slot] : undefined;
  }

  /** Gives a value back and forgets it; undefined when it is not here. */
  take(id: number): T | undefined {
    const slot = id % SLOTS_MAX;
    if (this.#ids[slot] !== id) return undefined;
    const value = this.#values[slot];
    if (value === undefined) return undefined; // The number that the slot's next value will have.
    this.#values[slot] = undefined;
    this.#ids[slot] = id + SLOTS_MAX;
    this.#free.push(slot);
    return value;
  }

  /** All of them, which are forgotten. */
  takeAll(): T[] {
    const all: T[] = [];
    for (let slot = 0; slot < this.#values.length; slot += 1) {
      const value = this.take(this.#ids[slot] as number);
      if (value !== undefined) all.push(value);
    }
    return all;
  }
}
