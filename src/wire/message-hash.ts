/**
 * Keyed 64-bit hash of gossip messages, by which the packet lane recognises repeats: HalfSipHash-1-3 (Aumasson and Bernstein,
 * "SipHash: a fast short-input PRF", 2012; the 32-bit variant with one compression and three finalisation rounds).
 * The key is drawn at start: who does not know it cannot craft a message that collides with somebody else's and so suppresses it.
 */

import { EMPTY_BYTES } from "../base/bytes.ts";

/** A 64-bit key as two unsigned 32-bit halves. */
export interface HashKey {
  readonly low: number;
  readonly high: number;
}

/** Hashes into its own fields instead of returning an object: two numbers per message, no garbage. */
export class MessageHasher {
  /** Halves of the last hash, signed: as unsigned numbers half of them would be objects in V8. */
  low = 0;
  high = 0;
  readonly #keyLow: number;
  readonly #keyHigh: number;
  /** The memory hashed last, whole words of which are read at once: the messages of a packet share theirs. */
  #bytes = EMPTY_BYTES;
  #view = new DataView(EMPTY_BYTES.buffer);

  constructor(key: HashKey) {
    this.#keyLow = key.low | 0;
    this.#keyHigh = key.high | 0;
  }

  /** Sets `low` and `high` to the hash of `bytes[start, end)` under the domain `pool`: equal messages of two pools differ. */
  hash(bytes: Uint8Array, start: number, end: number, pool: number): void {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    }
    const view = this.#view;
    let v0 = this.#keyLow;
    let v1 = this.#keyHigh ^ 0xee;
    let v2 = 0x6c796765 ^ this.#keyLow;
    let v3 = 0x74656462 ^ this.#keyHigh;
    const length = end - start;
    const lastWord = end - (length & 3);
    // The pool number is the first word; then the message in little-endian words; the last word carries the length. The round is written out
    // for each of the three: one loop with branches for all words took twice as long.
    let word = pool | 0;
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
    for (let at = start; at < lastWord; at += 4) {
      word = view.getInt32(at, true);
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
    }
    word = length << 24;
    if ((length & 3) > 2) word |= (bytes[lastWord + 2] as number) << 16;
    if ((length & 3) > 1) word |= (bytes[lastWord + 1] as number) << 8;
    if ((length & 3) > 0) word |= bytes[lastWord] as number;
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
    v2 ^= 0xee;
    for (let half = 0; half < 2; half += 1) {
      for (let round = 0; round < 3; round += 1) {
        v0 = (v0 + v1) | 0;
        v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
        v0 = (v0 << 16) | (v0 >>> 16);
        v2 = (v2 + v3) | 0;
        v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
        v0 = (v0 + v3) | 0;
        v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
        v2 = (v2 + v1) | 0;
        v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
        v2 = (v2 << 16) | (v2 >>> 16);
      }
      if (half === 0) {
        this.low = v1 ^ v3;
        v1 ^= 0xdd;
      } else this.high = v1 ^ v3;
    }
  }
}
