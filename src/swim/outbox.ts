/**
 * Fills datagrams: a direct message takes waiting broadcasts along (piggyback, SWIM paper, section 4.1), a gossip round carries
 * nothing else. SWIM's own messages and those of the layer above share a packet by budget, so that neither starves the other:
 * in the original, system messages go first, and user messages never get through in a large cluster under churn.
 */
import type { Endpoint } from "../base/endpoint.ts";
import type { Core } from "./core.ts";
import type { SwimEffect } from "./types.ts";

/** Type and count byte of a compound. */
const COMPOUND_HEADER_BYTES = 2;
/** Length of each part in a compound. */
const PART_OVERHEAD_BYTES = 2;
/** When both kinds wait, this share of each packet belongs to user messages, the rest to system messages. */
export const USER_SHARE = { numerator: 1, denominator: 2 } as const;

/** Messages of the packet that is being filled, by one outbox at a time: what an array has spare while it grows, the packet does not keep. */
const filled: Uint8Array[] = [];

function takeFilled(): Uint8Array[] {
  const messages = filled.slice();
  while (filled.length > 0) filled.pop(); // Setting the length leaves optimised code.
  return messages;
}

export class Outbox {
  readonly #core: Core;
  #userCredit = 0; // Unused user share of earlier crowded packets, in bytes: lets a message longer than one share through.

  constructor(core: Core) {
    this.#core = core;
  }

  /** Bytes for messages in one datagram, part overheads included. More than 127 parts become several compounds in the driver's hands. */
  #budget(): number {
    const { profile, packetOverheadBytes } = this.#core.config;
    return profile.packetSizeBytes - COMPOUND_HEADER_BYTES - packetOverheadBytes();
  }

  /** Whether a message of so many bytes can ever be part of a packet. */
  fits(length: number): boolean {
    return length + PART_OVERHEAD_BYTES <= this.#budget();
  }

  /** Something waits to be gossiped. */
  get isWaiting(): boolean {
    return this.#core.broadcasts.length > 0 || this.#core.delegate.hasBroadcasts();
  }

  /** Sends one message, with waiting broadcasts in the room that is left. */
  send(to: Endpoint, message: Uint8Array, out: SwimEffect[]): void {
    if (!this.isWaiting) return this.sendBare(to, [message], false, out);
    filled.push(message);
    this.#fill(this.#budget() - message.length, 1, filled);
    const messages = takeFilled();
    const { sharing } = this.#core.records;
    if (sharing === null) out.push({ kind: "packet", to: [to], messages, crc: false });
    else out.push({ kind: "packet", to: [to], messages, crc: false, survey: sharing.survey(messages) });
  }

  /** Sends messages as they are. */
  sendBare(to: Endpoint, messages: readonly Uint8Array[], crc: boolean, out: SwimEffect[]): void {
    out.push({ kind: "packet", to: [to], messages, crc });
  }

  /** Waiting broadcasts for one packet to `targets` nodes; empty when nothing waits. */
  takeRound(targets: number): Uint8Array[] {
    if (!this.isWaiting) return [];
    this.#fill(this.#budget(), targets, filled);
    return takeFilled();
  }

  #fill(limit: number, targets: number, into: Uint8Array[]): void {
    if (limit <= PART_OVERHEAD_BYTES) return; // A long message of our own leaves no room.
    const { broadcasts } = this.#core;
    const waiting = broadcasts.bytes + broadcasts.length * PART_OVERHEAD_BYTES;
    const share = Math.trunc((limit * USER_SHARE.numerator) / USER_SHARE.denominator);
    if (waiting <= limit - share) {
      const used = broadcasts.take(PART_OVERHEAD_BYTES, limit, targets, into);
      this.#fillUser(limit - used, targets, into);
      return;
    }
    this.#userCredit = Math.min(limit, this.#userCredit + share);
    const used = this.#fillUser(this.#userCredit, targets, into);
    this.#userCredit -= used;
    broadcasts.take(PART_OVERHEAD_BYTES, limit - used, targets, into);
  }

  /** Bytes used. */
  #fillUser(limit: number, targets: number, into: Uint8Array[]): number {
    if (limit <= PART_OVERHEAD_BYTES || !this.#core.delegate.hasBroadcasts()) return 0;
    return this.#core.delegate.takeBroadcasts(PART_OVERHEAD_BYTES, limit, targets, into);
  }
}
