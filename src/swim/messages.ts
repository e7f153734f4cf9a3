/**
 * Gossip messages by number, so that a queue of ten thousand of them is a few typed arrays. A number is held by whoever refers to it and
 * reused when its last holder lets go.
 */
import { assert } from "../base/assert.ts";
import { BytePages } from "../base/byte-pages.ts";
import type { PacketMessage } from "../wire/gossip-messages.ts";
import type { MemberRecord } from "./member-records.ts";

/**
 * A message of gossip that was decoded before, for several nodes of one process. `slot` and `variant` are those of the member it is about
 * in the records that these nodes share, held as long as the message is; -1 when it is about none, or when nobody holds it any more.
 */
export interface KnownMessage {
  readonly bytes: Uint8Array;
  /** What kind of message it is, and its incarnation or Lamport time: enough to recognise most repeats. */
  readonly sort: KnownSort;
  readonly time: number;
  readonly number: number;
  readonly message: PacketMessage | null;
  /** What the layer above reads in the payload of a `user` message, and a number that it keeps beside it. */
  readonly upper: unknown;
  readonly upperHash: number;
  /** Bytes of name and payload of a user event. */
  readonly upperBytes: number;
  /** The effect in which a node whom it is new to tells of it, the same for all of them; null until the first has made it. */
  upperEffect: unknown;
  /** How nodes that hold it, and nothing beside it, tell each other so; null until the first has made that. */
  upperSlot: unknown;
  readonly slot: number;
  readonly variant: number;
  /** What the records hold of this variant; null where `variant` is -1. */
  readonly record: MemberRecord | null;
}

/** Messages that can be recognised as repeats by numbers alone; `other` may be anything. */
export const KnownSort = { other: 0, alive: 1, join: 2, userEvent: 3 } as const;
export type KnownSort = (typeof KnownSort)[keyof typeof KnownSort];

/**
 * Whether a further copy of a message would change anything at a node. `lasting`: it would not, and that stays so until the node's row of the member
 * that the message is about regresses (`MemberTable.onRegress`, of either layer), or until its ring lets go of the user event (`EventRing.onHeld`).
 */
export const Repeat = { no: 0, now: 1, lasting: 2 } as const;
export type Repeat = (typeof Repeat)[keyof typeof Repeat];

export interface Messages {
  /** A number for `message`, which must not change afterwards, held once by the caller. */
  hold(message: Uint8Array): number;
  /** Holds a number once more. */
  retain(number: number): void;
  release(number: number): void;
  bytesOf(number: number): Uint8Array;
  lengthOf(number: number): number;
}

/** Messages that several nodes of one process share. */
export interface Sharing extends Messages {
  /** The message that has this number. */
  at(number: number): KnownMessage;
  /**
   * Told the messages of each packet, which have just been taken by `bytesOf`, all and in this order, save those in front that came from elsewhere.
   * What it finds out goes with the packet, for whoever carries it.
   */
  survey(messages: readonly Uint8Array[]): unknown;
  /** The alive message of a member in the shared records, held once by the caller. */
  holdAlive(slot: number, variant: number, incarnation: number): KnownMessage;
  /** The number of that message when it is the last one `holdAlive` was asked for and somebody holds it, else -1. Looks into dense arrays only. */
  aliveNumber(slot: number, variant: number, incarnation: number): number;
}

/** The messages of one node alone: no two are compared. They are copied into pages, so that neither their views nor the packets they came in live on. */
export class OwnMessages implements Messages {
  readonly #pages: (Uint8Array | null)[] = [];
  readonly #starts: number[] = [];
  readonly #lengths: number[] = [];
  readonly #holders: number[] = [];
  readonly #free: number[] = [];
  readonly #memory = new BytePages();

  hold(message: Uint8Array): number {
    const number = this.#free.pop() ?? this.#pages.length;
    const start = this.#memory.reserve(message.length);
    const { page } = this.#memory;
    page.set(message, start);
    this.#pages[number] = page;
    this.#starts[number] = start;
    this.#lengths[number] = message.length;
    this.#holders[number] = 1;
    return number;
  }

  retain(number: number): void {
    this.#holders[number] = (this.#holders[number] as number) + 1;
  }

  release(number: number): void {
    const left = (this.#holders[number] as number) - 1;
    this.#holders[number] = left;
    if (left > 0) return;
    this.#pages[number] = null;
    this.#free.push(number);
  }

  bytesOf(number: number): Uint8Array {
    const page = this.#pages[number];
    assert(page !== null && page !== undefined, "no message has this number");
    const start = this.#starts[number] as number;
    return page.subarray(start, start + this.lengthOf(number));
  }

  lengthOf(number: number): number {
    return this.#lengths[number] as number;
  }
}
