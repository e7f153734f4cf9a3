/** The built-in scenarios. Each is a function of the number of nodes, because shares and bounds grow with it. */
import { QUIET_NETWORK, type NetworkConfig } from "./network.ts";
import type { Action, ChaosWeights, Expectation, Scenario, ScenarioStart, Selector, Step } from "./scenario.ts";
import { swarm } from "./swarm.ts";
import { GAP_PATIENCE_INTERVALS, GAP_SYNC_DIVISOR } from "../serf/event-gaps.ts";
import { PROFILES } from "../swim/profiles.ts";
import { NS_PER_MS, pushPullScaleNs, suspicionTimeoutNs } from "../swim/timing.ts";

const ALL: Selector = { kind: "all" };
const OTHERS: Selector = { kind: "others" };
const FIRST: Selector = { kind: "range", first: 0, last: 0 };
const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;

function at(atMs: number, action: Action, overMs = 0): Step {
  return { atMs, overMs, action };
}

function startAndJoin(overMs: number): Step[] {
  return [at(0, { kind: "start", nodes: ALL }), at(0, { kind: "join", nodes: OTHERS, to: FIRST }, overMs)];
}

/** Nothing goes wrong, so nothing may look wrong. */
const CALM: Expectation = {
  faultsEndMs: 0,
  convergedWithinMs: 30 * SECOND_MS,
  quietWithinMs: 10 * SECOND_MS,
  noFalseFailures: true,
  leftIsLeft: true,
  eventsWithinMs: 10 * SECOND_MS,
  detectedWithinMs: null,
  eventLatency: null,
};

/**
 * After faults, two views may have to wait for Serf's reconnect (every 30 s one failed member, with a probability) and for the periodic
 * push/pull (30 s, longer above 32 nodes).
 */
function troubled(faultsEndMs: number): Expectation {
  return {
    faultsEndMs,
    convergedWithinMs: 10 * MINUTE_MS,
    quietWithinMs: MINUTE_MS,
    noFalseFailures: false,
    leftIsLeft: false,
    eventsWithinMs: 5 * MINUTE_MS,
    detectedWithinMs: null,
    eventLatency: null,
  };
}

const MIXED_WEIGHTS: ChaosWeights = {
  pause: 6,
  cut: 4,
  oneWay: 3,
  partition: 1,
  loss: 3,
  kill: 4,
  powerOff: 2,
  restart: 6,
  leave: 2,
  event: 20,
  query: 6,
  tags: 3,
  clock: 2,
  disk: 0, // The seeds that stand in tests as past failures are those of these weights.
};

/** A network with everything that real ones do now and then. */
const ROUGH_NETWORK: NetworkConfig = { ...QUIET_NETWORK, delayUsMax: 5_000, tailPpm: 10_000, tailUs: 50_000, lossPpm: 20_000, duplicatePpm: 2_000 };

/** Most scenarios are the same for each seed. */
type Builder = (nodes: number, seed: number) => Scenario;

/** Above so many nodes the scenarios that are not about joining begin with a cluster that stands. */
const JOINED_NODES_MAX = 1_000;

/** How a scenario comes to its cluster: by joining within `overMs`, or a large one with everybody a member already. */
function gathered(nodes: number, overMs: number): { readonly start: ScenarioStart; readonly steps: readonly Step[] } {
  return nodes <= JOINED_NODES_MAX ? { start: "empty", steps: startAndJoin(overMs) } : { start: "converged", steps: [] };
}

function base(name: string, about: string, nodes: number): Omit<Scenario, "start" | "steps" | "expect" | "durationMs"> {
  return { name, about, nodes, profile: "lan", network: QUIET_NETWORK, clockDriftPpmMax: 200 };
}

function steady(nodes: number): Scenario {
  // Above some hundred nodes, one of a million views may have to wait for a periodic push/pull, every few minutes then.
  const convergedWithinMs = nodes <= 200 ? CALM.convergedWithinMs : 10 * MINUTE_MS;
  const quietWithinMs = nodes <= 200 ? CALM.quietWithinMs : 2 * MINUTE_MS;
  const expect: Expectation = { ...CALM, faultsEndMs: 2 * SECOND_MS, convergedWithinMs, quietWithinMs };
  return {
    ...base("steady", "joined one after the other, then left alone; above 1,000 nodes all are members from the beginning", nodes),
    ...gathered(nodes, 2 * SECOND_MS),
    expect,
    durationMs: MINUTE_MS,
  };
}

function joinStorm(nodes: number): Scenario {
  return {
    ...base("join-storm", "everybody starts at once; within 5 s each joins a random node that stands before it", nodes),
    steps: [at(0, { kind: "start", nodes: ALL }), at(0, { kind: "join", nodes: OTHERS, to: { kind: "earlier" } }, 5 * SECOND_MS)],
    // News of everybody at once, some 15 times 60 bytes each, passes through 21 kB/s of gossip per node. Above a thousand nodes that takes
    // longer than anybody wants to wait, although all have known all for long.
    expect: { ...CALM, faultsEndMs: 5 * SECOND_MS, convergedWithinMs: Math.max(2 * MINUTE_MS, 30 * nodes), quietWithinMs: nodes <= 1_000 ? Math.max(CALM.quietWithinMs, 100 * nodes) : Infinity },
    durationMs: nodes <= 1_000 ? MINUTE_MS : 0,
    settledMs: MINUTE_MS,
  };
}

function massJoin(nodes: number): Scenario {
  return {
    ...base("mass-join-60", "all join the first node at the same moment; every view must be complete within 2 s", nodes),
    profile: "local",
    steps: startAndJoin(0),
    expect: { ...CALM, convergedWithinMs: 2 * SECOND_MS },
    durationMs: 10 * SECOND_MS,
  };
}

/**
 * The longest way of an event that gossip leaves out at some node of a crowded cluster: that node waits until the crowd is over, keeps its distance
 * from its last push/pull for that purpose (`event-gaps.ts`), and makes one within one and a half times the early delay. Both distances grow with
 * the cluster as the periodic one does.
 */
function eventRepairMs(nodes: number): number {
  const { gossipIntervalMs, pushPullIntervalMs, earlySyncMs } = PROFILES.local;
  const scale = pushPullScaleNs(1, nodes);
  return GAP_PATIENCE_INTERVALS * gossipIntervalMs + scale * (pushPullIntervalMs / GAP_SYNC_DIVISOR + 1.5 * earlySyncMs);
}

function eventBurst(nodes: number): Scenario {
  const { start, steps } = gathered(nodes, SECOND_MS);
  const allMs = Math.max(10 * SECOND_MS, eventRepairMs(nodes));
  return {
    ...base("event-burst", "1,000 user events within 20 s from everywhere: completeness and latency", nodes),
    profile: "local",
    start,
    steps: [...steps, at(10 * SECOND_MS, { kind: "events", nodes: ALL, count: 1_000, bytes: 32 }, 20 * SECOND_MS)],
    expect: { ...CALM, faultsEndMs: 30 * SECOND_MS, eventsWithinMs: allMs, eventLatency: { fastMs: 2 * SECOND_MS, fastPpm: 999_900, allMs } },
    durationMs: 45 * SECOND_MS,
  };
}

function mixedFaults(nodes: number): Scenario {
  const joinMs = 15 * SECOND_MS;
  const chaosMs = MINUTE_MS;
  return {
    ...base("mixed-faults", "loss, cuts, pauses, kills, restarts with and without snapshot, leaves, events and queries at random", nodes),
    network: ROUGH_NETWORK,
    steps: [
      ...startAndJoin(5 * SECOND_MS),
      at(joinMs, { kind: "chaos", forMs: chaosMs, everyMs: Math.max(200, 20_000 / nodes), weights: MIXED_WEIGHTS }),
      at(joinMs + chaosMs, { kind: "network", change: { lossPpm: 0, duplicatePpm: 0 } }),
    ],
    expect: troubled(joinMs + chaosMs),
    durationMs: joinMs + chaosMs,
  };
}

/** Halves apart for `cutMs`; one view a minute after they can hear each other again, however long that was. */
function partition(name: string, apart: string, cutMs: number, nodes: number): Scenario {
  const cutAtMs = 20 * SECOND_MS;
  return {
    ...base(name, `two halves apart for ${apart}, events on both sides, then one view within a minute`, nodes),
    steps: [
      ...startAndJoin(2 * SECOND_MS),
      at(cutAtMs, { kind: "partition", groups: 2, forMs: cutMs }),
      at(cutAtMs + cutMs / 2, { kind: "events", nodes: ALL, count: 20, bytes: 32 }, 10 * SECOND_MS),
    ],
    expect: { ...troubled(cutAtMs + cutMs), convergedWithinMs: MINUTE_MS },
    durationMs: cutAtMs + cutMs,
  };
}

function partitionHeal(nodes: number): Scenario {
  return partition("partition-heal", "ten minutes", 10 * MINUTE_MS, nodes);
}

/** Longer than `reconnect_timeout`, after which failed members are forgotten (but for those that are remembered). */
function partition25h(nodes: number): Scenario {
  return partition("partition-25h", "25 hours", 25 * 60 * MINUTE_MS, nodes);
}

function cpuStarved(nodes: number): Scenario {
  const starve: Action = { kind: "starve", nodes: { kind: "share", perMille: 100 }, pausedMs: 4_000, runningMs: 50, forMs: MINUTE_MS };
  return {
    ...base("cpu-starved", "a tenth of the nodes gets almost no CPU for a minute: healthy nodes must not be called failed", nodes),
    steps: [...startAndJoin(2 * SECOND_MS), at(20 * SECOND_MS, starve)],
    expect: troubled(80 * SECOND_MS),
    durationMs: 90 * SECOND_MS,
  };
}

function oneWay(nodes: number): Scenario {
  const deaf: Action = { kind: "disturb", from: ALL, to: { kind: "share", perMille: 50 }, both: false, lossPpm: 1_000_000, delayMs: 0, forMs: MINUTE_MS };
  return {
    ...base("one-way", "a few nodes can send but hear nothing for a minute", nodes),
    steps: [...startAndJoin(2 * SECOND_MS), at(20 * SECOND_MS, deaf)],
    expect: troubled(80 * SECOND_MS),
    durationMs: 90 * SECOND_MS,
  };
}

function flapping(nodes: number): Scenario {
  const steps = startAndJoin(2 * SECOND_MS);
  for (let round = 0; round < 6; round += 1) {
    const killMs = (20 + 10 * round) * SECOND_MS;
    // Down for 3 s, too short to be noticed, and for 9 s, long enough, in turn.
    steps.push(at(killMs, { kind: "kill", nodes: { kind: "share", perMille: 50 }, power: round % 3 === 0 }));
    steps.push(at(killMs + (round % 2 === 0 ? 9 : 3) * SECOND_MS, { kind: "restart", nodes: ALL, snapshot: round % 4 < 2 }));
  }
  return {
    ...base("flapping", "a few processes die and come back every 10 s, with and without their snapshot", nodes),
    steps,
    expect: troubled(90 * SECOND_MS),
    durationMs: 90 * SECOND_MS,
  };
}

/** Shortest time from suspicion to failure on the `lan` profile. */
function suspicionMinMs(nodes: number): number {
  const { suspicionMult, probeIntervalMs } = PROFILES.lan;
  return suspicionTimeoutNs(suspicionMult, nodes, probeIntervalMs * NS_PER_MS) / NS_PER_MS;
}

function crash1pct(nodes: number): Scenario {
  const { start, steps } = gathered(nodes, 2 * SECOND_MS);
  return {
    ...base("crash-1pct", "one node in a hundred (at least one) loses power at the same moment: how long until everybody knows?", nodes),
    start,
    steps: [...steps, at(30 * SECOND_MS, { kind: "kill", nodes: { kind: "share", perMille: 10 }, power: true })],
    // With confirmations a suspicion lasts the shortest time and little more; without them six times as long.
    expect: { ...troubled(30 * SECOND_MS), noFalseFailures: true, detectedWithinMs: nodes <= JOINED_NODES_MAX ? 12 * SECOND_MS + 1.5 * suspicionMinMs(nodes) : null },
    durationMs: 90 * SECOND_MS,
  };
}

function rollingRestart(nodes: number): Scenario {
  const steps = startAndJoin(2 * SECOND_MS);
  const startMs = 20 * SECOND_MS;
  const apartMs = 2 * SECOND_MS;
  for (let node = 0; node < nodes; node += 1) {
    const nodeMs = startMs + node * apartMs;
    const only: Selector = { kind: "range", first: node, last: node };
    steps.push(at(nodeMs, { kind: "leave", nodes: only }), at(nodeMs + 8 * SECOND_MS, { kind: "restart", nodes: only, snapshot: false }));
  }
  const endMs = startMs + nodes * apartMs + 8 * SECOND_MS;
  return {
    ...base("rolling-restart", "one node after the other leaves, is replaced by a fresh process of its name 8 s later, and joins again", nodes),
    steps,
    expect: troubled(endMs),
    durationMs: endMs + 20 * SECOND_MS,
  };
}

/** Losses of the network in per cent, for half a minute each. */
const LOSSES_PERCENT: readonly number[] = [1, 5, 10, 20, 30];

function lossSweep(nodes: number): Scenario {
  const steps = startAndJoin(2 * SECOND_MS);
  LOSSES_PERCENT.forEach((percent, i) => {
    const fromMs = (10 + 30 * i) * SECOND_MS;
    steps.push(at(fromMs, { kind: "network", change: { lossPpm: percent * 10_000 } }));
    steps.push(at(fromMs + 5 * SECOND_MS, { kind: "events", nodes: ALL, count: 10, bytes: 32 }, 10 * SECOND_MS));
  });
  const endMs = (10 + 30 * LOSSES_PERCENT.length) * SECOND_MS;
  steps.push(at(endMs, { kind: "network", change: { lossPpm: 0 } }));
  return {
    ...base("loss-sweep", `datagrams and segments are lost, ${LOSSES_PERCENT.join(", ")} % of them for half a minute each, with events meanwhile`, nodes),
    steps,
    expect: troubled(endMs),
    durationMs: endMs + 20 * SECOND_MS,
  };
}

function wanTwoDc(nodes: number): Scenario {
  const cutMs = 90 * SECOND_MS;
  return {
    ...base("wan-two-dc", "two data centres 40 ms apart on the wan profile; the line between them is cut for 20 s, events before and after", nodes),
    profile: "wan",
    network: { ...QUIET_NETWORK, delayUsMax: 2_000, tailPpm: 1_000, tailUs: 30_000, zones: 2, zoneDelayUs: 40_000 },
    steps: [
      ...startAndJoin(5 * SECOND_MS),
      at(60 * SECOND_MS, { kind: "events", nodes: ALL, count: 20, bytes: 32 }, 10 * SECOND_MS),
      at(cutMs, { kind: "zoneCut", forMs: 20 * SECOND_MS }),
      at(150 * SECOND_MS, { kind: "events", nodes: ALL, count: 20, bytes: 32 }, 10 * SECOND_MS),
    ],
    expect: troubled(160 * SECOND_MS),
    durationMs: 180 * SECOND_MS,
  };
}

export interface BuiltIn {
  readonly build: Builder;
  readonly nodesDefault: number;
}

export const SCENARIOS: ReadonlyMap<string, BuiltIn> = new Map([
  ["steady", { build: steady, nodesDefault: 50 }],
  ["join-storm", { build: joinStorm, nodesDefault: 50 }],
  ["mass-join-60", { build: massJoin, nodesDefault: 60 }],
  ["event-burst", { build: eventBurst, nodesDefault: 60 }],
  ["mixed-faults", { build: mixedFaults, nodesDefault: 50 }],
  ["partition-heal", { build: partitionHeal, nodesDefault: 30 }],
  ["partition-25h", { build: partition25h, nodesDefault: 20 }],
  ["cpu-starved", { build: cpuStarved, nodesDefault: 50 }],
  ["one-way", { build: oneWay, nodesDefault: 40 }],
  ["crash-1pct", { build: crash1pct, nodesDefault: 100 }],
  ["rolling-restart", { build: rollingRestart, nodesDefault: 30 }],
  ["loss-sweep", { build: lossSweep, nodesDefault: 40 }],
  ["wan-two-dc", { build: wanTwoDc, nodesDefault: 40 }],
  ["flapping", { build: flapping, nodesDefault: 40 }],
  ["swarm", { build: swarm, nodesDefault: 50 }],
]);
