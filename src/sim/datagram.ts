/** One simulated datagram on its way to one or several nodes: made once, shared by all of them. */
import type { Host } from "./host.ts";
import { hashMessage, type SharedMessage, type SharedMessages } from "./shared-messages.ts";
import type { SettledSet } from "./settled-bits.ts";
import type { TraceHash } from "./trace-hash.ts";

/** Bytes of a compound header, and of each part's length in it (serf-protocol §2.1). */
const COMPOUND_HEADER_BYTES = 2;
const COMPOUND_PART_BYTES = 2;

export class Datagram {
  readonly from: Host;
  readonly messages: readonly Uint8Array[];
  /** The encoded form, when this one goes through the codec. */
  readonly packets: readonly Uint8Array[] | null;
  /** Bytes of the uncompressed, unsealed datagram: the same in every codec mode, so that the mode never changes a run. */
  readonly size: number;
  /** What all nodes know of each message; null where nodes share nothing. */
  readonly known: readonly (SharedMessage | null)[] | null;
  /** The same, to be looked up all at once; null where that is not possible. */
  readonly settledSet: SettledSet | null;
  readonly #hashA: number;
  readonly #hashB: number;

  constructor(from: Host, messages: readonly Uint8Array[], packets: readonly Uint8Array[] | null, shared: SharedMessages | null) {
    this.from = from;
    this.messages = messages;
    this.packets = packets;
    const known: (SharedMessage | null)[] = [];
    let size = 0;
    let hashA = 0;
    let hashB = 0;
    for (const message of messages) {
      size += message.length;
      const same = shared === null ? null : shared.known(message);
      if (shared !== null) known.push(same);
      const hashed = same ?? hashMessage(message);
      hashA = Math.imul(hashA, 31) ^ hashed.hashA;
      hashB = Math.imul(hashB, 33) ^ hashed.hashB;
    }
    this.size = messages.length > 1 ? size + COMPOUND_HEADER_BYTES + COMPOUND_PART_BYTES * messages.length : size;
    this.known = shared === null ? null : known;
    this.settledSet = shared === null ? null : shared.settledSet(known);
    this.#hashA = hashA;
    this.#hashB = hashB;
  }

  hashInto(hash: TraceHash): void {
    hash.word(this.#hashA);
    hash.word(this.#hashB);
  }
}
