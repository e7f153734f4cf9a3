/**
 * The repeat filter of packet lanes (`wire/repeat-filter.ts`) for thousands of nodes in one process: gossip sends each message some fifteen
 * times, and a node says after the first copy that further ones change nothing ("settled"). Here messages get numbers once for all
 * nodes, and a node remembers a bit per number. As in production it forgets after one to two generations.
 */
import { mayRepeat } from "../wire/repeat-filter.ts";
import { SETTLED_GENERATION_MS } from "../wire/settled-table.ts";
import { hashBytes } from "./trace-hash.ts";

const LANE_LOW = 0x27d4eb2f;
const LANE_HIGH = 0x165667b1;
const HIGH_BITS = 21;
/** Numbers in use before all are forgotten: 16 KiB per node and generation at most. */
const NUMBERS_MAX = 131_072;
/** A message that is never filtered. */
export const NO_NUMBER = -1;

export class MessageNumbers {
  readonly #numbers = new Map<number, number>();
  /** Grows whenever all numbers have been forgotten. */
  epoch = 0;

  /** The number of each message; equal bytes have equal numbers. */
  of(messages: readonly Uint8Array[]): Int32Array {
    // All numbers of one datagram are of one epoch.
    if (this.#numbers.size + messages.length > NUMBERS_MAX) {
      this.#numbers.clear();
      this.epoch += 1;
    }
    const numbers = new Int32Array(messages.length);
    for (let i = 0; i < messages.length; i += 1) numbers[i] = this.#number(messages[i] as Uint8Array);
    return numbers;
  }

  #number(message: Uint8Array): number {
    if (!mayRepeat(message)) return NO_NUMBER;
    const key = (hashBytes(message, LANE_HIGH) >>> (32 - HIGH_BITS)) * 0x1_0000_0000 + (hashBytes(message, LANE_LOW) >>> 0);
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    this.#numbers.set(key, number);
    return number;
  }
}

/** What one run of a node has settled. */
export class SettledNumbers {
  #young = new Uint8Array(64);
  #old = new Uint8Array(64);
  #sinceUs: number;
  #epoch: number;

  constructor(nowUs: number, epoch: number) {
    this.#sinceUs = nowUs;
    this.#epoch = epoch;
  }

  /** Forgets what is too old; before the numbers of a datagram are looked up. */
  age(nowUs: number, epoch: number): void {
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#young.fill(0);
      this.#old.fill(0);
    }
    const ageUs = nowUs - this.#sinceUs;
    if (ageUs < SETTLED_GENERATION_MS * 1000) return;
    this.#rotate();
    if (ageUs >= 2 * SETTLED_GENERATION_MS * 1000) this.#rotate();
    this.#sinceUs = nowUs;
  }

  has(number: number): boolean {
    const byte = number >> 3;
    const bit = 1 << (number & 7);
    return (((this.#young[byte] ?? 0) | (this.#old[byte] ?? 0)) & bit) !== 0;
  }

  add(number: number): void {
    const byte = number >> 3;
    if (byte >= this.#young.length) {
      const larger = new Uint8Array(Math.max(2 * this.#young.length, byte + 1));
      larger.set(this.#young);
      this.#young = larger;
    }
    this.#young[byte] = (this.#young[byte] as number) | (1 << (number & 7));
  }

  #rotate(): void {
    const emptied = this.#old.fill(0);
    this.#old = this.#young;
    this.#young = emptied;
  }
}
