/**
 * A scenario drawn from the seed: which faults there are, how dense, on which network, with which profile. Runs that leave some kinds of
 * faults out altogether reach states that a mix of everything at once hides (swarm testing: Groce et al., ISSTA 2012).
 */
import { SeededRandom, type Random } from "../base/random.ts";
import { QUIET_NETWORK, type NetworkConfig } from "./network.ts";
import type { ChaosWeights, Scenario } from "./scenario.ts";

/** Keeps these draws apart from those of the run, which starts from the same seed. */
const SALT = 0x5eed_5a17;
const SECOND_MS = 1_000;
/** The cluster forms in this time, before the first fault. */
const FORM_MS = 20 * SECOND_MS;
const CHAOS_MS_MIN = 60 * SECOND_MS;
const CHAOS_MS_MAX = 300 * SECOND_MS;
/** Mean time between two faults of one node, drawn between these two on a logarithmic scale. */
const FAULT_APART_MS_MIN = 20 * SECOND_MS;
const FAULT_APART_DOUBLINGS = 4;

/** How often each kind is drawn, where it is not left out. */
const WEIGHTS_MAX: ChaosWeights = {
  pause: 8,
  cut: 5,
  oneWay: 4,
  partition: 2,
  loss: 4,
  kill: 6,
  powerOff: 3,
  restart: 10,
  leave: 4,
  event: 10,
  query: 4,
  tags: 4,
  clock: 3,
  disk: 4,
};

export function swarm(nodes: number, seed: number): Scenario {
  const random = new SeededRandom(seed ^ SALT);
  const weights = drawWeights(random);
  const network = drawNetwork(random);
  const profile = (["lan", "lan", "lan", "lan", "local", "wan"] as const)[random.below(6)] ?? "lan";
  const forMs = CHAOS_MS_MIN + random.below(CHAOS_MS_MAX - CHAOS_MS_MIN + 1);
  const apartMs = Math.round((FAULT_APART_MS_MIN * 2 ** (random.below(100 * FAULT_APART_DOUBLINGS) / 100)) / nodes);
  const endMs = FORM_MS + forMs;
  const all = { kind: "all" } as const;
  return {
    name: "swarm",
    about: "faults of some kinds, at some rate, on some network and profile, all drawn from the seed",
    nodes,
    profile,
    network,
    clockDriftPpmMax: random.below(500),
    steps: [
      { atMs: 0, overMs: 0, action: { kind: "start", nodes: all } },
      { atMs: 0, overMs: 5 * SECOND_MS, action: { kind: "join", nodes: { kind: "others" }, to: { kind: "earlier" } } },
      { atMs: FORM_MS, overMs: 0, action: { kind: "chaos", forMs, everyMs: Math.max(1, apartMs), weights } },
      // The network's own losses are faults too; its delays and its bandwidth stay.
      { atMs: endMs, overMs: 0, action: { kind: "network", change: { lossPpm: 0, duplicatePpm: 0 } } },
    ],
    expect: {
      faultsEndMs: endMs,
      convergedWithinMs: 600 * SECOND_MS,
      quietWithinMs: 120 * SECOND_MS,
      noFalseFailures: false,
      leftIsLeft: false,
      eventsWithinMs: 300 * SECOND_MS,
      detectedWithinMs: null,
      eventLatency: null,
    },
    durationMs: endMs,
  };
}

function drawWeights(random: Random): ChaosWeights {
  const drawn: [string, number][] = Object.entries(WEIGHTS_MAX).map(([kind, max]) => [kind, random.below(4) === 0 ? 0 : 1 + random.below(max as number)]);
  const weights = Object.fromEntries(drawn) as unknown as ChaosWeights;
  // Who is never brought back would leave chaos with nothing to do after a while.
  return { ...weights, restart: Math.max(weights.restart, weights.kill + weights.powerOff + weights.leave > 0 ? 2 : 0), event: Math.max(1, weights.event) };
}

function drawNetwork(random: Random): NetworkConfig {
  const isRough = random.below(3) > 0;
  return {
    ...QUIET_NETWORK,
    delayUsMax: 1_000 + random.below(20_000),
    tailPpm: isRough ? random.below(20_000) : 0,
    tailUs: random.below(200_000),
    lossPpm: isRough ? random.below(50_000) : 0,
    duplicatePpm: isRough ? random.below(10_000) : 0,
    bandwidthBytesPerSecond: random.below(4) === 0 ? 100_000 + random.below(1_000_000) : 0,
    zones: 1 + random.below(3),
    zoneDelayUs: random.below(20_000),
  };
}
