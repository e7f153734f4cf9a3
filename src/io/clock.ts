/** Time for the cores: milliseconds of a clock that never goes back or jumps (lessons §3.2: only monotonic time decides anything). */
export function monotonicMs(): number {
  return performance.now();
}
