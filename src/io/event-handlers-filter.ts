/** The `[filter=]command` of an event handler, and how messages name scripts and events (reference: serf-protocol §10.3). */
import { parseEventFilters, passesFilter, type EventFilter } from "../api/event-filter.ts";
import type { SerfEvent } from "../serf/types.ts";

/** One filter with the command it runs; a handler of several filters becomes several of these. */
export interface EventScript {
  readonly filter: EventFilter;
  readonly script: string;
}

/** Splits a handler at its first "="; without one, the command runs for every event. */
export function parseEventScripts(spec: string): EventScript[] {
  const equals = spec.indexOf("=");
  const list = equals < 0 ? "" : spec.slice(0, equals);
  const script = spec.slice(equals + 1);
  return parseEventFilters(list).map((filter) => ({ filter, script }));
}

/** How messages show a script: `Event 'user:deploy' invoking 'd.sh'`. */
export function describeScript({ filter, script }: EventScript): string {
  return `Event '${filterKey(filter)}' invoking '${script}'`;
}

/** `user:deploy`, `member-join`, `*`. */
export function filterKey({ event, name }: EventFilter): string {
  return name === "" ? event : `${event}:${name}`;
}

export function matchesEvent(filter: EventFilter, event: SerfEvent): boolean {
  return event.kind === "members" ? passesFilter(filter, event.type, "") : passesFilter(filter, event.kind, event.name);
}

/** How the log names an event: "member-join", "user-event: deploy", "query: load". */
export function eventText(event: SerfEvent): string {
  if (event.kind === "members") return event.type;
  return event.kind === "user" ? `user-event: ${event.name}` : `query: ${event.name}`;
}
