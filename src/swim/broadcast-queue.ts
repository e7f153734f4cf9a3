/**
 * Messages waiting to be gossiped (memberlist's transmit-limited queue, serf-protocol §4.11): least transmitted first, then
 * longest, then newest. A message with a key replaces the queued one of its key. Used for SWIM's own messages and for Serf's three queues.
 *
 * A mass join queues a message about every member at every node, and one process may simulate thousands of nodes, so there is no object per
 * item: some nine bytes in columns (`base/column.ts`). Items are numbered as they come, so that a greater number is a newer item. Those of one
 * transmit count and length form a bucket, a pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986) with the newest on top. Queueing, replacing
 * and taking cost O(log n) on average. The number of an item that is over is not used again before the living ones are numbered anew, when
 * the columns are full; replaced items stay in their heap as corpses until then, or until they surface. A bucket's top is always alive.
 */
import { resized, wideEnough, written, type Column } from "../base/column.ts";
import { countUpTo } from "../base/sorted.ts";
import { OwnMessages, type Messages } from "./messages.ts";
import { retransmitLimit } from "./timing.ts";

/** Sends beyond the original's limit use spare room only: above so many queued bytes (16 packets) such messages are dropped. */
export const CROWDED_BYTES = 16 * 1400;
/** No message is sent more often: more than any cluster of 2^32 nodes asks for. */
const TRANSMITS_MAX = 250;
/** In place of the transmit count: the item is over. */
const CORPSE = 255;
/** Item 0 does not exist. */
const NIL = 0;
/** Columns of an empty queue: most queues of most nodes are empty. */
const EMPTY_U16 = new Uint16Array(0);
const EMPTY_U8 = new Uint8Array(0);
const CAPACITY_FIRST = 16;
/** A queue of so many items grows to what is expected, and beyond that by an eighth instead of by half: in a storm of joins each of thousands of nodes has a large one. */
const GROWS_SLOWLY_FROM = 1024;
/** An empty queue keeps room for so many items. */
const CAPACITY_KEPT = 1024;
const TIERS_FIRST = 4;
/** Key of messages that replace no other. */
export const NO_KEY = -1;

// For one call each; no queue calls another.
/** Chains that were taken and go back: the first item of each, the last one, how many they are, and the row of their length. */
const chainTops: number[] = [];
const chainEnds: number[] = [];
const chainCounts: number[] = [];
const chainRows: number[] = [];
const pairs: number[] = [];

function noFloor(): number {
  return 0;
}

function noneExpected(): number {
  return 0;
}

export class BroadcastQueue {
  readonly #retransmitMult: number;
  readonly #nodeCount: () => number;
  readonly #floor: (nodes: number) => number;
  readonly #messages: Messages;
  readonly #expected: () => number;

  // Items, from 1.
  #message: Column = EMPTY_U16;
  #transmits = EMPTY_U8;
  #child: Column = EMPTY_U16; // First child in the pairing heap.
  #sibling: Column = EMPTY_U16;
  #used = 1;
  /** The last item of each key, which may be over; empty while no item has had a key. */
  #itemOf: Column = EMPTY_U16;
  readonly #tokens = new Map<number, number>();

  /** Lengths of messages seen since the queue was last empty, ascending: rows of `#roots`. */
  readonly #lengths: number[] = [];
  #tiers = TIERS_FIRST;
  /** Top of each bucket: row by length, column by transmits. */
  #roots: number[] = [];
  /** Living items by transmits. */
  readonly #perTier: number[] = [];
  #count = 0;
  #bytes = 0;
  /** What `#floor` says of so many nodes. */
  #floorNodes = -1;
  #floorTransmits = 0;

  /** Tokens of finished broadcasts in the order they finished: sent often enough, replaced or pruned. The owner empties it. */
  readonly finished: number[] = [];

  /**
   * Each message is sent `retransmitLimit(retransmitMult, nodeCount())` times, and `floor(nodeCount())` times while there is room
   * (see `retransmitFloor`). The limit is taken anew at each `take`: what a node queued while it knew nobody must not die before
   * it has met the cluster. `expected`: so many items may come; a queue that has become long makes room for them at once, and has none to spare then.
   */
  constructor(retransmitMult: number, nodeCount: () => number, floor: (nodes: number) => number = noFloor, messages: Messages = new OwnMessages(), expected: () => number = noneExpected) {
    this.#retransmitMult = retransmitMult;
    this.#nodeCount = nodeCount;
    this.#floor = floor;
    this.#messages = messages;
    this.#expected = expected;
  }

  get length(): number {
    return this.#count;
  }

  /** Reads what the next message or packet looks at; the sum means nothing. */
  touch(): number {
    if (this.#count === 0) return 0;
    const last = this.#used - 1;
    const read = (this.#message[last] as number) + (this.#transmits[last] as number) + (this.#child[last] as number) + (this.#sibling[last] as number);
    return read + (this.#roots[0] as number) + (this.#lengths[0] as number) + (this.#perTier[0] as number) + this.#tokens.size + this.#itemOf.length + this.finished.length;
  }

  /** Bytes of all queued messages. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Queues `message`, which must not change afterwards. `key`: small and not negative, or `NO_KEY`. `token` comes back in `finished`, unless 0. */
  queue(key: number, message: Uint8Array, token = 0): void {
    this.queueHeld(key, this.#messages.hold(message), message.length, token);
  }

  /** As `queue`, for a message of `length` bytes that has a number; the caller's hold passes to the queue. */
  queueHeld(key: number, number: number, length: number, token = 0): void {
    if (key !== NO_KEY) this.#replace(key);
    const item = this.#newItem();
    this.#message = written(this.#message, item, number);
    this.#transmits[item] = 0;
    if (token !== 0) this.#tokens.set(item, token);
    if (key !== NO_KEY) this.#setKey(item, key);
    this.#add(item, length);
    if (this.#bytes > CROWDED_BYTES) this.#dropExtras();
  }

  /**
   * Appends to `into` the messages for one packet: each costs `overhead` + its length, together at most `limit` bytes; returns the bytes
   * used. The packet goes to `targets` nodes, which counts as so many transmissions (the original takes anew for each target).
   */
  take(overhead: number, limit: number, targets: number, into: Uint8Array[]): number {
    if (this.#count === 0) return 0;
    const nodes = this.#nodeCount();
    const transmitsMax = Math.min(TRANSMITS_MAX, Math.max(this.#floorOf(nodes), retransmitLimit(this.#retransmitMult, nodes)));
    const tierCount = this.#highestTier() + 1; // What we put back must not be taken twice.
    const shortest = this.#lengths[0] as number;
    let used = 0;
    for (let tier = 0; tier < tierCount; tier += 1) {
      if (used + overhead + shortest > limit) break;
      if (this.#perTier[tier] !== 0) used = this.#takeTier(tier, tier + targets < transmitsMax ? tier + targets : CORPSE, overhead, used, limit, into);
    }
    if (chainTops.length > 0) this.#putBack();
    if (this.#count === 0) this.#reset();
    return used;
  }

  /** Takes what fits of one tier: the longest first, among those of a length the newest. They go to tier `next`, or end if that is `CORPSE`. */
  #takeTier(tier: number, next: number, overhead: number, before: number, limit: number, into: Uint8Array[]): number {
    const there = this.#perTier[tier] as number;
    let used = before;
    let taken = 0;
    // Less and less fits: what was too long for the message before is so for the next one.
    for (let row = this.#rowAtMost(limit - used - overhead); row >= 0 && taken < there; row -= 1) {
      const bucket = row * this.#tiers + tier;
      const cost = overhead + (this.#lengths[row] as number);
      while (this.#roots[bucket] !== NIL && used + cost <= limit) {
        const count = this.#takeChain(row, bucket, next, Math.floor((limit - used) / cost), into);
        used += count * cost;
        taken += count;
      }
    }
    this.#perTier[tier] = there - taken;
    return used;
  }

  /**
   * Takes up to `max` items of a bucket, from its top down as long as each is the only child of the one before: mostly all there are, since newer items
   * come on top. They stay a chain, which goes back as a whole. Returns how many.
   */
  #takeChain(row: number, bucket: number, next: number, max: number, into: Uint8Array[]): number {
    const messages = this.#message;
    const children = this.#child;
    const transmits = this.#transmits;
    const top = this.#roots[bucket] as number;
    let end = top;
    let count = 0;
    for (let item = top; ; ) {
      into.push(this.#messages.bytesOf(messages[item] as number));
      count += 1;
      end = item;
      if (next === CORPSE) this.#end(item);
      else transmits[item] = next;
      item = children[item] as number;
      if (count === max || item === NIL || this.#sibling[item] !== NIL || transmits[item] === CORPSE) break;
    }
    this.#roots[bucket] = end;
    this.#popTop(bucket);
    if (next === CORPSE) {
      this.#count -= count;
      this.#bytes -= count * (this.#lengths[row] as number);
      return count;
    }
    children[end] = NIL;
    chainTops.push(top);
    chainEnds.push(end);
    chainCounts.push(count);
    chainRows.push(row);
    return count;
  }

  /** The oldest first: each chain then comes on top of what is there, which makes one chain of them again. */
  #putBack(): void {
    for (let top = chainTops.pop(); top !== undefined; top = chainTops.pop()) {
      const end = chainEnds.pop() as number;
      const tier = this.#transmits[top] as number;
      this.#makeTier(tier);
      this.#perTier[tier] = (this.#perTier[tier] as number) + (chainCounts.pop() as number);
      const bucket = (chainRows.pop() as number) * this.#tiers + tier;
      const there = this.#roots[bucket] as number;
      if (end > there) {
        this.#child[end] = there;
        this.#roots[bucket] = top;
      } else this.#roots[bucket] = this.#meld(there, top);
    }
  }

  /**
   * Keeps at most `max` messages: those transmitted most often go first, then the shortest, then the oldest. Costs O(n) without sorting
   * the queue: a flood of events prunes tens of thousands at a time, between two packets.
   */
  prune(max: number): void {
    for (let tier = this.#highestTier(); tier >= 0; tier -= 1) {
      for (let row = 0; row < this.#lengths.length; row += 1) {
        if (this.#count <= max) break;
        if (this.#root(row, tier) !== NIL) this.#dropOldest(row, tier, this.#count - max);
      }
    }
    if (this.#count === 0) this.#reset();
  }

  /** Lets go of all messages; nothing is reported. */
  close(): void {
    for (let item = 1; item < this.#used; item += 1) if (this.#transmits[item] !== CORPSE) this.#messages.release(this.#message[item] as number);
    this.#count = 0;
    this.#transmits.fill(CORPSE);
    this.#reset();
  }

  /** Bytes of the columns; for measuring. */
  get heldBytes(): number {
    let sum = 0;
    for (const column of [this.#message, this.#transmits, this.#child, this.#sibling, this.#itemOf]) sum += column.byteLength;
    return sum;
  }

  #highestTier(): number {
    let tier = this.#perTier.length - 1;
    while (tier >= 0 && this.#perTier[tier] === 0) tier -= 1;
    return tier;
  }

  #lengthOf(item: number): number {
    return this.#messages.lengthOf(this.#message[item] as number);
  }

  /** Ends messages that have been sent as often as the original would, until the queue is no longer crowded. */
  #dropExtras(): void {
    if (this.#highestTier() < 1) return;
    const transmitsMin = Math.max(1, retransmitLimit(this.#retransmitMult, this.#nodeCount()));
    while (this.#bytes > CROWDED_BYTES) {
      const tier = this.#highestTier();
      if (tier < transmitsMin) return;
      const item = this.#takeFitting(tier, Infinity);
      if (item === NIL) return;
      this.#end(item);
    }
  }

  // Items.

  #newItem(): number {
    if (this.#used >= this.#transmits.length) this.#makeRoom();
    this.#used += 1;
    return this.#used - 1;
  }

  /** Numbers the living anew when many items are over, or grows. */
  #makeRoom(): void {
    const capacity = this.#transmits.length;
    // While an eighth is free, the columns are renumbered once in so many items as to cost little for each.
    if (this.#used - 1 - this.#count > capacity >> 3) this.#renumber();
    else this.#resize(Math.max(CAPACITY_FIRST, this.#nextCapacity()));
  }

  #nextCapacity(): number {
    const used = this.#used;
    if (used < GROWS_SLOWLY_FROM) return used + (used >> 1);
    const whole = this.#expected() + 1; // There is no item 0.
    // At once: what comes by the thousand comes from a storm, which most queues meet in full, and each step on the way leaves columns behind as garbage.
    return used < whole ? whole : used + (used >> 3);
  }

  #resize(capacity: number): void {
    this.#message = resized(this.#message, capacity);
    const transmits = new Uint8Array(capacity);
    transmits.set(this.#transmits);
    this.#transmits = transmits;
    // Links are item numbers.
    this.#child = resized(wideEnough(this.#child, capacity), capacity);
    this.#sibling = resized(wideEnough(this.#sibling, capacity), capacity);
    if (this.#itemOf.length > 0) this.#itemOf = wideEnough(this.#itemOf, capacity);
  }

  /** Gives the living items the first numbers, in their order, and makes the heaps anew. */
  #renumber(): void {
    const renumbered = this.#sibling;
    let next = 1;
    for (let item = 1; item < this.#used; item += 1) renumbered[item] = this.#transmits[item] === CORPSE ? NIL : next++;
    const itemOf = this.#itemOf;
    for (let key = 0; key < itemOf.length; key += 1) itemOf[key] = renumbered[itemOf[key] as number] as number;
    const tokens = [...this.#tokens];
    this.#tokens.clear();
    for (const [item, token] of tokens) this.#tokens.set(renumbered[item] as number, token);
    this.#roots.fill(NIL);
    const end = this.#used;
    this.#used = 1;
    for (let item = 1; item < end; item += 1) {
      const transmits = this.#transmits[item] as number;
      if (transmits === CORPSE) continue;
      const moved = this.#used; // Not after `item`: what is read is not yet overwritten.
      this.#used += 1;
      this.#message[moved] = this.#message[item] as number;
      this.#transmits[moved] = transmits;
      this.#link(moved, this.#rowAtMost(this.#lengthOf(moved)) * this.#tiers + transmits);
    }
  }

  #floorOf(nodes: number): number {
    if (nodes !== this.#floorNodes) {
      this.#floorNodes = nodes;
      this.#floorTransmits = this.#floor(nodes);
    }
    return this.#floorTransmits;
  }

  #setKey(item: number, key: number): void {
    if (key >= this.#itemOf.length) {
      // Keys are scattered over all members: at once as many as are expected, since each step on the way would be an array for nothing.
      const keys = Math.max(CAPACITY_FIRST, key + 1 + (key >> 3), this.#expected() + 1);
      this.#itemOf = resized(wideEnough(this.#itemOf, this.#transmits.length), keys);
    }
    this.#itemOf[key] = item;
  }

  /** Ends the queued message of `key`. */
  #replace(key: number): void {
    const item = key < this.#itemOf.length ? (this.#itemOf[key] as number) : NIL;
    if (item === NIL) return;
    const tier = this.#transmits[item] as number;
    if (tier === CORPSE) return;
    const length = this.#lengthOf(item);
    const row = this.#rowAtMost(length);
    this.#forget(tier, length);
    if (this.#root(row, tier) === item) this.#popTop(row * this.#tiers + tier);
    this.#end(item);
  }

  /** Releases the message and reports the end. */
  #report(item: number): void {
    this.#messages.release(this.#message[item] as number);
    const token = this.#tokens.size === 0 ? undefined : this.#tokens.get(item);
    if (token === undefined) return;
    this.#tokens.delete(item);
    this.finished.push(token);
  }

  /** Ends an item that counts no more. */
  #end(item: number): void {
    this.#report(item);
    this.#transmits[item] = CORPSE;
  }

  // Buckets.

  #root(row: number, tier: number): number {
    return tier < this.#tiers ? (this.#roots[row * this.#tiers + tier] as number) : NIL;
  }

  #add(item: number, length: number): void {
    const tier = this.#transmits[item] as number;
    this.#makeTier(tier);
    this.#link(item, this.#rowOf(length) * this.#tiers + tier);
    this.#perTier[tier] = (this.#perTier[tier] as number) + 1;
    this.#count += 1;
    this.#bytes += length;
  }

  /** An item of this tier and length counts no more. */
  #forget(tier: number, length: number): void {
    this.#perTier[tier] = (this.#perTier[tier] as number) - 1;
    this.#count -= 1;
    this.#bytes -= length;
  }

  /** Takes out the first item of the tier of at most `size` bytes: the longest, among those the newest. */
  #takeFitting(tier: number, size: number): number {
    for (let row = this.#rowAtMost(size); row >= 0; row -= 1) {
      const item = this.#root(row, tier);
      if (item === NIL) continue;
      this.#popTop(row * this.#tiers + tier);
      this.#forget(tier, this.#lengths[row] as number);
      return item;
    }
    return NIL;
  }

  /** Ends up to `count` items of a bucket, the oldest first. */
  #dropOldest(row: number, tier: number, count: number): void {
    const living: number[] = [];
    const length = this.#lengths[row] as number;
    for (let item = this.#root(row, tier); item !== NIL; item = this.#root(row, tier)) {
      this.#popTop(row * this.#tiers + tier);
      living.push(item);
    }
    // Taken newest first.
    const kept = Math.max(0, living.length - count);
    while (living.length > kept) {
      const item = living.pop() as number;
      this.#forget(tier, length);
      this.#end(item);
    }
    const bucket = row * this.#tiers + tier;
    for (let i = living.length - 1; i >= 0; i -= 1) this.#link(living[i] as number, bucket);
  }

  /** Row of the greatest length ≤ `size`, or -1. */
  #rowAtMost(size: number): number {
    return countUpTo(this.#lengths, size) - 1;
  }

  #rowOf(length: number): number {
    const row = this.#rowAtMost(length);
    if (row >= 0 && this.#lengths[row] === length) return row;
    this.#lengths.splice(row + 1, 0, length);
    this.#roots.splice((row + 1) * this.#tiers, 0, ...new Array<number>(this.#tiers).fill(NIL));
    return row + 1;
  }

  #makeTier(tier: number): void {
    while (this.#perTier.length <= tier) this.#perTier.push(0);
    if (tier >= this.#tiers) this.#addTiers(tier + 1);
  }

  #addTiers(atLeast: number): void {
    const tiers = Math.max(atLeast, 2 * this.#tiers);
    const roots = new Array<number>(tiers * this.#lengths.length).fill(NIL);
    for (let row = 0; row < this.#lengths.length; row += 1) {
      for (let tier = 0; tier < this.#tiers; tier += 1) roots[row * tiers + tier] = this.#root(row, tier);
    }
    this.#tiers = tiers;
    this.#roots = roots;
  }

  // Pairing heaps.

  #link(item: number, bucket: number): void {
    this.#child[item] = NIL;
    this.#sibling[item] = NIL;
    this.#roots[bucket] = this.#meld(this.#roots[bucket] as number, item);
  }

  /** Joins two heaps, of which `a` may be empty; the top of the result. */
  #meld(a: number, b: number): number {
    if (a === NIL) return b;
    if (a > b) {
      this.#sibling[b] = this.#child[a] as number;
      this.#child[a] = b;
      return a;
    }
    this.#sibling[a] = this.#child[b] as number;
    this.#child[b] = a;
    return b;
  }

  /** Takes the top off, and what lies dead under it. */
  #popTop(bucket: number): void {
    let top = this.#merged(this.#child[this.#roots[bucket] as number] as number);
    while (top !== NIL && this.#transmits[top] === CORPSE) top = this.#merged(this.#child[top] as number);
    this.#roots[bucket] = top;
  }

  /** One heap of a chain of siblings: in pairs from the first, then all from the last. */
  #merged(first: number): number {
    if (first === NIL) return NIL;
    const second = this.#sibling[first] as number;
    if (second === NIL) return first;
    while (pairs.length > 0) pairs.pop(); // Setting the length leaves optimised code.
    for (let item = first; item !== NIL; ) {
      const next = this.#sibling[item] as number;
      this.#sibling[item] = NIL;
      if (next === NIL) {
        pairs.push(item);
        break;
      }
      const after = this.#sibling[next] as number;
      this.#sibling[next] = NIL;
      pairs.push(this.#meld(item, next));
      item = after;
    }
    let top = pairs[pairs.length - 1] as number;
    for (let i = pairs.length - 2; i >= 0; i -= 1) top = this.#meld(top, pairs[i] as number);
    return top;
  }

  /** An empty queue forgets the lengths it has seen, and gives back much room. Numbers go on: keys may still name items that are over. */
  #reset(): void {
    this.#lengths.length = 0;
    this.#roots.length = 0;
    this.#perTier.length = 0;
    this.#tokens.clear();
    if (this.#transmits.length <= CAPACITY_KEPT) return;
    this.#used = 1;
    this.#message = EMPTY_U16;
    this.#transmits = EMPTY_U8;
    this.#child = EMPTY_U16;
    this.#sibling = EMPTY_U16;
    this.#itemOf = EMPTY_U16;
  }
}
