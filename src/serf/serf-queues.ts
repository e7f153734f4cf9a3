/** Serf's three broadcast queues: filled into packets behind SWIM's own messages, intents first, then queries, then events (serf-protocol §8.4). */
import { BroadcastQueue, NO_KEY } from "../swim/broadcast-queue.ts";
import { OwnMessages, type KnownMessage, type Messages } from "../swim/messages.ts";
import { retransmitFloor } from "../swim/timing.ts";
import type { SwimProfile } from "../swim/types.ts";
import { encodeUser } from "../wire/gossip-codec.ts";
import type { Reporter } from "./reporter.ts";
import type { PoolEffect } from "./types.ts";

/** Most bytes waiting in one queue. The depth alone (4096 messages of up to 9 KiB) would allow 36 MiB. */
export const QUEUE_BYTES_MAX = 4 * 1024 * 1024;
/**
 * A queue may grow to this many times its depth between two looks at it (the original lets it grow without bound: 402 MiB were seen); it is cut to
 * its depth then, so that not each further message cuts again.
 */
const DEPTH_SLACK = 2;

/**
 * User events and queries are sent this many times more often than SWIM's messages: nothing repairs a missed query, and a missed event
 * that shares its Lamport time with another leaves no gap. At SWIM's margin one event in 3,000 missed a node of a quiet cluster of 60.
 */
export const EVENT_RETRANSMIT_EXTRA = 4;

export interface SerfQueuesConfig {
  readonly profile: SwimProfile;
  readonly depthWarning: number;
  readonly depthMax: number;
}

export class SerfQueues {
  readonly intents: BroadcastQueue;
  readonly queries: BroadcastQueue;
  readonly events: BroadcastQueue;
  readonly #config: SerfQueuesConfig;
  readonly #report: Reporter;
  readonly #messages: Messages;

  /** `expected`: so many members will join; 0 where nobody can tell. */
  constructor(config: SerfQueuesConfig, memberCount: () => number, report: Reporter, messages: Messages = new OwnMessages(), expected = 0) {
    this.#config = config;
    this.#report = report;
    this.#messages = messages;
    const { retransmitMult, gossipNodes, retransmitMargin } = config.profile;
    const floor = (nodes: number): number => retransmitFloor(nodes, gossipNodes, retransmitMargin);
    // A margin of 0 is the original's behaviour, for comparison.
    const eventMargin = retransmitMargin > 0 ? retransmitMargin + EVENT_RETRANSMIT_EXTRA : 0;
    const eventFloor = (nodes: number): number => retransmitFloor(nodes, gossipNodes, eventMargin);
    const intentsExpected = Math.min(expected, DEPTH_SLACK * config.depthMax) + 1;
    this.intents = new BroadcastQueue(retransmitMult, memberCount, floor, messages, () => intentsExpected);
    this.queries = new BroadcastQueue(retransmitMult, memberCount, eventFloor, messages);
    this.events = new BroadcastQueue(retransmitMult, memberCount, eventFloor, messages);
  }

  get isEmpty(): boolean {
    return this.intents.length + this.queries.length + this.events.length === 0;
  }

  /** Queues a Serf message, as the packet message that will carry it. `token` comes back in `queue.finished`, unless 0. */
  add(queue: BroadcastQueue, message: Uint8Array, out: PoolEffect[], token = 0): void {
    this.addPacket(queue, encodeUser(message), out, token);
  }

  /** As `add`, of the packet message itself. */
  addPacket(queue: BroadcastQueue, message: Uint8Array, out: PoolEffect[], token = 0): void {
    queue.queue(NO_KEY, message, token);
    this.#bound(queue, out);
  }

  /** As `add`, of a message that others of the process know too. */
  addKnown(queue: BroadcastQueue, { number, bytes }: KnownMessage, out: PoolEffect[]): void {
    this.#messages.retain(number);
    queue.queueHeld(NO_KEY, number, bytes.length);
    this.#bound(queue, out);
  }

  #bound(queue: BroadcastQueue, out: PoolEffect[]): void {
    const { depthMax } = this.#config;
    if (queue.bytes <= QUEUE_BYTES_MAX && queue.length <= DEPTH_SLACK * depthMax) return;
    this.#report.count("serf.queue.overflow", out);
    queue.prune(Math.min(depthMax, queue.length >> 1));
  }

  /** Appends to `into` the messages for one packet: each costs `overhead` more than its length, together at most `limit` bytes; returns the bytes used. */
  take(overhead: number, limit: number, targets: number, into: Uint8Array[]): number {
    let used = this.intents.take(overhead, limit, targets, into);
    used += this.queries.take(overhead, limit - used, targets, into);
    return used + this.events.take(overhead, limit - used, targets, into);
  }

  /** Lets go of all messages. */
  close(): void {
    for (const queue of [this.intents, this.queries, this.events]) queue.close();
  }

  /** The periodic look at the depths: a warning first, then the most transmitted messages go. */
  check(out: PoolEffect[]): void {
    const queues = [["Intent", this.intents], ["Event", this.events], ["Query", this.queries]] as const;
    for (const [name, queue] of queues) {
      if (queue.length >= this.#config.depthWarning) this.#report.log("warn", `serf: ${name} queue depth: ${queue.length}`, out);
      if (queue.length <= this.#config.depthMax) continue;
      this.#report.log("warn", `serf: ${name} queue depth (${queue.length}) exceeds limit (${this.#config.depthMax}), dropping messages!`, out);
      this.#report.count("serf.queue.pruned", out);
      queue.prune(this.#config.depthMax);
    }
  }
}
