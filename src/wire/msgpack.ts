/**
 * msgpack as go-msgpack speaks it (reference: serf-protocol §1): two encoder profiles and one decoder which takes every form the
 * originals take. Written by hand because no npm library writes the old dialect (no str8, no bin) or decodes a struct without
 * building a map first.
 *
 * A `Reader` never throws: after the first wrong byte `failed` is true, every further read gives a zero value, and the caller looks
 * at `failed` once at the end. `short` says that the bytes end too early, so that more bytes could still make it right (RPC has no
 * framing: objects follow each other). Byte strings are copied out, so a small field never keeps a large packet alive.
 */
import { assert } from "../base/assert.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";
import { decodeUtf8, encodeUtf8, utf8Length, writeUtf8 } from "../base/utf8.ts";

/** "gossip": fixstr, str16, str32 for text and bytes alike. "rpc": also str8, and bin8/16/32 for bytes. */
export type Profile = "gossip" | "rpc";

/** Containers inside containers that a decoder follows; deeper input is malformed. The originals' messages need 5. */
export const MSGPACK_DEPTH_MAX = 16;

/** A double; keeps 1.0 apart from the integer 1. */
export class Float64 {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** What `decodeValue` gives: byte strings of the bin family as bytes, of the str family as text, 64-bit integers that a number cannot hold as bigint. */
export type MsgpackValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Float64
  | readonly MsgpackValue[]
  | ReadonlyMap<string, MsgpackValue>;

/** What `encodeValue` takes: also plain objects, written in their own key order. */
export type Encodable =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Float64
  | readonly Encodable[]
  | ReadonlyMap<string, Encodable>
  | { readonly [key: string]: Encodable };

/** The fields of one struct. `Reader.field` answers with a field's index in declaration order, the order of the array form. */
export class Schema {
  readonly size: number;
  /** Keys as written on the wire, length byte first, in declaration order. */
  readonly keys: readonly Uint8Array[];
  /** Declaration index of the field that came at each place of the last map: first the sorted order, in which Go writes. Others write in theirs, each always in the same. */
  readonly expected: number[];

  /** `names` in Go's declaration order; at most 31 ASCII characters each. */
  constructor(...names: readonly string[]) {
    this.size = names.length;
    this.keys = names.map(encodeKey);
    this.expected = [...names].sort().map((name) => names.indexOf(name));
  }
}

/** A map key of at most 31 bytes, as `Writer.raw` takes it. */
export function encodeKey(name: string): Uint8Array {
  const text = encodeUtf8(name);
  assert(text.length < 32, "a field name fits a fixstr");
  const key = new Uint8Array(text.length + 1);
  key[0] = 0xa0 | text.length;
  key.set(text, 1);
  return key;
}

const scratch = new DataView(new ArrayBuffer(8));
const TWO_32 = 0x1_0000_0000;

export class Reader {
  #bytes: Uint8Array = EMPTY_BYTES;
  #at = 0;
  #end = 0;
  #failed = false;
  #short = false;
  #failedAt = 0;

  constructor(bytes: Uint8Array = EMPTY_BYTES, at = 0) {
    this.reset(bytes, at);
  }

  /** Starts over with `bytes[at, end)`. */
  reset(bytes: Uint8Array, at = 0, end = bytes.length): void {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
    this.#failed = false;
    this.#short = false;
  }

  /** Something was malformed or missing; all values read since are zero values. */
  get failed(): boolean {
    return this.#failed;
  }

  /** `failed` because the bytes ended too early. */
  get short(): boolean {
    return this.#short;
  }

  /** How far reading came before it failed: a measure of the work that reading again will take. */
  get failedAt(): number {
    return this.#failedAt;
  }

  /** Offset of the next byte. */
  get at(): number {
    return this.#at;
  }

  /** Bytes left. */
  get left(): number {
    return this.#end - this.#at;
  }

  /** Marks the input as malformed: for callers that check what they read. */
  fail(): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#failedAt = this.#at;
    this.#at = this.#end;
  }

  #failShort(): void {
    if (!this.#failed) this.#short = true;
    this.fail();
  }

  #u8(): number {
    if (this.#at >= this.#end) {
      this.#failShort();
      return 0xc1; // Never a valid descriptor.
    }
    return this.#bytes[this.#at++] as number;
  }

  /** Unsigned big-endian integer of `width` (1, 2, 4) bytes. */
  #unsigned(width: number): number {
    if (this.#at + width > this.#end) {
      this.#failShort();
      return 0;
    }
    let value = 0;
    for (let i = 0; i < width; i += 1) value = value * 256 + (this.#bytes[this.#at + i] as number);
    this.#at += width;
    return value;
  }

  /** A declared number of items, each of at least `bytesEach` bytes, checked against what is left. */
  #declared(count: number, bytesEach: number): number {
    if (this.#failed) return 0;
    if (count * bytesEach <= this.#end - this.#at) return count;
    this.#failShort();
    return 0;
  }

  #malformed(): number {
    this.fail();
    return 0;
  }

  /** True, and steps over it, when the next value is nil. */
  nil(): boolean {
    if (this.#at >= this.#end || this.#bytes[this.#at] !== 0xc0) return false;
    this.#at += 1;
    return true;
  }

  /**
   * Head of a struct: the number of its fields when it is a map, `~number` when it is an array (fields in declaration order).
   * nil is a struct of no fields. See `structLength`.
   */
  structHead(): number {
    const first = this.#u8();
    if ((first & 0xf0) === 0x80) return this.#declared(first & 0x0f, 2);
    if ((first & 0xf0) === 0x90) return ~this.#declared(first & 0x0f, 1);
    switch (first) {
      case 0xc0:
        return 0;
      case 0xde:
        return this.#declared(this.#unsigned(2), 2);
      case 0xdf:
        return this.#declared(this.#unsigned(4), 2);
      case 0xdc:
        return ~this.#declared(this.#unsigned(2), 1);
      case 0xdd:
        return ~this.#declared(this.#unsigned(4), 1);
      default:
        return this.#malformed();
    }
  }

  /** Declaration index of field number `index` of a struct, its key consumed; -1 when unknown: `skip` its value then. */
  field(schema: Schema, head: number, index: number): number {
    if (head < 0) return index < schema.size ? index : -1;
    const expected = schema.expected[index];
    // Whoever writes keys does so in one order: the expected one nearly always matches.
    if (expected !== undefined && this.same(schema.keys[expected] as Uint8Array)) return expected;
    const field = this.#searchField(schema);
    if (field >= 0 && index < schema.size) schema.expected[index] = field;
    return field;
  }

  #searchField(schema: Schema): number {
    const at = this.#at;
    for (let f = 0; f < schema.size; f += 1) if (this.same(schema.keys[f] as Uint8Array)) return f;
    // No key of ours, or one that is written in a longer form.
    const length = this.#textLength();
    const start = this.#at;
    if (this.#failed) return -1;
    this.#at = start + length;
    if (start === at + 1) return -1; // The short form, which was compared above.
    for (let f = 0; f < schema.size; f += 1) if (isKey(schema.keys[f] as Uint8Array, this.#bytes, start, length)) return f;
    return -1;
  }

  /** Number of pairs of a map; 0 for nil. With `pairBytesMin` 0 a count beyond what is left passes: the pairs that are there still count. */
  mapHead(pairBytesMin = 2): number {
    const first = this.#u8();
    if ((first & 0xf0) === 0x80) return this.#declared(first & 0x0f, pairBytesMin);
    if (first === 0xc0) return 0;
    if (first === 0xde) return this.#declared(this.#unsigned(2), pairBytesMin);
    if (first === 0xdf) return this.#declared(this.#unsigned(4), pairBytesMin);
    return this.#malformed();
  }

  /** Number of elements of an array; 0 for nil. */
  arrayHead(): number {
    const first = this.#u8();
    if ((first & 0xf0) === 0x90) return this.#declared(first & 0x0f, 1);
    if (first === 0xc0) return 0;
    if (first === 0xdc) return this.#declared(this.#unsigned(2), 1);
    if (first === 0xdd) return this.#declared(this.#unsigned(4), 1);
    return this.#malformed();
  }

  /** Length of a string of the str family; its bytes are next and present. */
  #textLength(): number {
    const first = this.#u8();
    if ((first & 0xe0) === 0xa0) return this.#declared(first & 0x1f, 1);
    switch (first) {
      case 0xc0:
        return 0;
      case 0xd9:
        return this.#declared(this.#unsigned(1), 1);
      case 0xda:
        return this.#declared(this.#unsigned(2), 1);
      case 0xdb:
        return this.#declared(this.#unsigned(4), 1);
      default:
        return this.#malformed();
    }
  }

  /** A string field or map key: the str family or nil (""); the bin family is malformed, as in go-msgpack 0.5. */
  text(): string {
    const length = this.#textLength();
    if (length === 0) return "";
    const at = this.#at;
    this.#at = at + length;
    return length <= INTERNED_LENGTH_MAX ? intern(this.#bytes, at, length) : decodeUtf8(this.#bytes, at, at + length);
  }

  /** A byte-string field: str or bin family, or an array of small integers. Empty and nil are both null. */
  bytes(): Uint8Array | null {
    if (this.#at >= this.#end) {
      this.#failShort();
      return null;
    }
    const first = this.#bytes[this.#at] as number;
    if (isArray(first)) return this.#byteArray();
    const length = this.#binLength(first);
    if (length === 0) return null;
    const at = this.#at;
    this.#at = at + length;
    return copyBytes(this.#bytes, at, length);
  }

  /** As `bytes`, but only its length (-1 for nil): the bytes end at `at`. For those who copy them elsewhere; takes no array of integers. */
  span(): number {
    if (this.nil()) return -1;
    const length = this.#binLength(this.#at < this.#end ? (this.#bytes[this.#at] as number) : 0xa0);
    this.#at += length;
    return length;
  }

  /** As `bytes`, but a view of the input: for large fields which the caller uses at once. */
  bytesView(): Uint8Array | null {
    const first = this.#at < this.#end ? (this.#bytes[this.#at] as number) : 0xc1;
    if (this.#at >= this.#end || isArray(first)) return this.bytes();
    const length = this.#binLength(first);
    return length === 0 ? null : this.raw(length);
  }

  #binLength(first: number): number {
    if (first < 0xc4 || first > 0xc6) return this.#textLength();
    this.#at += 1;
    return this.#declared(this.#unsigned(1 << (first - 0xc4)), 1);
  }

  #byteArray(): Uint8Array | null {
    const count = this.arrayHead();
    const bytes = new Uint8Array(count);
    for (let i = 0; i < count; i += 1) bytes[i] = this.uint(255);
    return count === 0 || this.#failed ? null : bytes;
  }

  bool(): boolean {
    const first = this.#u8();
    if (first === 0xc3 || first === 0x01) return true;
    if (first !== 0xc2 && first !== 0xc0 && first !== 0x00) this.#malformed();
    return false;
  }

  /** An integer in 0 … `max` (at most 2^53 - 1), whatever its form; nil is 0. */
  uint(max: number): number {
    const value = this.integer();
    if (value >= 0 && value <= max) return value;
    return this.#malformed();
  }

  /** An integer within ± (2^53 - 1); nil is 0. */
  int(): number {
    const value = this.integer();
    if (Number.isSafeInteger(value)) return value;
    return this.#malformed();
  }

  /** An index: one beyond 2^53 is read as the largest exact one, which equals none that exists. A client may send any, and no replicated command may fail for it. */
  index(): number {
    const value = this.integer();
    return value < 0 ? this.#malformed() : Math.min(value, Number.MAX_SAFE_INTEGER);
  }

  /** An integer of no consequence here, kept as near as a double can. */
  clamped(): number {
    return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(this.integer(), Number.MAX_SAFE_INTEGER));
  }

  /** Any integer; beyond 2^53 rounded to the nearest double. nil is 0. */
  integer(): number {
    const first = this.#u8();
    if (first < 0x80) return first;
    if (first >= 0xe0) return first - 256;
    switch (first) {
      case 0xc0:
        return 0;
      case 0xcc:
        return this.#unsigned(1);
      case 0xcd:
        return this.#unsigned(2);
      case 0xce:
        return this.#unsigned(4);
      case 0xcf:
        return this.#unsigned(4) * TWO_32 + this.#unsigned(4);
      case 0xd0:
        return (this.#unsigned(1) << 24) >> 24;
      case 0xd1:
        return (this.#unsigned(2) << 16) >> 16;
      case 0xd2:
        return this.#unsigned(4) | 0;
      case 0xd3: {
        const high = this.#unsigned(4) | 0;
        return high * TWO_32 + this.#unsigned(4);
      }
      default:
        return this.#malformed();
    }
  }

  /** A 64-bit integer, exact: a bigint when a number is not; nil is 0. */
  wide(): number | bigint {
    const first = this.#at < this.#end ? (this.#bytes[this.#at] as number) : 0;
    if (first !== 0xcf && first !== 0xd3) return this.integer();
    const value = this.value();
    return typeof value === "bigint" || typeof value === "number" ? value : 0;
  }

  /** A float32, a float64 or any integer; nil is 0. */
  float(): number {
    const first = this.#at < this.#end ? this.#bytes[this.#at] : 0;
    if (first !== 0xca && first !== 0xcb) return this.integer();
    this.#at += 1;
    scratch.setUint32(0, this.#unsigned(4));
    if (first === 0xca) return this.#failed ? 0 : scratch.getFloat32(0);
    scratch.setUint32(4, this.#unsigned(4));
    return this.#failed ? 0 : scratch.getFloat64(0);
  }

  /** `count` raw bytes as a view of the input, or null when fewer are left. */
  raw(count: number): Uint8Array | null {
    if (this.#failed) return null;
    if (count > this.#end - this.#at) {
      this.#failShort();
      return null;
    }
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  /** True, and steps over them, when these bytes are next. */
  same(expected: Uint8Array): boolean {
    const bytes = this.#bytes;
    const at = this.#at;
    const length = expected.length;
    if (length > this.#end - at) return false;
    for (let i = 0; i < length; i += 1) if (bytes[at + i] !== expected[i]) return false;
    this.#at = at + length;
    return true;
  }

  /** Steps over one value of any kind, extension types included. `depth`: containers already around it. */
  skip(depth = 1): void {
    const first = this.#u8();
    if (this.#failed || first < 0x80 || first >= 0xe0) return;
    if (first < 0xa0 || (first >= 0xdc && first <= 0xdf)) {
      this.#at -= 1;
      this.#skipContainer(first < 0x90 || first >= 0xde, depth);
    } else if (first < 0xc0) this.raw(first & 0x1f);
    else {
      const payload = PAYLOAD_BYTES[first - 0xc0] as number;
      if (payload === UNUSED) this.#malformed();
      else if (payload >= 0) this.raw(payload);
      else this.raw(this.#unsigned(-payload & 0x0f) + (-payload >> 4));
    }
  }

  #skipContainer(isMap: boolean, depth: number): void {
    const count = isMap ? 2 * this.mapHead() : this.arrayHead();
    if (depth >= MSGPACK_DEPTH_MAX) this.#malformed();
    for (let i = 0; i < count && !this.#failed; i += 1) this.skip(depth + 1);
  }

  /** The next value, whatever it is; null after a failure. Map keys must be strings, extension types are malformed. */
  value(depth = 0): MsgpackValue {
    const first = this.#at < this.#end ? (this.#bytes[this.#at] as number) : 0xc1;
    if (first < 0x80 || first >= 0xe0) return this.integer();
    if (first < 0x90 || first === 0xde || first === 0xdf) return this.#mapValue(depth);
    if (first < 0xa0 || first === 0xdc || first === 0xdd) return this.#arrayValue(depth);
    if (first < 0xc0 || (first >= 0xd9 && first <= 0xdb)) return this.text();
    if (first >= 0xc4 && first <= 0xc6) return this.bytes() ?? (this.#failed ? null : EMPTY_BYTES);
    if (first === 0xca || first === 0xcb) return new Float64(this.float());
    if (first === 0xcf || first === 0xd3) return this.#wideValue(first === 0xd3);
    if (first >= 0xcc && first <= 0xd2) return this.integer();
    if (first === 0xc2 || first === 0xc3) return this.bool();
    if (this.#u8() !== 0xc0) this.#malformed();
    return null;
  }

  #mapValue(depth: number): MsgpackValue {
    const count = this.mapHead();
    if (depth >= MSGPACK_DEPTH_MAX) this.#malformed();
    const map = new Map<string, MsgpackValue>();
    for (let i = 0; i < count && !this.#failed; i += 1) {
      const key = this.text();
      map.set(key, this.value(depth + 1));
    }
    return this.#failed ? null : map;
  }

  #arrayValue(depth: number): MsgpackValue {
    const count = this.arrayHead();
    if (depth >= MSGPACK_DEPTH_MAX) this.#malformed();
    const items: MsgpackValue[] = [];
    for (let i = 0; i < count && !this.#failed; i += 1) items.push(this.value(depth + 1));
    return this.#failed ? null : items;
  }

  #wideValue(signed: boolean): MsgpackValue {
    this.#at += 1;
    scratch.setUint32(0, this.#unsigned(4));
    scratch.setUint32(4, this.#unsigned(4));
    if (this.#failed) return null;
    const wide = signed ? scratch.getBigInt64(0) : scratch.getBigUint64(0);
    const value = Number(wide);
    return Number.isSafeInteger(value) ? value : wide;
  }
}

/** `bytes[at, at + length)` are those of a key behind its length byte. */
function isKey(key: Uint8Array, bytes: Uint8Array, at: number, length: number): boolean {
  if (key.length !== length + 1) return false;
  for (let i = 0; i < length; i += 1) if (bytes[at + i] !== key[i + 1]) return false;
  return true;
}

/** Number of fields behind a `structHead`. */
export function structLength(head: number): number {
  return head < 0 ? ~head : head;
}

/** A mark in `PAYLOAD_BYTES`: no such descriptor. */
const UNUSED = 99;
/** For descriptors c0…df: bytes after the descriptor; negative -(16 × extra + width): a length of `width` bytes, then length + extra bytes. */
const PAYLOAD_BYTES = [0, UNUSED, 0, 0, -1, -2, -4, -17, -18, -20, 4, 8, 1, 2, 4, 8].concat(
  [1, 2, 4, 8, 2, 3, 5, 9, 17, -1, -2, -4, UNUSED, UNUSED, UNUSED, UNUSED],
);

/** The descriptor of an array. */
function isArray(first: number): boolean {
  return (first & 0xf0) === 0x90 || first === 0xdc || first === 0xdd;
}

/**
 * Small byte strings share larger pieces of memory. One of up to 64 bytes with memory of its own is two objects in V8's heap, 270 bytes with
 * its content and 230–300 ns with its share of collecting; a larger one is outside the heap and costs 0.5 µs. A view of a piece costs 140.
 * A piece stays as long as one of its strings does, so it is small.
 */
const PIECE_BYTES = 4096;
/** From here on a byte string gets memory of its own. */
const SHARED_BYTES_MAX = 1024;
/** Up to here, too: addresses live long, and should not keep a piece each. */
const OWN_BYTES_MAX = 16;
let piece = new Uint8Array(PIECE_BYTES);
let pieceUsed = 0;
/** A writer that is cleared keeps its memory up to this size. */
const CLEARED_BYTES_MAX = 16 * PIECE_BYTES;

/** Zeroed or used memory of `length` bytes, to be filled and then not changed any more; its buffer is never to be transferred. */
export function takeBytes(length: number): Uint8Array {
  if (length <= OWN_BYTES_MAX || length > SHARED_BYTES_MAX) return new Uint8Array(length);
  if (pieceUsed + length > PIECE_BYTES) {
    piece = new Uint8Array(PIECE_BYTES);
    pieceUsed = 0;
  }
  pieceUsed += length;
  return piece.subarray(pieceUsed - length, pieceUsed);
}

/** A copy of `bytes[at, at + length)`; small ones share memory pieces, so its buffer is never to be transferred. */
export function copyBytes(bytes: Uint8Array, at: number, length: number): Uint8Array {
  const copy = takeBytes(length);
  if (length > 64) copy.set(bytes.subarray(at, at + length));
  else for (let i = 0; i < length; i += 1) copy[i] = bytes[at + i] as number;
  return copy;
}

/**
 * Node names and keys come again with every message. A small direct-mapped table gives the same string again, which is faster
 * than decoding and keeps one copy of each name in memory. Bounded: 1,024 ASCII strings of at most 40 bytes.
 */
const INTERNED_LENGTH_MAX = 40;
const INTERN_SLOTS = 1024;
const interned: string[] = new Array<string>(INTERN_SLOTS).fill("");

function intern(bytes: Uint8Array, at: number, length: number): string {
  let hash = length;
  let all = 0;
  for (let i = 0; i < length; i += 1) {
    const byte = bytes[at + i] as number;
    all |= byte;
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  // A string stands for its bytes only while each of them is one unit.
  if (all >= 0x80) return decodeUtf8(bytes, at, at + length);
  const slot = (hash ^ (hash >>> 15)) & (INTERN_SLOTS - 1);
  const known = interned[slot] as string;
  if (known.length === length) {
    let i = 0;
    while (i < length && known.charCodeAt(i) === bytes[at + i]) i += 1;
    if (i === length) return known;
  }
  const text = decodeUtf8(bytes, at, at + length);
  interned[slot] = text;
  return text;
}

/**
 * Writes one message after the other. Small messages share a piece of memory (see `PIECE_BYTES`): their `buffer` must not be
 * transferred to another thread. Large ones have memory of exactly their size.
 */
export class Writer {
  readonly #rpc: boolean;
  #bytes = new Uint8Array(PIECE_BYTES);
  #start = 0; // Where the message being written begins.
  #at = 0;
  // What `written` gave last, where it lies, and in which of our pieces: to ask it for its buffer would be a call into V8.
  #written: Uint8Array = EMPTY_BYTES;
  #writtenStart = 0;
  #writtenIn: Uint8Array = EMPTY_BYTES;

  constructor(profile: Profile) {
    this.#rpc = profile === "rpc";
  }

  /** Bytes written since the last `finish`. */
  get length(): number {
    return this.#at - this.#start;
  }

  /** What was written since the last `finish`; it will not change any more. */
  finish(): Uint8Array {
    const start = this.#start;
    if (this.#at - start <= SHARED_BYTES_MAX) {
      this.#start = this.#at;
      return this.#bytes.subarray(start, this.#at);
    }
    const message = this.#bytes.slice(start, this.#at);
    this.#at = start; // The memory was not given away: use it again, unless it has become larger than a piece.
    if (this.#bytes.length > PIECE_BYTES) this.#renew();
    return message;
  }

  /** What was written since the last `finish`, without ending it: a view that is good until the next call other than `keep`. */
  get written(): Uint8Array {
    const length = this.#at - this.#start;
    // Answers of one kind have one length for a long time, and a new view would cost more than a short message.
    if (this.#written.length !== length || this.#writtenStart !== this.#start || this.#writtenIn !== this.#bytes) {
      this.#written = this.#bytes.subarray(this.#start, this.#at);
      this.#writtenStart = this.#start;
      this.#writtenIn = this.#bytes;
    }
    return this.#written;
  }

  /** Forgets what was written since the last `finish`: its memory is used again. */
  clear(): void {
    this.#at = this.#start;
    if (this.#bytes.length > CLEARED_BYTES_MAX) this.#renew();
  }

  /** As `finish`, for who has `written`: its bytes stay as they are. */
  keep(): void {
    this.#start = this.#at;
    if (this.#bytes.length > PIECE_BYTES) this.#renew();
  }

  #renew(): void {
    this.#bytes = new Uint8Array(PIECE_BYTES);
    this.#start = 0;
    this.#at = 0;
  }

  #room(count: number): void {
    if (this.#at + count <= this.#bytes.length) return;
    const written = this.#bytes.subarray(this.#start, this.#at);
    const needed = written.length + count;
    this.#bytes = new Uint8Array(needed <= PIECE_BYTES ? PIECE_BYTES : 2 * needed);
    this.#bytes.set(written);
    this.#start = 0;
    this.#at = written.length;
  }

  /** One raw byte, such as a message type. */
  byte(value: number): this {
    this.#room(1);
    this.#bytes[this.#at++] = value;
    return this;
  }

  /** Raw bytes, such as an encoded key (`encodeKey`). */
  raw(bytes: Uint8Array): this {
    const length = bytes.length;
    this.#room(length);
    const target = this.#bytes;
    const at = this.#at;
    if (length > 64) target.set(bytes, at);
    else for (let i = 0; i < length; i += 1) target[at + i] = bytes[i] as number;
    this.#at = at + length;
    return this;
  }

  #tagged(tag: number, value: number, width: 1 | 2 | 4): this {
    this.#room(5);
    const bytes = this.#bytes;
    let at = this.#at;
    bytes[at++] = tag;
    // A loop: a branch for each width would be new to code that was compiled before the first greater number came.
    for (let shift = 8 * (width - 1); shift >= 0; shift -= 8) bytes[at++] = value >>> shift;
    this.#at = at;
    return this;
  }

  nil(): this {
    return this.byte(0xc0);
  }

  bool(value: boolean): this {
    return this.byte(value ? 0xc3 : 0xc2);
  }

  mapHead(count: number): this {
    if (count < 16) return this.byte(0x80 | count);
    return count < 0x1_0000 ? this.#tagged(0xde, count, 2) : this.#tagged(0xdf, count, 4);
  }

  arrayHead(count: number): this {
    if (count < 16) return this.byte(0x90 | count);
    return count < 0x1_0000 ? this.#tagged(0xdc, count, 2) : this.#tagged(0xdd, count, 4);
  }

  /** An integer in its smallest form, -2^63 … 2^64 - 1. A number must be a safe integer. */
  int(value: number | bigint): this {
    if (typeof value === "bigint") return this.#bigint(value);
    if (value >= 0) {
      if (value < 0x80) return this.byte(value);
      if (value < 0x100) return this.#tagged(0xcc, value, 1);
      if (value < 0x1_0000) return this.#tagged(0xcd, value, 2);
      if (value < TWO_32) return this.#tagged(0xce, value, 4);
    } else {
      if (value >= -0x20) return this.byte(value);
      if (value >= -0x80) return this.#tagged(0xd0, value, 1);
      if (value >= -0x8000) return this.#tagged(0xd1, value, 2);
      if (value >= -0x8000_0000) return this.#tagged(0xd2, value, 4);
    }
    return this.#bigint(BigInt(value));
  }

  #bigint(value: bigint): this {
    if (value >= -0x8000_0000n && value < 0x1_0000_0000n) return this.int(Number(value));
    if (value > 0n) scratch.setBigUint64(0, value);
    else scratch.setBigInt64(0, value);
    return this.#eight(value > 0n ? 0xcf : 0xd3);
  }

  float(value: number): this {
    scratch.setFloat64(0, value);
    return this.#eight(0xcb);
  }

  /** `tag`, then the eight bytes of `scratch`. */
  #eight(tag: number): this {
    this.#tagged(tag, scratch.getUint32(0), 4);
    this.#room(4);
    for (let i = 4; i < 8; i += 1) this.#bytes[this.#at++] = scratch.getUint8(i);
    return this;
  }

  text(text: string): this {
    const units = text.length;
    if (units < 32) {
      // Nearly all names are short and ASCII: write at once, and start over when that was wrong.
      this.#room(units + 1);
      const bytes = this.#bytes;
      const at = this.#at;
      let i = 0;
      for (; i < units; i += 1) {
        const unit = text.charCodeAt(i);
        if (unit >= 0x80) break;
        bytes[at + 1 + i] = unit;
      }
      if (i === units) {
        bytes[at] = 0xa0 | units;
        this.#at = at + 1 + units;
        return this;
      }
    }
    const length = utf8Length(text);
    this.#textHead(length);
    this.#room(length);
    this.#at = writeUtf8(text, this.#bytes, this.#at);
    return this;
  }

  #textHead(length: number): this {
    if (length < 32) return this.byte(0xa0 | length);
    if (this.#rpc && length < 0x100) return this.#tagged(0xd9, length, 1);
    return length < 0x1_0000 ? this.#tagged(0xda, length, 2) : this.#tagged(0xdb, length, 4);
  }

  /** A byte string in the family of the profile; nil for null. */
  bytes(bytes: Uint8Array | null): this {
    if (bytes === null) return this.nil();
    const length = bytes.length;
    if (!this.#rpc) this.#textHead(length);
    else if (length < 0x100) this.#tagged(0xc4, length, 1);
    else if (length < 0x1_0000) this.#tagged(0xc5, length, 2);
    else this.#tagged(0xc6, length, 4);
    return this.raw(bytes);
  }

  /** As `bytes`, of a part of `bytes`; nil for a negative length. */
  span(bytes: Uint8Array, at: number, length: number): this {
    if (length < 0) return this.nil();
    if (this.#rpc || length > 64) return this.bytes(bytes.subarray(at, at + length));
    this.#textHead(length);
    this.#room(length);
    const target = this.#bytes;
    const to = this.#at;
    for (let i = 0; i < length; i += 1) target[to + i] = bytes[at + i] as number;
    this.#at = to + length;
    return this;
  }

  /** Any value; integral numbers as integers, others as doubles. */
  value(value: Encodable): this {
    if (value === null) return this.nil();
    switch (typeof value) {
      case "boolean":
        return this.bool(value);
      case "number":
        return Number.isSafeInteger(value) ? this.int(value) : this.float(value);
      case "bigint":
        return this.int(value);
      case "string":
        return this.text(value);
      case "object":
        return this.#objectValue(value);
    }
  }

  #objectValue(value: Exclude<Encodable, null | boolean | number | bigint | string>): this {
    if (value instanceof Uint8Array) return this.bytes(value);
    if (value instanceof Float64) return this.float(value.value);
    if (isList(value)) {
      this.arrayHead(value.length);
      for (const item of value) this.value(item);
      return this;
    }
    const entries = value instanceof Map ? [...(value as ReadonlyMap<string, Encodable>)] : Object.entries(value as { readonly [key: string]: Encodable });
    this.mapHead(entries.length);
    for (const [key, item] of entries) this.text(key).value(item);
    return this;
  }
}

/** Bytes of an integer from 0 on in its smallest form. */
export function intLength(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x100) return 2;
  if (value < 0x1_0000) return 3;
  return value < TWO_32 ? 5 : 9;
}

/** Bytes of a text or byte string of `length` bytes, in the profile "gossip". */
export function stringLength(length: number): number {
  return length + (length < 32 ? 1 : length < 0x1_0000 ? 3 : 5);
}

/** Bytes before the items of a list or map. */
export function headLength(count: number): number {
  return count < 16 ? 1 : count < 0x1_0000 ? 3 : 5;
}

function isList(value: object): value is readonly Encodable[] {
  return Array.isArray(value);
}

/** One value at the reader's place; see `Reader.value`. Look at `reader.failed`, and at `reader.short` when more bytes may come. */
export function decodeValue(reader: Reader): MsgpackValue {
  return reader.value();
}

/** The bytes of one value. */
export function encodeValue(value: Encodable, profile: Profile): Uint8Array {
  return valueWriters[profile].value(value).finish();
}

const valueWriters = { gossip: new Writer("gossip"), rpc: new Writer("rpc") } as const;
