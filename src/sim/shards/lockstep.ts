/** Plays all shards of a run on one thread, in turns: the same run as on as many threads, for tests and where there are no threads. */
import { assert } from "../../base/assert.ts";
import type { RunRequest, RunScript } from "../run-script.ts";
import type { Shard } from "./shard.ts";

/** The result of the first shard. */
export function playInTurns<T>(shards: readonly Shard[], scripts: readonly RunScript<T>[]): T {
  let turns = scripts.map((script) => script.next());
  for (;;) {
    const [first] = turns;
    assert(first !== undefined, "there is no shard");
    if (first.done === true) return first.value;
    const requests = turns.map(({ value }) => value as RunRequest);
    const answers = answer(shards, requests);
    turns = scripts.map((script, i) => script.next(answers[i]));
  }
}

function answer(shards: readonly Shard[], requests: readonly RunRequest[]): readonly unknown[] {
  const [first] = requests;
  assert(first !== undefined && requests.every(({ kind }) => kind === first.kind), "shards ask for different things");
  if (first.kind === "advance") return advanceAll(shards, requests as readonly Extract<RunRequest, { readonly kind: "advance" }>[]);
  const values = (requests as readonly Exclude<RunRequest, { readonly kind: "advance" }>[]).map(({ value }) => value);
  return requests.map((_, i) => (first.kind === "share" || i === 0 ? values : null));
}

function advanceAll(shards: readonly Shard[], requests: readonly Extract<RunRequest, { readonly kind: "advance" }>[]): readonly boolean[] {
  let waiting = [...shards.keys()];
  while (waiting.length > 0) {
    waiting = waiting.filter((i) => {
      const shard = shards[i] as Shard;
      const { sim, untilUs } = requests[i] as (typeof requests)[number];
      return shard.turn(sim, untilUs) !== "done";
    });
  }
  const isOver = shards.map(({ clocks }) => clocks.isAnyHalted);
  for (const [i, shard] of shards.entries()) assert(shard.areAllDone((requests[i] as (typeof requests)[number]).untilUs), "a shard was left behind");
  return isOver;
}
