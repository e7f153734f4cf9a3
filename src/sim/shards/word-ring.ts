/** A stream of words from one shard to another, in memory that both see: one writes, the other reads, and neither waits. */
import type { WordReader } from "./words.ts";

/** A window of virtual time brings some ten kB; a full state of ten thousand members has 200. Must be a power of two. */
const CAPACITY_WORDS = 1 << 19;
/** Words of the counters, which lie in cache lines of their own. */
const WRITTEN = 0;
const READ = 32;
const DATA_START = 64;

export const WORD_RING_BYTES = 4 * (DATA_START + CAPACITY_WORDS);

export class WordRing {
  readonly #counters: Int32Array;
  readonly #data: Int32Array;

  /** `memory` has `WORD_RING_BYTES` zeros. */
  constructor(memory: ArrayBufferLike) {
    this.#counters = new Int32Array(memory, 0, DATA_START);
    this.#data = new Int32Array(memory, 4 * DATA_START, CAPACITY_WORDS);
  }

  /** Writes what there is room for; the number of words. */
  write(words: Int32Array): number {
    const written = Atomics.load(this.#counters, WRITTEN);
    const room = CAPACITY_WORDS - ((written - Atomics.load(this.#counters, READ)) | 0); // Counters go round at 2^32.
    const count = Math.min(room, words.length);
    const start = written & (CAPACITY_WORDS - 1);
    const straight = Math.min(count, CAPACITY_WORDS - start);
    this.#data.set(words.subarray(0, straight), start);
    if (straight < count) this.#data.set(words.subarray(straight, count), 0);
    Atomics.store(this.#counters, WRITTEN, (written + count) | 0);
    return count;
  }

  /** Hands all that has come to `reader`. */
  readInto(reader: WordReader): void {
    const read = Atomics.load(this.#counters, READ);
    const count = (Atomics.load(this.#counters, WRITTEN) - read) | 0;
    if (count === 0) return;
    const start = read & (CAPACITY_WORDS - 1);
    const straight = Math.min(count, CAPACITY_WORDS - start);
    const room = reader.room(count);
    room.set(this.#data.subarray(start, start + straight));
    if (straight < count) room.set(this.#data.subarray(0, count - straight), straight);
    reader.arrived(count);
    Atomics.store(this.#counters, READ, (read + count) | 0);
  }
}
