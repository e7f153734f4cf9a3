/** The packet lane that works on the calling thread: for idle nodes, for embedding, and while worker lanes are down. */
import type { PacketDrop } from "../../wire/packet.ts";
import { openPacket, packPlain, sealPacket } from "../../wire/packet.ts";
import type { KeyList } from "../keyring.ts";
import type { PlainMessage } from "../node-runtime.ts";
import type { NodeSealer } from "../node-sealer.ts";
import type { ReceivedPacket } from "../udp-socket.ts";
import type { OpenedBatch, OutgoingPacket, PacketFormat, PacketLane, SealedPacket } from "./packet-lane.ts";

/** Packets opened in one go (a plain one takes 5–30 µs): the rest of a huge batch waits until the loop has seen to its other work. */
export const OPENED_AT_ONCE_MAX = 64;
/** Packets waiting behind that; beyond it new ones are dropped, as the kernel would. */
export const WAITING_PACKETS_MAX = 8192;

interface Waiting {
  readonly packets: readonly ReceivedPacket[];
  readonly done: (opened: OpenedBatch) => void;
  at: number;
}

export class InlineLane implements PacketLane {
  readonly #sealer: NodeSealer;
  readonly #format: PacketFormat;
  readonly #overflow: (packets: number) => void;
  readonly #waiting: Waiting[] = [];
  #waitingPackets = 0;
  #scheduled = false;
  #stopped = false;

  /** `sealer` is shared with the pool's streams; `overflow` hears how many packets were dropped because too many wait. */
  constructor(sealer: NodeSealer, format: PacketFormat, overflow: (packets: number) => void) {
    this.#sealer = sealer;
    this.#format = format;
    this.#overflow = overflow;
  }

  open(batch: readonly ReceivedPacket[], done: (opened: OpenedBatch) => void): void {
    if (this.#stopped) return;
    const room = WAITING_PACKETS_MAX - this.#waitingPackets;
    const packets = batch.length > room ? batch.slice(0, room) : batch;
    if (packets.length < batch.length) this.#overflow(batch.length - packets.length);
    this.#waiting.push({ packets, done, at: 0 });
    this.#waitingPackets += packets.length;
    if (!this.#scheduled) this.#work();
  }

  pack(batch: readonly OutgoingPacket[], done: (sealed: readonly SealedPacket[]) => void): void {
    const sealed: SealedPacket[] = [];
    const { compress, label, verifyOutgoing } = this.#format;
    for (const { to, messages, crc } of batch) {
      const options = { crc, label, sealer: this.#sealer, encryptionVersion: 1, verifyOutgoing } as const;
      for (const plain of packPlain(messages, compress)) {
        // In the clear all targets get the same bytes; sealed, each needs a nonce of its own.
        const shared = this.#sealer.encrypts && verifyOutgoing ? null : sealPacket(plain, options);
        for (const target of to) sealed.push({ to: target, bytes: shared ?? sealPacket(plain, options) });
      }
    }
    done(sealed);
  }

  setKeys(keys: KeyList): Promise<void> {
    this.#sealer.setKeys(keys);
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#waiting.length = 0;
    return Promise.resolve();
  }

  #work(): void {
    const first = this.#waiting[0];
    if (first === undefined || this.#stopped) return;
    const end = Math.min(first.at + OPENED_AT_ONCE_MAX, first.packets.length);
    const messages: PlainMessage[] = [];
    const drops = new Map<PacketDrop, number>();
    const options = { sealer: this.#sealer, label: this.#format.label, verifyIncoming: this.#format.verifyIncoming };
    for (let i = first.at; i < end; i += 1) {
      const { from, bytes } = first.packets[i] as ReceivedPacket;
      const opened = openPacket(bytes, options);
      for (const message of opened.messages) messages.push({ from, bytes: message });
      for (const drop of opened.drops) drops.set(drop, (drops.get(drop) ?? 0) + 1);
    }
    this.#waitingPackets -= end - first.at;
    first.at = end;
    if (end === first.packets.length) this.#waiting.shift();
    if (this.#waiting.length > 0) this.#later();
    first.done({ messages, drops });
  }

  #later(): void {
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#work();
    });
  }
}
