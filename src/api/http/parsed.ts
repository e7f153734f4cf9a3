/** A request with its path and query decoded, as handlers get it. */
import type { NodesArgs, QueryOptions } from "../rpc/types.ts";
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

/** Arguments of reads that are about nodes. */
export function nodesArgsOf(parsed: Parsed, options: QueryOptions): NodesArgs {
  const near = parsed.query.get("near");
  return { datacenter: datacenterOf(parsed), nodeMeta: nodeMetaOf(parsed), near: near === "_agent" ? parsed.context.nodeName : near, options };
}

/** `node-meta=key:value`, all of which must hold; a key alone means an empty value. */
function nodeMetaOf(parsed: Parsed): ReadonlyMap<string, string> {
  if (!parsed.query.has("node-meta")) return NO_META;
  const pairs = parsed.query.all("node-meta").map((pair) => {
    const colon = pair.indexOf(":");
    return colon < 0 ? ([pair, ""] as const) : ([pair.slice(0, colon), pair.slice(colon + 1)] as const);
  });
  return new Map(pairs);
}

const NO_META: ReadonlyMap<string, string> = new Map();
