/** Which scenarios can be played by several shards. */
import type { Action, Scenario } from "../scenario.ts";

/** Shorter delays would leave a shard nothing to do between two looks at the others. */
const DELAY_US_MIN = 100;
export const THREADS_MAX = 16;
/** A scenario of so many nodes that can be divided is divided by itself, in as many parts as a small machine has cores. */
export const DIVIDED_NODES_MIN = 5000;
export const DIVIDED_THREADS = 2;

/** What a shard can do without a look at the nodes of the others. */
const ACTIONS: ReadonlySet<Action["kind"]> = new Set(["kill", "events"]);

/** Why the scenario cannot be divided; null when it can. */
export function whyUndivided({ start, steps, network, nodes }: Scenario): string | null {
  if (start !== "converged") return "its nodes join each other, and only a cluster that stands from the beginning can be divided";
  const strange = steps.find(({ action }) => !ACTIONS.has(action.kind));
  if (strange !== undefined) return `it has steps besides ${[...ACTIONS].join(" and ")}: ${strange.action.kind}`;
  if (network.delayUsMin < DELAY_US_MIN) return `its network delivers in less than ${DELAY_US_MIN} µs`;
  return nodes < 2 ? "it has one node" : null;
}

/** Threads of a run for which nobody has named their number. It is part of what names a run, so the machine is not asked. */
export function threadsByDefault(scenario: Scenario): number {
  return scenario.nodes >= DIVIDED_NODES_MIN && whyUndivided(scenario) === null ? DIVIDED_THREADS : 1;
}
