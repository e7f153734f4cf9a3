/** What read requests have in common: datacenter, consistency, blocking (reference: consul-agent §1.1, §1.2), and the headers of their answers. */
import { ok } from "../../base/result.ts";
import type { QueryMeta, QueryOptions } from "../rpc/types.ts";
import { parseDuration } from "../../wire/go-duration.ts";
import type { Header } from "./answers.ts";
import type { Query } from "./query.ts";
import type { HttpRequest } from "./types.ts";

/** The options of a request, or the text of a 400. `datacenter` is "" unless asked for. */
export type ReadOptions = { readonly ok: true; readonly datacenter: string; readonly options: QueryOptions } | { readonly ok: false; readonly error: string };

/** In the order in which the original looks, since the first mistake wins. */
export function readOptions(request: HttpRequest, query: Query): ReadOptions {
  if (query.isEmpty && request.headers["cache-control"] === undefined) return PLAIN;
  const consistency = consistencyOf(request, query);
  if (typeof consistency === "string") return refused(consistency);
  const { stale, consistent, maxStaleMs } = consistency;
  const wait = query.get("wait");
  const waitTime = wait === "" ? NO_WAIT : parseDuration(wait);
  if (!waitTime.ok) return refused("Invalid wait time");
  const index = query.get("index");
  if (index !== "" && !isUint64(index)) return refused("Invalid index");
  return {
    ok: true,
    datacenter: query.get("dc"),
    options: {
      minQueryIndex: index === "" ? 0 : Number(index),
      maxQueryTimeMs: waitTime.value,
      allowStale: stale || maxStaleMs > 0,
      requireConsistent: consistent,
      maxStaleMs,
      filter: query.get("filter"),
    },
  };
}

interface Consistency {
  readonly stale: boolean;
  readonly consistent: boolean;
  readonly maxStaleMs: number;
}

/** Which state may answer; a text is what is wrong with the question. */
export function consistencyOf(request: HttpRequest, query: Query): Consistency | string {
  const stale = query.has("stale");
  const consistent = query.has("consistent");
  const maxStale = query.get("max_stale");
  const age = maxStale === "" ? NO_WAIT : parseDuration(maxStale);
  if (!age.ok) return `Invalid max_stale value ${JSON.stringify(maxStale)}`;
  if ((stale || age.value > 0) && consistent) return "Cannot specify ?stale with ?consistent, conflicting semantics.";
  if (query.has("cached") && consistent) return "Cannot specify ?cached with ?consistent, conflicting semantics.";
  const cacheControl = request.headers["cache-control"];
  if (cacheControl !== undefined && !validCacheControl(cacheControl)) return "Invalid Cache-Control header.";
  return { stale, consistent, maxStaleMs: age.value };
}

const NO_WAIT = ok(0);
const PLAIN: ReadOptions = {
  ok: true,
  datacenter: "",
  options: { minQueryIndex: 0, maxQueryTimeMs: 0, allowStale: false, requireConsistent: false, maxStaleMs: 0, filter: "" },
};

function refused(error: string): ReadOptions {
  return { ok: false, error };
}

export function isUint64(text: string): boolean {
  return /^\d+$/.test(text) && BigInt(text) <= 0xffff_ffff_ffff_ffffn;
}

/** `Cache-Control` values the original can read: seconds behind max-age and stale-if-error. */
function validCacheControl(header: string): boolean {
  return header.split(",").every((part) => {
    const [name, value] = part.trim().toLowerCase().split("=", 2);
    return (name !== "max-age" && name !== "stale-if-error") || /^[-+]?\d+$/.test(value ?? "");
  });
}

/** The headers that carry a read's meta data. An index of 0 is reported as 1: clients take 0 for "do not block". */
export function metaHeaders(meta: QueryMeta): Header[] {
  return [
    ["X-Consul-Index", String(Math.max(1, meta.index))],
    ["X-Consul-Knownleader", String(meta.knownLeader)],
    ["X-Consul-Lastcontact", String(Math.trunc(meta.lastContactMs))],
  ];
}

/** Catalog and health reads also tell how they were answered, and carry meta headers when they fail. */
export function catalogHeaders(meta: QueryMeta): Header[] {
  return [["X-Consul-Effective-Consistency", meta.consistency], ...metaHeaders(meta)];
}

export const FAILED_META: QueryMeta = { index: 1, knownLeader: false, lastContactMs: 0, consistency: "leader" };
