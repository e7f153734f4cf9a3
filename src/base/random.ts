/**
 * Seeded randomness. Cores take a `Random` as an argument, so that one seed replays a whole cluster.
 * Integers only: probabilities are ratios, because floats invite results that differ by the order of operations.
 */
import { assert } from "./assert.ts";

/** A source of uniformly distributed integers. */
export interface Random {
  /** An integer in [0, limit). `limit` must be in 1 … 2^32. */
  below(limit: number): number;
}

/** Number of distinct values of one raw draw. */
const TWO_32 = 0x1_0000_0000;

/**
 * xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018), seeded by splitmix32.
 * Not for secrets.
 */
export class SeededRandom implements Random {
  // Signed: a small integer stands in the object itself, while one above 2^31 lies somewhere else in memory.
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number) {
    let state = seed >>> 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return z ^ (z >>> 15);
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next() | 1; // An all-zero state would stay zero for ever.
  }

  /** A uniformly distributed integer in [0, 2^32). */
  u32(): number {
    const scrambled = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return scrambled;
  }

  below(limit: number): number {
    assert(limit >= 1 && limit <= TWO_32, "below: limit out of range");
    for (;;) {
      const draw = this.u32();
      const value = draw % limit;
      // Rejection keeps the draw uniform for every limit: the last, incomplete run of values does not count.
      if (draw - value + limit <= TWO_32) return value;
    }
  }

  /** An independent generator: giving each node its own keeps their draws apart when one of them changes. */
  fork(): SeededRandom {
    return new SeededRandom(this.u32());
  }
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** True with probability `numerator / denominator`. */
export function chance(random: Random, numerator: number, denominator: number): boolean {
  return random.below(denominator) < numerator;
}

/** Fisher-Yates, in place. */
export function shuffle<T>(items: T[], random: Random): T[] {
  for (let i = items.length - 1; i > 0; i -= 1) {
    const j = random.below(i + 1);
    const kept = items[i] as T;
    items[i] = items[j] as T;
    items[j] = kept;
  }
  return items;
}
