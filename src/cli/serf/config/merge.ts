/** Defaults and merging of configuration sources: defaults, then each file in order, then the flags (reference §10.1). */
import type { SerfConfig } from "./schema.ts";

/** What the agent runs with when nothing is configured; the node's name is the host's. */
export const DEFAULTS = {
  bind: "0.0.0.0",
  logLevel: "INFO",
  rpcAddr: "127.0.0.1:7373",
  protocol: 5,
  querySizeLimit: 1024,
  queryResponseSizeLimit: 1024,
  userEventSizeLimit: 512,
  profile: "lan",
  syslogFacility: "LOCAL0",
  retryInterval: 30_000,
  broadcastTimeout: 5_000,
  reconnectInterval: 30_000,
  reconnectTimeout: 24 * 3_600_000,
  tombstoneTimeout: 24 * 3_600_000,
  enableCompression: true,
} as const satisfies SerfConfig;

/** Settings of our own for which 0 and below are values: they replace, and what is out of range is refused later. */
const EVERY_NUMBER: ReadonlySet<string> = new Set(["packetWorkers"]);
const MINIMUM_FOLLOWS: ReadonlySet<string> = new Set(["retryInterval", "broadcastTimeout"]);

/**
 * `over` on top of `base`: texts replace when not empty, numbers when above 0, booleans can only be switched on, tags merge per key, lists append.
 * A negative retry interval or broadcast timeout counts: it is raised to the minimum later, with a warning.
 */
export function mergeConfigs(base: SerfConfig, over: SerfConfig): SerfConfig {
  const merged: Record<string, unknown> = { ...base };
  for (const [field, value] of Object.entries(over)) {
    const before = merged[field];
    if (EVERY_NUMBER.has(field)) merged[field] = value ?? before;
    else if (Array.isArray(value)) merged[field] = [...((before as readonly string[] | undefined) ?? []), ...value];
    else if (value instanceof Map) merged[field] = new Map([...((before as ReadonlyMap<string, string> | undefined) ?? []), ...value]);
    else if (typeof value === "number" && value < 0 && !MINIMUM_FOLLOWS.has(field)) continue;
    else if (value !== undefined && value !== "" && value !== 0 && value !== false) merged[field] = value;
  }
  return merged;
}
