/** Order statistics of small samples. The median, because a shared machine gives outliers to one side only. */
import { assert } from "../src/base/assert.ts";

export interface Summary {
  readonly count: number;
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** Null of no samples. */
export function summarize(samples: readonly number[]): Summary | null {
  if (samples.length === 0) return null;
  const sorted = samples.toSorted((a, b) => a - b);
  return { count: sorted.length, min: sorted[0] as number, median: quantileOfSorted(sorted, 0.5), max: sorted.at(-1) as number };
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** Quantile `q` in 0 … 1, linear between neighbours (definition 7 of Hyndman and Fan, 1996). There must be a sample. */
export function quantile(samples: readonly number[], q: number): number {
  return quantileOfSorted(
    samples.toSorted((a, b) => a - b),
    q,
  );
}

function quantileOfSorted(sorted: readonly number[], q: number): number {
  assert(sorted.length > 0 && q >= 0 && q <= 1, "quantile of no samples");
  const at = (sorted.length - 1) * q;
  const below = Math.floor(at);
  const low = sorted[below] as number;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] as number;
  return low + (high - low) * (at - below);
}

/**
 * Ratio of the medians, and the extremes of the ratios of single runs. Run i of one side stands beside run i of the other, since they were measured
 * one after the other; what slowed both down cancels out in their ratio.
 */
export interface Ratio {
  readonly ofMedians: number;
  readonly min: number;
  readonly max: number;
}

/** Null when a side has no samples, or the peer's median is 0. */
export function ratio(ours: readonly number[], peer: readonly number[]): Ratio | null {
  if (ours.length === 0 || peer.length === 0 || median(peer) === 0) return null;
  const pairs: number[] = [];
  for (let i = 0; i < Math.min(ours.length, peer.length); i += 1) {
    if (peer[i] !== 0) pairs.push((ours[i] as number) / (peer[i] as number));
  }
  return { ofMedians: median(ours) / median(peer), min: Math.min(...pairs), max: Math.max(...pairs) };
}
