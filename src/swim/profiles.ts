/** The timing profiles of `-profile` (serf-protocol §6). Only constants; formulas stand in `timing.ts`. */
import { fail, ok, type Result } from "../base/result.ts";
import type { SwimProfile } from "./types.ts";

export type ProfileName = "lan" | "wan" | "local";

/**
 * Bytes of a packet in the profile `local`. A round of the original carries other messages to each of its three members, up to three packets full; ours carries
 * the same to all, so that it is sealed once. A loopback device takes 64 KiB whole, and so do all receivers; on a network it would travel in fragments.
 */
const LOCAL_PACKET_BYTES = 3 * 1400;

/** Common to all profiles. */
const COMMON = {
  retransmitMargin: 8,
  suspicionMaxTimeoutMult: 6,
  awarenessMaxMultiplier: 8,
  packetSizeBytes: 1400,
  deadNodeReclaimMs: 0,
  tcpPings: true,
  tellsSuspects: true,
  forgivesPauses: true,
} as const;

export const PROFILES: Readonly<Record<ProfileName, SwimProfile>> = {
  lan: {
    ...COMMON,
    tcpTimeoutMs: 10_000,
    indirectChecks: 3,
    retransmitMult: 4,
    suspicionMult: 4,
    pushPullIntervalMs: 30_000,
    earlySyncMs: 400,
    probeTimeoutMs: 500,
    probeIntervalMs: 1000,
    gossipNodes: 3,
    gossipIntervalMs: 200,
    gossipToTheDeadMs: 30_000,
  },
  wan: {
    ...COMMON,
    tcpTimeoutMs: 30_000,
    indirectChecks: 3,
    retransmitMult: 4,
    suspicionMult: 6,
    pushPullIntervalMs: 60_000,
    earlySyncMs: 2000,
    probeTimeoutMs: 3000,
    probeIntervalMs: 5000,
    gossipNodes: 4,
    gossipIntervalMs: 500,
    gossipToTheDeadMs: 60_000,
  },
  local: {
    ...COMMON,
    packetSizeBytes: LOCAL_PACKET_BYTES,
    tcpTimeoutMs: 1000,
    indirectChecks: 1,
    retransmitMult: 2,
    suspicionMult: 3,
    pushPullIntervalMs: 15_000,
    earlySyncMs: 300,
    probeTimeoutMs: 200,
    probeIntervalMs: 1000,
    gossipNodes: 3,
    gossipIntervalMs: 100,
    gossipToTheDeadMs: 15_000,
  },
};

/** The profile of that name, or an error that lists the accepted names. */
export function profileByName(name: string): Result<SwimProfile> {
  if (name === "lan" || name === "wan" || name === "local") return ok(PROFILES[name]);
  return fail(`unknown profile "${name}": use lan, wan or local`);
}
