/**
 * The last user events by Lamport time (reference: serf-protocol §8.8): decides whether a received event is new, and is what a
 * push/pull sends. Slot = Lamport time mod ring size.
 *
 * Guarantee: `witness` accepts one (time, name, payload) at most once, whatever the order and number of repeats; when a bound is
 * hit the event is refused, never forgotten.
 */
import { EMPTY_BYTES, equalBytes } from "../base/bytes.ts";
import { utf8Length } from "../base/utf8.ts";
import type { EventSlot } from "../wire/serf-messages.ts";
import type { LamportClock } from "./lamport-clock.ts";

/** Most distinct events of one Lamport time: that many nodes can fire at the same moment. */
export const EVENTS_PER_SLOT_MAX = 4096;
/** Most events in the whole ring; our own decoder takes twice as many from a push/pull. */
export const EVENT_RING_COUNT_MAX = 32_768;
/** Most bytes of names and payloads in the whole ring; well below the 20 MiB that peers accept as push/pull state. */
export const EVENT_RING_BYTES_MAX = 8 * 1024 * 1024;

/** `new`: deliver and pass on. The rest: drop. `old`: older than the ring, worth a warning. */
export type EventVerdict = "new" | "known" | "old" | "ignored" | "full";

interface RememberedEvent {
  readonly name: string;
  readonly payload: Uint8Array | null;
}

interface Slot extends EventSlot {
  readonly lamportTime: number;
  readonly events: RememberedEvent[];
  /** Hash of each event: compared before its bytes. */
  readonly hashes: number[];
  bytes: number;
}

export class EventRing {
  readonly #size: number;
  /** Made with the first event: most of the nodes of a simulation never see one. */
  #slots: (Slot | null)[] | null = null;
  #bytes = 0;
  #count = 0;
  #minTime = 0;

  constructor(size: number) {
    this.#size = size;
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

  /** Slots in ring order, as a push/pull carries them. */
  get slots(): readonly (EventSlot | null)[] {
    return this.#slots ?? emptySlots(this.#size);
  }

  /** Whether an event of that time is held. */
  holds(lamportTime: number): boolean {
    return this.#slots?.[lamportTime % this.#size]?.lamportTime === lamportTime;
  }

  /** `witness` would change nothing: the event is held. */
  isRepeat(clock: LamportClock, lamportTime: number, name: string, payload: Uint8Array | null, hash = hashEvent(name, payload)): boolean {
    const slot = this.#slots?.[lamportTime % this.#size] ?? null;
    return slot !== null && slot.lamportTime === lamportTime && lamportTime < clock.time && contains(slot, hash, name, payload);
  }

  /** Judges one received event. `clock` has its time witnessed here, before any other check. */
  witness(clock: LamportClock, lamportTime: number, name: string, payload: Uint8Array | null, knownHash?: number): EventVerdict {
    clock.witness(lamportTime);
    if (lamportTime < this.#minTime) return "ignored";
    if (isOlderThanRing(clock.time, lamportTime, this.#size)) return "old";

    this.#slots ??= new Array<Slot | null>(this.#size).fill(null);
    const index = lamportTime % this.#size;
    let slot = this.#slots[index] ?? null;
    const hash = knownHash ?? hashEvent(name, payload);
    if (slot !== null && slot.lamportTime !== lamportTime) {
      this.#bytes -= slot.bytes;
      this.#count -= slot.events.length;
      slot = null;
    } else if (slot !== null && contains(slot, hash, name, payload)) return "known";

    const bytes = utf8Length(name) + (payload?.length ?? 0);
    const held = slot?.events.length ?? 0;
    if (held >= EVENTS_PER_SLOT_MAX || this.#count >= EVENT_RING_COUNT_MAX || this.#bytes + bytes > EVENT_RING_BYTES_MAX) {
      if (slot === null) this.#slots[index] = { lamportTime, events: [], hashes: [], bytes: 0 };
      return "full";
    }
    if (slot === null) {
      // Most times have one event, and a list that grows takes room for seventeen.
      this.#slots[index] = { lamportTime, events: [{ name, payload }], hashes: [hash], bytes };
    } else {
      slot.events.push({ name, payload });
      slot.hashes.push(hash);
      slot.bytes += bytes;
    }
    this.#bytes += bytes;
    this.#count += 1;
    return "new";
  }
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

/** Events and queries from further back than their ring reaches cannot be told from repeats. */
export function isOlderThanRing(currentTime: number, lamportTime: number, ringSize: number): boolean {
  return currentTime > ringSize && lamportTime < currentTime - ringSize;
}

function contains({ events, hashes }: Slot, hash: number, name: string, payload: Uint8Array | null): boolean {
  for (let i = 0; i < hashes.length; i += 1) if (hashes[i] === hash && isSame(events[i] as RememberedEvent, name, payload)) return true;
  return false;
}

/** An absent and an empty payload are the same to the original. */
function isSame(event: RememberedEvent, name: string, payload: Uint8Array | null): boolean {
  return event.name === name && (event.payload === payload || equalBytes(event.payload ?? EMPTY_BYTES, payload ?? EMPTY_BYTES));
}

/** FNV-1a over name and payload; only narrows the comparison. Whoever has it at hand gives it to the ring. */
export function hashEvent(name: string, payload: Uint8Array | null): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  if (payload !== null) for (let i = 0; i < payload.length; i += 1) hash = Math.imul(hash ^ (payload[i] as number), 0x01000193);
  return hash;
}
