/** A broken invariant: always a bug of ours, never something a peer or a user can cause. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
  readonly code = "ERR_MUSTER_ASSERTION";
}

/** Throws when `condition` is false. Callers never catch it to go on: the process (or the simulation) stops. */
export function assert(condition: boolean, message = "an invariant does not hold"): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** For the default branch of an exhaustive `switch`: a new variant fails to compile here. */
export function assertNever(value: never): never {
  throw new AssertionError(`unexpected variant: ${JSON.stringify(value)}`);
}
