/** Helpers for checkers: a case is a function that throws when it differs, and what a checker does not know is a failed case. */
import type { Report } from "./registry.ts";

/** Members of every recording that describe it. */
const DESCRIPTION: ReadonlySet<string> = new Set(["notes", "set", "source"]);

/** Runs one case and reports it. */
export function attempt(caseName: string, report: Report, check: () => void): void {
  try {
    check();
    report(caseName, null);
  } catch (error) {
    report(caseName, error instanceof Error ? error.message : String(error));
  }
}

/** The recording as `T`, after reporting a failure for each of `known` that it lacks and each member that is not known. */
export function fieldsOf<T>(data: unknown, known: readonly string[], report: Report): Partial<T> {
  const members = typeof data === "object" && data !== null ? Object.keys(data) : [];
  for (const name of known) if (!members.includes(name)) report(name, "missing from the recording");
  for (const name of members) if (!known.includes(name) && !DESCRIPTION.has(name)) report(name, "no check for this part of the recording");
  return data as Partial<T>;
}
