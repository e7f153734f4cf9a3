/**
 * The sockets, files and keys of one pool: carries out its effects and turns what arrives into its inputs. A pool's socket is its own, so
 * a node with two pools has two of these.
 */
import { listOfObjects } from "../base/lists.ts";
import type { Endpoint } from "../base/endpoint.ts";
import { formatEndpoint } from "../base/endpoint.ts";
import { encodeUtf8, utf8Length } from "../base/utf8.ts";
import type { PoolName } from "../node/types.ts";
import type { KeyOperation, PoolEffect, SerfEvent } from "../serf/types.ts";
import { drawHashKey } from "./entropy.ts";
import { errnoText, listenErrorText } from "./go-errors.ts";
import { installKey, removeKey, useKey, type KeyList } from "./keyring.ts";
import { saveKeyringFile } from "./keyring-file.ts";
import { InlineLane } from "./lanes/inline-lane.ts";
import type { LaneHost } from "./lanes/lane-host.ts";
import { WorkerLane } from "./lanes/worker-lane.ts";
import type { OpenedBatch, OutgoingPacket, PacketLane } from "./lanes/packet-lane.ts";
import type { StreamLane } from "./lanes/stream-lane.ts";
import type { AllowList } from "./network.ts";
import { NodeSealer, SEAL_OVERHEAD_BYTES } from "./node-sealer.ts";
import type { NodeRuntime, PoolPort } from "./node-runtime.ts";
import type { LogSink, MetricSink } from "./serf-agent-api.ts";
import type { SnapshotFile } from "./snapshot-file.ts";
import { systemNetwork, type PacketSocket, type PoolNetwork, type PoolStreams } from "./pool-network.ts";
import { streamCodec } from "./stream-codec.ts";
import { RECEIVE_BUFFER_BYTES } from "./udp-socket.ts";

export interface PoolIoOptions {
  readonly pool: PoolName;
  /** Port 0: any free one. */
  readonly bind: Endpoint;
  readonly keys: KeyList;
  readonly keyringFile: string;
  readonly compress: boolean;
  /** "" for none. */
  readonly label: string;
  readonly verifyIncoming: boolean;
  readonly verifyOutgoing: boolean;
  readonly tcpTimeoutMs: number;
  /** Where large stream messages are sealed and opened; null: on the main thread. */
  readonly streamLane: StreamLane | null;
  readonly allow: AllowList;
  readonly log: LogSink;
  readonly metrics: MetricSink;
  /** Default: the system's sockets. */
  readonly network?: PoolNetwork;
}

/** What a pool tells besides the network: the agent listens. */
export interface PoolListener {
  event(event: SerfEvent): void;
  queryRecord(effect: Extract<PoolEffect, { readonly kind: "queryAck" | "queryResponse" | "queryDone" }>): void;
  /** The node must stop. */
  stop(reason: string): void;
}

/** Number of a pool within the lanes. One so far; a node with more numbers them. */
const LANE_POOL = 0;
/** Packets of one loop turn that make a burst, where the receive buffer matters; libuv reads 32 at most. */
const BURST_PACKETS = 24;
/** A lane that must shed says so at most this often. */
const SHED_LOG_INTERVAL_MS = 1000;

export class PoolIo implements PoolPort {
  readonly #options: PoolIoOptions;
  readonly #sealer: NodeSealer;
  readonly hashKey = drawHashKey();
  /** By name: the name of its metric, which is not made anew with each batch, and the sum so far. */
  readonly #laneCounts = new Map<string, { readonly metric: string; sum: number }>();
  readonly #inline: InlineLane;
  #lane: PacketLane;
  readonly #network: PoolNetwork;
  readonly #streams: PoolStreams;
  readonly #label: Uint8Array;
  #udp: PacketSocket | null = null;
  #clippedBufferBytes = 0; // Receive buffer that the kernel granted, when it is less than asked for and nobody was told.
  #runtime: NodeRuntime | null = null;
  #listener: PoolListener | null = null;
  #snapshot: SnapshotFile | null = null;
  #outgoing: OutgoingPacket[] = listOfObjects();
  #repeatsOnMain = 0;
  /** Keyring operations run one after the other: each sees the ring the last one left. */
  #keyringBusy: Promise<void> = Promise.resolve();
  #shedLoggedAt = -Infinity;
  /** Hears how many bytes of packets came or went. */
  #onWork: (bytes: number) => void = () => undefined;
  #closed = false;

  constructor(options: PoolIoOptions) {
    this.#options = options;
    this.#label = encodeUtf8(options.label);
    this.#sealer = new NodeSealer(options.keys);
    const { compress, verifyIncoming, verifyOutgoing } = options;
    const label = this.#label;
    this.#inline = new InlineLane({
      sealer: this.#sealer,
      format: { compress, label, verifyIncoming, verifyOutgoing },
      pool: LANE_POOL,
      hashKey: this.hashKey,
      overflow: (packets) => this.#shed(packets, "packets"),
    });
    this.#lane = this.#inline;
    this.#network = options.network ?? systemNetwork({ tcpTimeoutMs: options.tcpTimeoutMs, allow: options.allow });
    this.#streams = this.#network.streams(
      streamCodec({ compress, label, verifyIncoming, verifyOutgoing }, this.#sealer, options.streamLane),
      {
        opened: (stream) => this.#submit({ kind: "streamOpened", stream }),
        message: (stream, from, bytes) => this.#submit({ kind: "streamMessage", stream, from, bytes }),
        failed: (stream, error) => this.#submit({ kind: "streamFailed", stream, error }),
        log: (level, text) => options.log.write(level, text),
        count: (name, delta) => options.metrics.count(name, delta),
      },
    );
  }

  /** Binds TCP, then UDP on the same port. Rejects with an `Error` in the original's wording; nothing stays open then. */
  async listen(): Promise<Endpoint> {
    const { bind, metrics } = this.#options;
    const refused = (network: "tcp" | "udp", port: number, error: unknown): Error => {
      const listener = `Failed to start ${network.toUpperCase()} listener on "${bind.ip}" port ${port}`;
      const reason = listenErrorText(network, formatEndpoint({ ip: bind.ip, port }), error);
      return new Error(`Could not set up network transport: failed to obtain an address: ${listener}: ${reason}`, { cause: error });
    };
    let port: number;
    try {
      port = await this.#streams.listen(bind);
    } catch (error) {
      throw refused("tcp", bind.port, error);
    }
    try {
      this.#udp = await this.#network.packets({ ip: bind.ip, port }, {
        packets: (batch) => {
          const burst = batch.length >= BURST_PACKETS;
          if (this.#runtime !== null) this.#runtime.crowded = burst;
          if (this.#clippedBufferBytes > 0 && burst) this.#warnOfClippedBuffer();
          let bytes = 0;
          for (const packet of batch) bytes += packet.bytes.length;
          metrics.count("memberlist.udp.received", bytes);
          this.#onWork(bytes);
          this.#lane.open(batch, (opened) => this.#opened(opened));
        },
        count: (name, delta) => metrics.count(name, delta),
      });
    } catch (error) {
      await this.#streams.shutdown();
      throw refused("udp", port, error);
    }
    const granted = this.#udp.receiveBufferBytes;
    if (granted < RECEIVE_BUFFER_BYTES && process.platform === "linux") this.#clippedBufferBytes = granted;
    return { ip: bind.ip, port };
  }

  /** Connects the pool: from now on effects are carried out and arrivals become inputs. */
  start(runtime: NodeRuntime, listener: PoolListener, snapshot: SnapshotFile | null): void {
    this.#runtime = runtime;
    this.#listener = listener;
    this.#snapshot = snapshot;
    runtime.attach(this.#options.pool, this);
  }

  /** `listener` hears of all packet work from now on. */
  onWork(listener: (bytes: number) => void): void {
    this.#onWork = listener;
  }

  /** Moves packet work to worker lanes, adaptively, also under load. Resolves once the lanes know the keys. Never rejects. */
  async useLanes(host: LaneHost): Promise<void> {
    const { compress, verifyIncoming, verifyOutgoing } = this.#options;
    // In turn with keyring changes: each lane must know the ring that is in force when it takes over.
    const taken = this.#keyringBusy.then(async () => {
      const lane = await WorkerLane.start({
        host,
        pool: LANE_POOL,
        format: { compress, label: this.#label, verifyIncoming, verifyOutgoing },
        keys: this.keys,
        inline: this.#inline,
        overflow: (packets) => this.#shed(packets, "packets"),
        count: (name, delta) => this.#countLane(name, delta),
      });
      if (this.#closed) await lane.stop();
      else this.#lane = lane;
    });
    this.#keyringBusy = taken;
    await taken;
  }

  #countLane(name: string, delta: number): void {
    let counted = this.#laneCounts.get(name);
    if (counted === undefined) {
      counted = { metric: `muster.lane.${name}`, sum: 0 };
      this.#laneCounts.set(name, counted);
    }
    counted.sum += delta;
    this.#options.metrics.count(counted.metric, delta);
  }

  /** What became of the packets, by path, since the start. */
  laneCounts(): ReadonlyMap<string, number> {
    return new Map(Array.from(this.#laneCounts, ([name, { sum }]) => [name, sum]));
  }

  /** Received packets that nobody has opened yet. */
  get packetsWaiting(): number {
    return this.#lane.waiting;
  }

  get keys(): KeyList {
    return this.#sealer.keys;
  }

  /** Bytes that encryption and label add to each datagram. */
  packetOverheadBytes(): number {
    const { label, verifyOutgoing } = this.#options;
    return (this.#sealer.encrypts && verifyOutgoing ? SEAL_OVERHEAD_BYTES : 0) + (label === "" ? 0 : 2 + utf8Length(label));
  }

  apply(effect: Parameters<PoolPort["apply"]>[0]): void {
    switch (effect.kind) {
      case "packet":
        this.#outgoing.push(effect);
        return;
      case "dial":
        this.#streams.dial(effect.stream, effect.to, effect.timeoutMs);
        return;
      case "streamSend":
        this.#streams.send(effect.stream, effect.bytes);
        return;
      case "streamClose":
        this.#streams.close(effect.stream);
        return;
      case "log":
        this.#options.log.write(effect.level, effect.text);
        return;
      case "count":
        this.#options.metrics.count(effect.name, effect.delta);
        return;
      case "event":
        this.#listener?.event(effect.event);
        return;
      case "queryAck":
      case "queryResponse":
      case "queryDone":
        this.#listener?.queryRecord(effect);
        return;
      case "snapshot":
        this.#snapshot?.append(effect.lines, effect.flush);
        return;
      case "snapshotCompact":
        this.#snapshot?.compact(effect.lines);
        return;
      case "keyring":
        this.#keyringBusy = this.#keyringBusy.then(() => this.#changeKeyring(effect.token, effect.operation, effect.key));
        return;
      case "stop":
        this.#listener?.stop(effect.reason);
    }
  }

  settle(low: number, high: number): void {
    this.#lane.settle(low, high);
  }

  leavesOut(low: number, high: number): boolean {
    if (!this.#lane.isSettled(low, high)) return false;
    this.#repeatsOnMain += 1;
    return true;
  }

  flush(): void {
    if (this.#repeatsOnMain > 0) this.#countLane("repeats_on_main", this.#repeatsOnMain);
    this.#repeatsOnMain = 0;
    if (this.#outgoing.length === 0) return;
    const batch = this.#outgoing;
    this.#outgoing = [];
    this.#lane.pack(batch, (sealed) => {
      let bytes = 0;
      for (const packet of sealed) {
        bytes += packet.bytes.length;
        this.#udp?.send(packet.bytes, packet.to);
      }
      this.#options.metrics.count("memberlist.udp.sent", bytes);
      this.#onWork(bytes);
    });
  }

  /** Closes sockets and lane, then writes the snapshot through. Never rejects. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all([this.#streams.shutdown(), this.#udp?.close(), this.#lane.stop(), this.#options.streamLane?.stop()]);
    await this.#keyringBusy;
    await this.#snapshot?.close();
  }

  #submit(input: Parameters<NodeRuntime["submit"]>[1]): void {
    this.#runtime?.submit(this.#options.pool, input);
  }

  #opened({ messages, drops, repeats, shed }: OpenedBatch): void {
    if (repeats > 0) this.#countLane("repeats", repeats);
    if (shed > 0) this.#shed(shed, "messages");
    for (const [reason, packets] of drops) this.#options.metrics.count(`memberlist.udp.dropped.${reason}`, packets);
    if (messages.length > 0) this.#runtime?.deliver(this.#options.pool, messages);
  }

  /** Told by the runtime and the lane: something was dropped because more came than could be done. */
  shedMessages(messages: number): void {
    this.#shed(messages, "messages");
  }

  #shed(count: number, what: "packets" | "messages"): void {
    const { log, metrics } = this.#options;
    metrics.count(`memberlist.queue.dropped_${what}`, count);
    const nowMs = performance.now();
    if (nowMs - this.#shedLoggedAt < SHED_LOG_INTERVAL_MS) return;
    this.#shedLoggedAt = nowMs;
    log.write("warn", `memberlist: handler queue full, dropping ${what} (${count} now; further drops within a second are only counted)`);
  }

  /** The next ring is checked and written to the file first; only then it is put in force, and only then the cluster is answered. */
  async #changeKeyring(token: number, operation: KeyOperation, key: Uint8Array): Promise<void> {
    const { keyringFile } = this.#options;
    const ring = this.keys;
    const done = (error: string): void => {
      const keys = this.keys.map((installed) => Buffer.from(installed).toString("base64"));
      this.#submit({ kind: "keyringDone", token, error, keys });
    };
    if (operation === "list") return done("");
    const next = operation === "install" ? installKey(ring, key) : operation === "use" ? useKey(ring, key) : removeKey(ring, key);
    if (!next.ok) return done(next.error);
    if (keyringFile !== "") {
      try {
        await saveKeyringFile(keyringFile, next.value);
      } catch (error) {
        return done(`Failed to write keyring file: ${errnoText(error)}`);
      }
    }
    await this.#lane.setKeys(next.value);
    done("");
  }

  /** Said when it matters, with the first burst: a line at every start on a stock kernel would differ from the original's log. */
  #warnOfClippedBuffer(): void {
    const granted = this.#clippedBufferBytes;
    this.#clippedBufferBytes = 0;
    const why = `the kernel granted ${granted} bytes of UDP receive buffer instead of ${RECEIVE_BUFFER_BYTES}`;
    this.#options.log.write("warn", `agent: ${why}: bursts may be lost; raise the sysctl net.core.rmem_max`);
  }
}
