/** Wording shared by the agent and its log. */
import type { SerfEvent } from "../serf/types.ts";

/** Failures as Go's multierror lists them. */
export function multiError(errors: readonly string[]): string {
  if (errors.length === 0) return "";
  const head = errors.length === 1 ? "1 error occurred:" : `${errors.length} errors occurred:`;
  return `${head}\n${errors.map((error) => `\t* ${error}\n`).join("")}\n`;
}

/** Name of an event in logs. */
export function eventText(event: SerfEvent): string {
  switch (event.kind) {
    case "members":
      return event.type;
    case "user":
      return `user-event: ${event.name}`;
    case "query":
      return `query: ${event.name}`;
  }
}

/** Payload bytes shown in a log line. It is quoted before anybody has checked its size: a request of 1 MiB must not cost its quoting. */
const QUOTED_BYTES_MAX = 4096;

/** A payload as Go's %q shows plain text; only the beginning of a long one. */
export function quotePayload(payload: Uint8Array | null): string {
  return JSON.stringify(Buffer.from((payload ?? []).slice(0, QUOTED_BYTES_MAX)).toString("latin1"));
}
