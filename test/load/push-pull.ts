/**
 * What a large push/pull does to an agent: one that is encrypted and compressed is sent to it, while a prober in this process pings it every 2 ms. First
 * all members are new to the agent; then it knows them and answers with as many. Prints a JSON report.
 *
 *   node dist/test/load/push-pull.js [--members 1000,5000,10000] [--lanes N] [--network 127.0.23]
 */
import { createSocket, type Socket } from "node:dgram";
import { connect } from "node:net";
import { parseArgs } from "node:util";
import { ipToBytes } from "../../src/base/endpoint.ts";
import { NodeSealer } from "../../src/io/node-sealer.ts";
import { decodePacketMessage, encodePing, encodePushPull } from "../../src/wire/gossip-codec.ts";
import { openPacket, packPacket } from "../../src/wire/packet.ts";
import { encodeSerfPushPull } from "../../src/wire/serf-codec.ts";
import { encodeTags } from "../../src/wire/serf-tags.ts";
import { encodeStream } from "../../src/wire/stream.ts";
import { SerfAgent } from "../support/serf-agent.ts";
import { cpuMs, LOAD_KEY, machineLine } from "./load-agents.ts";

const GOSSIP_PORT = 7946;
const PING_MS = 2;
const ROUNDS = ["all new", "all known", "all known again"] as const;
const WARM_UP = { members: 100, times: 10 };
const NONE = new Uint8Array(0);
const sealer = new NodeSealer([Buffer.from(LOAD_KEY, "base64")]);

interface Exchange {
  readonly round: string;
  /** From the first byte sent to the last one received. */
  readonly ms: number;
  readonly answerBytes: number;
  /** CPU of the agent, all threads. */
  readonly cpuMs: number;
  /** The longest answer to a ping meanwhile: how long the agent's main thread kept others waiting. */
  readonly slowestPingMs: number;
  readonly pings: number;
}

function pushPull(members: number): Uint8Array {
  const names = Array.from({ length: members }, (_, i) => `member-${i}`);
  const meta = encodeTags(new Map([["role", "web"], ["dc", "east"]]), 5);
  const nodes = names.map((name, i) => ({
    name, addr: Uint8Array.of(127, 200, i >>> 8, i & 255), port: GOSSIP_PORT, meta, incarnation: 1, state: 0, versions: Uint8Array.of(1, 5, 2, 2, 5, 5),
  }));
  const statusTimes = new Map(names.map((name, i) => [name, i + 1]));
  const userState = encodeSerfPushPull({ lamportTime: members + 1, statusTimes, leftMembers: [], eventTime: 1, events: [], queryTime: 1 });
  const message = encodePushPull({ join: false, nodes, userState });
  return encodeStream(message, { compress: true, sealer, label: NONE, initiator: true, encryptionVersion: 1, verifyOutgoing: true });
}

class Prober {
  readonly #socket: Socket;
  readonly #agent: SerfAgent;
  readonly #ip: string;
  readonly #sentAtMs = new Map<number, number>();
  #timer: NodeJS.Timeout | null = null;
  #seq = 0;
  slowestMs = 0;
  answered = 0;

  constructor(agent: SerfAgent, ip: string) {
    this.#agent = agent;
    this.#ip = ip;
    this.#socket = createSocket("udp4", (packet) => this.#heard(packet));
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.bind(GOSSIP_PORT, this.#ip, resolve));
    this.#timer = setInterval(() => this.#ping(), PING_MS);
  }

  reset(): void {
    this.slowestMs = 0;
    this.answered = 0;
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#socket.close();
  }

  #ping(): void {
    this.#seq += 1;
    const message = encodePing({ seq: this.#seq, node: this.#agent.name, sourceAddr: ipToBytes(this.#ip) ?? NONE, sourcePort: GOSSIP_PORT, sourceNode: "prober" });
    const [packet] = packPacket([message], { crc: false, compress: false, label: NONE, sealer, encryptionVersion: 1, verifyOutgoing: true });
    this.#sentAtMs.set(this.#seq, performance.now());
    if (packet !== undefined) this.#socket.send(packet, GOSSIP_PORT, this.#agent.ip, () => undefined);
  }

  #heard(packet: Uint8Array): void {
    for (const bytes of openPacket(packet, { sealer, label: NONE, verifyIncoming: true }).messages) {
      const message = decodePacketMessage(bytes);
      if (!message.ok || message.value.kind !== "ack") continue;
      const sentAtMs = this.#sentAtMs.get(message.value.seq);
      this.#sentAtMs.delete(message.value.seq);
      if (sentAtMs === undefined) continue;
      this.answered += 1;
      this.slowestMs = Math.max(this.slowestMs, performance.now() - sentAtMs);
    }
  }
}

/** Bytes of the answer. Only its end is looked for here: opening it would keep this process, and so the prober, busy. */
function exchange(ip: string, request: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: ip, port: GOSSIP_PORT, noDelay: true });
    let bytes = 0;
    socket.on("data", (chunk: Buffer) => (bytes += chunk.length));
    socket.on("error", reject);
    socket.on("end", () => resolve(bytes));
    socket.end(request);
  });
}

async function measure(members: number, lanes: number, network: string): Promise<readonly Exchange[]> {
  const agent = new SerfAgent({ program: "muster", name: "target", ip: `${network}.1`, args: ["-log-level=err", `-encrypt=${LOAD_KEY}`, `-packet-workers=${lanes}`] });
  const prober = new Prober(agent, `${network}.2`);
  try {
    await agent.started();
    await prober.start();
    const small = pushPull(WARM_UP.members);
    for (let i = 0; i < WARM_UP.times; i += 1) await exchange(agent.ip, small);
    const request = pushPull(members);
    const exchanges: Exchange[] = [];
    for (const round of ROUNDS) {
      await new Promise((resolve) => setTimeout(resolve, 1500));
      prober.reset();
      const startMs = performance.now();
      const cpuBefore = cpuMs(agent.child.pid);
      const answerBytes = await exchange(agent.ip, request);
      const ms = performance.now() - startMs;
      await new Promise((resolve) => setTimeout(resolve, 500)); // The agent merges after it has answered.
      const slowestPingMs = Math.round(10 * prober.slowestMs) / 10;
      exchanges.push({ round, ms: Math.round(ms), answerBytes, cpuMs: cpuMs(agent.child.pid) - cpuBefore, slowestPingMs, pings: prober.answered });
    }
    return exchanges;
  } finally {
    prober.stop();
    await agent.child.stop("SIGKILL");
  }
}

const { values } = parseArgs({ options: { members: { type: "string" }, lanes: { type: "string" }, network: { type: "string" } } });
const results = [];
for (const members of (values.members ?? "1000,5000,10000").split(",").map(Number)) {
  results.push({ members, requestBytes: pushPull(members).length, exchanges: await measure(members, Number(values.lanes ?? 1), values.network ?? "127.0.23") });
}
process.stdout.write(`${JSON.stringify({ machine: machineLine(), results }, null, 1)}\n`);
process.exit(0);
