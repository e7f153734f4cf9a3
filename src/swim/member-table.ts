/**
 * One node's view of the members. Per member it keeps 15 bytes in typed arrays, indexed by the slot of the shared records:
 * incarnation 4, state 1, time of the last state change 4, variant 2, place in the probe order 4. No object per member.
 */
import type { Random } from "../base/random.ts";
import type { MemberRecord, MemberRecords } from "./member-records.ts";
import type { MemberTableView, SwimMember, SwimState } from "./types.ts";

/** 0 marks a slot this node does not know. */
export const StateCode = { unknown: 0, alive: 1, suspect: 2, dead: 3, left: 4 } as const;
const STATE_NAMES = ["dead", "alive", "suspect", "dead", "left"] as const satisfies readonly SwimState[];

/** Times are kept in tenths of a second since the table was made: 32 bits reach 13 years, and nothing that reads them needs more precision. */
const TICK_MS = 100;
/** Spare room when the arrays grow: an eighth of the records, at least eight. */
const GROWTH_DIVISOR = 8;
const GROWTH_MIN = 8;

export interface MemberContent {
  readonly addr: Uint8Array;
  readonly port: number;
  readonly meta: Uint8Array;
  readonly versions: Uint8Array;
}

export class MemberTable implements MemberTableView {
  readonly #records: MemberRecords;
  readonly #epochMs: number;
  #incarnations = new Uint32Array(0);
  #states = new Uint8Array(0);
  #changes = new Uint32Array(0);
  #variants = new Uint16Array(0);
  #order = new Uint32Array(0); // Slots in probing order; the first #size count.
  #size = 0;
  #revision = 0;
  readonly #perState = [0, 0, 0, 0, 0];

  constructor(records: MemberRecords, nowMs: number) {
    this.#records = records;
    this.#epochMs = nowMs;
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
    return slot < this.#states.length ? (this.#states[slot] as number) : StateCode.unknown;
  }

  incarnation(slot: number): number {
    return this.#incarnations[slot] as number;
  }

  changedAtMs(slot: number): number {
    return (this.#changes[slot] as number) * TICK_MS + this.#epochMs;
  }

  record(slot: number): MemberRecord {
    return this.#records.record(slot, this.#variants[slot] as number);
  }

  /** Adds an unknown member, dead and of incarnation 0, at a random place of the probing order. */
  add(name: string, content: MemberContent, nowMs: number, random: Random): number {
    const slot = this.#records.hold(name);
    this.#reserve(slot);
    this.#variants[slot] = this.#records.holdVariant(slot, content);
    this.#incarnations[slot] = 0;
    this.#states[slot] = StateCode.dead;
    this.#perState[StateCode.dead] = this.countOf(StateCode.dead) + 1;
    this.#changes[slot] = this.#ticks(nowMs);
    const place = random.below(this.#size + 1);
    this.#order[this.#size] = this.#order[place] as number;
    this.#order[place] = slot;
    this.#size += 1;
    this.#revision += 1;
    return slot;
  }

  setState(slot: number, state: number, nowMs: number): void {
    const old = this.#states[slot] as number;
    this.#perState[old] = this.countOf(old) - 1;
    this.#perState[state] = this.countOf(state) + 1;
    this.#states[slot] = state;
    this.#changes[slot] = this.#ticks(nowMs);
    this.#revision += 1;
  }

  setIncarnation(slot: number, incarnation: number): void {
    this.#incarnations[slot] = incarnation;
    this.#revision += 1;
  }

  setContent(slot: number, content: MemberContent): void {
    const old = this.#variants[slot] as number;
    this.#variants[slot] = this.#records.holdVariant(slot, content);
    this.#records.releaseVariant(slot, old);
    this.#revision += 1;
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
      stateChangeMs: this.changedAtMs(slot),
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
    return this.#incarnations.byteLength + this.#states.byteLength + this.#changes.byteLength + this.#variants.byteLength + this.#order.byteLength;
  }

  #forget(slot: number): void {
    const state = this.#states[slot] as number;
    this.#perState[state] = this.countOf(state) - 1;
    this.#states[slot] = StateCode.unknown;
    this.#records.releaseVariant(slot, this.#variants[slot] as number);
    this.#records.release(slot);
    this.#revision += 1;
  }

  #ticks(nowMs: number): number {
    return Math.max(0, Math.floor((nowMs - this.#epochMs) / TICK_MS));
  }

  #reserve(slot: number): void {
    if (slot < this.#states.length) return;
    const { capacity } = this.#records;
    // Where nodes share the records, they soon know all there is: no spare room then. Whoever meets a name first makes some.
    const spare = slot + 1 < capacity ? 0 : Math.max(GROWTH_MIN, Math.trunc(capacity / GROWTH_DIVISOR));
    const length = capacity + spare;
    this.#incarnations = grown(this.#incarnations, new Uint32Array(length));
    this.#states = grown(this.#states, new Uint8Array(length));
    this.#changes = grown(this.#changes, new Uint32Array(length));
    this.#variants = grown(this.#variants, new Uint16Array(length));
    this.#order = grown(this.#order, new Uint32Array(length));
  }
}

function grown<T extends Uint32Array | Uint16Array | Uint8Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
