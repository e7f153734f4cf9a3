/** Mutated inputs of all kinds into an agent of ours that runs as a process: it must neither end nor hang nor grow (issue 4, B6). */
import { createSocket, type Socket } from "node:dgram";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { ipToBytes } from "../../src/base/endpoint.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { SerfClient } from "../../src/client/serf-client.ts";
import { NodeSealer } from "../../src/io/node-sealer.ts";
import { encodeCompress } from "../../src/wire/compress.ts";
import { decodePacketMessage, encodePing } from "../../src/wire/gossip-codec.ts";
import { encodeRequest } from "../../src/wire/ipc-requests.ts";
import { addCrc, encodeCompound, openPacket } from "../../src/wire/packet.ts";
import { encodeStream } from "../../src/wire/stream.ts";
import { corpus, rpcCorpus } from "../support/corpus.ts";
import { mutate } from "../support/fuzz.ts";
import { nextLoopbackIp } from "../support/loopback.ts";
import { SerfAgent } from "../support/serf-agent.ts";

/**
 * Growth of the agent's resident memory that is still accepted, in bytes, from idle (started, one RPC command answered): to the highest of a whole run, to what stays of a
 * short one, whose machine does other things too.
 */
export const GROWTH_BYTES_MAX = 64_000_000;
/** Packets sent before the agent must answer a ping again: the socket's buffer must hold them. */
const PACKETS_PER_PING = 200;
/** Shares of the inputs, in percent; the rest are RPC frames. */
const PACKETS_PERCENT = 80;
const STREAMS_PERCENT = 10;
const FRAMES_PER_CONNECTION = 4;
/** Connections at the same time, to each of the two ports. */
const CONNECTIONS = 16;
/** Without an answer for so long the agent counts as hung. */
const ANSWER_MS = 10_000;
/** A stream that the agent rightly waits on is given up sooner than its deadline. */
const STREAM_MS = 50;
const PING_RETRY_MS = 500;
/** How long a runtime may take to give memory back: V8 makes the young generation small again after most of a minute of idling. */
const SETTLE_MS_MAX = 60_000;
/** One input in so many belongs to the warm-up, after which memory is read once more: what grows then is not code and its profile. */
const WARM_UP_SHARE = 10;
const NONE = new Uint8Array(0);

export interface LiveFuzzOptions {
  readonly count: number;
  readonly seed: number;
  readonly encrypt: boolean;
  readonly packetWorkers: number;
  /** Waits for all that is given back after the last input, not only until growth is within its bound: a minute. */
  readonly settle: boolean;
  readonly progress: (text: string) => void;
}

export interface LiveFuzzReport {
  readonly packets: number;
  readonly streams: number;
  readonly rpcFrames: number;
  readonly seconds: number;
  /** Resident memory in MiB: idle before, after the first tenth of the inputs, highest seen, after the last input, and once it has settled after that. */
  readonly rssMiB: { readonly idle: number; readonly warm: number; readonly peak: number; readonly last: number; readonly end: number };
  readonly slowestPingMs: number;
  readonly members: number;
  readonly problems: readonly string[];
}

export async function fuzzLiveAgent(options: LiveFuzzOptions): Promise<LiveFuzzReport> {
  const key = options.encrypt ? Buffer.alloc(16, 5) : null;
  const args = ["-profile=local", "-log-level=err", `-packet-workers=${options.packetWorkers}`, ...(key === null ? [] : [`-encrypt=${key.toString("base64")}`])];
  const agent = new SerfAgent({ program: "muster", name: "fuzzed", ip: nextLoopbackIp(), args });
  try {
    await agent.started();
    const run = new LiveFuzz(agent, new NodeSealer(key === null ? [] : [key]), options);
    return await run.play();
  } finally {
    await agent.child.stop("SIGKILL");
  }
}

class LiveFuzz {
  readonly #agent: SerfAgent;
  readonly #sealer: NodeSealer;
  readonly #options: LiveFuzzOptions;
  readonly #random: SeededRandom;
  readonly #problems: string[] = [];
  #idleKiB = 0;
  #peakKiB = 0;
  #slowestPingMs = 0;
  #seq = 1 << 24;

  constructor(agent: SerfAgent, sealer: NodeSealer, options: LiveFuzzOptions) {
    this.#agent = agent;
    this.#sealer = sealer;
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
  }

  async play(): Promise<LiveFuzzReport> {
    const { count, progress } = this.#options;
    const packets = Math.floor((count * PACKETS_PERCENT) / 100);
    const streams = Math.floor((count * STREAMS_PERCENT) / 100);
    const rpcFrames = count - packets - streams;
    const client = await SerfClient.connect({ address: this.#agent.rpcAddr });
    await client.stats();
    client.close();
    const idle = this.#rssKiB();
    this.#idleKiB = idle;
    const startedAtMs = performance.now();
    const watch = setInterval(() => progress(`${((performance.now() - startedAtMs) / 1000).toFixed(0)} s: RSS ${(this.#rssKiB() / 1024).toFixed(1)} MiB`), 5000);
    const warmUp = [packets, streams, rpcFrames].map((inputs) => Math.floor(inputs / WARM_UP_SHARE)) as [number, number, number];
    await this.#send(...warmUp);
    const warm = this.#rssKiB();
    await this.#send(packets - warmUp[0], streams - warmUp[1], rpcFrames - warmUp[2]);
    const last = this.#rssKiB();
    const seconds = (performance.now() - startedAtMs) / 1000;
    const end = await this.#settledKiB();
    clearInterval(watch);
    const members = await this.#checkService();
    const grown = this.#options.settle ? this.#peakKiB : end;
    if (grown - idle > GROWTH_BYTES_MAX / 1024) this.#problems.push(`resident memory grew from ${idle} to ${grown} KiB`);
    const rssMiB = { idle: round(idle / 1024), warm: round(warm / 1024), peak: round(this.#peakKiB / 1024), last: round(last / 1024), end: round(end / 1024) };
    return { packets, streams, rpcFrames, seconds: round(seconds), rssMiB, slowestPingMs: round(this.#slowestPingMs), members, problems: this.#problems };
  }

  async #send(packets: number, streams: number, rpcFrames: number): Promise<void> {
    const rpcConnections = Math.ceil(rpcFrames / FRAMES_PER_CONNECTION);
    await Promise.all([this.#packets(packets), this.#connections(streams, () => this.#stream()), this.#connections(rpcConnections, () => this.#rpc())]);
  }

  /** The runtime gives back what a load has taken some time after it has ended; what stays is the growth. */
  async #settledKiB(): Promise<number> {
    let least = this.#rssKiB();
    const untilMs = performance.now() + SETTLE_MS_MAX;
    while (performance.now() < untilMs && (this.#options.settle || least - this.#idleKiB > GROWTH_BYTES_MAX / 1024)) {
      await delay(1000);
      least = Math.min(least, this.#rssKiB());
    }
    return least;
  }

  /** The agent still serves its users. */
  async #checkService(): Promise<number> {
    if (this.#agent.child.exit !== null) {
      this.#problems.push(`the agent ended: ${this.#agent.child.describe()}`);
      return 0;
    }
    try {
      const client = await SerfClient.connect({ address: this.#agent.rpcAddr, timeoutMs: ANSWER_MS });
      const members = await client.members();
      if (!members.some(({ name, status }) => name === "fuzzed" && status === "alive")) this.#problems.push("the agent does not show itself alive");
      client.close();
      return members.length;
    } catch (error) {
      this.#problems.push(`RPC after the run: ${String(error)}`);
      return 0;
    }
  }

  #rssKiB(): number {
    let status: string;
    try {
      status = readFileSync(`/proc/${this.#agent.child.pid}/status`, "utf8");
    } catch {
      return 0; // It ended, which is told elsewhere.
    }
    const kib = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
    this.#peakKiB = Math.max(this.#peakKiB, kib);
    return kib;
  }

  async #packets(count: number): Promise<void> {
    const plain = this.#plainPackets();
    const inputs = this.#sealer.encrypts ? plain.map((packet) => this.#sealer.seal(packet, NONE, 1)) : plain;
    const socket = createSocket("udp4");
    await new Promise<void>((resolve) => socket.bind(0, this.#agent.ip, resolve));
    try {
      for (let sent = 0; sent < count && this.#problems.length === 0; sent += 1) {
        // With keys, half of the mistakes are made before sealing: else none would get beyond the seal.
        const bytes = this.#sealer.encrypts && sent % 2 === 0 ? this.#sealer.seal(mutate(plain, this.#random), NONE, 1) : mutate(inputs, this.#random);
        await new Promise<void>((resolve) => socket.send(bytes, 7946, this.#agent.ip, () => resolve()));
        if ((sent + 1) % PACKETS_PER_PING === 0) await this.#ping(socket);
        if ((sent + 1) % (100 * PACKETS_PER_PING) === 0) this.#rssKiB();
      }
      if (this.#problems.length === 0) await this.#ping(socket);
    } finally {
      socket.close();
    }
  }

  #plainPackets(): Uint8Array[] {
    const { packetMessages } = corpus("fuzzed", ipToBytes(this.#agent.ip) ?? NONE);
    const compound = encodeCompound(packetMessages.slice(0, 6));
    const nested = encodeCompound([compound, encodeCompress(compound), encodeCompress(encodeCompound(packetMessages.slice(6, 9)))]);
    return [...packetMessages, compound, nested, encodeCompress(nested), addCrc(nested, this.#sealer)];
  }

  /** Resolves once the agent has answered a ping, asked again every now and then: the ping may be lost among the rest. */
  async #ping(socket: Socket): Promise<void> {
    this.#seq += 1;
    const seq = this.#seq;
    const [port, ip] = [socket.address().port, socket.address().address];
    const ping = encodePing({ seq, node: "fuzzed", sourceAddr: ipToBytes(ip) ?? NONE, sourcePort: port, sourceNode: "" });
    const bytes = this.#sealer.encrypts ? this.#sealer.seal(ping, NONE, 1) : ping;
    const startedAtMs = performance.now();
    await new Promise<void>((resolve) => {
      const ask = (): void => socket.send(bytes, 7946, this.#agent.ip);
      const retry = setInterval(() => {
        if (performance.now() - startedAtMs > ANSWER_MS || this.#agent.child.exit !== null) end(`no answer to a ping within ${ANSWER_MS} ms: ${this.#agent.child.describe()}`);
        else ask();
      }, PING_RETRY_MS);
      const end = (problem: string | null): void => {
        clearInterval(retry);
        socket.off("message", heard);
        if (problem !== null) this.#problems.push(problem);
        resolve();
      };
      const heard = (packet: Uint8Array): void => {
        if (this.#isAck(packet, seq)) end(null);
      };
      socket.on("message", heard);
      ask();
    });
    this.#slowestPingMs = Math.max(this.#slowestPingMs, performance.now() - startedAtMs);
  }

  #isAck(packet: Uint8Array, seq: number): boolean {
    return openPacket(packet, { sealer: this.#sealer, label: NONE, verifyIncoming: true }).messages.some((message) => {
      const decoded = decodePacketMessage(message);
      return decoded.ok && decoded.value.kind === "ack" && decoded.value.seq === seq;
    });
  }

  /** Plays `count` connections, a few at a time. */
  async #connections(count: number, play: () => Promise<void>): Promise<void> {
    let left = count;
    const worker = async (): Promise<void> => {
      while (left > 0 && this.#problems.length === 0) {
        left -= 1;
        await play();
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  }

  #stream(): Promise<void> {
    const { streamMessages } = corpus("fuzzed", ipToBytes(this.#agent.ip) ?? NONE);
    const options = { sealer: this.#sealer, label: NONE, initiator: true, encryptionVersion: 1, verifyOutgoing: true } as const;
    const before = this.#random.below(2) === 0;
    const compress = this.#random.below(2) === 0;
    const bytes = before
      ? encodeStream(mutate(streamMessages, this.#random), { ...options, compress })
      : mutate(streamMessages.map((message) => encodeStream(message, { ...options, compress })), this.#random);
    return this.#say(7946, [bytes]);
  }

  #rpc(): Promise<void> {
    const requests = rpcCorpus("fuzzed").map((request, i) => encodeRequest(i, request));
    const frames = Array.from({ length: FRAMES_PER_CONNECTION }, () => mutate(requests, this.#random));
    const greeting = this.#random.below(8) === 0 ? [] : [requests[0] as Uint8Array];
    return this.#say(7373, [...greeting, ...frames]);
  }

  /** Sends the pieces on a connection of their own and ends it in one of three ways; resolves once it is closed. */
  async #say(port: number, pieces: readonly Uint8Array[]): Promise<void> {
    const ending = this.#random.below(16);
    // Many source addresses: closed connections keep theirs for a minute.
    const localAddress = `127.${224 + this.#random.below(16)}.${this.#random.below(256)}.${1 + this.#random.below(254)}`;
    await new Promise<void>((resolve) => {
      const socket = connect({ host: this.#agent.ip, port, localAddress, noDelay: true });
      const giveUp = setTimeout(() => socket.destroy(), ending === 0 ? STREAM_MS : ANSWER_MS);
      socket.on("error", () => undefined); // It resets what it does not like.
      socket.on("close", () => {
        clearTimeout(giveUp);
        resolve();
      });
      socket.resume();
      for (const piece of pieces) socket.write(piece);
      if (ending > 1) socket.end();
      else if (ending === 1) socket.destroySoon();
    });
  }
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
