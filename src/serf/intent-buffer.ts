/**
 * Join and leave intents about nodes that SWIM has not shown us yet (reference: serf-protocol §8.3). Gossip may bring the intent
 * before the member; when the member appears, its newest intent decides its status. A join does not consume the entry.
 *
 * In a mass join a node hears of thousands before it meets them, and one process may simulate thousands of nodes: an entry takes some twelve
 * bytes in columns, found by the slot of its name in the records of the process.
 */
import { resized, wideEnough, type Column } from "../base/column.ts";
import { MemberRecords } from "../swim/member-records.ts";

export type IntentType = "join" | "leave";

export interface Intent {
  readonly type: IntentType;
  readonly lamportTime: number;
}

/** Most names remembered; beyond it the oldest entry goes (the original has no bound: serf#402). */
export const INTENT_BUFFER_MAX = 16_384;
const CAPACITY_FIRST = 16;
/** A buffer of so many entries grows by an eighth instead of by half. */
const GROWS_SLOWLY_FROM = 1024;
/** In `#places`: no entry. Others stand there as their place and one. */
const NOWHERE = 0;
/** Lamport times from here on are kept aside. */
const LATE = 0xffff_ffff;
/** Ages are kept in tenths of a second since the first entry: 32 bits reach 13 years. */
const TICK_MS = 100;

export class IntentBuffer {
  readonly #records: MemberRecords;
  // Entries by age, oldest first, with gaps where one was replaced.
  #slots: Column = new Uint16Array(0);
  #times: Column = new Uint16Array(0);
  #ticks: Column = new Uint16Array(0);
  /** 0: a gap; 1: a leave; 2: a join. */
  #types = new Uint8Array(0);
  #first = 0;
  #end = 0;
  #size = 0;
  #epochMs = 0;
  readonly #late = new Map<number, number>();
  /** Where the entry of a slot stands. */
  #places: Column = new Uint16Array(0);

  /** `records`: where names have numbers. */
  constructor(records: MemberRecords = new MemberRecords()) {
    this.#records = records;
  }

  get size(): number {
    return this.#size;
  }

  get(node: string): Intent | undefined {
    return this.#size === 0 ? undefined : this.getAt(this.#records.slotOf(node));
  }

  /** As `get`, by the slot of the name, or -1. */
  getAt(slot: number): Intent | undefined {
    const place = this.#placeOf(slot);
    return place < 0 ? undefined : { type: this.#types[place] === 1 ? "leave" : "join", lamportTime: this.#timeAt(place) };
  }

  /** Keeps the intent if it is strictly newer than what is known about the node; true when it was kept (and is worth passing on). `slot`: that of the name, or -1. */
  offer(node: string, type: IntentType, lamportTime: number, nowMs: number, slot = this.#records.slotOf(node)): boolean {
    const known = this.#placeOf(slot);
    if (known >= 0 && lamportTime <= this.#timeAt(known)) return false;
    // Held before the old entry lets go.
    if (slot >= 0) this.#records.holdSlot(slot);
    const held = slot >= 0 ? slot : this.#records.hold(node);
    if (known >= 0) this.#remove(known);
    if (this.#size === 0) this.#restart(nowMs);
    if (this.#end === this.#types.length) this.#makeRoom();
    this.#append(held, type, lamportTime, Math.max(0, Math.floor((nowMs - this.#epochMs) / TICK_MS)));
    if (this.#size > INTENT_BUFFER_MAX) this.#removeOldest();
    return true;
  }

  /** Forgets intents older than `timeoutMs`. */
  expire(timeoutMs: number, nowMs: number): void {
    while (this.#size > 0) {
      const oldest = this.#oldest();
      if (nowMs - this.#epochMs - (this.#ticks[oldest] as number) * TICK_MS <= timeoutMs) return;
      this.#remove(oldest);
    }
  }

  /** Lets go of the shared records. */
  close(): void {
    while (this.#size > 0) this.#removeOldest();
  }

  #placeOf(slot: number): number {
    return slot >= 0 && slot < this.#places.length ? (this.#places[slot] as number) - 1 : -1;
  }

  #timeAt(place: number): number {
    const time = this.#times[place] as number;
    return time === LATE ? (this.#late.get(this.#slots[place] as number) as number) : time;
  }

  #append(slot: number, type: IntentType, lamportTime: number, tick: number): void {
    const place = this.#end;
    const time = Math.min(lamportTime, LATE);
    if (time === LATE) this.#late.set(slot, lamportTime);
    this.#slots = wideEnough(this.#slots, slot);
    this.#slots[place] = slot;
    this.#times = wideEnough(this.#times, time);
    this.#times[place] = time;
    this.#ticks = wideEnough(this.#ticks, tick);
    this.#ticks[place] = tick;
    this.#types[place] = type === "leave" ? 1 : 2;
    if (slot >= this.#places.length) this.#places = resized(this.#places, Math.max(this.#records.capacity, slot + 1 + (slot >> 2)));
    this.#places = wideEnough(this.#places, place + 1);
    this.#places[slot] = place + 1;
    this.#end += 1;
    this.#size += 1;
  }

  #oldest(): number {
    while (this.#types[this.#first] === 0) this.#first += 1;
    return this.#first;
  }

  #removeOldest(): void {
    this.#remove(this.#oldest());
  }

  #remove(place: number): void {
    const slot = this.#slots[place] as number;
    this.#types[place] = 0;
    this.#places[slot] = NOWHERE;
    this.#late.delete(slot);
    this.#records.release(slot);
    this.#size -= 1;
  }

  /** An empty buffer begins anew. */
  #restart(nowMs: number): void {
    this.#first = 0;
    this.#end = 0;
    this.#epochMs = nowMs;
  }

  /** Closes the gaps, or grows when there are few. */
  #makeRoom(): void {
    if (this.#size >= (3 * this.#types.length) >> 2) {
      const capacity = Math.max(CAPACITY_FIRST, this.#end + (this.#end >> (this.#end < GROWS_SLOWLY_FROM ? 1 : 3)));
      this.#slots = resized(this.#slots, capacity);
      this.#times = resized(this.#times, capacity);
      this.#ticks = resized(this.#ticks, capacity);
      this.#types = resized(this.#types, capacity) as Uint8Array<ArrayBuffer>;
      return;
    }
    let kept = 0;
    for (let place = this.#first; place < this.#end; place += 1) {
      const type = this.#types[place] as number;
      if (type === 0) continue;
      const slot = this.#slots[place] as number;
      this.#slots[kept] = slot;
      this.#times[kept] = this.#times[place] as number;
      this.#ticks[kept] = this.#ticks[place] as number;
      this.#types[kept] = type;
      this.#places[slot] = kept + 1;
      kept += 1;
    }
    this.#first = 0;
    this.#end = kept;
  }
}
