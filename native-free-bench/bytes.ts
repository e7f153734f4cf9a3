import type { Random } from "../src/base/random.ts";

/** Random bytes, for inputs that do not compress. */
export function bytesOf(random: Random, length: number): Uint8Array {
  return new Uint8Array(length).map(() => random.below(256));
}
