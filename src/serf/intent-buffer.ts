/**
 * Join and leave intents about nodes that SWIM has not shown us yet (reference: serf-protocol §8.3). Gossip may bring the intent
 * before the member; when the member appears, its newest intent decides its status. A join does not consume the entry.
 *
 * In a mass join a node hears of thousands before it meets them, and one process may simulate thousands of nodes: an entry takes some six
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
/** Ages are kept in tenths of a second since the first entry. */
const TICK_MS = 100;

// An entry's word: 0 is a gap, a join of time t is 1 + 2t and a leave 2 + 2t. Times that do not fit are kept aside.
const GAP = 0;
const WORD_TIME_MAX = 0x7fff_fff0;
/** And one more for a leave. */
const LATE_JOIN = 0xffff_fffd;

export class IntentBuffer {
  readonly #records: MemberRecords;
  // Entries by age, oldest first, with gaps where one was replaced.
  #slots: Column = new Uint16Array(0);
  /** What each says: type and Lamport time. */
  #words: Column = new Uint16Array(0);
  /** Entries of one tick stand together: pairs of the first place and the tick, of which the first ones may be gone. */
  readonly #ticks: number[] = [];
  #firstTick = 0;
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
    return place < 0 ? undefined : { type: (this.#words[place] as number) % 2 === 0 ? "leave" : "join", lamportTime: this.#timeAt(place) };
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
    if (this.#end === this.#words.length) this.#makeRoom();
    this.#append(held, type, lamportTime, Math.max(0, Math.floor((nowMs - this.#epochMs) / TICK_MS)));
    if (this.#size > INTENT_BUFFER_MAX) this.#removeOldest();
    return true;
  }

  /** Forgets intents older than `timeoutMs`. */
  expire(timeoutMs: number, nowMs: number): void {
    while (this.#size > 0) {
      const oldest = this.#oldest();
      if (nowMs - this.#epochMs - this.#tickOf(oldest) * TICK_MS <= timeoutMs) return;
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
    const word = this.#words[place] as number;
    return word >= LATE_JOIN ? (this.#late.get(this.#slots[place] as number) as number) : (word - 1) >>> 1;
  }

  /** Of an entry that is asked for in order of age. */
  #tickOf(place: number): number {
    while (this.#firstTick + 2 < this.#ticks.length && (this.#ticks[this.#firstTick + 2] as number) <= place) this.#firstTick += 2;
    return this.#ticks[this.#firstTick + 1] as number;
  }

  #append(slot: number, type: IntentType, lamportTime: number, tick: number): void {
    const place = this.#end;
    const isLate = lamportTime > WORD_TIME_MAX;
    if (isLate) this.#late.set(slot, lamportTime);
    const word = isLate ? LATE_JOIN : 1 + 2 * lamportTime;
    const typed = type === "leave" ? word + 1 : word;
    this.#slots = wideEnough(this.#slots, slot);
    this.#slots[place] = slot;
    this.#words = wideEnough(this.#words, typed);
    this.#words[place] = typed;
    if (this.#ticks.at(-1) !== tick) this.#ticks.push(place, tick);
    if (slot >= this.#places.length) this.#places = resized(this.#places, Math.max(this.#records.capacity, slot + 1 + (slot >> 2)));
    this.#places = wideEnough(this.#places, place + 1);
    this.#places[slot] = place + 1;
    this.#end += 1;
    this.#size += 1;
  }

  #oldest(): number {
    while (this.#words[this.#first] === GAP) this.#first += 1;
    return this.#first;
  }

  #removeOldest(): void {
    this.#remove(this.#oldest());
  }

  #remove(place: number): void {
    const slot = this.#slots[place] as number;
    this.#words[place] = GAP;
    this.#places[slot] = NOWHERE;
    this.#late.delete(slot);
    this.#records.release(slot);
    this.#size -= 1;
  }

  /** An empty buffer begins anew. */
  #restart(nowMs: number): void {
    this.#first = 0;
    this.#end = 0;
    this.#ticks.length = 0;
    this.#firstTick = 0;
    this.#epochMs = nowMs;
  }

  /** Up to as many members as will come it grows quickly, and has no spare room then. */
  #nextCapacity(): number {
    const end = this.#end;
    const { expected } = this.#records;
    if (end < GROWS_SLOWLY_FROM || end >= expected) return end + (end >> (end < GROWS_SLOWLY_FROM ? 1 : 3));
    return Math.min(expected, end + (end >> 1));
  }

  /** Closes the gaps, or grows when there are few. */
  #makeRoom(): void {
    if (this.#size >= (3 * this.#words.length) >> 2) {
      const capacity = Math.max(CAPACITY_FIRST, this.#nextCapacity());
      this.#slots = resized(this.#slots, capacity);
      this.#words = resized(this.#words, capacity);
      return;
    }
    const ticks: number[] = [];
    let kept = 0;
    for (let place = this.#first; place < this.#end; place += 1) {
      const word = this.#words[place] as number;
      if (word === GAP) continue;
      const tick = this.#tickOf(place);
      if (ticks.at(-1) !== tick) ticks.push(kept, tick);
      const slot = this.#slots[place] as number;
      this.#slots[kept] = slot;
      this.#words[kept] = word;
      this.#places[slot] = kept + 1;
      kept += 1;
    }
    this.#ticks.length = 0;
    for (const each of ticks) this.#ticks.push(each);
    this.#firstTick = 0;
    this.#first = 0;
    this.#end = kept;
  }
}
