/**
 * `muster sim -study=detection`: how soon a crashed member is probed and suspected, against the figures of the SWIM paper (section 3.1).
 *
 * Of n members n − 1 survive, and each probes the crashed one in a given round with probability 1/(n − 1). Counted in whole rounds, as when all
 * rounds begin together, the first probe comes in round r with expectation 1/(1 − 1/e) = e/(e − 1) ≈ 1.58 for large n; nodes here go through shuffled
 * lists, so exactly it is the sum over k ≥ 0 of (1 − k/(n − 1))^(n − 1). Which round a probe belongs to is counted per node, from the crash on: a
 * node's choices do not depend on when its rounds begin, so this is the aligned count whatever the phases are.
 * With random phases in real time, the first probe comes after one period on average, and is given up after one more: 2.0 periods to suspicion.
 */
import type { PoolEffect } from "../../serf/types.ts";
import { sortedNumbers } from "../../sim/percentile.ts";
import type { Scenario, Step } from "../../sim/scenario.ts";
import { QUIET_NETWORK } from "../../sim/network.ts";
import { PROFILES } from "../../swim/profiles.ts";
import { PING } from "./blocked-machine.ts";
import { prepare } from "./play.ts";
import { watched } from "./watched-machine.ts";

export interface DetectionChoice {
  readonly nodes: number;
  readonly profile: Scenario["profile"];
  /** Crashes to look at, over as many seeds as that takes. */
  readonly trials: number;
  readonly seed: number;
}

export interface DetectionStudy {
  readonly study: "detection";
  readonly nodes: number;
  readonly profile: string;
  readonly seedFirst: number;
  readonly seedLast: number;
  /** Crashes of which the first probe and the first suspicion were seen. */
  readonly crashes: number;
  readonly probeRounds: Estimate;
  readonly probePeriods: Estimate;
  readonly suspicionPeriods: Estimate;
  /** How many crashes were first probed in round 1, 2, … */
  readonly byRound: readonly number[];
  readonly suspicionMs: readonly number[];
}

/** A mean with its standard error, beside what theory says. */
export interface Estimate {
  readonly mean: number;
  readonly standardError: number;
  readonly expected: number;
}

const CRASHES_PER_SEED = 250;
const FORM_MS = 30_000;
/** From crash to restart: e^-12 of the crashes are not probed by then. In probe intervals. */
const DOWN_PERIODS = 12;
const APART_PERIODS = 25;
/** Keeps crashes from falling into the same phase of everybody's rounds each time. */
const PHASE_STEP = 0.379;

interface Crash {
  readonly atUs: number;
  readonly ip: string;
  /** Probes of each node since. */
  readonly probes: Int32Array;
  rounds: number;
  probedUs: number;
  suspectedUs: number;
}

function scenarioOf({ nodes, profile }: DetectionChoice, crashes: number): Scenario {
  const { probeIntervalMs } = PROFILES[profile];
  const all = { kind: "all" } as const;
  const steps: Step[] = [
    { atMs: 0, overMs: 0, action: { kind: "start", nodes: all } },
    { atMs: 0, overMs: 2_000, action: { kind: "join", nodes: { kind: "others" }, to: { kind: "earlier" } } },
  ];
  for (let i = 0; i < crashes; i += 1) {
    const atMs = FORM_MS + Math.round(i * (APART_PERIODS + PHASE_STEP) * probeIntervalMs);
    steps.push({ atMs, overMs: 0, action: { kind: "kill", nodes: { kind: "random", count: 1 }, power: true } });
    steps.push({ atMs: atMs + DOWN_PERIODS * probeIntervalMs, overMs: 0, action: { kind: "restart", nodes: all, snapshot: true } });
  }
  const endMs = FORM_MS + crashes * (APART_PERIODS + 1) * probeIntervalMs;
  const expect = { faultsEndMs: endMs, convergedWithinMs: 600_000, quietWithinMs: 600_000, noFalseFailures: false, leftIsLeft: false, eventsWithinMs: Infinity, detectedWithinMs: null, eventLatency: null };
  return { name: "detection", about: "one member crashes after the other", nodes, profile, network: QUIET_NETWORK, clockDriftPpmMax: 200, steps, expect, durationMs: endMs };
}

/** A checker complained: the figures mean nothing. */
export class StudyError extends Error {}

/** The crashes of one run; throws `StudyError`. */
function crashesOf(choice: DetectionChoice, count: number, seed: number): Crash[] {
  const crashes: Crash[] = [];
  let crash: Crash | null = null;
  const onWake = (node: number, effects: readonly PoolEffect[]): void => {
    if (crash === null) return;
    for (const effect of effects) {
      if (effect.kind === "packet" && effect.messages[0]?.[0] === PING) {
        const probes = (crash.probes[node] = (crash.probes[node] as number) + 1);
        if (effect.to[0]?.ip !== crash.ip) continue;
        crash.rounds = Math.min(crash.rounds, probes);
        crash.probedUs = Math.min(crash.probedUs, run.sim.nowUs);
      } else if (effect.kind === "count" && effect.name === "memberlist.msg.suspect") crash.suspectedUs = Math.min(crash.suspectedUs, run.sim.nowUs);
    }
  };
  const run = prepare(scenarioOf(choice, count), { seed, codec: "off", original: false, wrap: (factory) => watched(factory, onWake) });
  run.sim.observe({
    stopped(host) {
      crash = { atUs: run.sim.nowUs, ip: host.endpoint.ip, probes: new Int32Array(choice.nodes), rounds: Infinity, probedUs: Infinity, suspectedUs: Infinity };
    },
    started() {
      if (crash !== null) crashes.push(crash);
      crash = null;
    },
  });
  const { violations } = run.run();
  if (violations[0] !== undefined) throw new StudyError(`seed ${seed}: ${violations[0].checker}: ${violations[0].text}`);
  return crashes;
}

/** Expected rounds to the first probe among `nodes` members that go through shuffled lists. */
export function expectedRounds(nodes: number): number {
  let sum = 0;
  for (let k = 0; k < nodes - 1; k += 1) sum += (1 - k / (nodes - 1)) ** (nodes - 1);
  return sum;
}

export function studyDetection(choice: DetectionChoice, tell: (text: string) => void): DetectionStudy {
  const { nodes, profile, trials, seed } = choice;
  const periodUs = PROFILES[profile].probeIntervalMs * 1000;
  const crashes: Crash[] = [];
  let next = seed;
  for (let left = trials; left > 0; left -= CRASHES_PER_SEED, next += 1) {
    crashes.push(...crashesOf(choice, Math.min(left, CRASHES_PER_SEED), next));
    tell(`${crashes.length} of ${trials} crashes, seed ${next}`);
  }
  const seen = crashes.filter(({ suspectedUs, rounds }) => suspectedUs < Infinity && rounds < Infinity);
  const byRound = new Array<number>(Math.max(0, ...seen.map(({ rounds }) => rounds))).fill(0);
  for (const { rounds } of seen) byRound[rounds - 1] = (byRound[rounds - 1] as number) + 1;
  return {
    study: "detection",
    nodes,
    profile,
    seedFirst: seed,
    seedLast: next - 1,
    crashes: seen.length,
    probeRounds: estimate(seen.map(({ rounds }) => rounds), expectedRounds(nodes)),
    probePeriods: estimate(seen.map(({ atUs, probedUs }) => (probedUs - atUs) / periodUs), 1),
    suspicionPeriods: estimate(seen.map(({ atUs, suspectedUs }) => (suspectedUs - atUs) / periodUs), 2),
    byRound,
    suspicionMs: sortedNumbers(seen.map(({ atUs, suspectedUs }) => (suspectedUs - atUs) / 1000)),
  };
}

function estimate(values: readonly number[], expected: number): Estimate {
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1);
  return { mean, standardError: Math.sqrt(variance / Math.max(1, values.length)), expected };
}
