/** The packet lane that works on the calling thread: for idle nodes, for embedding, and while worker lanes are down. */
import { listOfObjects } from "../../base/lists.ts";
import type { HashKey } from "../../wire/message-hash.ts";
import { RepeatFilter } from "../../wire/repeat-filter.ts";
import type { KeyList } from "../keyring.ts";
import type { NodeSealer } from "../node-sealer.ts";
import type { ReceivedPacket } from "../udp-socket.ts";
import type { OpenedBatch, OutgoingPacket, PacketFormat, PacketLane, SealedPacket } from "./packet-lane.ts";
import { openReceived, packJob, sealedFor, type OpenWork } from "./packet-work.ts";

/** Packets opened in one go (a plain one takes 5–30 µs): the rest of a huge batch waits until the loop has seen to its other work. */
export const OPENED_AT_ONCE_MAX = 64;
/** Packets waiting behind that; beyond it new ones are dropped, as the kernel would. */
export const WAITING_PACKETS_MAX = 8192;
/** And their bytes: packets may be 64 KiB long. */
export const WAITING_BYTES_MAX = 32 * 1024 * 1024;

export interface InlineLaneOptions {
  /** Shared with the pool's streams. */
  readonly sealer: NodeSealer;
  readonly format: PacketFormat;
  /** Number of the pool, unique in the node; keeps hashes of two pools apart. */
  readonly pool: number;
  /** The same for all lanes of a node: a hash settled here is known there. */
  readonly hashKey: HashKey;
  /** Hears how many packets were dropped because too many wait. */
  readonly overflow: (packets: number) => void;
}

interface Waiting {
  readonly packets: readonly ReceivedPacket[];
  readonly done: (opened: OpenedBatch) => void;
  at: number;
}

export class InlineLane implements PacketLane {
  readonly #options: InlineLaneOptions;
  readonly #work: OpenWork;
  readonly #filter: RepeatFilter;
  readonly #waiting: Waiting[] = listOfObjects();
  #agedAtMs: number;
  #waitingPackets = 0;
  #waitingBytes = 0;
  #scheduled = false;
  #stopped = false;

  constructor(options: InlineLaneOptions) {
    this.#options = options;
    const { sealer, format, pool } = options;
    this.#agedAtMs = performance.now();
    this.#filter = new RepeatFilter(options.hashKey, this.#agedAtMs);
    this.#work = { sealer, format, pool, filter: this.#filter, shedGossip: false };
  }

  /** Packets wait for a later turn. */
  get busy(): boolean {
    return this.#scheduled;
  }

  get waiting(): number {
    return this.#waitingPackets;
  }

  open(batch: readonly ReceivedPacket[], done: (opened: OpenedBatch) => void): void {
    if (this.#stopped) return;
    let taken = 0;
    for (const { bytes } of batch) {
      if (this.#waitingPackets + taken >= WAITING_PACKETS_MAX || this.#waitingBytes + bytes.length > WAITING_BYTES_MAX) break;
      this.#waitingBytes += bytes.length;
      taken += 1;
    }
    const packets = taken < batch.length ? batch.slice(0, taken) : batch;
    if (taken < batch.length) this.#options.overflow(batch.length - taken);
    this.#waiting.push({ packets, done, at: 0 });
    this.#waitingPackets += packets.length;
    if (!this.#scheduled) this.#openNext();
  }

  pack(batch: readonly OutgoingPacket[], done: (sealed: readonly SealedPacket[]) => void): void {
    const { format, sealer } = this.#options;
    const packed = batch.map(({ to, messages, crc }) => packJob({ targets: to.length, messages, crc }, format, sealer));
    done(sealedFor(batch, packed));
  }

  settle(low: number, high: number): void {
    this.#filter.settle(low, high, this.#agedAtMs); // Of this turn: what is settled has just been opened.
  }

  isSettled(low: number, high: number): boolean {
    return this.#filter.isSettled(low, high);
  }

  /** Forgets settled hashes that are too old; done by itself when packets are opened here. */
  age(): void {
    this.#agedAtMs = performance.now();
    this.#filter.age(this.#agedAtMs);
  }

  setKeys(keys: KeyList): Promise<void> {
    this.#options.sealer.setKeys(keys);
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    return Promise.resolve();
  }

  #openNext(): void {
    const first = this.#waiting[0];
    if (first === undefined || this.#stopped) return;
    const { packets, at, done } = first;
    const end = Math.min(packets.length, at + OPENED_AT_ONCE_MAX);
    this.age();
    const opened = openReceived(packets, at, end, this.#work);
    this.#waitingPackets -= end - at;
    for (let i = at; i < end; i += 1) this.#waitingBytes -= (packets[i] as ReceivedPacket).bytes.length;
    first.at = end;
    if (end === packets.length) this.#waiting.shift();
    if (this.#waiting.length > 0) this.#later();
    done(opened);
  }

  #later(): void {
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#openNext();
    });
  }
}
