/**
 * Memory for the records of a `RecordTree`: a record is one key with everything that belongs to it, written once into a page of up to 1 MiB and never
 * changed there. A million keys are then a thousand objects for the garbage collector instead of millions (DESIGN §5: 290 ms pauses became 8).
 *
 * A record begins at a multiple of 8 bytes:
 *
 *     0  u32 key length      4  u32 value length, all ones for nil     8  u32 session length     12  u32 unused
 *    16  f64 create index   24  f64 modify index                      32  f64 lock index         40  u32 flags low, u32 flags high
 *    48  key, value, session
 *
 * Its address is slab number × 2^17 + offset / 8, which is a small integer for V8 up to 16 GiB.
 */
import { assert } from "../base/assert.ts";
import { decodeUtf8, utf8Length, writeUtf8 } from "../base/utf8.ts";
import type { DirEntry, Wide } from "../wire/fsm-commands.ts";
import { wireKeys } from "../wire/fsm-structs.ts";
import type { Writer } from "../wire/msgpack.ts";

export const RECORD_HEAD_BYTES = 48;
/** A page; larger records get one of their own. */
export const SLAB_BYTES_MAX = 1 << 20;
/** The first page is small, so that an idle agent pays for little. */
const SLAB_BYTES_FIRST = 1 << 16;
const OFFSET_BITS = 17;
const OFFSET_MASK = (1 << OFFSET_BITS) - 1;
/** Addresses stay below 2^31. */
const SLABS_MAX = 1 << (31 - OFFSET_BITS);
const NIL_LENGTH = 0xffff_ffff;
const TWO_32 = 0x1_0000_0000;
/** Shorter copies go byte by byte: a view for `set` costs more. */
const COPY_LOOP_MAX = 96;

export interface Slab {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly doubles: Float64Array;
  /** Bytes given out. */
  used: number;
  /** Bytes of `used` that belong to records in the tree. */
  live: number;
}

/** The pages as a snapshot keeps them: `undefined` where a page was given back. */
export type Slabs = readonly (Slab | undefined)[];

/** A record about to be written. One object is filled again and again; texts that are usually empty stay texts. */
export class RecordDraft {
  /** The key is `keyBytes[keyAt, keyAt + keyLength)`; the same for the value, whose length is -1 for nil. */
  keyBytes: Uint8Array = new Uint8Array(0);
  keyAt = 0;
  keyLength = 0;
  valueBytes: Uint8Array = this.keyBytes;
  valueAt = 0;
  valueLength = -1;
  session = "";
  createIndex = 0;
  modifyIndex = 0;
  lockIndex = 0;
  flagsLow = 0;
  flagsHigh = 0;

  setFlags(flags: Wide): void {
    if (typeof flags === "bigint") {
      this.flagsLow = Number(flags & 0xffff_ffffn);
      this.flagsHigh = Number(flags >> 32n);
    } else {
      this.flagsLow = flags >>> 0;
      this.flagsHigh = Math.floor(flags / TWO_32);
    }
  }
}

/** Reads of one record; `slabs` of the live heap or of a snapshot. */
export function slabOf(slabs: Slabs, address: number): Slab {
  return slabs[address >>> OFFSET_BITS] as Slab;
}

/** Byte offset of a record in its slab. */
export function offsetOf(address: number): number {
  return (address & OFFSET_MASK) * 8;
}

export function createIndexOf(slabs: Slabs, address: number): number {
  return slabOf(slabs, address).doubles[(address & OFFSET_MASK) + 2] as number;
}

export function lockIndexOf(slabs: Slabs, address: number): number {
  return slabOf(slabs, address).doubles[(address & OFFSET_MASK) + 4] as number;
}

export function modifyIndexOf(slabs: Slabs, address: number): number {
  return slabOf(slabs, address).doubles[(address & OFFSET_MASK) + 3] as number;
}

/** Order of the key `bytes[at, at + length)` against the record's: negative, 0 or positive. */
export function compareKey(slabs: Slabs, address: number, bytes: Uint8Array, at: number, length: number): number {
  const slab = slabs[address >>> OFFSET_BITS] as Slab;
  const offset = (address & OFFSET_MASK) * 8;
  const other = slab.words[offset >>> 2] as number;
  const shared = length < other ? length : other;
  const mine = slab.bytes;
  const start = offset + RECORD_HEAD_BYTES;
  for (let i = 0; i < shared; i += 1) {
    const difference = (bytes[at + i] as number) - (mine[start + i] as number);
    if (difference !== 0) return difference;
  }
  return length - other;
}

/** Whether the record's key starts with `prefix`. */
export function keyStartsWith(slabs: Slabs, address: number, prefix: Uint8Array): boolean {
  const slab = slabOf(slabs, address);
  const offset = offsetOf(address);
  if ((slab.words[offset >>> 2] as number) < prefix.length) return false;
  const start = offset + RECORD_HEAD_BYTES;
  for (let i = 0; i < prefix.length; i += 1) if (slab.bytes[start + i] !== prefix[i]) return false;
  return true;
}

/** A view of the key's bytes. */
export function keyBytesOf(slabs: Slabs, address: number): Uint8Array {
  const slab = slabOf(slabs, address);
  const start = offsetOf(address) + RECORD_HEAD_BYTES;
  return slab.bytes.subarray(start, start + (slab.words[(start - RECORD_HEAD_BYTES) >>> 2] as number));
}

export function keyTextOf(slabs: Slabs, address: number): string {
  const slab = slabOf(slabs, address);
  const start = offsetOf(address) + RECORD_HEAD_BYTES;
  return decodeUtf8(slab.bytes, start, start + (slab.words[(start - RECORD_HEAD_BYTES) >>> 2] as number));
}

export function sessionOf(slabs: Slabs, address: number): string {
  const slab = slabOf(slabs, address);
  const offset = offsetOf(address);
  const length = slab.words[(offset >>> 2) + 2] as number;
  if (length === 0) return "";
  const value = slab.words[(offset >>> 2) + 1] as number;
  const start = offset + RECORD_HEAD_BYTES + (slab.words[offset >>> 2] as number) + (value === NIL_LENGTH ? 0 : value);
  return decodeUtf8(slab.bytes, start, start + length);
}

/** The record as a row; the value is a view of the page (it is never written again). */
export function readEntry(slabs: Slabs, address: number): DirEntry {
  const slab = slabOf(slabs, address);
  const offset = offsetOf(address);
  const word = offset >>> 2;
  const double = offset >>> 3;
  const keyEnd = offset + RECORD_HEAD_BYTES + (slab.words[word] as number);
  const valueLength = slab.words[word + 1] as number;
  const high = slab.words[word + 11] as number;
  const low = slab.words[word + 10] as number;
  return {
    key: decodeUtf8(slab.bytes, offset + RECORD_HEAD_BYTES, keyEnd),
    value: valueLength === NIL_LENGTH ? null : slab.bytes.subarray(keyEnd, keyEnd + valueLength),
    flags: wide(low, high),
    lockIndex: slab.doubles[double + 4] as number,
    session: sessionOf(slabs, address),
    createIndex: slab.doubles[double + 2] as number,
    modifyIndex: slab.doubles[double + 3] as number,
  };
}

const K = wireKeys("CreateIndex", "Flags", "Key", "LockIndex", "ModifyIndex", "Session", "Value");

/** The record as the DirEntry of a snapshot, straight from its page. */
export function writeRecordEntry(slabs: Slabs, address: number, w: Writer): void {
  const { bytes, words, doubles } = slabOf(slabs, address);
  const offset = offsetOf(address);
  const word = offset >>> 2;
  const double = offset >>> 3;
  const keyLength = words[word] as number;
  const valueLength = words[word + 1] as number;
  const sessionLength = words[word + 2] as number;
  const low = words[word + 10] as number;
  const high = words[word + 11] as number;
  const keyAt = offset + RECORD_HEAD_BYTES;
  const valueAt = keyAt + keyLength;
  w.mapHead(7).raw(K.CreateIndex).int(doubles[double + 2] as number);
  w.raw(K.Flags).int(wide(low, high));
  w.raw(K.Key).span(bytes, keyAt, keyLength);
  w.raw(K.LockIndex).int(doubles[double + 4] as number);
  w.raw(K.ModifyIndex).int(doubles[double + 3] as number);
  w.raw(K.Session).span(bytes, valueAt + (valueLength === NIL_LENGTH ? 0 : valueLength), sessionLength);
  w.raw(K.Value).span(bytes, valueAt, valueLength === NIL_LENGTH ? -1 : valueLength);
}

function wide(low: number, high: number): Wide {
  return high < 0x20_0000 ? high * TWO_32 + low : (BigInt(high) << 32n) | BigInt(low);
}

/** Fills `draft` with the record, so that it can be written again with changes. */
export function draftFrom(slabs: Slabs, address: number, draft: RecordDraft): void {
  const slab = slabOf(slabs, address);
  const offset = offsetOf(address);
  const word = offset >>> 2;
  const double = offset >>> 3;
  const valueLength = slab.words[word + 1] as number;
  draft.keyBytes = slab.bytes;
  draft.keyAt = offset + RECORD_HEAD_BYTES;
  draft.keyLength = slab.words[word] as number;
  draft.valueBytes = slab.bytes;
  draft.valueAt = draft.keyAt + draft.keyLength;
  draft.valueLength = valueLength === NIL_LENGTH ? -1 : valueLength;
  draft.session = sessionOf(slabs, address);
  draft.createIndex = slab.doubles[double + 2] as number;
  draft.modifyIndex = slab.doubles[double + 3] as number;
  draft.lockIndex = slab.doubles[double + 4] as number;
  draft.flagsLow = slab.words[word + 10] as number;
  draft.flagsHigh = slab.words[word + 11] as number;
}

/** Whether the record says the same as the draft in all but its indexes (as Consul compares; nil and empty values are equal). */
export function sameContent(slabs: Slabs, address: number, draft: RecordDraft): boolean {
  const slab = slabOf(slabs, address);
  const offset = offsetOf(address);
  const word = offset >>> 2;
  if ((slab.words[word + 10] as number) !== draft.flagsLow || (slab.words[word + 11] as number) !== draft.flagsHigh) return false;
  if ((slab.doubles[(offset >>> 3) + 4] as number) !== draft.lockIndex) return false;
  const stored = slab.words[word + 1] as number;
  const length = stored === NIL_LENGTH ? 0 : stored;
  if (length !== (draft.valueLength < 0 ? 0 : draft.valueLength)) return false;
  const start = offset + RECORD_HEAD_BYTES + (slab.words[word] as number);
  for (let i = 0; i < length; i += 1) if (slab.bytes[start + i] !== draft.valueBytes[draft.valueAt + i]) return false;
  return sessionOf(slabs, address) === draft.session;
}

function recordBytes(keyLength: number, valueLength: number, sessionLength: number): number {
  return (RECORD_HEAD_BYTES + keyLength + valueLength + sessionLength + 7) & ~7;
}

/** Bytes the record takes in its page. */
export function sizeOf(slab: Slab, offset: number): number {
  const word = offset >>> 2;
  const value = slab.words[word + 1] as number;
  return recordBytes(slab.words[word] as number, value === NIL_LENGTH ? 0 : value, slab.words[word + 2] as number);
}

/** Writes records and counts what of each page is still in use; which page to empty, and how, is the tree's business. */
export class RecordHeap {
  #slabs: (Slab | undefined)[] = [];
  /** A snapshot holds the array: copy it before it changes. */
  #shared = false;
  /** Number of the page that is being filled, -1 before the first. */
  #current = -1;
  #freeNumbers: number[] = [];
  #usedBytes = 0;
  #liveBytes = 0;
  #nextSlabBytes = SLAB_BYTES_FIRST;

  get slabs(): Slabs {
    return this.#slabs;
  }

  /** As `slabs`, for a snapshot: this array will not change. */
  share(): Slabs {
    this.#shared = true;
    return this.#slabs;
  }

  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** Bytes in full or current pages whose records are gone. */
  get wasteBytes(): number {
    return this.#usedBytes - this.#liveBytes;
  }

  #mutable(): (Slab | undefined)[] {
    if (this.#shared) {
      this.#slabs = this.#slabs.slice();
      this.#shared = false;
    }
    return this.#slabs;
  }

  /** Number of a page with room for `size` bytes. */
  #room(size: number): number {
    const slab = this.#current < 0 ? undefined : this.#slabs[this.#current];
    if (slab !== undefined && slab.used + size <= slab.bytes.length) return this.#current;
    // A large record gets a page of its own, so that no large tail of the current page is left unused.
    if (size > SLAB_BYTES_MAX / 4) return this.#open(size);
    const left = this.#current;
    this.#current = this.#open(Math.max(this.#nextSlabBytes, size));
    this.#nextSlabBytes = Math.min(SLAB_BYTES_MAX, 2 * this.#nextSlabBytes);
    // A page whose records were all replaced while it was filled goes now.
    if (left >= 0 && this.#slabs[left]?.live === 0) this.drop(left);
    return this.#current;
  }

  #open(bytes: number): number {
    const slabs = this.#mutable();
    const number = this.#freeNumbers.pop() ?? slabs.length;
    assert(number < SLABS_MAX, "the key-value store fits 16 GiB");
    const buffer = new ArrayBuffer((bytes + 7) & ~7);
    slabs[number] = { bytes: new Uint8Array(buffer), words: new Uint32Array(buffer), doubles: new Float64Array(buffer), used: 0, live: 0 };
    return number;
  }

  /** Writes the draft as a new record and returns its address. */
  write(draft: RecordDraft): number {
    const session = draft.session;
    const sessionLength = session === "" ? 0 : utf8Length(session);
    const valueLength = draft.valueLength < 0 ? 0 : draft.valueLength;
    const size = recordBytes(draft.keyLength, valueLength, sessionLength);
    const number = this.#room(size);
    const slab = this.#slabs[number] as Slab;
    const offset = slab.used;
    const { words, doubles, bytes } = slab;
    const word = offset >>> 2;
    const double = offset >>> 3;
    words[word] = draft.keyLength;
    words[word + 1] = draft.valueLength < 0 ? NIL_LENGTH : valueLength;
    words[word + 2] = sessionLength;
    doubles[double + 2] = draft.createIndex;
    doubles[double + 3] = draft.modifyIndex;
    doubles[double + 4] = draft.lockIndex;
    words[word + 10] = draft.flagsLow;
    words[word + 11] = draft.flagsHigh;
    let at = offset + RECORD_HEAD_BYTES;
    copy(draft.keyBytes, draft.keyAt, draft.keyLength, bytes, at);
    at += draft.keyLength;
    copy(draft.valueBytes, draft.valueAt, valueLength, bytes, at);
    if (sessionLength > 0) writeUtf8(session, bytes, at + valueLength);
    return this.#took(number, size);
  }

  /** Copies a record, as it is, to the page being filled. */
  move(from: Slab, offset: number): number {
    const size = sizeOf(from, offset);
    const number = this.#room(size);
    const slab = this.#slabs[number] as Slab;
    slab.bytes.set(from.bytes.subarray(offset, offset + size), slab.used);
    return this.#took(number, size);
  }

  #took(number: number, size: number): number {
    const slab = this.#slabs[number] as Slab;
    const address = number * (OFFSET_MASK + 1) + (slab.used >>> 3);
    slab.used += size;
    slab.live += size;
    this.#usedBytes += size;
    this.#liveBytes += size;
    return address;
  }

  /** The record is no longer in the tree. A page without any left is given back. */
  free(address: number): void {
    const number = address >>> OFFSET_BITS;
    const slab = this.#slabs[number] as Slab;
    const size = sizeOf(slab, offsetOf(address));
    slab.live -= size;
    this.#liveBytes -= size;
    if (slab.live === 0 && number !== this.#current) this.drop(number);
  }

  /** Gives page `number` back; snapshots that know it keep it alive. */
  drop(number: number): void {
    const slabs = this.#mutable();
    const slab = slabs[number];
    if (slab === undefined) return;
    assert(slab.live === 0, "an emptied page holds no record of the tree");
    this.#usedBytes -= slab.used;
    slabs[number] = undefined;
    this.#freeNumbers.push(number);
  }

  /** The full page with the largest share of waste, -1 when none has any. */
  mostWasted(): number {
    let best = -1;
    let bestShare = 0;
    for (let number = 0; number < this.#slabs.length; number += 1) {
      const slab = this.#slabs[number];
      if (slab === undefined || number === this.#current) continue;
      const share = (slab.used - slab.live) / slab.used;
      if (share > bestShare) {
        bestShare = share;
        best = number;
      }
    }
    return best;
  }

  /** Address of the record at `offset` of page `number`. */
  addressAt(number: number, offset: number): number {
    return number * (OFFSET_MASK + 1) + (offset >>> 3);
  }
}

function copy(from: Uint8Array, at: number, length: number, to: Uint8Array, offset: number): void {
  if (length > COPY_LOOP_MAX) to.set(from.subarray(at, at + length), offset);
  else for (let i = 0; i < length; i += 1) to[offset + i] = from[at + i] as number;
}
