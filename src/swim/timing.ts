/**
 * The formulas of memberlist and Serf that turn cluster size into times and counts (serf-protocol §4.6, §4.11, §5, §8.9).
 * Durations are integers in nanoseconds and rounded exactly as the originals round them; recorded in `timing.json`.
 */
import { goLog, goLog10, goLog2 } from "./go-math.ts";

export const NS_PER_MS = 1_000_000;
const NS_PER_S = 1_000_000_000;
/** Cluster size up to which the push/pull interval is not stretched. */
const PUSH_PULL_SCALE_NODES = 32;

/** Shortest suspicion: suspicionMult × max(1, log10 n) × probeInterval, the logarithm cut to thousandths. */
export function suspicionTimeoutNs(suspicionMult: number, nodes: number, probeIntervalNs: number): number {
  const thousandths = suspicionMult * Math.trunc(1000 * Math.max(1, goLog10(Math.max(1, nodes))));
  // thousandths × interval / 1000 without leaving the integers that a double holds.
  const whole = Math.trunc(probeIntervalNs / 1000);
  return thousandths * whole + Math.trunc((thousandths * (probeIntervalNs % 1000)) / 1000);
}

/**
 * What is left of a suspicion after `confirmations` of the `wanted` independent ones, `elapsedNs` after its start; zero or less: it is over.
 * Falls from `maxNs` to `minNs` with the logarithm of the confirmations (Lifeguard paper, section IV-B).
 */
export function remainingSuspicionNs(confirmations: number, wanted: number, elapsedNs: number, minNs: number, maxNs: number): number {
  const fraction = goLog(confirmations + 1) / goLog(wanted + 1);
  const minS = secondsOf(minNs);
  const maxS = secondsOf(maxNs);
  const timeoutNs = Math.floor(1000 * (maxS - fraction * (maxS - minS))) * NS_PER_MS;
  // Written so that 0/0 (nothing wanted) gives the minimum.
  return (timeoutNs >= minNs ? timeoutNs : minNs) - elapsedNs;
}

function secondsOf(ns: number): number {
  const whole = Math.trunc(ns / NS_PER_S);
  return whole + (ns - whole * NS_PER_S) / NS_PER_S;
}

/** How often a broadcast is sent: retransmitMult × ceil(log10(n + 1)). */
export function retransmitLimit(retransmitMult: number, nodes: number): number {
  return retransmitMult * digits(nodes);
}

/** Asked for each broadcast of a mass join, so kept for the sizes that were asked for. */
const DIGITS_KEPT_NODES = 16_384;
const keptDigits = new Uint8Array(DIGITS_KEPT_NODES);

function digits(nodes: number): number {
  const kept = nodes < DIGITS_KEPT_NODES ? (keptDigits[nodes] ?? 0) : 0;
  if (kept > 0) return kept;
  const value = Math.ceil(goLog10(nodes + 1));
  if (nodes < DIGITS_KEPT_NODES) keptDigits[nodes] = value;
  return value;
}

/** Push/pull interval at `nodes` members: × (ceil(log2 n − 5) + 1) above 32. */
export function pushPullScaleNs(intervalNs: number, nodes: number): number {
  if (nodes <= PUSH_PULL_SCALE_NODES) return intervalNs;
  return (Math.ceil(goLog2(nodes) - goLog2(PUSH_PULL_SCALE_NODES)) + 1) * intervalNs;
}

/** Default query timeout: gossipInterval × queryTimeoutMult × ceil(log10(alive + 1)). */
export function queryTimeoutNs(gossipIntervalNs: number, queryTimeoutMult: number, aliveMembers: number): number {
  return gossipIntervalNs * queryTimeoutMult * Math.ceil(goLog10(aliveMembers + 1));
}

/**
 * Sends per node after which a broadcast has reached everybody but with probability e^−margin: a message passed on r times by each node
 * misses a share e^−r of them (Karp et al. 2000), so r = ln n + margin. The original's limit leaves 2 % out at 60 `local` nodes.
 * While one round reaches all others, two rounds do.
 */
export function retransmitFloor(nodes: number, gossipNodes: number, margin: number): number {
  if (nodes <= 1) return 0;
  if (nodes - 1 <= gossipNodes) return 2 * (nodes - 1);
  return Math.ceil(goLog(nodes) + margin);
}
