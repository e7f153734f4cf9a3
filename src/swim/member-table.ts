/**
 * One node's view of the members. Per member it keeps 4 to 8 bytes in typed arrays, indexed by the slot of the shared
 * records: one word for state, variant and incarnation, and the place in the probe order. No object per member, save for the dead and the
 * left, whose time counts, and for incarnations and variants that do not fit the word.
 */
import { areSameColumns, copiedInto, resized, wideEnough, type Column } from "../base/column.ts";
import type { Endpoint } from "../base/endpoint.ts";
import type { Random } from "../base/random.ts";
import { intLength } from "../wire/msgpack.ts";
import type { AdoptedMembers } from "./adopted-members.ts";
import type { StateArrays } from "./state-arrays.ts";
import type { MemberRecord, MemberRecords } from "./member-records.ts";
import type { MemberTableView, SwimMember, SwimState } from "./types.ts";

/** 0 marks a slot this node does not know. */
export const StateCode = { unknown: 0, alive: 1, suspect: 2, dead: 3, left: 4 } as const;
const STATE_NAMES = ["dead", "alive", "suspect", "dead", "left"] as const satisfies readonly SwimState[];

// A word, from its lowest bit: 3 of state, 9 of variant, 20 of incarnation. The greatest incarnation says to look into `#wide`. Words take
// 16 bits each as long as no incarnation exceeds 15.
const STATE_MASK = 0b111;
const VARIANT_SHIFT = 3;
const VARIANT_LIMIT = 1 << 9;
const INCARNATION_SHIFT = 12;
const INCARNATION_WIDE = (1 << 20) - 1;

function wordOf(state: number, variant: number, incarnation: number): number {
  const fits = variant < VARIANT_LIMIT && incarnation < INCARNATION_WIDE;
  return fits ? ((incarnation << INCARNATION_SHIFT) | (variant << VARIANT_SHIFT) | state) >>> 0 : ((INCARNATION_WIDE << INCARNATION_SHIFT) | state) >>> 0;
}

function isOther(word: number): boolean {
  return (word >>> VARIANT_SHIFT) % VARIANT_LIMIT !== 0 || word >>> INCARNATION_SHIFT === INCARNATION_WIDE;
}

export interface MemberContent {
  readonly addr: Uint8Array;
  readonly port: number;
  readonly meta: Uint8Array;
  readonly versions: Uint8Array;
}

export interface WideMember {
  readonly variant: number;
  readonly incarnation: number;
}

export type MemberRowsParts = Pick<MemberRows, "size" | "order" | "words" | "wide" | "suspects">;

/** What one node knew of all members at one moment; `i` counts rows. */
export class MemberRows {
  readonly size: number;
  /** Slots in probing order; the first `size` count. */
  readonly order: Column;
  /** By slot. */
  readonly words: Column;
  /** By slot, what does not fit the word; null for nothing. */
  readonly wide: ReadonlyMap<number, WideMember> | null;
  /** So many are suspects. */
  readonly suspects: number;

  constructor({ size, order, words, wide, suspects }: MemberRowsParts) {
    this.size = size;
    this.order = order;
    this.words = words;
    this.wide = wide;
    this.suspects = suspects;
  }

  slot(i: number): number {
    return this.order[i] as number;
  }

  state(i: number): number {
    return this.#word(i) & STATE_MASK;
  }

  variant(i: number): number {
    const word = this.#word(i);
    return word >>> INCARNATION_SHIFT === INCARNATION_WIDE ? this.#wideAt(i).variant : (word >>> VARIANT_SHIFT) % VARIANT_LIMIT;
  }

  incarnation(i: number): number {
    const incarnation = this.#word(i) >>> INCARNATION_SHIFT;
    return incarnation === INCARNATION_WIDE ? this.#wideAt(i).incarnation : incarnation;
  }

  #word(i: number): number {
    return this.words[this.order[i] as number] as number;
  }

  #wideAt(i: number): WideMember {
    return this.wide?.get(this.slot(i)) as WideMember;
  }
}

/** Apart, as are other long loops over members: code that V8 compiles within a loop it keeps, also if what comes behind the loop was compiled for something else. */
function lengthOfStates(table: MemberTable, length: number, records: MemberRecords): number {
  const { firstStateLengths } = records;
  let bytes = 0;
  for (let slot = 0; slot < length; slot += 1) {
    if (table.state(slot) === StateCode.unknown) continue;
    const variant = table.variant(slot);
    const first = variant === 0 ? (firstStateLengths[slot] as number) : 0;
    bytes += (first === 0 ? records.stateLength(slot, variant) : first) + intLength(table.incarnation(slot));
  }
  return bytes;
}

export class MemberTable implements MemberTableView {
  readonly #records: MemberRecords;
  #words: Column = new Uint16Array(0);
  readonly #wide = new Map<number, WideMember>();
  /** When a member died or left. */
  readonly #goneAtMs = new Map<number, number>();
  #order: Column = new Uint16Array(0); // Slots in probing order; the first #size count.
  #size = 0;
  #revision = 0;
  /** `statesLength` as it was at a revision. */
  #statesLength = 0;
  #measuredRevision = 0;
  readonly #perState = [0, 0, 0, 0, 0];
  /** Members of which a word alone does not say that they are of the first variant. */
  #others = 0;
  /**
   * Told that a row has regressed: it is forgotten, or its content is another, after which its incarnation may be lower too. Every other change of a
   * row moves it forward, so that claims and accusations that were out of date stay so.
   */
  onRegress: ((slot: number) => void) | null = null;

  constructor(records: MemberRecords) {
    this.#records = records;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Known members of every state, ourselves included. */
  get size(): number {
    return this.#size;
  }

  get aliveCount(): number {
    return this.#perState[StateCode.alive] as number;
  }

  get areAllAlive(): boolean {
    return this.aliveCount === this.#size;
  }

  /** Alive or suspect. */
  get livingCount(): number {
    return (this.#perState[StateCode.alive] as number) + (this.#perState[StateCode.suspect] as number);
  }

  countOf(state: number): number {
    return this.#perState[state] ?? 0;
  }

  /** The slot of a known member, or -1. */
  slotOf(name: string): number {
    const slot = this.#records.slotOf(name);
    return slot >= 0 && this.state(slot) !== StateCode.unknown ? slot : -1;
  }

  /** Slot at a place of the probing order. */
  slotAt(row: number): number {
    return this.#order[row] as number;
  }

  state(slot: number): number {
    return slot < this.#words.length ? (this.#words[slot] as number) & STATE_MASK : StateCode.unknown;
  }

  incarnation(slot: number): number {
    const incarnation = (this.#words[slot] as number) >>> INCARNATION_SHIFT;
    return incarnation === INCARNATION_WIDE ? (this.#wide.get(slot) as WideMember).incarnation : incarnation;
  }

  /** Which of the contents announced under this name we hold. */
  variant(slot: number): number {
    if (this.#others === 0) return 0;
    const word = this.#words[slot] as number;
    return word >>> INCARNATION_SHIFT === INCARNATION_WIDE ? (this.#wide.get(slot) as WideMember).variant : (word >>> VARIANT_SHIFT) % VARIANT_LIMIT;
  }

  /** The member is known, of this variant, and its incarnation is this or a higher one. */
  holds(slot: number, variant: number, incarnation: number): boolean {
    if (slot >= this.#words.length) return false;
    const word = this.#words[slot] as number;
    if ((word & STATE_MASK) === StateCode.unknown) return false;
    const held = word >>> INCARNATION_SHIFT;
    if (held === INCARNATION_WIDE) return this.variant(slot) === variant && this.incarnation(slot) >= incarnation;
    return held >= incarnation && (word >>> VARIANT_SHIFT) % VARIANT_LIMIT === variant;
  }

  /** When the member died or left, in ms of the clock given to `setState`; of use for such a member only. */
  goneAtMs(slot: number): number {
    return this.#goneAtMs.get(slot) ?? 0;
  }

  /** All members are of the first variant of their slot. */
  get areAllFirst(): boolean {
    return this.#others === 0;
  }

  endpoint(slot: number): Endpoint {
    return this.#records.endpoint(slot, this.variant(slot));
  }

  record(slot: number): MemberRecord {
    return this.#records.record(slot, this.variant(slot));
  }

  /** A copy of all rows, in memory for as many as the records have. */
  rows({ order, words }: Pick<StateArrays, "order" | "words">): MemberRows {
    return new MemberRows({
      size: this.#size,
      order: copiedInto(order, this.#order, this.#size),
      words: copiedInto(words, this.#words, this.#words.length),
      wide: this.#wide.size === 0 ? null : new Map(this.#wide),
      suspects: this.countOf(StateCode.suspect),
    });
  }

  /** Nothing in the rows is news, as between nodes that agree on everybody. False when that takes a look at each. */
  agreesWith({ words, wide, suspects }: MemberRows): boolean {
    return suspects === 0 && wide === null && this.#wide.size === 0 && areSameColumns(this.#words, words);
  }

  /** Bytes of all rows in a push/pull; only where nodes share records. */
  get statesLength(): number {
    if (this.#measuredRevision !== this.#revision) {
      this.#statesLength = lengthOfStates(this, this.#words.length, this.#records);
      this.#measuredRevision = this.#revision;
    }
    return this.#statesLength;
  }

  /** Adds an unknown member, dead and of incarnation 0, at a random place of the probing order. */
  add(name: string, content: MemberContent, nowMs: number, random: Random): number {
    const slot = this.#records.hold(name);
    this.#enter(slot, this.#records.holdVariant(slot, content), random);
    this.#goneAtMs.set(slot, nowMs);
    return slot;
  }

  /** As `add`, of a member that others of the process know in this variant; the caller makes it alive. */
  addKnown(slot: number, variant: number, random: Random): void {
    this.#records.holdSlot(slot);
    this.#records.holdKnownVariant(slot, variant);
    this.#enter(slot, variant, random);
  }

  #enter(slot: number, variant: number, random: Random): void {
    this.#reserve(slot);
    this.#put(slot, StateCode.dead, variant, 0);
    this.#perState[StateCode.dead] = this.countOf(StateCode.dead) + 1;
    const place = random.below(this.#size + 1);
    this.#order[this.#size] = this.#order[place] as number;
    this.#order[place] = slot;
    this.#size += 1;
    this.#revision += 1;
  }

  /** Takes over members of the shared records as alive, in a random probing order; those that are known stay as they are. */
  adopt(members: AdoptedMembers, random: Random): void {
    const { length, slots, variants, incarnations, lastSlot } = members;
    const records = this.#records;
    const isShared = records.sharing !== null; // Then nobody counts who holds them.
    const before = this.#size;
    let size = before;
    let areAdopted = true;
    let widest = 0;
    for (let i = 0; i < length; i += 1) widest = Math.max(widest, wordOf(StateCode.alive, variants[i] as number, incarnations[i] as number));
    this.#reserve(lastSlot);
    this.#words = wideEnough(this.#words, widest);
    const words = this.#words;
    const order = this.#order;
    for (let i = 0; i < length; i += 1) {
      const slot = slots[i] as number;
      const variant = variants[i] as number;
      const incarnation = incarnations[i] as number;
      const word = wordOf(StateCode.alive, variant, incarnation);
      if (words[slot] !== StateCode.unknown) {
        areAdopted &&= words[slot] === word;
        continue;
      }
      if (!isShared) {
        records.holdSlot(slot);
        records.holdKnownVariant(slot, variant);
      }
      words[slot] = word;
      if (isOther(word)) this.#others += 1;
      if (word >>> INCARNATION_SHIFT === INCARNATION_WIDE) this.#wide.set(slot, { variant, incarnation });
      const place = random.below(size + 1);
      order[size] = order[place] as number;
      order[place] = slot;
      size += 1;
    }
    this.#size = size;
    this.#perState[StateCode.alive] = this.countOf(StateCode.alive) + size - before;
    this.#revision += 1;
    if (isShared && areAdopted && size === length) this.#takeLength(members);
  }

  /** Nodes that know just these say the same of them. */
  #takeLength(members: AdoptedMembers): void {
    if (members.statesLength < 0) members.statesLength = this.statesLength;
    this.#statesLength = members.statesLength;
    this.#measuredRevision = this.#revision;
  }

  setState(slot: number, state: number, nowMs: number): void {
    const word = this.#words[slot] as number;
    const old = word & STATE_MASK;
    this.#perState[old] = this.countOf(old) - 1;
    this.#perState[state] = this.countOf(state) + 1;
    this.#words[slot] = word - old + state; // As wide as before.
    if (state === StateCode.dead || state === StateCode.left) this.#goneAtMs.set(slot, nowMs);
    else if (this.#goneAtMs.size > 0) this.#goneAtMs.delete(slot);
    this.#revision += 1;
  }

  setIncarnation(slot: number, incarnation: number): void {
    this.#put(slot, this.state(slot), this.variant(slot), incarnation);
    this.#revision += 1;
  }

  setContent(slot: number, content: MemberContent): void {
    const old = this.variant(slot);
    this.#put(slot, this.state(slot), this.#records.holdVariant(slot, content), this.incarnation(slot));
    this.#records.releaseVariant(slot, old);
    this.#revision += 1;
    this.onRegress?.(slot);
  }

  #put(slot: number, state: number, variant: number, incarnation: number): void {
    const word = wordOf(state, variant, incarnation);
    if (word >>> INCARNATION_SHIFT === INCARNATION_WIDE) this.#wide.set(slot, { variant, incarnation });
    else if (this.#wide.size > 0) this.#wide.delete(slot);
    this.#write(slot, word);
  }

  #write(slot: number, word: number): void {
    this.#words = wideEnough(this.#words, word);
    this.#others += (isOther(word) ? 1 : 0) - (isOther(this.#words[slot] as number) ? 1 : 0);
    this.#words[slot] = word;
  }

  /** Forgets the members for which `isOver(slot)` holds, and shuffles the probing order. */
  startRound(isOver: (slot: number) => boolean, random: Random): void {
    const order = this.#order;
    let kept = 0;
    for (let row = 0; row < this.#size; row += 1) {
      const slot = order[row] as number;
      if (isOver(slot)) this.#forget(slot);
      else order[kept++] = slot;
    }
    this.#size = kept;
    for (let i = kept - 1; i > 0; i -= 1) {
      const j = random.below(i + 1);
      const swapped = order[i] as number;
      order[i] = order[j] as number;
      order[j] = swapped;
    }
  }

  /** Lets go of the shared records: for a node that ends while others of its process go on. */
  close(): void {
    this.onRegress = null;
    this.startRound(() => true, { below: () => 0 });
  }

  view(slot: number): SwimMember {
    const { name, addr, endpoint, meta, versions } = this.record(slot);
    return {
      name,
      addr,
      ip: endpoint.ip,
      port: endpoint.port,
      meta,
      versions,
      incarnation: this.incarnation(slot),
      state: STATE_NAMES[this.state(slot)] ?? "dead",
    };
  }

  nameAt(row: number): string {
    return this.#records.nameAt(this.slotAt(row));
  }

  incarnationAt(row: number): number {
    return this.incarnation(this.slotAt(row));
  }

  stateAt(row: number): SwimState {
    return STATE_NAMES[this.state(this.slotAt(row))] ?? "dead";
  }

  stateOf(name: string): SwimState | null {
    const slot = this.slotOf(name);
    return slot < 0 ? null : (STATE_NAMES[this.state(slot)] ?? "dead");
  }

  /** Bytes of the typed arrays; for measuring. */
  get bytes(): number {
    return this.#words.byteLength + this.#order.byteLength;
  }

  #forget(slot: number): void {
    const state = this.state(slot);
    const variant = this.variant(slot);
    this.#perState[state] = this.countOf(state) - 1;
    this.#wide.delete(slot);
    this.#goneAtMs.delete(slot);
    this.#write(slot, StateCode.unknown);
    this.#records.releaseVariant(slot, variant);
    this.#records.release(slot);
    this.#revision += 1;
    this.onRegress?.(slot);
  }

  #reserve(slot: number): void {
    if (slot < this.#words.length) return;
    const length = this.#records.tableLength(slot);
    this.#words = resized(this.#words, length);
    this.#order = resized(wideEnough(this.#order, length), length);
  }
}
