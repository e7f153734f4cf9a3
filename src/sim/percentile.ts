/** The value below which `perMille` thousandths of the sorted `values` lie (nearest rank); 0 for an empty list. */
export function percentile(sorted: ArrayLike<number>, perMille: number): number {
  if (sorted.length === 0) return 0;
  const rank = Math.ceil((sorted.length * perMille) / 1000);
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1] as number;
}

export function sortedNumbers(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}
