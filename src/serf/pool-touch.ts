/**
 * Reads what the next input of a pool will make it look at, and changes nothing: for a process that drives thousands of pools, which do not fit the
 * processor's caches. Each input finds its pool cold, and reading the parts one behind the other, as the way through the objects goes, costs a wait for
 * the main memory each time. Here is a reference to each part, so that the processor fetches many at the same time, while the input before is still
 * at work. What is read is added up so that it cannot be left out as useless; the sum means nothing.
 */
import type { Core } from "../swim/core.ts";
import type { Swim } from "../swim/swim.ts";
import type { BroadcastQueue } from "../swim/broadcast-queue.ts";
import type { MemberTable } from "../swim/member-table.ts";
import type { EventGaps } from "./event-gaps.ts";
import type { EventRing } from "./event-ring.ts";
import type { LamportClock } from "./lamport-clock.ts";
import type { Pool } from "./pool.ts";
import type { Serf } from "./serf.ts";
import type { SerfQueues } from "./serf-queues.ts";
import type { PoolEffect } from "./types.ts";

export class PoolTouch {
  readonly #pool: Pool;
  readonly #swim: Swim<PoolEffect>;
  readonly #core: Core;
  readonly #table: MemberTable;
  readonly #broadcasts: BroadcastQueue;
  readonly #serf: Serf;
  readonly #clock: LamportClock;
  readonly #memberClock: LamportClock;
  readonly #ring: EventRing;
  readonly #gaps: EventGaps;
  readonly #queues: SerfQueues;
  readonly #events: BroadcastQueue;
  readonly #intents: BroadcastQueue;
  readonly #queries: BroadcastQueue;

  constructor(pool: Pool, swim: Swim<PoolEffect>, serf: Serf) {
    const { core } = swim;
    this.#pool = pool;
    this.#swim = swim;
    this.#core = core;
    this.#table = core.table;
    this.#broadcasts = core.broadcasts;
    this.#serf = serf;
    this.#clock = serf.eventClock;
    this.#memberClock = serf.membership.clock;
    this.#ring = serf.events;
    this.#gaps = serf.gaps;
    this.#queues = serf.queues;
    this.#events = serf.queues.events;
    this.#intents = serf.queues.intents;
    this.#queries = serf.queues.queries;
  }

  read(): number {
    // What lies in the parts themselves first, then what they point to, then the ways through them, which find all at hand.
    const queues = this.#broadcasts.length + this.#events.length + this.#intents.length + this.#queries.length;
    const parts = this.#core.seq + this.#table.size + this.#clock.time + this.#memberClock.time + this.#ring.minTime + this.#gaps.wakeAtMs + this.#swim.touch() + this.#serf.touch();
    const columns = this.#ring.touch(this.#clock) + this.#events.touch();
    return queues + parts + columns + this.#pool.wakeAtMs + (this.#queues.isEmpty ? 1 : 0);
  }
}
