/**
 * What one pass over the messages of a datagram finds out: of thousands of nodes each sends a few dozen messages ten times a second, and what is done
 * with each of them is most of the work. All that receive the datagram, in this shard and in others, are served from it.
 */
import type { SettledSet } from "./settled-bits.ts";
import { hashBytes } from "./trace-hash.ts";

/** Bytes of a compound header, and of each part's length in it (serf-protocol §2.1). */
const COMPOUND_HEADER_BYTES = 2;
const COMPOUND_PART_BYTES = 2;

/** Seeds of the two lanes of a message's hash, as the trace hash takes them. */
export const LANE_A = 0x7feb352d;
export const LANE_B = 0x846ca68b;

export class Survey {
  /** Bytes of the uncompressed, unsealed datagram. */
  size = 0;
  hashA = 0;
  hashB = 0;
  /** The number of each message among those that nodes share, -1 for one that nobody holds; null when nobody holds any. */
  held: readonly number[] | null = null;
  /** The same, to be looked up all at once; null when nobody holds one of them. */
  settledSet: SettledSet | null = null;
  /** All of them are user events that somebody holds. */
  isOfEvents = false;

  add(bytes: number, hashA: number, hashB: number): void {
    this.size += bytes;
    this.hashA = Math.imul(this.hashA, 31) ^ hashA;
    this.hashB = Math.imul(this.hashB, 33) ^ hashB;
  }

  addBytes(message: Uint8Array): void {
    this.add(message.length, hashBytes(message, LANE_A), hashBytes(message, LANE_B));
  }

  /** All of its `count` messages have been added. */
  close(count: number): void {
    if (count > 1) this.size += COMPOUND_HEADER_BYTES + COMPOUND_PART_BYTES * count;
  }
}

/** Of messages that nobody holds. */
export function surveyBytes(messages: readonly Uint8Array[]): Survey {
  const survey = new Survey();
  for (let i = 0; i < messages.length; i += 1) survey.addBytes(messages[i] as Uint8Array);
  survey.close(messages.length);
  return survey;
}
