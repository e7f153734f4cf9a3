/**
 * Everything that main and a packet lane say to each other. Batches are ArrayBuffers (see `batch.ts`), transferred; the first word says
 * which kind. Rare things are small objects, cloned. A lane answers batches in their order.
 *
 *   open   words: kind, pool, shed gossip (0/1), then low and high of each hash settled since the last batch · parts: packets
 *   opened words: kind, repeats, shed, a count per drop reason, then packet, low, high per message · parts: messages
 *   pack   words: kind, pool, then targets, messages, crc (0/1) per job · parts: the jobs' messages
 *   packed words: kind, then datagrams per target of each job · parts: sealed datagrams, job by job, target by target
 */
import type { MessagePort } from "node:worker_threads";
import { encodeBatch, type Batch } from "./batch.ts";
import type { HashKey } from "../../wire/message-hash.ts";
import type { PacketFormat } from "./packet-lane.ts";
import { PACKET_DROPS, type Opened, type PackJob } from "./packet-work.ts";
import type { PacketDrop } from "../../wire/packet.ts";

/** Kinds of batches. */
export const BatchKind = { open: 1, opened: 2, pack: 3, packed: 4 } as const;

/** What a lane knows of one gossip pool. */
export interface LanePoolSetup {
  readonly pool: number;
  readonly format: PacketFormat;
  readonly keys: readonly Uint8Array[];
}

/** Given to the lane's task at its start, with `port` transferred. */
export interface LaneStart {
  readonly port: MessagePort;
  readonly hashKey: HashKey;
  readonly pools: readonly LanePoolSetup[];
}

/** Control messages to a lane. `setup` is answered by `ready` with the same `version`: the barrier of a keyring change. */
export type LaneControl = { readonly kind: "setup"; readonly version: number; readonly setup: LanePoolSetup } | { readonly kind: "stop" };

/** The version of the answer that a lane gives unasked once it runs. */
export const STARTED_VERSION = 0;

export type LaneAnswer = { readonly kind: "ready"; readonly version: number };

const OPEN_FIXED_WORDS = 3;
const OPENED_FIXED_WORDS = 3 + PACKET_DROPS.length;
const PACK_FIXED_WORDS = 2;

export interface OpenRequest {
  readonly pool: number;
  readonly shedGossip: boolean;
  /** Settled hashes, low and high alternating. */
  readonly settled: readonly number[];
  readonly packets: readonly Uint8Array[];
}

export function encodeOpen({ pool, shedGossip, settled, packets }: OpenRequest): ArrayBuffer {
  return encodeBatch([BatchKind.open, pool, shedGossip ? 1 : 0, ...settled], packets);
}

export function decodeOpen(batch: Batch): OpenRequest {
  const settled: number[] = [];
  for (let i = OPEN_FIXED_WORDS; i < batch.wordCount; i += 1) settled.push(batch.word(i) | 0);
  return { pool: batch.word(1), shedGossip: batch.word(2) === 1, settled, packets: partsOf(batch) };
}

export function encodeOpened(opened: Opened): ArrayBuffer {
  const words: number[] = [BatchKind.opened, opened.repeats, opened.shed];
  for (const reason of PACKET_DROPS) words.push(opened.drops.get(reason) ?? 0);
  for (let i = 0; i < opened.messages.length; i += 1) {
    words.push(opened.packets[i] as number, opened.lows[i] as number, opened.highs[i] as number);
  }
  return encodeBatch(words, opened.messages);
}

export function decodeOpened(batch: Batch): Opened {
  const drops = new Map<PacketDrop, number>();
  PACKET_DROPS.forEach((reason, i) => {
    const times = batch.word(3 + i);
    if (times > 0) drops.set(reason, times);
  });
  const packets: number[] = [];
  const lows: number[] = [];
  const highs: number[] = [];
  for (let i = 0, at = OPENED_FIXED_WORDS; i < batch.partCount; i += 1, at += 3) {
    packets.push(batch.word(at));
    lows.push(batch.word(at + 1) | 0);
    highs.push(batch.word(at + 2) | 0);
  }
  return { messages: partsOf(batch), packets, lows, highs, repeats: batch.word(1), shed: batch.word(2), drops };
}

export function encodePack(pool: number, jobs: readonly PackJob[]): ArrayBuffer {
  const words: number[] = [BatchKind.pack, pool];
  const parts: Uint8Array[] = [];
  for (const { targets, messages, crc } of jobs) {
    words.push(targets, messages.length, crc ? 1 : 0);
    for (const message of messages) parts.push(message);
  }
  return encodeBatch(words, parts);
}

export function decodePack(batch: Batch): { readonly pool: number; readonly jobs: readonly PackJob[] } {
  const jobs: PackJob[] = [];
  let part = 0;
  for (let at = PACK_FIXED_WORDS; at < batch.wordCount; at += 3) {
    const messages: Uint8Array[] = [];
    for (let i = 0; i < batch.word(at + 1); i += 1) messages.push(batch.part(part++));
    jobs.push({ targets: batch.word(at), messages, crc: batch.word(at + 2) === 1 });
  }
  return { pool: batch.word(1), jobs };
}

/** `packed[j][t]`: the datagrams of job j for its target t. */
export function encodePacked(packed: readonly Uint8Array[][][]): ArrayBuffer {
  const words: number[] = [BatchKind.packed];
  const parts: Uint8Array[] = [];
  for (const targets of packed) {
    words.push(targets[0]?.length ?? 0);
    for (const datagrams of targets) parts.push(...datagrams);
  }
  return encodeBatch(words, parts);
}

/** Undoes `encodePacked`; `targets[j]` is the number of targets of job j. */
export function decodePacked(batch: Batch, targets: readonly number[]): Uint8Array[][][] {
  let part = 0;
  return targets.map((count, j) => {
    const perTarget = batch.word(1 + j);
    return Array.from({ length: count }, () => Array.from({ length: perTarget }, () => batch.part(part++)));
  });
}

function partsOf(batch: Batch): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let i = 0; i < batch.partCount; i += 1) parts.push(batch.part(i));
  return parts;
}
