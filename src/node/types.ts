/**
 * The contract of a cluster node (`node.ts`): 0…n pools in one machine, driven alike by sockets (`io`) and by the simulator (`sim`).
 */
import type { PoolEffect, PoolInput } from "../serf/types.ts";

/** "lan", "wan"; the Serf persona has one pool, "lan". */
export type PoolName = string;

export interface NodeEffect {
  readonly pool: PoolName;
  readonly effect: PoolEffect;
}

/**
 * `step(pool, input, nowMs, out)`; `wake(nowMs, out)` wakes every pool that is due; `wakeAtMs` is the earliest deadline of all pools.
 */
export interface NodeMachine {
  readonly wakeAtMs: number;
  /** True when the input was a message that is settled: further copies may be dropped unseen (`wire/repeat-filter.ts`). */
  step(pool: PoolName, input: PoolInput, nowMs: number, out: NodeEffect[]): boolean;
  wake(nowMs: number, out: NodeEffect[]): void;
}
