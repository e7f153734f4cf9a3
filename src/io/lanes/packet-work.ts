/**
 * The work on packets itself, the same on main and in a lane: received datagrams to plain messages without settled repeats, plain messages
 * to sealed datagrams.
 */
import { packPlain, sealPacket, visitPacket, type PacketDrop, type PacketVisitor } from "../../wire/packet.ts";
import { mayRepeat, type RepeatFilter } from "../../wire/repeat-filter.ts";
import type { Sealer } from "../../wire/sealer.ts";
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
  repeats: number;
  /** Gossip left out because the node is overloaded. */
  shed: number;
  readonly drops: Map<PacketDrop, number>;
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

export function emptyOpened(): Opened {
  return { messages: [], packets: [], lows: [], highs: [], repeats: 0, shed: 0, drops: new Map() };
}

/** Opens packets, in their order; the filter has been aged. */
export function openPackets(packets: readonly Uint8Array[], work: OpenWork): Opened {
  const opener = new Opener(work);
  const options = { sealer: work.sealer, label: work.format.label, verifyIncoming: work.format.verifyIncoming };
  for (const packet of packets) {
    visitPacket(packet, options, opener);
    opener.packet += 1;
  }
  return opener.opened;
}

class Opener implements PacketVisitor {
  readonly opened = emptyOpened();
  /** Index of the packet being visited. */
  packet = 0;
  readonly #work: OpenWork;
  #bytesLeft = OPENED_BYTES_MAX;

  constructor(work: OpenWork) {
    this.#work = work;
  }

  message(bytes: Uint8Array, start: number, end: number): void {
    const { opened } = this;
    const { filter, pool, shedGossip } = this.#work;
    const candidate = mayRepeat(bytes, start, end);
    if (candidate && filter.isRepeat(bytes, pool, start, end)) {
      opened.repeats += 1;
      return;
    }
    if (candidate && shedGossip) {
      opened.shed += 1;
      return;
    }
    this.#bytesLeft -= end - start;
    if (this.#bytesLeft < 0) {
      this.drop("tooManyMessages");
      return;
    }
    opened.messages.push(bytes.subarray(start, end));
    opened.packets.push(this.packet);
    opened.lows.push(candidate ? filter.low : 0);
    opened.highs.push(candidate ? filter.high : 0);
  }

  drop(reason: PacketDrop): void {
    note(this.opened.drops, reason);
  }
}

function note(drops: Map<PacketDrop, number>, drop: PacketDrop): void {
  drops.set(drop, (drops.get(drop) ?? 0) + 1);
}

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
