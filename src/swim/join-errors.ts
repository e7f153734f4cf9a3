/** Error texts of a join, as the originals print them. */

/** One target that could not be joined. */
export function joinError(ip: string, cause: string): string {
  return `Failed to join ${ip}: ${cause}`;
}

/** Several errors as one text, in Go's multi-error format: shown by `join` and start-up when no target could be reached. */
export function formatJoinErrors(errors: readonly string[]): string {
  const head = errors.length === 1 ? "1 error occurred:" : `${errors.length} errors occurred:`;
  return `${head}\n${errors.map((error) => `\t* ${error}\n`).join("")}\n`;
}
