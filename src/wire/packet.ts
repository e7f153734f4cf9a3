/**
 * Datagrams: from messages to packets and back (reference: serf-protocol §2.1–2.6). On the way out: compound, compress if smaller,
 * CRC, encryption, label. On the way in: label, decryption, CRC, and then compounds and compressed parts are flattened.
 *
 * A gossip round shares its plaintext: `packPlain` once, `sealPacket` once per target.
 */
import { equalBytes } from "../base/bytes.ts";
import { assert } from "../base/assert.ts";
import { fail, ok, type Result } from "../base/result.ts";
import { encodeCompress, inflateCompress } from "./compress.ts";
import { MessageType } from "./gossip-messages.ts";
import { addLabel, removeLabel } from "./label.ts";
import { INFLATED_TOO_LARGE, detachInflated, inflatedBytes, releaseInflated, takeInflated } from "./lzw.ts";
import type { Sealer } from "./sealer.ts";

/** Largest datagram that is looked at; UDP cannot carry more. */
export const PACKET_BYTES_MAX = 65_536;
/** Parts of one compound that we send: memberlist before 0.2.4 computes twice the count in 8 bits. */
export const COMPOUND_PARTS_MAX = 127;
/** All compressed parts of one packet together inflate to at most this. */
export const PACKET_INFLATED_BYTES_MAX = 1024 * 1024;
/** Compounds and compressions inside each other. The originals make two: a compound inside a compress message. */
export const PACKET_NESTING_MAX = 8;
/** Messages taken from one packet; a full 64 KiB packet of the smallest real messages holds fewer. */
export const PACKET_MESSAGES_MAX = 4096;

const CRC_BYTES = 5;
const PART_BYTES_MAX = 0xffff;

export interface SealOptions {
  /** Put a CRC header in front: only towards peers that understand it. */
  readonly crc: boolean;
  /** The pool's label; empty for none. */
  readonly label: Uint8Array;
  readonly sealer: Sealer;
  readonly encryptionVersion: 0 | 1;
  /** False leaves packets in the clear although there are keys: for migrations. */
  readonly verifyOutgoing: boolean;
}

export interface PackOptions extends SealOptions {
  readonly compress: boolean;
}

/** The packets that carry `messages`: one, or more when there are more than 127 messages. */
export function packPacket(messages: readonly Uint8Array[], options: PackOptions): Uint8Array[] {
  return packPlain(messages, options.compress).map((plain) => sealPacket(plain, options));
}

/**
 * The plaintexts that carry `messages`, still without CRC, encryption and label. A single message stays bare; several become one
 * compound; more than 127 become several compounds, each for a packet of its own (as memberlist does from 0.3.2 on).
 */
export function packPlain(messages: readonly Uint8Array[], compress: boolean): Uint8Array[] {
  const plains: Uint8Array[] = [];
  for (let start = 0; start < messages.length; start += COMPOUND_PARTS_MAX) {
    const group = messages.slice(start, start + COMPOUND_PARTS_MAX);
    if (!compress) plains.push(group.length === 1 ? (group[0] as Uint8Array) : encodeCompound(group));
    else if (group.length === 1) plains.push(compressIfSmaller(group[0] as Uint8Array));
    else plains.push(compressCompound(group));
  }
  return plains;
}

function compressIfSmaller(plain: Uint8Array): Uint8Array {
  const compressed = encodeCompress(plain);
  return compressed.length < plain.length ? compressed : plain;
}

/** The compound of which the compressed form is sent is only read: it needs no memory of its own. */
function compressCompound(parts: readonly Uint8Array[]): Uint8Array {
  const compound = scratchBytes(compoundLength(parts));
  writeCompound(parts, compound);
  const plain = compressIfSmaller(compound);
  return plain === compound ? compound.slice() : plain;
}

/** What is made on the way to a packet and only read there. */
const scratch = new Uint8Array(16_384);

/** Memory of `length` bytes until the next call. */
function scratchBytes(length: number): Uint8Array {
  return length <= scratch.length ? scratch.subarray(0, length) : new Uint8Array(length);
}

/** A compound message of at most 127 parts, each below 64 KiB. */
export function encodeCompound(parts: readonly Uint8Array[]): Uint8Array {
  const message = new Uint8Array(compoundLength(parts));
  writeCompound(parts, message);
  return message;
}

function compoundLength(parts: readonly Uint8Array[]): number {
  let length = 2 + 2 * parts.length;
  for (const part of parts) length += part.length;
  return length;
}

function writeCompound(parts: readonly Uint8Array[], message: Uint8Array): void {
  assert(parts.length <= COMPOUND_PARTS_MAX, "too many parts for one compound");
  message[0] = MessageType.compound;
  message[1] = parts.length;
  let head = 2;
  let body = 2 + 2 * parts.length;
  for (const part of parts) {
    assert(part.length <= PART_BYTES_MAX, "a compound's part is too long");
    message[head++] = part.length >> 8;
    message[head++] = part.length;
    message.set(part, body);
    body += part.length;
  }
}

export interface Compound {
  /** The complete parts, views of the message. */
  readonly parts: readonly Uint8Array[];
  /** Parts announced but cut off by the end of the message; bytes behind the last part are ignored. */
  readonly truncated: number;
}

/** The parts of a compound message, type byte first. */
export function decodeCompound(message: Uint8Array): Result<Compound> {
  const count = message[1];
  if (count === undefined) return fail("missing compound length byte");
  let body = 2 + 2 * count;
  if (message.length < body) return fail("truncated len slice");
  const parts: Uint8Array[] = [];
  for (let i = 0; i < count; i += 1) {
    const length = ((message[2 + 2 * i] as number) << 8) | (message[3 + 2 * i] as number);
    if (body + length > message.length) return ok({ parts, truncated: count - i });
    parts.push(message.subarray(body, body + length));
    body += length;
  }
  return ok({ parts, truncated: 0 });
}

/** CRC, encryption and label on a plaintext of `packPlain`. Give the result to one target only: a nonce must not be seen twice. */
export function sealPacket(plain: Uint8Array, { crc, label, sealer, encryptionVersion, verifyOutgoing }: SealOptions): Uint8Array {
  if (!sealer.encrypts || !verifyOutgoing) return addLabel(label, crc ? addCrc(plain, sealer) : plain);
  if (!crc) return addLabel(label, sealer.seal(plain, label, encryptionVersion));
  const checked = scratchBytes(CRC_BYTES + plain.length);
  writeCrc(plain, sealer, checked);
  return addLabel(label, sealer.seal(checked, label, encryptionVersion));
}

/** `message` behind a CRC header: type, CRC-32 (IEEE) big-endian. */
export function addCrc(message: Uint8Array, sealer: Sealer): Uint8Array {
  const packet = new Uint8Array(CRC_BYTES + message.length);
  writeCrc(message, sealer, packet);
  return packet;
}

function writeCrc(message: Uint8Array, sealer: Sealer, packet: Uint8Array): void {
  const crc = sealer.crc32(message);
  packet[0] = MessageType.hasCrc;
  packet[1] = crc >>> 24;
  packet[2] = crc >>> 16;
  packet[3] = crc >>> 8;
  packet[4] = crc;
  packet.set(message, CRC_BYTES);
}

/** Why a packet, or a part of it, was dropped. Names for counters. */
export type PacketDrop =
  | "oversized"
  | "label"
  | "decrypt"
  | "crc"
  | "empty"
  | "compound"
  | "truncated"
  | "compress"
  | "inflatedTooLarge"
  | "nestedTooDeep"
  | "tooManyMessages";

export interface OpenOptions {
  readonly sealer: Sealer;
  /** The pool's label; a packet with another one, or none, is dropped. Empty for no label. */
  readonly label: Uint8Array;
  /** False accepts packets in the clear although there are keys: for migrations. */
  readonly verifyIncoming: boolean;
}

export interface OpenedPacket {
  /** Plain messages in their order, views of the packet or of what was decrypted or inflated. Their types are not checked. */
  readonly messages: readonly Uint8Array[];
  /** What was dropped; a packet can yield messages and drops. */
  readonly drops: readonly PacketDrop[];
}

/** Takes what is found in a packet, in its order. */
export interface PacketVisitor {
  /** Whether the plain message at `bytes[start, end)`, not empty, is wanted; its type is not checked. The bytes are good for this call only. */
  wants(bytes: Uint8Array, start: number, end: number): boolean;
  /** The message that was wanted last; it stays as it is. */
  message(message: Uint8Array): void;
  drop(reason: PacketDrop): void;
}

/** Takes a received datagram apart. Never throws; what does not fit is dropped and named, what came before it is kept. */
export function openPacket(packet: Uint8Array, options: OpenOptions): OpenedPacket {
  const messages: Uint8Array[] = [];
  const drops: PacketDrop[] = [];
  visitPacket(packet, options, {
    wants: () => true,
    message: (message) => messages.push(message),
    drop: (reason) => drops.push(reason),
  });
  return { messages, drops };
}

/**
 * As `openPacket`, without an object per message and without memory for what is inflated: most messages of a busy cluster are repeats that nobody
 * looks at again, and a view of each would cost more than recognising it.
 */
export function visitPacket(packet: Uint8Array, { sealer, label, verifyIncoming }: OpenOptions, visitor: PacketVisitor): void {
  if (packet.length > PACKET_BYTES_MAX) return visitor.drop("oversized");
  let plain = packet;
  if (label.length > 0 || packet[0] === MessageType.hasLabel) {
    const labelled = removeLabel(packet);
    if (!labelled.ok || !equalBytes(labelled.value.label, label)) return visitor.drop("label");
    plain = labelled.value.rest;
  }
  let isAuthentic = false;
  if (sealer.encrypts) {
    const opened = sealer.open(plain, label);
    if (opened.ok) {
      plain = opened.value;
      isAuthentic = true;
    } else if (verifyIncoming) return visitor.drop("decrypt");
  }
  let start = 0;
  if (plain.length >= CRC_BYTES && plain[0] === MessageType.hasCrc) {
    // What a key has opened is what was sealed: its tag says so far better than a checksum, which takes 4 % of what a known packet does.
    if (!isAuthentic && sealer.crc32(plain.subarray(CRC_BYTES)) !== readCrc(plain)) return visitor.drop("crc");
    start = CRC_BYTES;
  }
  new Flattener(visitor).add(plain, start, plain.length, 0);
}

function readCrc(packet: Uint8Array): number {
  return (((packet[1] as number) << 24) | ((packet[2] as number) << 16) | ((packet[3] as number) << 8) | (packet[4] as number)) >>> 0;
}

/** Takes compounds and compressed parts apart, depth first, within the bounds of one packet. */
class Flattener {
  readonly #visitor: PacketVisitor;
  #messages = 0;
  #drops = 0;
  #inflatable = PACKET_INFLATED_BYTES_MAX;
  #full = false;
  /** The memory of the decompressor, while a compressed part in it is taken apart; `#kept` is what lasts of it once a message is wanted. */
  #scratch: Uint8Array | null = null;
  #scratchLength = 0;
  #kept: Uint8Array | null = null;

  constructor(visitor: PacketVisitor) {
    this.#visitor = visitor;
  }

  /** The message at `bytes[start, end)`. */
  add(bytes: Uint8Array, start: number, end: number, depth: number): void {
    if (this.#full) return;
    if (start === end) {
      this.#drop("empty");
      return;
    }
    const type = bytes[start];
    if (type === MessageType.compound || type === MessageType.compress) {
      if (depth >= PACKET_NESTING_MAX) this.#drop("nestedTooDeep");
      else if (type === MessageType.compound) this.#addCompound(bytes, start, end, depth + 1);
      else this.#addCompressed(bytes, start, end, depth + 1);
      return;
    }
    this.#messages += 1;
    if (this.#messages > PACKET_MESSAGES_MAX) this.#stop("tooManyMessages");
    else if (this.#visitor.wants(bytes, start, end)) this.#visitor.message(this.#lasting(bytes, start, end));
  }

  /** As `decodeCompound`, in place. */
  #addCompound(bytes: Uint8Array, start: number, end: number, depth: number): void {
    const count = end - start < 2 ? -1 : (bytes[start + 1] as number);
    let body = start + 2 + 2 * count;
    if (count < 0 || body > end) {
      this.#drop("compound");
      return;
    }
    for (let head = start + 2, i = 0; i < count; i += 1, head += 2) {
      const length = ((bytes[head] as number) << 8) | (bytes[head + 1] as number);
      if (body + length > end) {
        this.#drop("truncated");
        break;
      }
      this.add(bytes, body, body + length, depth);
      body += length;
    }
    // Each part can add one drop: a packet of empty parts must not make a long list.
    if (this.#drops > DROPS_MAX) this.#stop("tooManyMessages");
  }

  #addCompressed(bytes: Uint8Array, start: number, end: number, depth: number): void {
    if (bytes === this.#scratch) detachInflated(); // What is around this part has yet to be taken apart further.
    const length = inflateCompress(bytes, start, end, this.#inflatable);
    if (length < 0) {
      this.#scratch = null;
      if (length === INFLATED_TOO_LARGE) this.#stop("inflatedTooLarge");
      else {
        this.#drop("compress");
        this.#inflatable = Math.max(0, this.#inflatable - FAILED_INFLATE_BYTES);
      }
      return;
    }
    this.#inflatable -= length;
    this.#scratch = inflatedBytes();
    this.#scratchLength = length;
    this.#kept = null;
    this.add(this.#scratch, 0, length, depth);
    this.#scratch = null;
    this.#kept = null;
    releaseInflated();
  }

  /** A view that stays as it is. */
  #lasting(bytes: Uint8Array, start: number, end: number): Uint8Array {
    if (bytes !== this.#scratch) return start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
    this.#kept ??= takeInflated(this.#scratchLength);
    return this.#kept.subarray(start, end);
  }

  #drop(reason: PacketDrop): void {
    if (this.#full) return;
    this.#drops += 1;
    this.#visitor.drop(reason);
  }

  #stop(reason: PacketDrop): void {
    this.#drop(reason);
    this.#full = true;
  }
}

/** What a broken compressed part is charged: it may have inflated far before it broke, so a packet gets eight of them. */
const FAILED_INFLATE_BYTES = PACKET_INFLATED_BYTES_MAX / 8;

/** Drops noted of one packet before the rest of it is ignored. */
const DROPS_MAX = 1024;
