/** One simulated datagram on its way to one or several nodes: made once, shared by all of them. */
import type { SharedMessage, SharedMessages } from "./shared-messages.ts";
import type { SettledSet } from "./settled-bits.ts";
import type { Survey } from "./survey.ts";
import type { TraceHash } from "./trace-hash.ts";

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

  constructor(from: number, messages: readonly Uint8Array[], packets: readonly Uint8Array[] | null, shared: SharedMessages | null, survey: Survey) {
    this.from = from;
    this.messages = messages;
    this.packets = packets;
    this.#shared = shared;
    this.size = survey.size;
    this.held = survey.held;
    this.settledSet = survey.settledSet;
    this.hashA = survey.hashA;
    this.hashB = survey.hashB;
    this.isOfEvents = survey.isOfEvents;
  }

  /** Number of the message at index `i`; -1 where nodes share nothing, and when nobody holds it any more. */
  numberAt(i: number): number {
    const { held } = this;
    if (this.#shared === null || held === null) return -1;
    const number = held[i] as number;
    // Each event has a row of its own. Without a look at the message, which may lie cold.
    if (this.isOfEvents && this.settledSet !== null && this.#shared.isCurrent(this.settledSet)) return number;
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
