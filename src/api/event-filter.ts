/**
 * Filters of events: the `Type` of an RPC event stream and the `[filter=]command` of an event handler are lists of the same ones,
 * "member-join,user:deploy,query:ask", "*" (reference: serf-protocol §10.3).
 */

/** One entry of a filter list. */
export interface EventFilter {
  /** "member-join" … "member-reap", "user", "query", "*"; anything else is not valid. */
  readonly event: string;
  /** Exact name of the user event or query; "" for any. */
  readonly name: string;
}

const EVENTS: ReadonlySet<string> = new Set([
  "member-join",
  "member-leave",
  "member-failed",
  "member-update",
  "member-reap",
  "user",
  "query",
  "*",
]);

/** A comma list without spaces; the empty list is `*`. Entries may be invalid: see `isValidFilter`. */
export function parseEventFilters(list: string): EventFilter[] {
  return (list === "" ? "*" : list).split(",").map(parseFilter);
}

function parseFilter(text: string): EventFilter {
  for (const event of ["user", "query"]) if (text.startsWith(`${event}:`)) return { event, name: text.slice(event.length + 1) };
  return { event: text, name: "" };
}

export function isValidFilter(filter: EventFilter): boolean {
  return EVENTS.has(filter.event);
}

/** Does an event pass? `event` is "user", "query" or a member event; `name` that of the user event or query, else "". */
export function passesFilter(filter: EventFilter, event: string, name: string): boolean {
  return filter.event === "*" || (filter.event === event && (filter.name === "" || filter.name === name));
}
