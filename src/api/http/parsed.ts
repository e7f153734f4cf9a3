/** A request with its path and query decoded, as handlers get it. */
import type { Query } from "./query.ts";
import type { HttpContext, HttpRequest } from "./types.ts";

export interface Parsed {
  readonly request: HttpRequest;
  readonly context: HttpContext;
  /** What follows the route's path: the key, the id. */
  readonly rest: string;
  readonly query: Query;
  /** Indent JSON. */
  readonly pretty: boolean;
}

export function datacenterOf(parsed: Parsed): string {
  const asked = parsed.query.get("dc");
  return asked === "" ? parsed.context.datacenter : asked;
}
