/**
 * `muster sim -plan`: how fast one message reaches everybody, and what that costs, from a formula and from the simulator side by side.
 *
 * The formula is the logistic curve of an epidemic: with x of n nodes informed, each round of gossip each of them tells `fanout` random
 * others of which (n − x)/n do not know yet and (1 − loss) hear it, so x' = fanout·(1 − loss)·x·(1 − x/n), which gives
 * x(r) = n / (1 + (n − 1)·e^(−fanout·(1 − loss)·r)). The bandwidth bound is one full packet to each target in each round.
 */
import { countUpTo } from "../../base/sorted.ts";
import { PROFILES } from "../../swim/profiles.ts";
import type { SwimProfile } from "../../swim/types.ts";
import { QUIET_NETWORK } from "../../sim/network.ts";
import type { Scenario } from "../../sim/scenario.ts";
import { measuredRun } from "./measured-run.ts";

export interface PlanChoice {
  readonly nodes: number;
  readonly profile: Scenario["profile"];
  readonly gossipIntervalMs: number;
  readonly fanout: number;
  readonly lossPercent: number;
  readonly seed: number;
}

export interface PlanPoint {
  readonly seconds: number;
  /** Shares of the nodes that have the message by then. */
  readonly formula: number;
  readonly simulated: number;
}

export interface Plan {
  readonly points: readonly PlanPoint[];
  /** Seconds until 99.9 % of the nodes have it; null when that did not come. */
  readonly formulaSeconds: number;
  readonly simulatedSeconds: number | null;
  /** What gossip may send per node and second at most. */
  readonly formulaBytesPerSecond: number;
  /** What a node sent with nothing to say (probes, push/pulls), and while the message spread. */
  readonly idleBytesPerSecond: number;
  readonly spreadBytesPerSecond: number;
}

const EVENTS = 20;
const EVENT_BYTES = 64;
/** The cluster has this long to form, on a network without losses. */
const FORM_MS = 30_000;
const QUIET_MS = 20_000;
const APART_MS = 3_000;
const NEARLY_ALL = 0.999;

export function epidemicShare({ nodes, fanout, lossPercent, gossipIntervalMs }: PlanChoice, seconds: number): number {
  const rounds = (1000 * seconds) / gossipIntervalMs;
  return 1 / (1 + (nodes - 1) * Math.exp(-fanout * (1 - lossPercent / 100) * rounds));
}

/** Time until the curve passes `share`: the formula solved for r. */
export function epidemicSeconds({ nodes, fanout, lossPercent, gossipIntervalMs }: PlanChoice, share: number): number {
  const rounds = Math.log(((nodes - 1) * share) / (1 - share)) / (fanout * (1 - lossPercent / 100));
  return (rounds * gossipIntervalMs) / 1000;
}

/** A cluster forms, rests, and then tells itself some events, one after the other so that they do not meet. */
function scenarioOf({ nodes, profile, lossPercent }: PlanChoice): Scenario {
  const quietMs = FORM_MS + QUIET_MS;
  const overMs = EVENTS * APART_MS;
  const all = { kind: "all" } as const;
  return {
    name: "plan",
    about: "events one after the other in a cluster at rest",
    profile,
    nodes,
    network: QUIET_NETWORK,
    clockDriftPpmMax: 200,
    steps: [
      { atMs: 0, overMs: 0, action: { kind: "start", nodes: all } },
      { atMs: 0, overMs: 2_000, action: { kind: "join", nodes: { kind: "others" }, to: { kind: "earlier" } } },
      { atMs: FORM_MS, overMs: 0, action: { kind: "network", change: { lossPpm: Math.round(lossPercent * 10_000) } } },
      { atMs: quietMs, overMs, action: { kind: "events", nodes: all, count: EVENTS, bytes: EVENT_BYTES } },
      { atMs: quietMs + overMs, overMs: 0, action: { kind: "network", change: { lossPpm: 0 } } },
    ],
    expect: {
      faultsEndMs: quietMs + overMs,
      convergedWithinMs: 600_000,
      quietWithinMs: 600_000,
      noFalseFailures: false,
      leftIsLeft: false,
      eventsWithinMs: 600_000,
      detectedWithinMs: null,
      eventLatency: null,
    },
    durationMs: quietMs + overMs,
  };
}

export function defaultsOf(profile: Scenario["profile"]): Pick<SwimProfile, "gossipIntervalMs" | "gossipNodes"> {
  return PROFILES[profile];
}

export function makePlan(choice: PlanChoice, tell: (text: string) => void): Plan {
  const { nodes, fanout, gossipIntervalMs, profile, seed } = choice;
  const tuning = { gossipIntervalMs, gossipNodes: fanout };
  const { recorder } = measuredRun(scenarioOf(choice), { seed, codec: "off", original: false, tuning }, tell);
  const latencies = recorder.eventLatenciesMs();
  const owed = EVENTS * nodes;
  const formulaSeconds = epidemicSeconds(choice, NEARLY_ALL);
  const wanted = Math.ceil(owed * NEARLY_ALL) - 1;
  const simulatedMs = latencies[wanted];
  const untilSeconds = Math.max(formulaSeconds, (simulatedMs ?? 0) / 1000) * 1.25;
  const points = Array.from({ length: 26 }, (_, i) => {
    const seconds = (untilSeconds * i) / 25;
    return { seconds, formula: epidemicShare(choice, seconds), simulated: countUpTo(latencies, seconds * 1000) / owed };
  });
  const mean = (fromSeconds: number, toSeconds: number): number => {
    const inside = recorder.samples.filter(({ atSeconds }) => atSeconds > fromSeconds && atSeconds <= toSeconds);
    return inside.reduce((sum, { bytesPerSecond }) => sum + bytesPerSecond, 0) / Math.max(1, inside.length);
  };
  const quietSeconds = (FORM_MS + QUIET_MS) / 1000;
  return {
    points,
    formulaSeconds,
    simulatedSeconds: simulatedMs === undefined ? null : simulatedMs / 1000,
    formulaBytesPerSecond: (fanout * PROFILES[profile].packetSizeBytes * 1000) / gossipIntervalMs,
    idleBytesPerSecond: mean(FORM_MS / 1000 + 5, quietSeconds),
    spreadBytesPerSecond: mean(quietSeconds, quietSeconds + (EVENTS * APART_MS) / 1000),
  };
}

const BAR_CELLS = 24;

/** The two curves beside each other, and what they cost. */
export function planText(choice: PlanChoice, plan: Plan): string {
  const { nodes, fanout, gossipIntervalMs, lossPercent, profile } = choice;
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`.padStart(8);
  const bar = (share: number): string => "#".repeat(Math.round(share * BAR_CELLS)).padEnd(BAR_CELLS, ".");
  const rows = plan.points.map(
    ({ seconds, formula, simulated }) => `${seconds.toFixed(2).padStart(7)} s  ${percent(formula)}  ${bar(formula)}  ${percent(simulated)}  ${bar(simulated)}`,
  );
  const rate = (bytes: number): string => `${((8 * bytes) / 1000).toFixed(1)} kbit/s`;
  const simulated = plan.simulatedSeconds === null ? "never" : `${plan.simulatedSeconds.toFixed(2)} s`;
  return [
    `${nodes} nodes, profile ${profile}, gossip to ${fanout} every ${gossipIntervalMs} ms, ${lossPercent} % of the packets lost`,
    "",
    `${"time".padStart(9)}  ${"formula".padStart(8)}  ${"".padEnd(BAR_CELLS)}  ${"simulated".padStart(8)}`,
    ...rows,
    "",
    `99.9 % have it after    formula ${plan.formulaSeconds.toFixed(2)} s, simulated ${simulated} (mean of ${EVENTS} events)`,
    `gossip per node         formula at most ${rate(plan.formulaBytesPerSecond)}`,
    `traffic per node        simulated ${rate(plan.idleBytesPerSecond)} at rest, ${rate(plan.spreadBytesPerSecond)} with an event every ${APART_MS / 1000} s`,
  ].join("\n");
}
