/**
 * The work on packets itself, the same on main and in a lane: received datagrams to plain messages without settled repeats, plain messages
 * to sealed datagrams.
 */
import type { Endpoint } from "../../base/endpoint.ts";
import { packPlain, sealPacket, visitPacket, type OpenOptions, type PacketDrop, type PacketVisitor } from "../../wire/packet.ts";
import { mayRepeat, type RepeatFilter } from "../../wire/repeat-filter.ts";
import type { Sealer } from "../../wire/sealer.ts";
import type { PlainMessage } from "../node-runtime.ts";
import type { ReceivedPacket } from "../udp-socket.ts";
import type { OpenedBatch, OutgoingPacket, PacketFormat, SealedPacket } from "./packet-lane.ts";

/** Reasons in the order in which a batch's words count them. Threads of one process only: not a wire format. */
export const PACKET_DROPS: readonly PacketDrop[] = [
  "oversized",
  "label",
  "decrypt",
  "crc",
  "empty",
  "compound",
  "truncated",
  "compress",
  "inflatedTooLarge",
  "nestedTooDeep",
  "tooManyMessages",
];

/**
 * Bytes of messages that one batch may yield. A packet may inflate to 1 MiB, so a batch of bombs could fill memory; real batches
 * (256 packets of 1,400 bytes, inflated threefold) stay far below.
 */
export const OPENED_BYTES_MAX = 8 * 1024 * 1024;

/** What opening packets yields, column by column: entry i of each array belongs to message i. */
export interface Opened {
  readonly messages: Uint8Array[];
  /** Index of the packet that carried the message. */
  readonly packets: number[];
  /** Halves of the message's hash; 0, 0 when its kind is never filtered. */
  readonly lows: number[];
  readonly highs: number[];
  /** Repeats of settled messages, left out. */
  readonly repeats: number;
  /** Gossip left out because the node is overloaded. */
  readonly shed: number;
  readonly drops: ReadonlyMap<PacketDrop, number>;
}

export interface OpenWork {
  readonly sealer: Sealer;
  readonly format: PacketFormat;
  readonly filter: RepeatFilter;
  /** Number of the pool, which keeps the hashes of two pools apart. */
  readonly pool: number;
  /** Leave gossip out and keep what answers and probes: the node cannot keep up. */
  readonly shedGossip: boolean;
}

/** Opens packets, in their order; the filter has been aged. */
export function openPackets(packets: readonly Uint8Array[], work: OpenWork): Opened {
  const opener = new ColumnOpener(work);
  const options = openOptions(work);
  for (const packet of packets) {
    visitPacket(packet, options, opener);
    opener.packet += 1;
  }
  const { messages, packets: senders, lows, highs, repeats, shed, drops } = opener;
  return { messages, packets: senders, lows, highs, repeats, shed, drops };
}

/** As `openPackets` of `packets[start, end)`, for whoever opens them on the thread that uses them. */
export function openReceived(packets: readonly ReceivedPacket[], start: number, end: number, work: OpenWork): OpenedBatch {
  const opener = new MessageOpener(work);
  const options = openOptions(work);
  for (let i = start; i < end; i += 1) {
    const { from, bytes } = packets[i] as ReceivedPacket;
    opener.from = from;
    visitPacket(bytes, options, opener);
  }
  return opener;
}

function openOptions({ sealer, format: { label, verifyIncoming } }: OpenWork): OpenOptions {
  return { sealer, label, verifyIncoming };
}

/** Says which messages are wanted and counts what is not. */
abstract class Opener implements PacketVisitor {
  repeats = 0;
  shed = 0;
  readonly drops = new Map<PacketDrop, number>();
  readonly #work: OpenWork;
  #bytesLeft = OPENED_BYTES_MAX;
  #hashed = false;

  constructor(work: OpenWork) {
    this.#work = work;
  }

  /** Halves of the hash of the message wanted last; 0 when its kind is never filtered. */
  protected get low(): number {
    return this.#hashed ? this.#work.filter.low : 0;
  }

  protected get high(): number {
    return this.#hashed ? this.#work.filter.high : 0;
  }

  abstract message(message: Uint8Array): void;

  wants(bytes: Uint8Array, start: number, end: number): boolean {
    const { filter, pool, shedGossip } = this.#work;
    this.#hashed = mayRepeat(bytes, start, end);
    if (this.#hashed && filter.isRepeat(bytes, pool, start, end)) {
      this.repeats += 1;
      return false;
    }
    if (this.#hashed && shedGossip) {
      this.shed += 1;
      return false;
    }
    this.#bytesLeft -= end - start;
    if (this.#bytesLeft >= 0) return true;
    this.drop("tooManyMessages");
    return false;
  }

  drop(reason: PacketDrop): void {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1);
  }
}

class ColumnOpener extends Opener {
  readonly messages: Uint8Array[] = [];
  readonly packets: number[] = [];
  readonly lows: number[] = [];
  readonly highs: number[] = [];
  /** Index of the packet being visited. */
  packet = 0;

  message(message: Uint8Array): void {
    this.messages.push(message);
    this.packets.push(this.packet);
    this.lows.push(this.low);
    this.highs.push(this.high);
  }
}

class MessageOpener extends Opener implements OpenedBatch {
  readonly messages: PlainMessage[] = [];
  /** Sender of the packet being visited. */
  from: Endpoint = NOBODY;

  message(bytes: Uint8Array): void {
    this.messages.push({ kind: "message", from: this.from, bytes, low: this.low, high: this.high });
  }
}

const NOBODY: Endpoint = { ip: "", port: 0 };

/** One group of messages for some targets. */
export interface PackJob {
  readonly targets: number;
  readonly messages: readonly Uint8Array[];
  readonly crc: boolean;
}

/**
 * The sealed datagrams of one job, target by target: `result[t]` lists what target t gets. Compressed once; in the clear all
 * targets share the same bytes, sealed each has a nonce of its own.
 */
export function packJob({ targets, messages, crc }: PackJob, format: PacketFormat, sealer: Sealer): Uint8Array[][] {
  const options = { crc, label: format.label, sealer, encryptionVersion: 1, verifyOutgoing: format.verifyOutgoing } as const;
  const plains = packPlain(messages, format.compress);
  const sealed = sealer.encrypts && format.verifyOutgoing;
  const shared = sealed ? null : plains.map((plain) => sealPacket(plain, options));
  const result: Uint8Array[][] = [];
  for (let t = 0; t < targets; t += 1) result.push(shared ?? plains.map((plain) => sealPacket(plain, options)));
  return result;
}

/** Joins what a lane found with the senders of the packets. */
export function attribute(opened: Opened, packets: readonly ReceivedPacket[]): OpenedBatch {
  const messages = opened.messages.map((bytes, i) => ({
    kind: "message" as const,
    from: (packets[opened.packets[i] as number] as ReceivedPacket).from,
    bytes,
    low: opened.lows[i] as number,
    high: opened.highs[i] as number,
  }));
  return { messages, drops: opened.drops, repeats: opened.repeats, shed: opened.shed };
}

/** Joins sealed datagrams with their targets. `packed[j][t]`: the datagrams of job j for its target t. */
export function sealedFor(batch: readonly OutgoingPacket[], packed: readonly Uint8Array[][][]): SealedPacket[] {
  const sealed: SealedPacket[] = [];
  batch.forEach(({ to }, j) => {
    to.forEach((target, t) => {
      for (const bytes of packed[j]?.[t] ?? []) sealed.push({ to: target, bytes });
    });
  });
  return sealed;
}
