/** One server of the Raft simulation: the production core, its disk and its state machine, through lives and deaths. */
import type { Random, SeededRandom } from "../../base/random.ts";
import type { RaftConfig, RaftEffect, RaftInput, RaftLimits, RaftMachine, RaftStart, RaftTiming } from "../../raft/types.ts";
import { NodeClock } from "../clock.ts";
import { EMPTY_STATE, SimKv } from "./kv.ts";
import { RaftDisk } from "./raft-disk.ts";

export type CreateRaft = (config: RaftConfig, start: RaftStart, random: Random) => RaftMachine;

/** Small, so that every bound is met within minutes. */
export const SIM_LIMITS: RaftLimits = {
  maxAppendEntries: 16,
  maxAppendBytes: 2048,
  maxInFlight: 8,
  trailingLogs: 40,
  snapshotThreshold: 60,
  tailBytesMax: 8192,
  uncommittedBytesMax: 65_536,
  applyingBytesMax: 8192,
};

/** Entries of one request: single ones leave a follower between the entries of two terms, where the subtle rules matter. */
const APPEND_ENTRIES: readonly number[] = [1, 3, 16];

export function simTiming(multiplier: number): RaftTiming {
  return {
    heartbeatTimeoutMs: 1000 * multiplier,
    electionTimeoutMs: 1000 * multiplier,
    leaderLeaseTimeoutMs: 500 * multiplier,
    commitTimeoutMs: 50,
    snapshotIntervalMs: 5000,
  };
}

/** Own clocks run up to this much too fast or too slow. */
export const DRIFT_PPM_MAX = 20_000;
const TAIL_ENTRIES_MAX = 60;

export class RaftServer {
  readonly node: number;
  readonly id: string;
  readonly address: string;
  readonly disk = new RaftDisk();
  readonly clock: NodeClock;
  readonly driftPpm: number;
  readonly #timing: RaftTiming;
  readonly #limits: RaftLimits;
  readonly #create: CreateRaft;
  readonly #random: SeededRandom;
  /** Null while the process is dead. */
  raft: RaftMachine | null = null;
  kv = new SimKv(EMPTY_STATE);
  /** Counts processes. */
  life = 0;
  /** A suspended process takes no input before this time, in µs. */
  pausedUntilUs = 0;
  /** A commit begun before this time takes until then, in µs. */
  stalledUntilUs = 0;
  /** The wake in the agenda, in µs. */
  wakeAtUs = Infinity;
  /** Peers whose connection was told to have closed and who have answered no later request since: the newest request before that. */
  readonly closedAfter = new Map<number, number>();

  constructor(node: number, timing: RaftTiming, create: CreateRaft, random: SeededRandom) {
    this.#limits = { ...SIM_LIMITS, maxAppendEntries: APPEND_ENTRIES[random.below(APPEND_ENTRIES.length)] as number };
    this.node = node;
    this.id = `n${node}`;
    this.address = `10.0.0.${node + 1}:8300`;
    this.driftPpm = random.below(2 * DRIFT_PPM_MAX + 1) - DRIFT_PPM_MAX;
    this.clock = new NodeClock(random.below(1_000_000), this.driftPpm);
    this.#timing = timing;
    this.#create = create;
    this.#random = random;
  }

  start(): void {
    const config: RaftConfig = { id: this.id, address: this.address, timing: this.#timing, limits: this.#limits, preVote: true, protocolVersion: 3 };
    this.life += 1;
    this.kv = new SimKv(this.disk.newestSnapshot?.state ?? EMPTY_STATE);
    this.closedAfter.clear();
    this.pausedUntilUs = 0;
    this.wakeAtUs = Infinity;
    this.raft = this.#create(config, this.disk.start(this.#random.below(TAIL_ENTRIES_MAX)), this.#random.fork());
  }

  kill(): void {
    this.raft = null;
    this.disk.crash(this.#random);
  }

  step(input: RaftInput, nowUs: number, out: RaftEffect[]): void {
    this.raft?.step(input, this.clock.localMs(nowUs), out);
  }
}
