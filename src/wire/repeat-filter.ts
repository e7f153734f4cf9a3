/**
 * Drops repeats of gossip before anything is decoded. Gossip sends each message many times, so nearly all that a node of a busy
 * cluster receives are repeats, and recognising one costs a hash where decoding costs ten times that.
 *
 * The filter never decides about a first time. It drops a message only when the core has reported that very hash as *settled*: its
 * verdict would be the same for every further copy. Only kinds whose repeats carry no information are candidates: alive, suspect, dead,
 * join and leave intents, user events, queries. Pings, acks, nacks, query responses, relays and direct replies always pass.
 */
import { MessageType } from "./gossip-messages.ts";
import { MessageHasher, type HashKey } from "./message-hash.ts";
import { SerfMessageType } from "./serf-messages.ts";
import { SettledTable } from "./settled-table.ts";

/** True for the kinds of plain messages whose repeats may be dropped once settled. Looks at the first one or two bytes of `bytes[start, end)`. */
export function mayRepeat(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
  if (start >= end) return false;
  switch (bytes[start]) {
    case MessageType.alive:
    case MessageType.suspect:
    case MessageType.dead:
      return true;
    case MessageType.user:
      if (start + 1 >= end) return false;
      switch (bytes[start + 1]) {
        case SerfMessageType.leave:
        case SerfMessageType.join:
        case SerfMessageType.userEvent:
        case SerfMessageType.query:
          return true;
        default:
          return false;
      }
    default:
      return false;
  }
}

export class RepeatFilter {
  readonly #hasher: MessageHasher;
  readonly #settled: SettledTable;

  constructor(key: HashKey, nowMs: number) {
    this.#hasher = new MessageHasher(key);
    this.#settled = new SettledTable(nowMs);
  }

  /** Halves of the hash of the message last given to `isRepeat`, when it was a candidate; what `settle` wants back. */
  get low(): number {
    return this.#hasher.low;
  }

  get high(): number {
    return this.#hasher.high;
  }

  get size(): number {
    return this.#settled.size;
  }

  /** True when this candidate (see `mayRepeat`) of pool number `pool` is a repeat of a settled message. */
  isRepeat(bytes: Uint8Array, pool: number, start = 0, end = bytes.length): boolean {
    this.#hasher.hash(bytes, start, end, pool);
    return this.#settled.has(this.#hasher.low, this.#hasher.high);
  }

  /** Whether the hash is settled, for whoever has it already. */
  isSettled(low: number, high: number): boolean {
    return this.#settled.has(low, high);
  }

  /** Takes over a hash that the core has settled. */
  settle(low: number, high: number, nowMs: number): void {
    this.#settled.add(low, high, nowMs);
  }

  /** Forgets what is too old; call it once a batch. */
  age(nowMs: number): void {
    this.#settled.age(nowMs);
  }
}
