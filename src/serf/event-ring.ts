/**
 * The last user events by Lamport time (reference: serf-protocol §8.8): decides whether a received event is new, and is what a
 * push/pull sends. Slot = Lamport time mod ring size.
 *
 * Guarantee: `witness` accepts one (time, name, payload) at most once, whatever the order and number of repeats; when a bound is
 * hit the event is refused, never forgotten.
 */
import { BytePages } from "../base/byte-pages.ts";
import { EMPTY_BYTES, equalBytes } from "../base/bytes.ts";
import { decodeUtf8, utf8Length, writeUtf8 } from "../base/utf8.ts";
import type { KnownMessage, Sharing } from "../swim/messages.ts";
import { encodeEventSlot } from "../wire/serf-codec.ts";
import type { EventSlot, UserEventMessage } from "../wire/serf-messages.ts";
import type { LamportClock } from "./lamport-clock.ts";

/** Most distinct events of one Lamport time: that many nodes can fire at the same moment. */
export const EVENTS_PER_SLOT_MAX = 4096;
/** Most events in the whole ring; our own decoder takes twice as many from a push/pull. Items have 16 bits. */
export const EVENT_RING_COUNT_MAX = 32_768;
/** Most bytes of names and payloads in the whole ring; well below the 20 MiB that peers accept as push/pull state. Encoded slots that are kept take about as much again. */
export const EVENT_RING_BYTES_MAX = 8 * 1024 * 1024;

/** `new`: deliver and pass on. The rest: drop. `old`: older than the ring, worth a warning. */
export type EventVerdict = "new" | "known" | "old" | "ignored" | "full";

/** Item 0 does not exist. */
const NIL = 0;
const NEVER = -1;
const ITEMS_FIRST = 8;
/** As a payload's length: there is none. */
const ABSENT = -1;

/** A slot as nodes that share messages tell it each other: with the message of each event, where it is kept as one. */
export interface HeldSlot extends EventSlot {
  readonly known?: readonly (KnownMessage | null)[];
}

/** How many events a slot holds stands below the number of its first one. */
const COUNT_BITS = 13;
const COUNT_MASK = (1 << COUNT_BITS) - 1;

/**
 * What the ring knows of each slot, side by side: a simulation finds the ring of a node outside the processor's caches, whichever part of it it looks at.
 * By index, twice: the time, and the chain of its events.
 */
class Slots {
  readonly #parts: Float64Array;

  constructor(size: number) {
    this.#parts = new Float64Array(2 * size);
    for (let index = 0; index < size; index += 1) this.#parts[2 * index] = NEVER;
  }

  time(index: number): number {
    return this.#parts[2 * index] as number;
  }

  /** Its first item; the others follow by their links, in the order of their hashes. */
  first(index: number): number {
    return ((this.#parts[2 * index + 1] as number) | 0) >>> COUNT_BITS;
  }

  count(index: number): number {
    return ((this.#parts[2 * index + 1] as number) | 0) & COUNT_MASK;
  }

  setTime(index: number, lamportTime: number): void {
    this.#parts[2 * index] = lamportTime;
  }

  setChain(index: number, first: number, count: number): void {
    this.#parts[2 * index + 1] = (first << COUNT_BITS) | count;
  }
}

// Words of an item, side by side for the same reason.
const ITEM = 4;
/** Compared before the bytes. */
const HASH = 0;
/** Free items are chained by it too. */
const NEXT = 1;
/** 1 + the number of the shared message; 0 for events kept as bytes. */
const NUMBER = 2;

const EMPTY_I32 = new Int32Array(0);

/**
 * Events are columns and pages, without an object for any of them: a busy node takes in a hundred thousand a second. Where nodes of one process share
 * messages (a simulation), an event that came as one of those is kept as its number, and held by it.
 */
export class EventRing {
  readonly #size: number;
  readonly #sharing: Sharing | null;
  /** Told the number of each shared message whose event is held from now on, or no longer. While it is held, a copy of the message is a repeat. */
  onHeld: ((number: number, isHeld: boolean) => void) | null = null;
  /** Made with the first event: most of the nodes of a simulation never see one. */
  #slots: Slots | null = null;
  readonly #memory = new BytePages();
  /** Slots that `encodedSlot` was asked for, until they change. Of a node of a simulation nobody asks. */
  readonly #encoded = new Map<number, Uint8Array>();

  // Items, from 1.
  #items = new Int32Array(ITEM * ITEMS_FIRST);
  // Of those that are kept as bytes.
  #starts = EMPTY_I32;
  #nameBytes = EMPTY_I32;
  #payloadBytes = EMPTY_I32; // Behind the name; `ABSENT` for none.
  readonly #pages: Uint8Array[] = [EMPTY_BYTES];
  #used = 1;
  #free = NIL;

  #bytes = 0;
  #count = 0;
  #minTime = 0;

  constructor(size: number, sharing: Sharing | null = null) {
    this.#size = size;
    this.#sharing = sharing;
  }

  /** Lets go of what is shared. The ring must not be used afterwards. */
  close(): void {
    this.onHeld = null;
    const slots = this.#slots;
    if (slots !== null && this.#sharing !== null) for (let index = 0; index < this.#size; index += 1) this.#clear(slots, index);
  }

  /** Reads what the next new event looks at; the sum means nothing. */
  touch({ time }: LamportClock): number {
    const slots = this.#slots;
    if (slots === null) return 0;
    const index = Math.max(0, time - 1) % this.#size;
    return slots.time(index) + (this.#items[ITEM * (this.#used - 1)] as number) + this.#bytes + this.#minTime + this.#encoded.size;
  }

  get size(): number {
    return this.#size;
  }

  /** Events before this Lamport time are not wanted: they precede our joining (or our last run). */
  get minTime(): number {
    return this.#minTime;
  }

  raiseMinTime(lamportTime: number): void {
    if (lamportTime > this.#minTime) this.#minTime = lamportTime;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /**
   * Slots in ring order as they are now, as a push/pull carries them. Events of one time come in another order at each node; here they have the order of
   * their hashes, so that nodes which hold the same give the same.
   */
  get slots(): readonly (HeldSlot | null)[] {
    const slots = this.#slots;
    if (slots === null) return emptySlots(this.#size);
    // As empty ones are made: what goes through them is compiled for arrays of one kind.
    const held = new Array<HeldSlot | null>(this.#size).fill(null);
    for (let index = 0; index < this.#size; index += 1) {
      const lamportTime = slots.time(index);
      if (lamportTime !== NEVER) held[index] = this.#sharedSlot(lamportTime, slots.first(index));
    }
    return held;
  }

  /** Nodes which share messages also share the slots that have one event, as nearly all do. */
  #sharedSlot(lamportTime: number, first: number): HeldSlot {
    const known = first !== NIL && this.#nextOf(first) === NIL ? this.#known(first) : null;
    if (known === null) return this.#slot(lamportTime, first);
    const slot = (known.upperSlot ?? this.#slot(lamportTime, first)) as HeldSlot;
    known.upperSlot = slot;
    return slot;
  }

  #slot(lamportTime: number, first: number): HeldSlot {
    const events = this.#eventsOf(first);
    if (this.#sharing === null) return { lamportTime, events };
    const known: (KnownMessage | null)[] = [];
    for (let item = first; item !== NIL; item = this.#nextOf(item)) known.push(this.#known(item));
    return { lamportTime, events, known };
  }

  /** The same, encoded one by one. */
  get encodedSlots(): readonly (Uint8Array | null)[] {
    return Array.from({ length: this.#size }, (_, index) => this.encodedSlot(index));
  }

  /** One of `encodedSlots`; null also for an index that there is not. */
  encodedSlot(index: number): Uint8Array | null {
    const slots = this.#slots;
    if (slots === null || !(index >= 0 && index < this.#size) || slots.count(index) === 0) return null;
    const kept = this.#encoded.get(index);
    if (kept !== undefined) return kept;
    // Copied: the encoder's memory is shared with messages that are soon over.
    const bytes = encodeEventSlot({ lamportTime: slots.time(index), events: this.#eventsOf(slots.first(index)) }).slice();
    this.#encoded.set(index, bytes);
    return bytes;
  }

  #eventsOf(first: number): EventSlot["events"] {
    const events: { readonly name: string; readonly payload: Uint8Array | null }[] = [];
    for (let item = first; item !== NIL; item = this.#nextOf(item)) events.push(this.#sharedEvent(item) ?? this.#ownEvent(item));
    return events;
  }

  #nextOf(item: number): number {
    return this.#items[ITEM * item + NEXT] as number;
  }

  /** The shared message of an item, or null. */
  #known(item: number): KnownMessage | null {
    if (this.#sharing === null) return null;
    const number = this.#items[ITEM * item + NUMBER] as number;
    return number === 0 ? null : this.#sharing.at(number - 1);
  }

  #sharedEvent(item: number): UserEventMessage | null {
    return (this.#known(item)?.upper ?? null) as UserEventMessage | null;
  }

  #ownEvent(item: number): { readonly name: string; readonly payload: Uint8Array | null } {
    const page = this.#pages[item] as Uint8Array;
    const start = this.#starts[item] as number;
    const middle = start + (this.#nameBytes[item] as number);
    const payloadBytes = this.#payloadBytes[item] as number;
    return { name: decodeUtf8(page, start, middle), payload: payloadBytes === ABSENT ? null : page.subarray(middle, middle + payloadBytes) };
  }

  /** Whether an event of that time is held. */
  holds(lamportTime: number): boolean {
    return this.#slots !== null && this.#slots.time(lamportTime % this.#size) === lamportTime;
  }

  /** We hold the very events of another's slot: `witness` would call each of them known. As of nearly all slots of a push/pull. */
  holdsSame({ time }: LamportClock, { lamportTime, known }: HeldSlot): boolean {
    if (this.#slots === null || known === undefined || isOlderThanRing(time, lamportTime, this.#size)) return false;
    const slots = this.#slots;
    const index = lamportTime % this.#size;
    if (slots.time(index) !== lamportTime || slots.count(index) !== known.length) return false;
    let item = slots.first(index);
    for (let i = 0; i < known.length; i += 1) {
      const number = known[i]?.number ?? -1;
      if (number < 0 || this.#items[ITEM * item + NUMBER] !== number + 1) return false;
      item = this.#nextOf(item);
    }
    return true;
  }

  /** Judges one received event. `clock` has its time witnessed here, before any other check. `known`: the shared message of the event, if it is one. */
  witness(clock: LamportClock, lamportTime: number, name: string, payload: Uint8Array | null, known: KnownMessage | null = null): EventVerdict {
    clock.witness(lamportTime);
    if (lamportTime < this.#minTime) return "ignored";
    if (isOlderThanRing(clock.time, lamportTime, this.#size)) return "old";

    this.#slots ??= new Slots(this.#size);
    const slots = this.#slots;
    const index = lamportTime % this.#size;
    const hash = known === null ? hashEvent(name, payload) : known.upperHash;
    if (slots.time(index) !== lamportTime) {
      this.#clear(slots, index);
      slots.setTime(index, lamportTime);
    }
    const first = slots.first(index);
    const items = this.#items;
    let before = NIL; // The last item of a hash that is not greater: the new one comes behind it.
    for (let item = first; item !== NIL && (items[ITEM * item + HASH] as number) <= hash; item = items[ITEM * item + NEXT] as number) {
      if (items[ITEM * item + HASH] === hash && this.#isSame(item, name, payload)) {
        if (known !== null) this.#shareKept(item, known);
        return "known";
      }
      before = item;
    }

    const bytes = known === null ? bytesOfEvent(name, payload) : known.upperBytes;
    const held = slots.count(index);
    if (held >= EVENTS_PER_SLOT_MAX || this.#count >= EVENT_RING_COUNT_MAX || this.#bytes + bytes > EVENT_RING_BYTES_MAX) return "full";
    if (this.#encoded.size > 0) this.#encoded.delete(index);
    const item = this.#newItem();
    this.#items[ITEM * item + HASH] = hash;
    if (known === null || this.#sharing === null) this.#keep(item, name, payload, bytes);
    else this.#share(item, known.number, this.#sharing);
    this.#items[ITEM * item + NEXT] = before === NIL ? first : this.#nextOf(before);
    if (before !== NIL) this.#items[ITEM * before + NEXT] = item;
    slots.setChain(index, before === NIL ? item : first, held + 1);
    this.#bytes += bytes;
    this.#count += 1;
    return "new";
  }

  #share(item: number, number: number, sharing: Sharing): void {
    this.#items[ITEM * item + NUMBER] = number + 1;
    sharing.retain(number);
    this.onHeld?.(number, true);
  }

  /** An event that first came in another way, as part of a push/pull, is kept as its message from now on. */
  #shareKept(item: number, { number }: KnownMessage): void {
    if (this.#sharing === null || this.#items[ITEM * item + NUMBER] !== 0) return;
    this.#release(item);
    this.#share(item, number, this.#sharing);
  }

  /** `bytes`: of name and payload. */
  #keep(item: number, name: string, payload: Uint8Array | null, bytes: number): void {
    const nameBytes = bytes - (payload?.length ?? 0);
    const start = this.#memory.reserve(bytes);
    const { page } = this.#memory;
    if (this.#starts.length < this.#capacity()) this.#growOwn(this.#capacity());
    const middle = writeUtf8(name, page, start);
    if (payload !== null) page.set(payload, middle);
    this.#pages[item] = page;
    this.#starts[item] = start;
    this.#nameBytes[item] = nameBytes;
    this.#payloadBytes[item] = payload?.length ?? ABSENT;
  }

  #newItem(): number {
    const free = this.#free;
    if (free !== NIL) {
      this.#free = this.#nextOf(free);
      return free;
    }
    if (this.#used === this.#capacity()) this.#items = copied(this.#items, new Int32Array(2 * this.#items.length));
    this.#used += 1;
    return this.#used - 1;
  }

  #capacity(): number {
    return this.#items.length / ITEM;
  }

  #growOwn(capacity: number): void {
    this.#starts = copied(this.#starts, new Int32Array(capacity));
    this.#nameBytes = copied(this.#nameBytes, new Int32Array(capacity));
    this.#payloadBytes = copied(this.#payloadBytes, new Int32Array(capacity));
  }

  /** Forgets the events of a slot. */
  #clear(slots: Slots, index: number): void {
    if (this.#encoded.size > 0) this.#encoded.delete(index);
    for (let item = slots.first(index); item !== NIL; ) {
      const next = this.#nextOf(item);
      this.#bytes -= this.#release(item);
      this.#items[ITEM * item + NEXT] = this.#free;
      this.#free = item;
      item = next;
    }
    this.#count -= slots.count(index);
    slots.setChain(index, NIL, 0);
  }

  /** Forgets what an item is; bytes of its name and payload. */
  #release(item: number): number {
    const known = this.#known(item);
    if (known === null) {
      this.#pages[item] = EMPTY_BYTES;
      return (this.#nameBytes[item] as number) + Math.max(0, this.#payloadBytes[item] as number);
    }
    const { number, upperBytes } = known;
    this.#items[ITEM * item + NUMBER] = 0;
    this.onHeld?.(number, false);
    this.#sharing?.release(number);
    return upperBytes;
  }

  /** An absent and an empty payload are the same to the original. */
  #isSame(item: number, name: string, payload: Uint8Array | null): boolean {
    const shared = this.#sharedEvent(item);
    if (shared !== null) return shared.name === name && equalBytes(shared.payload ?? EMPTY_BYTES, payload ?? EMPTY_BYTES);
    const page = this.#pages[item] as Uint8Array;
    const start = this.#starts[item] as number;
    const middle = start + (this.#nameBytes[item] as number);
    const length = Math.max(0, this.#payloadBytes[item] as number);
    if ((payload?.length ?? 0) !== length || !isText(page, start, middle, name)) return false;
    for (let i = 0; i < length; i += 1) if (page[middle + i] !== payload?.[i]) return false;
    return true;
  }
}

/** `page[start, end)` is `text`. */
function isText(page: Uint8Array, start: number, end: number, text: string): boolean {
  if (text.length !== end - start) return decodeUtf8(page, start, end) === text;
  let all = 0;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    all |= unit;
    if (unit !== page[start + i] && unit < 0x80) return false;
  }
  return all < 0x80 || decodeUtf8(page, start, end) === text;
}

function copied(from: Int32Array, to: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  to.set(from);
  return to;
}

const emptySlotsBySize = new Map<number, readonly null[]>();

function emptySlots(size: number): readonly null[] {
  let slots = emptySlotsBySize.get(size);
  if (slots === undefined) {
    slots = new Array<null>(size).fill(null);
    emptySlotsBySize.set(size, slots);
  }
  return slots;
}

/**
 * Events and queries from further back than their ring reaches cannot be told from repeats. Lamport times are not negative, so that none is older before the ring has
 * been gone round: asked for by itself, that would be a way which code compiled before does not know.
 */
export function isOlderThanRing(currentTime: number, lamportTime: number, ringSize: number): boolean {
  return lamportTime < currentTime - ringSize;
}

/** FNV-1a over name and payload, 32 bits with a sign; only narrows the comparison. Whoever has it at hand gives it to the ring. */
export function hashEvent(name: string, payload: Uint8Array | null): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  if (payload !== null) for (let i = 0; i < payload.length; i += 1) hash = Math.imul(hash ^ (payload[i] as number), 0x01000193);
  return hash;
}

/** Bytes of an event's name and payload, which bounds of a ring count. */
export function bytesOfEvent(name: string, payload: Uint8Array | null): number {
  return utf8Length(name) + (payload?.length ?? 0);
}
