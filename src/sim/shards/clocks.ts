/**
 * How far each shard of a simulation is, in memory that all see. A shard whose clock shows `c` has handed over all that it sends to others before
 * `c`, and what it sends from then on arrives at `c` plus the shortest delay of the network at the earliest. So the others may go on to that time.
 */
import { assert } from "../../base/assert.ts";

/** Words of each shard: two cache lines, and the mail in one of its own, so that shards do not slow each other down by looking. */
const SHARD_WORDS = 48;
/** The lowest 32 bits of the virtual time in µs. */
const TIME = 0;
/** Counts the changes of the others: whoever waits, waits for this. */
export const EPOCH = 1;
const HALTED = 2;
export const SLEEPERS = 3;
/** Counts the messages that have been put into the shard's ports. */
export const MAIL = 32;
/** Clocks are compared by their lowest bits: none may be further ahead of another. */
const AHEAD_US_MAX = 2 ** 31;

export function clocksBytes(count: number): number {
  return 4 * SHARD_WORDS * count;
}

export class ShardClocks {
  readonly words: Int32Array;
  readonly #index: number;
  readonly #count: number;
  /** By shard: the time last seen, in full. */
  readonly #seenUs: Float64Array;
  #ownUs = 0;
  #othersUs = Infinity;
  #slowest = -1;
  #isSlowestHalted = false;

  /** `memory` has `clocksBytes` zeros: all stand at 0. */
  constructor(memory: ArrayBufferLike, index: number, count: number) {
    this.words = new Int32Array(memory);
    this.#index = index;
    this.#count = count;
    this.#seenUs = new Float64Array(count);
  }

  /** Where a word of a shard is in `words`. */
  readonly placeOf = (shard: number, word: number): number => SHARD_WORDS * shard + word;

  /** What this shard has published. */
  get ownUs(): number {
    return this.#ownUs;
  }

  /** Reads the clocks of the others, for what follows. */
  look(): void {
    this.#othersUs = Infinity;
    for (let shard = 0; shard < this.#count; shard += 1) {
      if (shard === this.#index) continue;
      const isHalted = this.#isHalted(shard); // Before its clock: then that is where it stays.
      const atUs = this.#read(shard);
      if (atUs >= this.#othersUs) continue;
      this.#othersUs = atUs;
      this.#slowest = shard;
      this.#isSlowestHalted = isHalted;
    }
  }

  /** The clock of the shard that is furthest behind, besides this one. */
  get othersUs(): number {
    return this.#othersUs;
  }

  /** The shard that holds this one up. */
  get slowest(): number {
    return this.#slowest;
  }

  get isSlowestHalted(): boolean {
    return this.#isSlowestHalted;
  }

  #isHalted(shard: number): boolean {
    return Atomics.load(this.words, this.placeOf(shard, HALTED)) !== 0;
  }

  /** Each other shard has halted, or its clock shows at least `atUs`; the one that does not yet is then the slowest. */
  haveReached(atUs: number): boolean {
    for (let shard = 0; shard < this.#count; shard += 1) {
      if (shard === this.#index || this.#isHalted(shard) || this.#read(shard) >= atUs) continue;
      this.#slowest = shard;
      return false;
    }
    return true;
  }

  /** Some shard does not go on any more. All tell the same once each has halted or reached the same time. */
  get isAnyHalted(): boolean {
    for (let shard = 0; shard < this.#count; shard += 1) if (this.#isHalted(shard)) return true;
    return false;
  }

  /** What is sent from `atUs` on is still to come; must not go back. */
  publish(atUs: number): void {
    if (atUs === this.#ownUs) return;
    assert(atUs > this.#ownUs && atUs - this.#ownUs < AHEAD_US_MAX, "a clock goes forward, in steps");
    this.#ownUs = atUs;
    Atomics.store(this.words, this.placeOf(this.#index, TIME), atUs | 0);
    this.#changed();
  }

  /** This shard stays where it is, for ever. */
  halt(): void {
    Atomics.store(this.words, this.placeOf(this.#index, HALTED), 1);
    this.#changed();
  }

  #read(shard: number): number {
    const seen = this.#seenUs[shard] as number;
    const now = seen + ((Atomics.load(this.words, this.placeOf(shard, TIME)) - (seen | 0)) | 0);
    this.#seenUs[shard] = now;
    return now;
  }

  #changed(): void {
    const epoch = this.placeOf(this.#index, EPOCH);
    Atomics.add(this.words, epoch, 1);
    if (Atomics.load(this.words, this.placeOf(this.#index, SLEEPERS)) > 0) Atomics.notify(this.words, epoch);
  }
}
