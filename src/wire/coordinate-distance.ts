/** Estimated round trips between network coordinates. Frozen: every node of a cluster must compute alike, so the order of the float operations is part of the algorithm. */
import type { WireCoordinate } from "./serf-messages.ts";

export function magnitude(vec: readonly number[]): number {
  let sum = 0;
  for (const x of vec) sum += x * x;
  return Math.sqrt(sum);
}

export function difference(a: readonly number[], b: readonly number[]): number[] {
  return a.map((x, i) => x - (b[i] as number));
}

/** Distance without the adjustment terms. Both have the same number of dimensions. */
export function rawDistance(a: WireCoordinate, b: WireCoordinate): number {
  return magnitude(difference(a.vec, b.vec)) + a.height + b.height;
}

/** Estimated round trip in seconds, before rounding. */
export function adjustedDistance(a: WireCoordinate, b: WireCoordinate): number {
  const raw = rawDistance(a, b);
  const adjusted = raw + a.adjustment + b.adjustment;
  return adjusted > 0 ? adjusted : raw;
}
