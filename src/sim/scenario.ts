/**
 * Scenarios as data: what happens to a simulated cluster, when, and what must be true of it. Everything random in a scenario is drawn
 * from the run's seed, so a scenario and a seed name one run. All times in ms of virtual time unless they say otherwise.
 */
import type { NetworkConfig } from "./network.ts";

/** Which nodes an action concerns. Random choices take from the nodes that run (or, for `restart`, from those that do not). */
export type Selector =
  | { readonly kind: "all" }
  /** Everybody but the first node. */
  | { readonly kind: "others" }
  /** For `join.to` only: one random node before the joining one, so that whoever joins whom ends in one cluster. */
  | { readonly kind: "earlier" }
  | { readonly kind: "range"; readonly first: number; readonly last: number }
  | { readonly kind: "random"; readonly count: number }
  /** Parts per thousand of the nodes, at least one. */
  | { readonly kind: "share"; readonly perMille: number };

export type Action =
  | { readonly kind: "start"; readonly nodes: Selector }
  /** Each joins one node of `to`, drawn anew for each; retried while it fails, as with `-retry-join`. */
  | { readonly kind: "join"; readonly nodes: Selector; readonly to: Selector }
  | { readonly kind: "leave"; readonly nodes: Selector }
  /** `power`: the whole machine goes down, and lines not flushed may be lost. */
  | { readonly kind: "kill"; readonly nodes: Selector; readonly power: boolean }
  /** Starts processes that ended; without their snapshot they join a random running node. */
  | { readonly kind: "restart"; readonly nodes: Selector; readonly snapshot: boolean }
  | { readonly kind: "pause"; readonly nodes: Selector; readonly forMs: number }
  /** What a process writes to its snapshot meanwhile waits in it, and is lost if it ends before the disk is back. */
  | { readonly kind: "stallDisk"; readonly nodes: Selector; readonly forMs: number }
  /** Paused and let run in turns until `forMs` have passed: a process that gets too little CPU. */
  | { readonly kind: "starve"; readonly nodes: Selector; readonly pausedMs: number; readonly runningMs: number; readonly forMs: number }
  /** Extra loss (a million cuts) and delay on what travels from `from` to `to`; `both` adds the way back. */
  | {
      readonly kind: "disturb";
      readonly from: Selector;
      readonly to: Selector;
      readonly both: boolean;
      readonly lossPpm: number;
      readonly delayMs: number;
      readonly forMs: number;
    }
  /** Splits the nodes in so many groups of equal size that cannot reach each other. */
  | { readonly kind: "partition"; readonly groups: number; readonly forMs: number }
  /** Cuts the lines between the network's zones. */
  | { readonly kind: "zoneCut"; readonly forMs: number }
  | { readonly kind: "network"; readonly change: Partial<NetworkConfig> }
  | { readonly kind: "jumpClock"; readonly nodes: Selector; readonly byMs: number }
  | { readonly kind: "events"; readonly nodes: Selector; readonly count: number; readonly bytes: number }
  | { readonly kind: "queries"; readonly nodes: Selector; readonly count: number }
  | { readonly kind: "tags"; readonly nodes: Selector }
  /** Faults drawn by weight, one every `everyMs` on average, until `forMs` have passed; then everything is healed. */
  | { readonly kind: "chaos"; readonly forMs: number; readonly everyMs: number; readonly weights: ChaosWeights };

/** Relative frequencies of what `chaos` does. */
export interface ChaosWeights {
  readonly pause: number;
  readonly cut: number;
  readonly oneWay: number;
  readonly partition: number;
  readonly loss: number;
  readonly kill: number;
  readonly powerOff: number;
  readonly restart: number;
  readonly leave: number;
  readonly event: number;
  readonly query: number;
  readonly tags: number;
  readonly clock: number;
  readonly disk: number;
}

export interface Step {
  readonly atMs: number;
  /** What belongs to several nodes or several times is spread evenly over this long. */
  readonly overMs: number;
  readonly action: Action;
}

export interface Expectation {
  /** The last fault is over by then; liveness is judged from here. */
  readonly faultsEndMs: number;
  /** Every view agrees with the truth at most this long after `faultsEndMs`. */
  readonly convergedWithinMs: number;
  /** All queues are empty at most this long after convergence; Infinity does not ask. */
  readonly quietWithinMs: number;
  readonly noFalseFailures: boolean;
  /** Members that left must be shown as left and not as failed: without losses and cuts. */
  readonly leftIsLeft: boolean;
  /** Events must have reached everybody, at most this long after convergence; Infinity does not ask. */
  readonly eventsWithinMs: number;
  /** Each process that ended without leaving is reported by everybody at most this long after its end; null does not ask. */
  readonly detectedWithinMs: number | null;
  /** What is asked of the latency of user events, over all pairs of event and owed node; null asks nothing. */
  readonly eventLatency: EventLatencyBar | null;
}

export interface EventLatencyBar {
  /** At least `fastPpm` parts per million arrive within `fastMs`, and every one within `allMs`. */
  readonly fastMs: number;
  readonly fastPpm: number;
  readonly allMs: number;
}

/** `converged`: all nodes run and know each other from the beginning. */
export type ScenarioStart = "empty" | "converged";

export interface Scenario {
  readonly name: string;
  readonly about: string;
  readonly profile: "lan" | "wan" | "local";
  readonly nodes: number;
  readonly network: NetworkConfig;
  readonly clockDriftPpmMax: number;
  /** Default: `empty`, nobody runs. */
  readonly start?: ScenarioStart;
  readonly steps: readonly Step[];
  readonly expect: Expectation;
  /** The run goes on at least until then, converged or not. */
  readonly durationMs: number;
  /** It also goes on this long after every view was right. */
  readonly settledMs?: number;
}
