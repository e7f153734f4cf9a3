/**
 * The agenda of a simulation: what happens next, in virtual time. Binary heaps in typed arrays, so that a pending event costs no
 * object of its own; equal times are taken in the order of insertion (or as whoever pushes says), which makes runs reproducible.
 */
import { assert } from "../base/assert.ts";

const CAPACITY_FIRST = 1024;
/**
 * What is as near goes to a heap of its own, in µs: the datagrams under way are many, but not at one time, while each node of thousands waits for its next
 * wake-up. So most events pass through a heap of some hundred.
 */
const NEAR_US = 2_000;

/** Numbers of events by their time, and by an order among equal times. */
class Heap {
  #timeUs = new Float64Array(CAPACITY_FIRST);
  #order = new Float64Array(CAPACITY_FIRST);
  #slot = new Int32Array(CAPACITY_FIRST);
  size = 0;

  // The first one, if there is one.

  get timeUs(): number {
    return this.#timeUs[0] as number;
  }

  get order(): number {
    return this.#order[0] as number;
  }

  get slot(): number {
    return this.#slot[0] as number;
  }

  /** One of the next, most likely number `place` from 0, of those there are. */
  slotSoon(place: number): number {
    return this.#slot[place] as number;
  }

  push(timeUs: number, order: number, slot: number): void {
    if (this.size === this.#timeUs.length) this.#grow();
    this.#siftUp(this.size, timeUs, order, slot);
    this.size += 1;
  }

  /** Takes the first one away. */
  pop(): void {
    this.size -= 1;
    const last = this.size;
    if (last > 0) this.#siftDown(this.#timeUs[last] as number, this.#order[last] as number, this.#slot[last] as number);
  }

  #siftUp(from: number, timeUs: number, order: number, slot: number): void {
    const times = this.#timeUs;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const parentUs = times[parent] as number;
      if (parentUs < timeUs || (parentUs === timeUs && (this.#order[parent] as number) < order)) break;
      this.#move(parent, at);
      at = parent;
    }
    times[at] = timeUs;
    this.#order[at] = order;
    this.#slot[at] = slot;
  }

  #siftDown(timeUs: number, order: number, slot: number): void {
    const size = this.size;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#isBefore(child + 1, this.#timeUs[child] as number, this.#order[child] as number)) child += 1;
      if (!this.#isBefore(child, timeUs, order)) break;
      this.#move(child, at);
      at = child;
    }
    this.#timeUs[at] = timeUs;
    this.#order[at] = order;
    this.#slot[at] = slot;
  }

  #isBefore(at: number, timeUs: number, order: number): boolean {
    const time = this.#timeUs[at] as number;
    return time < timeUs || (time === timeUs && (this.#order[at] as number) < order);
  }

  #move(from: number, to: number): void {
    this.#timeUs[to] = this.#timeUs[from] as number;
    this.#order[to] = this.#order[from] as number;
    this.#slot[to] = this.#slot[from] as number;
  }

  #grow(): void {
    const capacity = 2 * this.#timeUs.length;
    this.#timeUs = copyInto(new Float64Array(capacity), this.#timeUs);
    this.#order = copyInto(new Float64Array(capacity), this.#order);
    this.#slot = copyInto(new Int32Array(capacity), this.#slot);
  }
}

export class EventQueue {
  readonly #near = new Heap();
  readonly #far = new Heap();
  // By number.
  #kind = new Uint8Array(CAPACITY_FIRST);
  #node = new Int32Array(CAPACITY_FIRST);
  #payload: unknown[] = new Array<unknown>(CAPACITY_FIRST).fill(null);
  #free = new Int32Array(CAPACITY_FIRST);
  #freeCount = 0;
  #slotCount = 0;
  #nextOrder = 0;
  /** Where the earliest event is, if there is one, and its time; Infinity when there is none. */
  #first = this.#near;
  #nextAtUs = Infinity;

  /** The event taken by the last `pop`. */
  atUs = 0;
  kind = 0;
  node = 0;
  payload: unknown = null;

  get size(): number {
    return this.#near.size + this.#far.size;
  }

  /** Time of the earliest event, in µs; Infinity when there is none. */
  get nextAtUs(): number {
    return this.#nextAtUs;
  }

  /** Finds where the earliest event is: asked for more often than it changes. */
  #findFirst(): void {
    const near = this.#near;
    const far = this.#far;
    const isNear = near.size > 0 && (far.size === 0 || near.timeUs < far.timeUs || (near.timeUs === far.timeUs && near.order < far.order));
    const first = isNear ? near : far;
    this.#first = first;
    this.#nextAtUs = first.size === 0 ? Infinity : first.timeUs;
  }

  /** `order`: in place of its number, which is not negative; smaller ones are taken first at equal times. */
  push(atUs: number, kind: number, node: number, payload: unknown, order = this.#nextOrder++): void {
    assert(atUs >= this.atUs, "an event in the past");
    const slot = this.#freeCount > 0 ? (this.#free[(this.#freeCount -= 1)] as number) : this.#newSlot();
    this.#kind[slot] = kind;
    this.#node[slot] = node;
    this.#payload[slot] = payload;
    (atUs - this.atUs < NEAR_US ? this.#near : this.#far).push(atUs, order, slot);
    if (atUs <= this.#nextAtUs) this.#findFirst();
  }

  #newSlot(): number {
    if (this.#slotCount === this.#kind.length) this.#grow();
    this.#slotCount += 1;
    return this.#slotCount - 1;
  }

  /** The node of one of the next events, most likely number `place` from 0; -1 when there are not so many. */
  nodeSoon(place: number): number {
    const near = this.#near;
    const far = this.#far;
    if (place < near.size) return this.#node[near.slotSoon(place)] as number;
    return place - near.size < far.size ? (this.#node[far.slotSoon(place - near.size)] as number) : -1;
  }

  // The event that `pop` would take now, if there is one.

  get nextKind(): number {
    return this.#kind[this.#first.slot] as number;
  }

  get nextNode(): number {
    return this.#node[this.#first.slot] as number;
  }

  get nextPayload(): unknown {
    return this.#payload[this.#first.slot];
  }

  /** Takes the earliest event into the fields of this object; false when there is none. */
  pop(): boolean {
    const first = this.#first;
    if (first.size === 0) return false;
    const { slot } = first;
    this.atUs = first.timeUs;
    this.kind = this.#kind[slot] as number;
    this.node = this.#node[slot] as number;
    this.payload = this.#payload[slot];
    this.#payload[slot] = null; // The slot waits for reuse and must not keep the payload alive.
    this.#free[this.#freeCount] = slot;
    this.#freeCount += 1;
    first.pop();
    this.#findFirst();
    return true;
  }

  #grow(): void {
    const capacity = 2 * this.#kind.length;
    this.#kind = copyInto(new Uint8Array(capacity), this.#kind);
    this.#node = copyInto(new Int32Array(capacity), this.#node);
    this.#free = copyInto(new Int32Array(capacity), this.#free);
  }
}

function copyInto<T extends Float64Array | Int32Array | Uint8Array>(target: T, source: T): T {
  target.set(source);
  return target;
}
