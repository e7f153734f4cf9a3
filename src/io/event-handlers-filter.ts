/**
 * Which events a handler wants: the `[filter=]command` of an event handler and the `Type` of an RPC event stream are lists of the same
 * filters (reference §10.3).
 */
import type { SerfEvent } from "../serf/types.ts";

/** One entry of a filter list. */
export interface EventFilter {
  /** "member-join" … "member-reap", "user", "query", "*"; anything else is not valid. */
  readonly event: string;
  /** Exact name of the user event or query; "" for any. */
  readonly name: string;
}

/** One filter with the command it runs; a handler of several filters becomes several of these. */
export interface EventScript {
  readonly filter: EventFilter;
  readonly script: string;
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
  return list === "" ? [{ event: "*", name: "" }] : list.split(",").map(parseFilter);
}

function parseFilter(text: string): EventFilter {
  for (const event of ["user", "query"]) if (text.startsWith(`${event}:`)) return { event, name: text.slice(event.length + 1) };
  return { event: text, name: "" };
}

export function isValidFilter(filter: EventFilter): boolean {
  return EVENTS.has(filter.event);
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
  if (filter.event === "*") return true;
  if (event.kind === "members") return filter.event === event.type;
  return filter.event === event.kind && (filter.name === "" || filter.name === event.name);
}

/** How the log names an event: "member-join", "user-event: deploy", "query: load". */
export function eventText(event: SerfEvent): string {
  if (event.kind === "members") return event.type;
  return event.kind === "user" ? `user-event: ${event.name}` : `query: ${event.name}`;
}
