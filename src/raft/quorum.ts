/** Majorities among the voters of a configuration. */

export function quorumSize(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/**
 * The largest value that a majority of voters has reached: of matched indexes the one that may be committed, of contact times the
 * moment since when a quorum is known to have answered. -Infinity without voters. Sorts `values`.
 */
export function reachedByQuorum(values: number[]): number {
  values.sort((a, b) => b - a);
  return values[quorumSize(values.length) - 1] ?? -Infinity;
}
