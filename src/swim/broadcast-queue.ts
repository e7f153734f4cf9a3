/**
 * Messages waiting to be gossiped (memberlist's transmit-limited queue, serf-protocol §4.11): least transmitted first, then
 * longest, then newest. A named message replaces the queued one of its name. Used for SWIM's own messages and for Serf's three queues.
 *
 * Index: per transmit count a sorted list of the lengths present, per length a heap with the newest on top. Queueing, replacing
 * and taking cost O(log n); nothing scans the queue. Replaced items stay in their heap as corpses until they surface or outnumber the living.
 */
import { retransmitLimit } from "./timing.ts";

interface Item {
  readonly name: string | null;
  readonly message: Uint8Array;
  /** 0: nobody waits for the end of this broadcast. */
  readonly token: number;
  readonly id: number;
  transmits: number;
  queued: boolean;
}

/** Corpses a heap may hold before it is rebuilt, beyond the number of its living items. */
const CORPSES_MAX = 16;
/** Sends beyond the original's limit use spare room only: above so many queued bytes (16 packets) such messages are dropped. */
export const CROWDED_BYTES = 16 * 1400;

function noFloor(): number {
  return 0;
}

export class BroadcastQueue {
  readonly #retransmitMult: number;
  readonly #nodeCount: () => number;
  readonly #floor: (nodes: number) => number;
  readonly #byName = new Map<string, Item>();
  readonly #tiers: Tier[] = []; // Index: transmits so far.
  #lowestTier = 0; // No item has been transmitted less often.
  #count = 0;
  #bytes = 0;
  #lastId = 0;
  readonly #reinsert: Item[] = [];

  /** Tokens of finished broadcasts in the order they finished: sent often enough, replaced or pruned. The owner empties it. */
  readonly finished: number[] = [];

  /**
   * Each message is sent `retransmitLimit(retransmitMult, nodeCount())` times, and `floor(nodeCount())` times while there is room
   * (see `retransmitFloor`). The limit is taken anew at each `take`: what a node queued while it knew nobody must not die before
   * it has met the cluster.
   */
  constructor(retransmitMult: number, nodeCount: () => number, floor: (nodes: number) => number = noFloor) {
    this.#retransmitMult = retransmitMult;
    this.#nodeCount = nodeCount;
    this.#floor = floor;
  }

  get length(): number {
    return this.#count;
  }

  /** Bytes of all queued messages. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Queues `message`, which must not change afterwards; `name` null never replaces another. `token` comes back in `finished`, unless 0. */
  queue(name: string | null, message: Uint8Array, token = 0): void {
    this.#lastId += 1;
    const item: Item = { name, message, token, id: this.#lastId, transmits: 0, queued: false };
    if (name !== null) {
      const old = this.#byName.get(name);
      if (old !== undefined) {
        this.#finish(old);
        this.#remove(old);
      }
    }
    this.#add(item);
    if (this.#bytes > CROWDED_BYTES) this.#dropExtras();
  }

  /**
   * Appends to `into` the messages for one packet: each costs `overhead` + its length, together at most `limit` bytes; returns the bytes
   * used. The packet goes to `targets` nodes, which counts as so many transmissions (the original takes anew for each target).
   */
  take(overhead: number, limit: number, targets: number, into: Uint8Array[]): number {
    if (this.#count === 0) return 0;
    const nodes = this.#nodeCount();
    const transmitsMax = Math.max(this.#floor(nodes), retransmitLimit(this.#retransmitMult, nodes));
    const tierCount = this.#tiers.length; // What we put back must not be taken twice.
    let used = 0;
    let tier = this.#lowestTier;
    while (tier < tierCount) {
      const free = limit - used - overhead;
      if (free <= 0) break;
      const item = this.#tiers[tier]?.takeFitting(free);
      if (item === undefined) {
        tier += 1;
        continue;
      }
      used += overhead + item.message.length;
      into.push(item.message);
      this.#detach(item);
      if (item.transmits + targets >= transmitsMax) this.#finish(item);
      else {
        item.transmits += targets;
        this.#reinsert.push(item);
      }
    }
    for (const item of this.#reinsert) this.#add(item);
    this.#reinsert.length = 0;
    this.#dropEmptyTiers();
    return used;
  }

  /**
   * Keeps at most `max` messages: those transmitted most often go first, then the shortest, then the oldest. Costs O(n) without sorting
   * the queue: a flood of events prunes tens of thousands at a time, between two packets.
   */
  prune(max: number): void {
    const dropped: Item[] = [];
    for (let tier = this.#tiers.length - 1; tier >= 0 && this.#count - dropped.length > max; tier -= 1) {
      this.#tiers[tier]?.dropOldest(this.#count - dropped.length - max, dropped);
    }
    for (const item of dropped) {
      this.#finish(item);
      this.#detach(item);
    }
    this.#dropEmptyTiers();
  }

  /** Ends messages that have been sent as often as the original would, until the queue is no longer crowded. */
  #dropExtras(): void {
    const transmitsMin = Math.max(1, retransmitLimit(this.#retransmitMult, this.#nodeCount()));
    while (this.#bytes > CROWDED_BYTES) {
      this.#dropEmptyTiers();
      if (this.#tiers.length - 1 < transmitsMin) return;
      const item = this.#tiers.at(-1)?.takeFitting(Infinity);
      if (item === undefined) return;
      this.#detach(item);
      this.#finish(item);
    }
  }

  #finish(item: Item): void {
    if (item.token !== 0) this.finished.push(item.token);
  }

  #add(item: Item): void {
    while (this.#tiers.length <= item.transmits) this.#tiers.push(new Tier());
    this.#tiers[item.transmits]?.add(item);
    this.#lowestTier = this.#count === 0 ? item.transmits : Math.min(this.#lowestTier, item.transmits);
    item.queued = true;
    this.#count += 1;
    this.#bytes += item.message.length;
    if (item.name !== null) this.#byName.set(item.name, item);
  }

  #remove(item: Item): void {
    this.#tiers[item.transmits]?.bury(item);
    this.#detach(item);
  }

  #detach(item: Item): void {
    item.queued = false;
    this.#count -= 1;
    this.#bytes -= item.message.length;
    if (item.name !== null) this.#byName.delete(item.name);
    // As the original: an idle queue starts over, so "newest" compares only what is queued together.
    if (this.#count === 0) this.#lastId = 0;
  }

  #dropEmptyTiers(): void {
    while (this.#tiers.length > 0 && this.#tiers.at(-1)?.isEmpty === true) this.#tiers.pop();
    while (this.#lowestTier < this.#tiers.length && this.#tiers[this.#lowestTier]?.isEmpty === true) this.#lowestTier += 1;
  }
}

/** Items of one transmit count, by length. */
class Tier {
  readonly #lengths: number[] = []; // Ascending; each has a heap with at least one living item.
  readonly #heaps = new Map<number, Heap>();

  get isEmpty(): boolean {
    return this.#lengths.length === 0;
  }

  add(item: Item): void {
    const length = item.message.length;
    let heap = this.#heaps.get(length);
    if (heap === undefined) {
      heap = new Heap();
      this.#heaps.set(length, heap);
      this.#lengths.splice(this.#atMost(length) + 1, 0, length);
    }
    heap.push(item);
  }

  /** Removes and returns the first item of at most `size` bytes: the longest, among those the newest. */
  takeFitting(size: number): Item | undefined {
    const index = this.#atMost(size);
    const length = this.#lengths[index];
    if (length === undefined) return undefined;
    const heap = this.#heaps.get(length);
    const item = heap?.pop();
    if (heap?.living === 0) this.#dropLength(index, length);
    return item;
  }

  /** Removes an item from the middle; it is marked by its owner afterwards. */
  bury(item: Item): void {
    const length = item.message.length;
    const heap = this.#heaps.get(length);
    heap?.bury(item);
    if (heap?.living === 0) this.#dropLength(this.#atMost(length), length);
  }

  /** Takes out up to `count` items, the shortest first, among those the oldest; they are appended to `dropped`. */
  dropOldest(count: number, dropped: Item[]): void {
    let left = count;
    while (left > 0) {
      const length = this.#lengths[0];
      const heap = length === undefined ? undefined : this.#heaps.get(length);
      if (length === undefined || heap === undefined) return;
      left -= heap.dropOldest(left, dropped);
      if (heap.living === 0) this.#dropLength(0, length);
    }
  }

  #dropLength(index: number, length: number): void {
    this.#lengths.splice(index, 1);
    this.#heaps.delete(length);
  }

  /** Index of the greatest length ≤ `size`, or -1. */
  #atMost(size: number): number {
    let low = 0;
    let high = this.#lengths.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#lengths[middle] as number) <= size) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** Binary heap, greatest id on top. Buried items stay until they surface. */
class Heap {
  #items: Item[] = [];
  living = 0;

  push(item: Item): void {
    this.living += 1;
    this.#sift(item);
  }

  pop(): Item | undefined {
    for (;;) {
      const top = this.#popTop();
      if (top === undefined) return undefined;
      if (!top.queued) continue;
      this.living -= 1;
      return top;
    }
  }

  bury(item: Item): void {
    item.queued = false;
    this.living -= 1;
    if (this.#items.length <= 2 * this.living + CORPSES_MAX) return;
    const old = this.#items;
    this.#items = [];
    for (const kept of old) if (kept.queued) this.#sift(kept);
  }

  /** Takes out up to `count` items, the oldest first; returns how many. */
  dropOldest(count: number, dropped: Item[]): number {
    const living = this.#items.filter((item) => item.queued);
    const taken = Math.min(count, living.length);
    // Numbers in a typed array sort many times faster than items by a comparison.
    const lastId = Float64Array.from(living, ({ id }) => id).sort()[taken - 1] ?? 0;
    this.#items = [];
    const waitedFor: Item[] = [];
    for (const item of living) {
      if (item.id > lastId) this.#sift(item);
      else if (item.token === 0) dropped.push(item);
      else waitedFor.push(item);
    }
    for (const item of waitedFor.sort((a, b) => a.id - b.id)) dropped.push(item); // Their ends are reported, in order.
    this.living -= taken;
    return taken;
  }

  #sift(item: Item): void {
    const items = this.#items;
    let i = items.length;
    items.push(item);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = items[parent] as Item;
      if (above.id >= item.id) break;
      items[i] = above;
      i = parent;
    }
    items[i] = item;
  }

  #popTop(): Item | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (top === undefined || last === undefined || items.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && (items[child + 1] as Item).id > (items[child] as Item).id) child += 1;
      const below = items[child] as Item;
      if (below.id <= last.id) break;
      items[i] = below;
      i = child;
    }
    items[i] = last;
    return top;
  }
}
