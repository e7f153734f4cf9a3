/**
 * A run as a script that asks whoever drives it for virtual time, and for what the other shards of the simulation say. All shards play the same script
 * and so ask the same; the driver of a run on one thread has nobody to ask.
 */
import type { Simulation } from "./simulation.ts";

export type RunRequest =
  /** Play until this virtual time. The answer: whether it is over, because of a violation in some shard. */
  | { readonly kind: "advance"; readonly sim: Simulation; readonly untilUs: number }
  /** The answer: what each shard gave, in their order. */
  | { readonly kind: "share"; readonly value: unknown }
  /** As `share` for the first shard; null for the others. `buffers`: what of the value the first shard may take over instead of copying it. */
  | { readonly kind: "collect"; readonly value: unknown; readonly buffers: readonly ArrayBuffer[] };

export type RunScript<T> = Generator<RunRequest, T, unknown>;

export function* advance(sim: Simulation, untilUs: number): RunScript<boolean> {
  return (yield { kind: "advance", sim, untilUs }) as boolean;
}

export function* share<T>(value: T): RunScript<readonly T[]> {
  return (yield { kind: "share", value }) as readonly T[];
}

export function* collect<T>(value: T, buffers: readonly ArrayBuffer[] = []): RunScript<readonly T[] | null> {
  return (yield { kind: "collect", value, buffers }) as readonly T[] | null;
}

/** What a driver answers for one shard. */
export interface Driver {
  advance(sim: Simulation, untilUs: number): boolean;
  share(value: unknown): readonly unknown[];
  collect(value: unknown, buffers: readonly ArrayBuffer[]): readonly unknown[] | null;
}

/** Plays the script of one shard to its end. */
export function drive<T>(script: RunScript<T>, driver: Driver): T {
  let turn = script.next();
  while (turn.done !== true) {
    const request = turn.value;
    turn = script.next(answer(request, driver));
  }
  return turn.value;
}

function answer(request: RunRequest, driver: Driver): unknown {
  switch (request.kind) {
    case "advance":
      return driver.advance(request.sim, request.untilUs);
    case "share":
      return driver.share(request.value);
    case "collect":
      return driver.collect(request.value, request.buffers);
  }
}

const ALONE: Driver = {
  advance(sim, untilUs) {
    sim.playUntil(untilUs);
    return sim.violations.length > 0;
  },
  share: (value) => [value],
  collect: (value) => [value],
};

/** Plays a run that has all nodes of its simulation. */
export function playAlone<T>(script: RunScript<T>): T {
  return drive(script, ALONE);
}
