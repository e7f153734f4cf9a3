/**
 * The packet lane of one gossip pool over worker threads, adaptive by work: a loop turn with little to do is done inline (an idle cluster
 * keeps inline's latency), a busy one is handed over, except for a few small packets: a ping is one, and must not wait for the gossip before it. The others
 * keep the order of the socket: while batches are out, later packets queue behind them, and answers are delivered in the order in which their batches left.
 */
import type { KeyList } from "../keyring.ts";
import type { ReceivedPacket } from "../udp-socket.ts";
import { decodeOpened, decodePacked, encodeOpen, encodePack, type LanePoolSetup } from "./lane-protocol.ts";
import type { LaneHost } from "./lane-host.ts";
import type { InlineLane } from "./inline-lane.ts";
import type { OpenedBatch, OutgoingPacket, PacketFormat, PacketLane, SealedPacket } from "./packet-lane.ts";
import { attribute, sealedFor, type Opened } from "./packet-work.ts";

/**
 * Work of one turn that stays on main, in bytes: two large packets or a dozen pings. Measured: handing over costs main 1–1.4 µs a packet
 * in batches but 8 µs for a single one, and a large packet costs 27–31 µs inline, a small one 4.7.
 */
export const INLINE_BYTES_MAX = 2_000;
/** A ping, an ack or their relay, alone in its packet, is no longer: names of 60 characters, a coordinate, seal and checksum. */
export const SMALL_PACKET_BYTES = 256;
/**
 * So many small packets of one turn overtake what waits for a lane. A lane that falls behind, since its code is not compiled yet or others have the processors, lets
 * up to `SHED_GOSSIP_ABOVE` packets wait: 200 ms of a flood.
 */
export const OVERTAKING_MAX = 4;
/** A batch is cut at this size, so that several lanes share a flood and answers come back in time. */
const BATCH_BYTES_MAX = 256 * 1024;
const BATCH_PACKETS_MAX = 512;
/** Packets waiting for a lane; beyond it new ones are dropped, as the kernel would. */
export const QUEUED_PACKETS_MAX = 8192;
/** And their bytes: packets may be 64 KiB long. */
export const QUEUED_BYTES_MAX = 32 * 1024 * 1024;
/** With so many waiting we are not keeping up: lanes leave gossip out, which comes again, and keep probes and answers. */
export const SHED_GOSSIP_ABOVE = QUEUED_PACKETS_MAX / 2;

export interface WorkerLaneOptions {
  readonly host: LaneHost;
  /** Number of the pool, unique in the node. */
  readonly pool: number;
  readonly format: PacketFormat;
  readonly keys: KeyList;
  readonly inline: InlineLane;
  /** Hears how many packets were dropped because too many wait. */
  readonly overflow: (packets: number) => void;
  /** Counts by path: packets_inline, packets_offloaded, open_batches, pack_batches. */
  readonly count: (name: string, delta: number) => void;
}

interface OutBatch {
  readonly packets: readonly ReceivedPacket[];
  /** undefined: not back yet; null: lost with its lane. */
  opened: Opened | null | undefined;
}

export class WorkerLane implements PacketLane {
  readonly #options: WorkerLaneOptions;
  #queue: ReceivedPacket[] = [];
  #queuedBytes = 0;
  /** Batches in flight, in the order they left. */
  readonly #out: OutBatch[] = [];
  #done: ((opened: OpenedBatch) => void) | null = null;
  #stopped = false;

  private constructor(options: WorkerLaneOptions) {
    this.#options = options;
    options.host.onFreed(() => this.#pump());
  }

  static async start(options: WorkerLaneOptions): Promise<WorkerLane> {
    const lane = new WorkerLane(options);
    await options.host.setUp(lane.#setup(options.keys));
    return lane;
  }

  get waiting(): number {
    return this.#queue.length + this.#options.inline.waiting;
  }

  open(batch: readonly ReceivedPacket[], done: (opened: OpenedBatch) => void): void {
    if (this.#stopped) return;
    this.#done = done;
    if (this.#isIdle && this.#staysInline(batch)) {
      this.#openInline(batch);
      return;
    }
    const small: ReceivedPacket[] = [];
    let lost = 0;
    for (const packet of batch) {
      if (packet.bytes.length <= SMALL_PACKET_BYTES && small.length < OVERTAKING_MAX) small.push(packet);
      else if (this.#hasRoom(packet)) {
        this.#queue.push(packet);
        this.#queuedBytes += packet.bytes.length;
      } else lost += 1;
    }
    if (lost > 0) this.#options.overflow(lost);
    this.#pump();
    if (small.length > 0) this.#openInline(small);
  }

  pack(batch: readonly OutgoingPacket[], done: (sealed: readonly SealedPacket[]) => void): void {
    const { host, inline, pool, count } = this.#options;
    let bytes = 0;
    for (const { to, messages } of batch) for (const message of messages) bytes += message.length * to.length;
    const lane = bytes <= INLINE_BYTES_MAX ? null : host.pick();
    if (lane === null) {
      inline.pack(batch, done);
      return;
    }
    const jobs = batch.map(({ to, messages, crc }) => ({ targets: to.length, messages, crc }));
    count("pack_batches", 1);
    lane.send(encodePack(pool, jobs), (answer) => {
      if (this.#stopped) return;
      // A dead lane sent nothing: our own messages are worth sealing again.
      if (answer === null) inline.pack(batch, done);
      else done(sealedFor(batch, decodePacked(answer, batch.map(({ to }) => to.length))));
    });
  }

  settle(low: number, high: number): void {
    this.#options.inline.settle(low, high);
    this.#options.host.settle(low, high);
  }

  isSettled(low: number, high: number): boolean {
    return this.#options.inline.isSettled(low, high);
  }

  /** The inline half first: from here on no packet is sealed with a key that the lanes do not know yet. */
  async setKeys(keys: KeyList): Promise<void> {
    await this.#options.inline.setKeys(keys);
    await this.#options.host.setUp(this.#setup(keys));
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#queue = [];
    this.#queuedBytes = 0;
    return this.#options.inline.stop();
  }

  #setup(keys: KeyList): LanePoolSetup {
    const { pool, format } = this.#options;
    return { pool, format, keys };
  }

  get #isIdle(): boolean {
    return this.#queue.length === 0 && this.#out.length === 0;
  }

  #hasRoom({ bytes }: ReceivedPacket): boolean {
    return this.#queue.length < QUEUED_PACKETS_MAX && this.#queuedBytes + bytes.length <= QUEUED_BYTES_MAX;
  }

  #staysInline(batch: readonly ReceivedPacket[]): boolean {
    const { host, inline } = this.#options;
    if (host.down || inline.busy) return true;
    let bytes = 0;
    for (const packet of batch) bytes += packet.bytes.length;
    return bytes <= INLINE_BYTES_MAX;
  }

  #openInline(batch: readonly ReceivedPacket[]): void {
    this.#options.count("packets_inline", batch.length);
    this.#options.inline.open(batch, (opened) => this.#done?.(opened));
  }

  #pump(): void {
    const { host, pool, count } = this.#options;
    while (!this.#stopped && this.#queue.length > 0) {
      if (host.down) {
        // What is out has been answered as lost by now or will be within this call chain; then the rest goes inline.
        if (this.#out.length > 0) return;
        const rest = this.#queue;
        this.#queue = [];
        this.#queuedBytes = 0;
        this.#openInline(rest);
        return;
      }
      const lane = host.pick();
      if (lane === null) return;
      const shedGossip = this.#queue.length > SHED_GOSSIP_ABOVE;
      const packets = this.#takeBatch();
      const out: OutBatch = { packets, opened: undefined };
      this.#out.push(out);
      count("open_batches", 1);
      count("packets_offloaded", packets.length);
      const request = { pool, shedGossip, settled: lane.takeSettled(), packets: packets.map(({ bytes }) => bytes) };
      lane.send(encodeOpen(request), (answer) => {
        out.opened = answer === null ? null : decodeOpened(answer);
        this.#deliver();
      });
    }
  }

  #takeBatch(): ReceivedPacket[] {
    let bytes = 0;
    let end = 0;
    while (end < this.#queue.length && end < BATCH_PACKETS_MAX && bytes < BATCH_BYTES_MAX) {
      bytes += (this.#queue[end] as ReceivedPacket).bytes.length;
      end += 1;
    }
    const packets = this.#queue.slice(0, end);
    this.#queue = this.#queue.slice(end);
    this.#queuedBytes -= bytes;
    return packets;
  }

  /** Hands on the answers that are there, oldest first, up to the first batch that is still out. */
  #deliver(): void {
    for (;;) {
      const first = this.#out[0];
      if (first === undefined || first.opened === undefined) return;
      this.#out.shift();
      this.#options.inline.age();
      if (first.opened === null) this.#options.overflow(first.packets.length);
      else if (!this.#stopped) this.#done?.(attribute(first.opened, first.packets));
    }
  }
}
