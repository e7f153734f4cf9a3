/**
 * The contract of a cluster node (`node.ts`): 0…n pools in one machine, driven alike by sockets (`io`) and by the simulator (`sim`).
 */
import type { PoolEffect, PoolInput } from "../serf/types.ts";

/** "lan", "wan"; the Serf persona has one pool, "lan". */
export type PoolName = string;

/** `wakeAtMs` is the earliest deadline of all pools. */
export interface NodeMachine {
  readonly wakeAtMs: number;
  /** True when the input was a message that is settled: further copies may be dropped unseen (`wire/repeat-filter.ts`). */
  step(pool: PoolName, input: PoolInput, nowMs: number, out: PoolEffect[]): boolean;
  /** As a `step` with a command `userEvent`, whose reply is the result: "" or why the event was not fired. Without anything made for it: events come by the ten thousand. */
  fire(pool: PoolName, name: string, payload: Uint8Array | null, coalesce: boolean, nowMs: number, out: PoolEffect[]): string;
  /** Wakes every pool that is due. After each, `woken` is called, which takes that pool's effects out of `out`. */
  wake(nowMs: number, out: PoolEffect[], woken: (pool: PoolName) => void): void;
}
