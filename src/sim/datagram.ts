/** One simulated datagram on its way to one or several nodes: made once, shared by all of them. */
import type { Host } from "./host.ts";
import { hashBytes, type TraceHash } from "./trace-hash.ts";

/** Bytes of a compound header, and of each part's length in it (serf-protocol §2.1). */
const COMPOUND_HEADER_BYTES = 2;
const COMPOUND_PART_BYTES = 2;
const LANE_A = 0x7feb352d;
const LANE_B = 0x846ca68b;

export class Datagram {
  readonly from: Host;
  readonly messages: readonly Uint8Array[];
  /** The encoded form, when this one goes through the codec. */
  readonly packets: readonly Uint8Array[] | null;
  /** Bytes of the uncompressed, unsealed datagram: the same in every codec mode, so that the mode never changes a run. */
  readonly size: number;
  /** Numbers of the messages for the repeat filter, and the epoch they belong to; null without the filter. */
  numbers: Int32Array | null = null;
  epoch = 0;
  #hashA = 0;
  #hashB = 0;
  #hashed = false;

  constructor(from: Host, messages: readonly Uint8Array[], packets: readonly Uint8Array[] | null) {
    this.from = from;
    this.messages = messages;
    this.packets = packets;
    let size = 0;
    for (const message of messages) size += message.length;
    this.size = messages.length > 1 ? size + COMPOUND_HEADER_BYTES + COMPOUND_PART_BYTES * messages.length : size;
  }

  hashInto(hash: TraceHash): void {
    if (!this.#hashed) {
      this.#hashed = true;
      for (const message of this.messages) {
        this.#hashA = Math.imul(this.#hashA, 31) ^ hashBytes(message, LANE_A);
        this.#hashB = Math.imul(this.#hashB, 33) ^ hashBytes(message, LANE_B);
      }
    }
    hash.word(this.#hashA);
    hash.word(this.#hashB);
  }
}
