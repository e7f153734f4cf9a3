/** What every driver gets: whom to measure, how long, where. */
import type { Target } from "./agent.ts";
import { WRAPPINGS, type Wrapping } from "./packets.ts";
import type { Pinning } from "./pinning.ts";
import type { Row } from "../rows.ts";

/** Sizes of a run. Times in ms. */
export interface Scale {
  /** Measurements per target of everything that is short. */
  readonly runs: number;
  readonly warmMs: number;
  /** Operations at least before the first run, so that the code that is measured is compiled; given up after `WARM_TIMES_MAX` times `warmMs`. */
  readonly warmOperations: number;
  readonly windowMs: number;
  readonly memberCounts: readonly number[];
  /** RPC connections, each with one request under way. */
  readonly connections: number;
  /** After members were announced: until the agent's broadcasts have run out. */
  readonly drainMs: number;
  /** Of known packets, which show what each wrapping costs, and of new events, which take longer to measure. */
  readonly wrappings: readonly Wrapping[];
  readonly streamWrappings: readonly Wrapping[];
  /** Packets of new events per run of the closed loop, after so many that warm up. */
  readonly freshPackets: number;
  readonly freshWarmPackets: number;
  /** How long a rate is held, and how many rates are tried at most, in the search for the rate without a drop. */
  readonly openMs: number;
  readonly openTrials: number;
  readonly profile: "lan" | "local";
  readonly nodes: number;
  readonly clusterRuns: number;
  readonly joinDeadlineMs: number;
  readonly idleMs: number;
  /** Single events per cluster, and the pause after each. */
  readonly events: number;
  readonly eventGapMs: number;
  /** The load: events per second over so long, spread over all agents. */
  readonly eventRate: number;
  readonly eventLoadMs: number;
  readonly kills: number;
  readonly starts: number;
}

export const FULL: Scale = {
  runs: 5, warmMs: 1000, warmOperations: 20_000, windowMs: 1500, memberCounts: [1, 50, 500], connections: 16, drainMs: 5000,
  wrappings: WRAPPINGS, streamWrappings: ["plain", "both"], freshPackets: 3000, freshWarmPackets: 600, openMs: 1500, openTrials: 9,
  profile: "lan", nodes: 10, clusterRuns: 3, joinDeadlineMs: 60_000, idleMs: 8000, events: 10, eventGapMs: 900, eventRate: 50, eventLoadMs: 8000, kills: 3, starts: 10,
};

export const QUICK: Scale = {
  runs: 2, warmMs: 250, warmOperations: 6000, windowMs: 500, memberCounts: [1, 50, 500], connections: 16, drainMs: 2000,
  wrappings: ["plain", "both"], streamWrappings: ["both"], freshPackets: 1200, freshWarmPackets: 400, openMs: 600, openTrials: 4,
  profile: "lan", nodes: 5, clusterRuns: 1, joinDeadlineMs: 20_000, idleMs: 1500, events: 2, eventGapMs: 600, eventRate: 50, eventLoadMs: 2000, kills: 1, starts: 2,
};

export interface Bench {
  /** Ours first; the original's second, if there is one. */
  readonly targets: readonly Target[];
  readonly scale: Scale;
  readonly seed: number;
  readonly pinning: Pinning;
  /** A loopback address that no other agent of this run uses now. */
  nextIp(): string;
  /** Tells the user what is going on. */
  progress(text: string): void;
}

export interface Driver {
  readonly name: string;
  readonly about: string;
  /** Reports rows as they come to an end: what was measured before a failure is kept. */
  run(bench: Bench, report: (rows: readonly Row[]) => void): Promise<void>;
}

/** Warm-up goes on, until enough was done, at most so many times as long. */
export const WARM_TIMES_MAX = 5;

/** Measures each target once, then each a second time, and so on (A B A B …): what drifts on the machine meets both. */
export async function interleave(bench: Bench, runs: number, measure: (target: Target, run: number) => Promise<void>): Promise<void> {
  for (let run = 0; run < runs; run += 1) {
    for (const target of bench.targets) await measure(target, run);
  }
}
