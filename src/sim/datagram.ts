/** One simulated datagram on its way to one or several nodes: made once, shared by all of them. */
import { hashMessage, type SharedMessage, type SharedMessages } from "./shared-messages.ts";
import type { SettledSet } from "./settled-bits.ts";
import type { TraceHash } from "./trace-hash.ts";

/** What the shard of its sender has found out about a datagram, and the numbers of its messages in this shard. */
export interface CrossedParts {
  readonly size: number;
  readonly held: readonly number[] | null;
  readonly hashA: number;
  readonly hashB: number;
}

/** Bytes of a compound header, and of each part's length in it (serf-protocol §2.1). */
const COMPOUND_HEADER_BYTES = 2;
const COMPOUND_PART_BYTES = 2;

export class Datagram {
  /** Its sender, by number: to look at the sender itself is to read cold memory. */
  readonly from: number;
  readonly messages: readonly Uint8Array[];
  /** The encoded form, when this one goes through the codec. */
  readonly packets: readonly Uint8Array[] | null;
  /** Bytes of the uncompressed, unsealed datagram: the same in every codec mode, so that the mode never changes a run. */
  readonly size: number;
  readonly #shared: SharedMessages | null;
  /** Number of each message among those that all nodes share when this was made, or -1; null when none is. */
  readonly held: readonly number[] | null;
  /** The same, to be looked up all at once; null where that is not possible. */
  readonly settledSet: SettledSet | null;
  readonly hashA: number;
  readonly hashB: number;
  /** Each message was a user event that all nodes share when this was made. */
  readonly isOfEvents: boolean;

  constructor(from: number, messages: readonly Uint8Array[], packets: readonly Uint8Array[] | null, shared: SharedMessages | null, crossed: CrossedParts | null = null) {
    this.from = from;
    this.messages = messages;
    this.packets = packets;
    this.#shared = shared;
    if (crossed !== null) {
      this.size = crossed.size;
      this.held = crossed.held;
      this.settledSet = shared === null || crossed.held === null ? null : shared.settledSet(crossed.held);
      this.hashA = crossed.hashA;
      this.hashB = crossed.hashB;
      this.isOfEvents = shared !== null && crossed.held !== null && shared.areEvents(crossed.held);
      return;
    }
    const held = shared === null ? null : shared.recognize(messages);
    let size = 0;
    let hashA = 0;
    let hashB = 0;
    for (let i = 0; i < messages.length; i += 1) {
      const number = held === null ? -1 : (held[i] as number);
      if (shared !== null && number >= 0) {
        size += shared.lengthOf(number);
        hashA = Math.imul(hashA, 31) ^ shared.hashAOf(number);
        hashB = Math.imul(hashB, 33) ^ shared.hashBOf(number);
      } else {
        const message = messages[i] as Uint8Array;
        const hashed = hashMessage(message);
        size += message.length;
        hashA = Math.imul(hashA, 31) ^ hashed.hashA;
        hashB = Math.imul(hashB, 33) ^ hashed.hashB;
      }
    }
    this.size = messages.length > 1 ? size + COMPOUND_HEADER_BYTES + COMPOUND_PART_BYTES * messages.length : size;
    this.held = held;
    this.settledSet = shared === null || held === null ? null : shared.settledSet(held);
    this.hashA = hashA;
    this.hashB = hashB;
    this.isOfEvents = shared !== null && held !== null && shared.areEvents(held);
  }

  /** Number of the message at index `i`; -1 where nodes share nothing, and when nobody holds it any more. */
  numberAt(i: number): number {
    const { held } = this;
    if (this.#shared === null || held === null) return -1;
    const number = held[i] as number;
    return this.#shared.isHeldAs(number, this.messages[i] as Uint8Array) ? number : -1;
  }

  /** What all nodes know of the message with this number. */
  known(number: number): SharedMessage | null {
    return this.#shared === null || number < 0 ? null : this.#shared.at(number);
  }

  hashInto(hash: TraceHash): void {
    hash.word(this.hashA);
    hash.word(this.hashB);
  }
}
