/**
 * How simulated messages travel: really encoded and opened again, or by reference. In every mode the receivers get equal bytes, so that
 * the mode never changes what happens in a run (nor its trace hash); encoded messages are compared with what was sent.
 */
import { equalBytes } from "../base/bytes.ts";
import type { SharedState } from "../swim/shared-state.ts";

/** The production codec as the simulation needs it; made by `wire-codec.ts`, or a fake in tests of the kernel. */
export interface SimCodec {
  /** The datagrams that carry these messages over the wire: one, save for absurd numbers of messages. */
  encodePacket(messages: readonly Uint8Array[], crc: boolean): readonly Uint8Array[];
  /** The messages of a datagram; null when it cannot be opened. */
  openPacket(packet: Uint8Array): readonly Uint8Array[] | null;
  encodeStream(message: Uint8Array): Uint8Array;
  /** The stream message in `bytes`, given in two pieces cut at `cutAt`; null when it cannot be read. */
  readStream(bytes: Uint8Array, cutAt: number): Uint8Array | null;
}

export type CodecMode = "full" | "sampled" | "off";

/**
 * In the mode `sampled` one datagram or stream in this many is really encoded; prime, so that it does not follow the rhythm of gossip.
 * In a cluster of thousands a full state is a megabyte, and there are millions of datagrams: a smaller share is enough.
 */
const SAMPLE_EVERY = 31;
const SAMPLE_EVERY_LARGE = 1009;
const LARGE_NODES_MIN = 1_001;

export class CodecCheck {
  readonly mode: CodecMode;
  readonly #codec: SimCodec | null;
  readonly #sampleEvery: number;
  #count = 0;
  /** Datagrams and streams that went through the codec. */
  encoded = 0;

  constructor(mode: CodecMode, codec: SimCodec | null, nodes: number) {
    this.#sampleEvery = nodes < LARGE_NODES_MIN ? SAMPLE_EVERY : SAMPLE_EVERY_LARGE;
    this.mode = codec === null ? "off" : mode;
    this.#codec = codec;
  }

  /** The datagram in its encoded form, or null when it travels by reference this time. */
  encodePacket(messages: readonly Uint8Array[], crc: boolean): readonly Uint8Array[] | null {
    if (!this.#takesTurn() || this.#codec === null) return null;
    return this.#codec.encodePacket(messages, crc);
  }

  /** Opens what one sending encoded and compares; null when what came out is not what went in. */
  openPacket(packets: readonly Uint8Array[], sent: readonly Uint8Array[]): readonly Uint8Array[] | null {
    const opened = packets.flatMap((packet) => this.#codec?.openPacket(packet) ?? []);
    if (opened.length !== sent.length) return null;
    return opened.every((message, i) => equalBytes(message, sent[i] as Uint8Array)) ? opened : null;
  }

  /**
   * Sends a stream message, or a full state by reference, through the codec: its bytes as they came out, or itself when it is not its turn.
   * Null when it did not come out as it went in. `cutAt` chooses where the pieces meet.
   */
  passStream(given: Uint8Array | SharedState, cutAt: (length: number) => number): Uint8Array | SharedState | null {
    if (!this.#takesTurn() || this.#codec === null) return given;
    const message = given instanceof Uint8Array ? given : given.encode();
    if (!(given instanceof Uint8Array) && message.length !== given.size) return null;
    const bytes = this.#codec.encodeStream(message);
    const read = this.#codec.readStream(bytes, cutAt(bytes.length));
    return read !== null && equalBytes(read, message) ? read : null;
  }

  #takesTurn(): boolean {
    if (this.mode === "off") return false;
    this.#count += 1;
    if (this.mode === "sampled" && this.#count % this.#sampleEvery !== 0) return false;
    this.encoded += 1;
    return true;
  }
}
