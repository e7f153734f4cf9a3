/** Randomness of the operating system, drawn in pools: one system call serves many draws. */
import { randomFillSync } from "node:crypto";
import { assert } from "../base/assert.ts";
import type { Random } from "../base/random.ts";
import type { HashKey } from "../wire/message-hash.ts";

const TWO_32 = 0x1_0000_0000;
/** Draws taken from the system at a time (4 KiB). */
const POOL_DRAWS = 1024;

export class SystemRandom implements Random {
  readonly #pool = new Uint32Array(POOL_DRAWS);
  #next = POOL_DRAWS;

  below(limit: number): number {
    assert(limit >= 1 && limit <= TWO_32, "below: limit out of range");
    // Rejection keeps the draw uniform for every limit.
    const unfair = TWO_32 % limit;
    for (;;) {
      const draw = this.#draw();
      if (draw < TWO_32 - unfair) return draw % limit;
    }
  }

  #draw(): number {
    if (this.#next === POOL_DRAWS) {
      randomFillSync(this.#pool);
      this.#next = 0;
    }
    const draw = this.#pool[this.#next] as number;
    this.#next += 1;
    return draw;
  }
}

/** A fresh key for the hashes of gossip messages. */
export function drawHashKey(): HashKey {
  const random = new SystemRandom();
  return { low: random.below(TWO_32), high: random.below(TWO_32) };
}
