/** Estimated round trips between network coordinates. Frozen: every node of a cluster must compute alike, so the order of the float operations is part of the algorithm. */
import type { WireCoordinate } from "./serf-messages.ts";

/** Length of the vector from `b` to `a`, which have the same number of dimensions. Asked several times per probe: it makes no arrays. */
export function vectorDistance(a: readonly number[], b: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) {
    const x = (a[i] as number) - (b[i] as number);
    sum += x * x;
  }
  return Math.sqrt(sum);
}

/** Distance without the adjustment terms. Both have the same number of dimensions. */
export function rawDistance(a: WireCoordinate, b: WireCoordinate): number {
  return vectorDistance(a.vec, b.vec) + a.height + b.height;
}

/** Estimated round trip in seconds, before rounding. */
export function adjustedDistance(a: WireCoordinate, b: WireCoordinate): number {
  const raw = rawDistance(a, b);
  const adjusted = raw + a.adjustment + b.adjustment;
  return adjusted > 0 ? adjusted : raw;
}
