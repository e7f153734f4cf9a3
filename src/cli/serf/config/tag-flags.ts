/** `-tag k=v` flags. */
import { fail, ok, type Result } from "../../../base/result.ts";

/** Splits each at its first "="; the key may not be empty. A later value replaces an earlier one. */
export function parseTagFlags(flags: readonly string[]): Result<ReadonlyMap<string, string>> {
  const tags = new Map<string, string>();
  for (const flag of flags) {
    const equals = flag.indexOf("=");
    if (equals <= 0) return fail(`Invalid tag: '${flag}'`);
    tags.set(flag.slice(0, equals), flag.slice(equals + 1));
  }
  return ok(tags);
}
