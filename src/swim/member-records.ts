/**
 * What members announce about themselves, kept once per process: nodes that share a `MemberRecords` (a simulation, or the pools
 * of one test) refer to a member by two small numbers instead of holding its name, address and meta each.
 *
 * A *slot* stands for a name, a *variant* for one content announced under it (a member has another one after a change of tags
 * or address). Both are counted and reused when their last holder lets go. Records never change.
 */
import { assert } from "../base/assert.ts";
import { equalBytes } from "../base/bytes.ts";
import { ipFromBytes, type Endpoint } from "../base/endpoint.ts";
import { OwnMessages, type Messages } from "./messages.ts";

export interface MemberRecord {
  readonly name: string;
  readonly addr: Uint8Array;
  /** Where its packets and streams go. `ip` is "" when `addr` is no address. */
  readonly endpoint: Endpoint;
  readonly meta: Uint8Array;
  /** [PMin, PMax, PCur, DMin, DMax, DCur], shorter from old senders. */
  readonly versions: Uint8Array;
}

/** A variant is stored in 16 bits per view. */
const VARIANTS_MAX = 0xffff;

interface Slot {
  readonly name: string;
  holders: number;
  /** Gaps are null and reused. */
  readonly variants: (MemberRecord | null)[];
  readonly variantHolders: number[];
}

export class MemberRecords {
  /** The gossip of the nodes that share these records. */
  readonly messages: Messages;
  readonly #expected: number;
  readonly #slotOf = new Map<string, number>();
  readonly #slots: (Slot | null)[] = [];
  readonly #free: number[] = [];

  /** `expected`: so many members will come, and tables make room for them at once. */
  constructor(messages: Messages = new OwnMessages(), expected = 0) {
    this.messages = messages;
    this.#expected = expected;
  }

  /** More than the highest slot in use so far: how long a table indexed by slot must be. */
  get capacity(): number {
    return Math.max(this.#expected, this.#slots.length);
  }

  /** The slot of `name`, or -1 when nobody holds one. */
  slotOf(name: string): number {
    return this.#slotOf.get(name) ?? -1;
  }

  nameAt(slot: number): string {
    return this.#at(slot).name;
  }

  record(slot: number, variant: number): MemberRecord {
    const record = this.#at(slot).variants[variant];
    assert(record !== null && record !== undefined, "a member record was released too early");
    return record;
  }

  /** The slot of `name`, held once more by the caller. */
  hold(name: string): number {
    const known = this.#slotOf.get(name);
    if (known !== undefined) {
      this.#at(known).holders += 1;
      return known;
    }
    const slot = this.#free.pop() ?? this.#slots.length;
    this.#slots[slot] = { name, holders: 1, variants: [], variantHolders: [] };
    this.#slotOf.set(name, slot);
    return slot;
  }

  /** Holds a slot in use once more. */
  holdSlot(slot: number): void {
    this.#at(slot).holders += 1;
  }

  release(slot: number): void {
    const entry = this.#at(slot);
    entry.holders -= 1;
    if (entry.holders > 0) return;
    this.#slots[slot] = null;
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
    variants[variant] = {
      name: entry.name,
      addr: addr.slice(),
      endpoint: { ip: ipFromBytes(addr), port },
      meta: meta.slice(),
      versions: versions.slice(),
    };
    variantHolders[variant] = 1;
    return variant;
  }

  /** Holds a variant in use once more. */
  holdKnownVariant(slot: number, variant: number): void {
    const { variantHolders } = this.#at(slot);
    variantHolders[variant] = (variantHolders[variant] as number) + 1;
  }

  releaseVariant(slot: number, variant: number): void {
    const { variants, variantHolders } = this.#at(slot);
    const left = (variantHolders[variant] as number) - 1;
    variantHolders[variant] = left;
    if (left === 0) variants[variant] = null;
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
