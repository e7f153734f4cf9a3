/**
 * What members announce about themselves, kept once per process: nodes that share a `MemberRecords` (a simulation, or the pools
 * of one test) refer to a member by two small numbers instead of holding its name, address and meta each.
 *
 * A *slot* stands for a name, a *variant* for one content announced under it (a member has another one after a change of tags
 * or address). Both are counted and reused when their last holder lets go. Records never change.
 */
import { assert } from "../base/assert.ts";
import { resized } from "../base/column.ts";
import { equalBytes } from "../base/bytes.ts";
import { ipFromBytes, type Endpoint } from "../base/endpoint.ts";
import { utf8Length } from "../base/utf8.ts";
import { encodeNodeState } from "../wire/gossip-codec.ts";
import { intLength, stringLength } from "../wire/msgpack.ts";
import { StateArraysPool } from "./state-arrays.ts";
import { OwnMessages, type Messages, type Sharing } from "./messages.ts";

export interface MemberRecord {
  readonly name: string;
  readonly addr: Uint8Array;
  /** Where its packets and streams go. `ip` is "" when `addr` is no address. */
  readonly endpoint: Endpoint;
  readonly port: number;
  readonly meta: Uint8Array;
  /** [PMin, PMax, PCur, DMin, DMax, DCur], shorter from old senders. */
  readonly versions: Uint8Array;
  /** What the layer above shows of the record, kept here for all nodes that share it; its own business. */
  readonly upper: unknown[];
}

/** A variant is stored in 16 bits per view. */
const VARIANTS_MAX = 0xffff;

/** Spare room of tables: an eighth of the records, at least eight. */
const SPARE_DIVISOR = 8;
const SPARE_MIN = 8;

interface Slot {
  readonly name: string;
  holders: number;
  /** Gaps are null and reused. */
  readonly variants: (MemberRecord | null)[];
  readonly variantHolders: number[];
  /** Bytes of each variant in a push/pull, once somebody has asked. */
  readonly stateLengths: number[];
}

export class MemberRecords {
  /** The gossip of the nodes that share these records. */
  readonly messages: Messages;
  /** Null: a node has these records for itself. */
  readonly sharing: Sharing | null;
  /** Room for full states on their way between the nodes that share these records. */
  readonly stateArrays = new StateArraysPool();
  readonly #expected: number;
  #nameLengths = new Uint16Array(0);
  #firstStateLengths = new Uint16Array(0);
  #versions: Uint8Array | null = null;
  #areVersionsAlike = true;
  #areAllReachable = true;
  readonly #slotOf = new Map<string, number>();
  readonly #slots: (Slot | null)[] = [];
  /** The first variant of each slot again: nearly all that is asked for, and found without a look at the slot. */
  readonly #firsts: (MemberRecord | null)[] = [];
  /** Of the first variants. */
  readonly #firstEndpoints: (Endpoint | null)[] = [];
  /** What the layer above shows of the first variant of each slot while it is alive; its own business, and only where nodes share records. */
  readonly firstUppers: unknown[] = [];
  readonly #free: number[] = [];
  #made = 0;

  /**
   * `sharing`: nodes that share these records share their messages too, and refer to both while messages are under way; then slots and
   * variants are never reused. `expected`: so many members will come, and tables make room for them at once.
   */
  constructor(sharing: Sharing | null = null, expected = 0) {
    this.sharing = sharing;
    this.messages = sharing ?? new OwnMessages();
    this.#expected = expected;
  }

  /** More than the highest slot in use so far: how long a table indexed by slot must be. */
  get capacity(): number {
    return Math.max(this.#expected, this.#slots.length);
  }

  /** How long a table becomes that makes room for `slot`. Where nodes share the records, they soon know all there is: no spare room then. Whoever meets a name first makes some. */
  tableLength(slot: number): number {
    return slot + 1 < this.capacity ? this.capacity : this.tableLengthMax;
  }

  /** No table is longer now. */
  get tableLengthMax(): number {
    return this.capacity + Math.max(SPARE_MIN, Math.trunc(this.capacity / SPARE_DIVISOR));
  }

  /** So many members will be known to each node that shares these records; 0 where nobody can tell. */
  get expected(): number {
    return this.#expected;
  }

  /** Counts the slots and variants that were made. */
  get made(): number {
    return this.#made;
  }

  /** The slot of `name`, or -1 when nobody holds one. */
  slotOf(name: string): number {
    return this.#slotOf.get(name) ?? -1;
  }

  nameAt(slot: number): string {
    return this.#at(slot).name;
  }

  record(slot: number, variant: number): MemberRecord {
    if (variant === 0) {
      const first = this.#firsts[slot];
      if (first !== null && first !== undefined) return first;
    }
    const record = this.#at(slot).variants[variant];
    assert(record !== null && record !== undefined, "a member record was released too early");
    return record;
  }

  /** Where packets to this variant go. */
  endpoint(slot: number, variant: number): Endpoint {
    const first = variant === 0 ? this.#firstEndpoints[slot] : null;
    return first ?? this.record(slot, variant).endpoint;
  }

  /** The slot of `name`, held once more by the caller. */
  hold(name: string): number {
    const known = this.#slotOf.get(name);
    if (known !== undefined) {
      this.holdSlot(known);
      return known;
    }
    const slot = this.#free.pop() ?? this.#slots.length;
    this.#noteName(slot, name);
    this.#firsts[slot] = null;
    this.#firstEndpoints[slot] = null;
    this.#slots[slot] = { name, holders: 1, variants: [], variantHolders: [], stateLengths: [] };
    this.#slotOf.set(name, slot);
    this.#made += 1;
    return slot;
  }

  /** Holds a slot in use once more. */
  holdSlot(slot: number): void {
    if (this.sharing === null) this.#at(slot).holders += 1;
  }

  release(slot: number): void {
    if (this.sharing !== null) return;
    const entry = this.#at(slot);
    entry.holders -= 1;
    if (entry.holders > 0) return;
    this.#slots[slot] = null;
    this.#firsts[slot] = null;
    this.#firstEndpoints[slot] = null;
    this.#slotOf.delete(entry.name);
    this.#free.push(slot);
  }

  /** The variant of `slot` with this content, held once more by the caller. The bytes are copied if they are new. */
  holdVariant(slot: number, content: { readonly addr: Uint8Array; readonly port: number; readonly meta: Uint8Array; readonly versions: Uint8Array }): number {
    const entry = this.#at(slot);
    const { variants, variantHolders } = entry;
    let variant = variants.length;
    for (let i = 0; i < variants.length; i += 1) {
      const record = variants[i];
      if (record === null || record === undefined) variant = i;
      else if (sameContent(record, content)) {
        variantHolders[i] = (variantHolders[i] as number) + 1;
        return i;
      }
    }
    assert(variant <= VARIANTS_MAX, "too many variants of one member record");
    const { addr, port, meta, versions } = content;
    const record = {
      name: entry.name,
      addr: addr.slice(),
      endpoint: { ip: ipFromBytes(addr), port },
      port,
      meta: meta.slice(),
      versions: versions.slice(),
      upper: [],
    };
    variants[variant] = record;
    if (variant === 0) {
      this.#firsts[slot] = record;
      this.#firstEndpoints[slot] = record.endpoint;
    }
    variantHolders[variant] = 1;
    this.#made += 1;
    this.#noteVersions(versions);
    if (record.endpoint.ip === "") this.#areAllReachable = false;
    return variant;
  }

  /** Holds a variant in use once more. */
  holdKnownVariant(slot: number, variant: number): void {
    if (this.sharing !== null) return;
    const { variantHolders } = this.#at(slot);
    variantHolders[variant] = (variantHolders[variant] as number) + 1;
  }

  releaseVariant(slot: number, variant: number): void {
    if (this.sharing !== null) return;
    const { variants, variantHolders } = this.#at(slot);
    const left = (variantHolders[variant] as number) - 1;
    variantHolders[variant] = left;
    if (left > 0) return;
    variants[variant] = null;
    if (variant !== 0) return;
    this.#firsts[slot] = null;
    this.#firstEndpoints[slot] = null;
  }

  /** All that was ever announced had a usable address. */
  get areAllReachable(): boolean {
    return this.#areAllReachable;
  }

  /** All that was ever announced speaks the same versions, which understand themselves. */
  get areVersionsAlike(): boolean {
    return this.#areVersionsAlike;
  }

  /** The versions that all speak, while they are alike. */
  get commonVersions(): Uint8Array | null {
    return this.#areVersionsAlike ? this.#versions : null;
  }

  /** Bytes of the name in each slot, in a message. */
  get nameLengths(): Uint16Array {
    return this.#nameLengths;
  }

  /** As `stateLength`, of the first variant of each slot; 0 where nobody has asked. */
  get firstStateLengths(): Uint16Array {
    return this.#firstStateLengths;
  }

  /** Bytes of a record in a push/pull, without its incarnation; only where nodes share records. */
  stateLength(slot: number, variant: number): number {
    const { stateLengths } = this.#at(slot);
    const known = stateLengths[variant];
    if (known !== undefined) return known;
    const { name, addr, endpoint, meta, versions } = this.record(slot, variant);
    const length = encodeNodeState({ name, addr, port: endpoint.port, meta, incarnation: 0, state: 0, versions }).length - intLength(0);
    stateLengths[variant] = length;
    if (variant === 0) this.#firstStateLengths[slot] = length;
    return length;
  }

  #noteName(slot: number, name: string): void {
    if (slot >= this.#nameLengths.length) {
      const length = Math.max(this.capacity, slot + 1 + (slot >> 2));
      this.#nameLengths = resized(this.#nameLengths, length) as Uint16Array<ArrayBuffer>;
      this.#firstStateLengths = resized(this.#firstStateLengths, length) as Uint16Array<ArrayBuffer>;
    }
    this.#nameLengths[slot] = stringLength(utf8Length(name));
    this.#firstStateLengths[slot] = 0;
  }

  #noteVersions(versions: Uint8Array): void {
    if (this.#versions === null) {
      this.#versions = versions.slice();
      const [min = 0, max = 0, current = 0, upperMin = 0, upperMax = 0, upperCurrent = 0] = versions;
      this.#areVersionsAlike = min <= current && current <= max && upperMin <= upperCurrent && upperCurrent <= upperMax;
    } else if (!equalBytes(this.#versions, versions)) this.#areVersionsAlike = false;
  }

  #at(slot: number): Slot {
    const entry = this.#slots[slot];
    assert(entry !== null && entry !== undefined, "no member record in this slot");
    return entry;
  }
}

export function sameContent(
  record: MemberRecord,
  { addr, port, meta, versions }: { readonly addr: Uint8Array; readonly port: number; readonly meta: Uint8Array; readonly versions: Uint8Array },
): boolean {
  return record.endpoint.port === port && equalBytes(record.addr, addr) && equalBytes(record.meta, meta) && equalBytes(record.versions, versions);
}
