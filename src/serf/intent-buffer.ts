/**
 * Join and leave intents about nodes that SWIM has not shown us yet (reference: serf-protocol §8.3). Gossip may bring the intent
 * before the member; when the member appears, its newest intent decides its status. A join does not consume the entry.
 *
 * In a mass join a node hears of thousands before it meets them, and one process may simulate thousands of nodes: an entry takes some four
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
/** Ages are kept in tenths of a second since the first entry. */
const TICK_MS = 100;

// An entry's word: 0 is none, a join of time t is 1 + 2t and a leave 2 + 2t. Times that do not fit are kept aside.
const NONE = 0;
const WORD_TIME_MAX = 0x7fff_fff0;
/** And one more for a leave. */
const LATE_JOIN = 0xffff_fffd;

export class IntentBuffer {
  readonly #records: MemberRecords;
  /** Slots of the entries by age, oldest first. Where an entry was replaced the older place of its slot stays: it is stale. */
  #slots: Column = new Uint16Array(0);
  /** By slot, what its entry says: type and Lamport time. */
  #words: Column = new Uint16Array(0);
  /** Of few slots, how many places are stale: the oldest ones, since the newest place of a slot is that of its entry. */
  readonly #stale = new Map<number, number>();
  /** Entries of one tick stand together: pairs of the first place and the tick, of which the first ones may be gone. */
  readonly #ticks: number[] = [];
  #firstTick = 0;
  #first = 0;
  #end = 0;
  #size = 0;
  #epochMs = 0;
  readonly #late = new Map<number, number>();

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
    const word = this.#wordOf(slot);
    return word === NONE ? undefined : { type: word % 2 === 0 ? "leave" : "join", lamportTime: this.#timeOf(slot, word) };
  }

  /** Keeps the intent if it is strictly newer than what is known about the node; true when it was kept (and is worth passing on). `slot`: that of the name, or -1. */
  offer(node: string, type: IntentType, lamportTime: number, nowMs: number, slot = this.#records.slotOf(node)): boolean {
    const known = this.#wordOf(slot);
    if (known !== NONE && lamportTime <= this.#timeOf(slot, known)) return false;
    if (this.#size === 0) this.#restart(nowMs);
    if (this.#end === this.#slots.length) this.#makeRoom();
    if (known === NONE) {
      if (slot >= 0) this.#records.holdSlot(slot);
      this.#size += 1;
    } else this.#stale.set(slot, 1 + (this.#stale.get(slot) ?? 0));
    this.#append(slot >= 0 ? slot : this.#records.hold(node), type, lamportTime, Math.max(0, Math.floor((nowMs - this.#epochMs) / TICK_MS)));
    if (this.#size > INTENT_BUFFER_MAX) this.#removeOldest();
    return true;
  }

  /** Forgets intents older than `timeoutMs`. */
  expire(timeoutMs: number, nowMs: number): void {
    while (this.#size > 0) {
      const oldest = this.#oldest();
      if (nowMs - this.#epochMs - this.#tickOf(oldest) * TICK_MS <= timeoutMs) return;
      this.#removeOldest();
    }
  }

  /** Lets go of the shared records. */
  close(): void {
    while (this.#size > 0) this.#removeOldest();
  }

  #wordOf(slot: number): number {
    return slot >= 0 && slot < this.#words.length ? (this.#words[slot] as number) : NONE;
  }

  #timeOf(slot: number, word: number): number {
    return word >= LATE_JOIN ? (this.#late.get(slot) as number) : (word - 1) >>> 1;
  }

  /** Of an entry that is asked for in order of age. */
  #tickOf(place: number): number {
    while (this.#firstTick + 2 < this.#ticks.length && (this.#ticks[this.#firstTick + 2] as number) <= place) this.#firstTick += 2;
    return this.#ticks[this.#firstTick + 1] as number;
  }

  #append(slot: number, type: IntentType, lamportTime: number, tick: number): void {
    const isLate = lamportTime > WORD_TIME_MAX;
    if (isLate) this.#late.set(slot, lamportTime);
    else if (this.#late.size > 0) this.#late.delete(slot);
    const word = isLate ? LATE_JOIN : 1 + 2 * lamportTime;
    const typed = type === "leave" ? word + 1 : word;
    if (slot >= this.#words.length) this.#words = resized(this.#words, Math.max(this.#records.capacity, slot + 1 + (slot >> 2)));
    this.#words = wideEnough(this.#words, typed);
    this.#words[slot] = typed;
    this.#slots = wideEnough(this.#slots, slot);
    this.#slots[this.#end] = slot;
    if (this.#ticks.at(-1) !== tick) this.#ticks.push(this.#end, tick);
    this.#end += 1;
  }

  /** The place of the oldest entry; those before it are given up. */
  #oldest(): number {
    while (this.#isStale(this.#slots[this.#first] as number, this.#stale)) this.#first += 1;
    return this.#first;
  }

  /** The place of this slot is stale, of which all older ones have been asked about; counts it off then. */
  #isStale(slot: number, stale: Map<number, number>): boolean {
    const count = stale.size === 0 ? undefined : stale.get(slot);
    if (count === undefined) return false;
    if (count === 1) stale.delete(slot);
    else stale.set(slot, count - 1);
    return true;
  }

  #removeOldest(): void {
    const slot = this.#slots[this.#oldest()] as number;
    this.#first += 1;
    this.#words[slot] = NONE;
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
    this.#stale.clear();
    this.#epochMs = nowMs;
  }

  /** Up to as many members as will come it grows quickly, and has no spare room then. */
  #nextCapacity(): number {
    const end = this.#end;
    const { expected } = this.#records;
    if (end < GROWS_SLOWLY_FROM || end >= expected) return end + (end >> (end < GROWS_SLOWLY_FROM ? 1 : 3));
    return Math.min(expected, end + (end >> 1));
  }

  /** Closes up what is stale or gone, or grows when that is little. */
  #makeRoom(): void {
    if (this.#size >= (3 * this.#slots.length) >> 2) {
      this.#slots = resized(this.#slots, Math.max(CAPACITY_FIRST, this.#nextCapacity()));
      return;
    }
    const ticks: number[] = [];
    let kept = 0;
    for (let place = this.#first; place < this.#end; place += 1) {
      const slot = this.#slots[place] as number;
      const tick = this.#tickOf(place);
      if (this.#isStale(slot, this.#stale)) continue;
      if (ticks.at(-1) !== tick) ticks.push(kept, tick);
      this.#slots[kept] = slot;
      kept += 1;
    }
    this.#ticks.length = 0;
    for (const each of ticks) this.#ticks.push(each);
    this.#firstTick = 0;
    this.#first = 0;
    this.#end = kept;
  }
}
