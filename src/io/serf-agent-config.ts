/** From the options of an agent to the configuration of its pool. All constraints are checked here, with the original's texts. */
import type { Endpoint } from "../base/endpoint.ts";
import { fail, ok, type Result } from "../base/result.ts";
import type { Coalescing, PoolConfig, RestoredSnapshot } from "../serf/types.ts";
import { PROFILES } from "../swim/profiles.ts";
import { encodeTags, tagsError } from "../wire/serf-tags.ts";
import { labelError } from "../wire/label.ts";
import { newKeyring } from "./keyring.ts";
import { AllowList } from "./network.ts";
import type { SerfAgentOptions } from "./serf-agent-api.ts";

export const SERF_PROTOCOL_MIN = 2;
export const SERF_PROTOCOL_MAX = 5;
/** Cap of the configurable limit of user events: they must fit a gossip packet after all. */
export const USER_EVENT_SIZE_CAP = 9 * 1024;

/** Members of a large push/pull merged at a time: some 2 ms of cold code. */
const MERGE_SLICE_NODES = 64;

/** Constants of the original agent (serf-protocol §6). */
const COALESCING: Coalescing = { periodMs: 3000, quiescentMs: 1000 };

const FIXED = {
  mergeSliceNodes: MERGE_SLICE_NODES,
  leavePropagateDelayMs: 1000,
  reapIntervalMs: 15_000,
  recentIntentTimeoutMs: 5 * 60_000,
  queueCheckIntervalMs: 30_000,
  queueDepthWarning: 128,
  queueDepthMax: 4096,
  eventBufferSize: 512,
  queryBufferSize: 512,
  queryTimeoutMult: 16,
} as const;

/** Why an agent cannot be started with these options; null when it can. */
export function optionsError(options: SerfAgentOptions): string | null {
  const { name, protocol, userEventSizeMax, tags, keys } = options;
  if (name === "") return "node name is required";
  const range = `Must be in range: [${SERF_PROTOCOL_MIN}, ${SERF_PROTOCOL_MAX}]`;
  if (protocol < SERF_PROTOCOL_MIN) return `Protocol version '${protocol}' too low. ${range}`;
  if (protocol > SERF_PROTOCOL_MAX) return `Protocol version '${protocol}' too high. ${range}`;
  if (userEventSizeMax > USER_EVENT_SIZE_CAP) return `user event size limit exceeds limit of ${USER_EVENT_SIZE_CAP} bytes`;
  const tooLong = tagsError(encodeTags(tags, protocol));
  if (tooLong !== null) return tooLong;
  const ring = newKeyring(keys, keys[0] ?? null);
  if (!ring.ok) return `Failed to create memberlist: ${ring.error}`;
  const label = labelError(options.label ?? "");
  if (label !== null) return `Failed to create memberlist: ${label}`;
  const allow = AllowList.parse(options.allowedCidrs ?? null);
  return allow.ok ? null : `Failed to create memberlist: ${allow.error}`;
}

export interface PoolParts {
  readonly advertise: Endpoint;
  readonly bindPort: number;
  readonly restored: RestoredSnapshot | null;
  readonly packetOverheadBytes: () => number;
  readonly encrypted: () => boolean;
}

export function poolConfig(options: SerfAgentOptions, parts: PoolParts): PoolConfig {
  const { name, protocol, tags, coalesce, snapshotPath, rejoinAfterLeave } = options;
  const { broadcastTimeoutMs, reconnectIntervalMs, reconnectTimeoutMs, tombstoneTimeoutMs } = options;
  const { queryResponseSizeMax, querySizeMax, userEventSizeMax, coordinates, resolveConflicts } = options;
  return {
    ...FIXED,
    ...options.stage?.bounds,
    ...parts,
    name,
    protocol,
    tags,
    rejoinAfterLeave,
    coordinates,
    resolveConflicts,
    broadcastTimeoutMs,
    reconnectIntervalMs,
    reconnectTimeoutMs,
    tombstoneTimeoutMs,
    queryResponseSizeMax,
    querySizeMax,
    userEventSizeMax,
    profile: PROFILES[options.profile],
    // Finer than what the agent prints: a monitor may ask for it later, with the backlog.
    logLevel: options.logLevel === "trace" ? "trace" : "debug",
    coalesceMembers: coalesce ? COALESCING : null,
    coalesceUserEvents: coalesce ? COALESCING : null,
    snapshot: snapshotPath !== "",
  };
}

/** The advertised address: what was asked for, with the bound port where none was given; `privateIp` finds one when bound to all. */
export function advertisedEndpoint(asked: Endpoint, bound: Endpoint, privateIp: () => Result<string>): Result<Endpoint> {
  const port = asked.port === 0 ? bound.port : asked.port;
  const ip = asked.ip === "" ? bound.ip : asked.ip;
  if (ip !== "0.0.0.0" && ip !== "::") return ok({ ip, port });
  const found = privateIp();
  return found.ok ? ok({ ip: found.value, port }) : fail(found.error);
}
