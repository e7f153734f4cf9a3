/** Readings of a running pool without allocation: for the simulation's checkers, which look after each step, and for metrics. */
import type { Swim } from "../swim/swim.ts";
import type { MemberTableView } from "../swim/types.ts";
import type { Serf } from "./serf.ts";
import type { PoolEffect } from "./types.ts";

export class PoolGauges {
  readonly #swim: Swim<PoolEffect>;
  readonly #serf: Serf;

  constructor(swim: Swim<PoolEffect>, serf: Serf) {
    this.#swim = swim;
    this.#serf = serf;
  }

  get table(): MemberTableView {
    return this.#swim.table;
  }

  /** Members that SWIM shows as alive or suspect, the node itself among them. */
  get aliveCount(): number {
    return this.#swim.aliveCount;
  }

  get memberClock(): number {
    return this.#serf.membership.clock.time;
  }

  get eventClock(): number {
    return this.#serf.eventClock.time;
  }

  get queryClock(): number {
    return this.#serf.queryClock.time;
  }

  /** User events of an earlier Lamport time are ignored. */
  get eventTimeMin(): number {
    return this.#serf.events.minTime;
  }

  /** Broadcasts that wait: SWIM's own, and Serf's three queues. */
  get swimQueued(): number {
    return this.#swim.queuedBroadcasts;
  }

  get intentsQueued(): number {
    return this.#serf.queues.intents.length;
  }

  get eventsQueued(): number {
    return this.#serf.queues.events.length;
  }

  get queriesQueued(): number {
    return this.#serf.queues.queries.length;
  }
}
