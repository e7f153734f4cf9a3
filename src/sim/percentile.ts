/** The value below which `perMille` thousandths of the sorted `values` lie (nearest rank); 0 for an empty list. */
export function percentile(sorted: ArrayLike<number>, perMille: number): number {
  if (sorted.length === 0) return 0;
  const rank = Math.ceil((sorted.length * perMille) / 1000);
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1] as number;
}

/** So large a range is not counted: 64 MiB of counts. */
const COUNTED_MAX = 2 ** 24;

/** Sorts in place. Many whole numbers from 0 to not so many are counted, which takes a tenth of the time that comparing them would. */
export function sortWhole(values: Float64Array): Float64Array {
  let greatest = 0;
  let isCountable = true;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] as number;
    greatest = Math.max(greatest, value);
    isCountable &&= Number.isInteger(value) && value >= 0;
  }
  if (!isCountable || greatest >= Math.min(COUNTED_MAX, values.length)) return values.sort();
  const counts = new Uint32Array(greatest + 1);
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] as number;
    counts[value] = (counts[value] as number) + 1;
  }
  let at = 0;
  for (let value = 0; value <= greatest; value += 1) {
    const end = at + (counts[value] as number);
    values.fill(value, at, end);
    at = end;
  }
  return values;
}

export function sortedNumbers(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}
