/** Filters of event streams: "member-join,user:deploy,query:ask", "*" (reference: serf-protocol §10.3). */

const MEMBER_EVENTS: readonly string[] = ["member-join", "member-leave", "member-failed", "member-update", "member-reap"];

/** `name` "" means any name; it counts for user events and queries only. */
export interface EventFilter {
  readonly event: string;
  readonly name: string;
}

/** The parts of a comma list; "" means everything. null when one part is no known event. */
export function parseEventFilters(text: string): readonly EventFilter[] | null {
  const filters = (text === "" ? "*" : text).split(",").map(parseOne);
  return filters.every(isKnown) ? filters : null;
}

function parseOne(text: string): EventFilter {
  for (const event of ["user", "query"]) if (text.startsWith(`${event}:`)) return { event, name: text.slice(event.length + 1) };
  return { event: text, name: "" };
}

function isKnown({ event }: EventFilter): boolean {
  return event === "*" || event === "user" || event === "query" || MEMBER_EVENTS.includes(event);
}

/** Does an event pass? `event` is "user", "query" or a member event; `name` that of the user event or query, else "". */
export function passesFilters(filters: readonly EventFilter[], event: string, name: string): boolean {
  return filters.some((filter) => filter.event === "*" || (filter.event === event && (filter.name === "" || filter.name === name)));
}
