/**
 * Sends gossip packets of about 880 bytes at a steady rate: 11 messages (10 user events and an alive that is no news), encrypted, compressed;
 * every tenth packet is new and the others repeat recent ones, each sealed anew as a member would. All packets are made before the first one is
 * sent, so that on a small machine the sender takes little from the agent. A process of its own. It may begin with some seconds at a tenth of the rate,
 * which it does not report: an agent that has just been started compiles its code for the first second of any load. Prints `FLOOD` when it
 * begins at the full rate and one JSON line at the end.
 *
 *   node dist/test/load/packet-sender.js AGENT_IP OWN_IP AGENT_NAME SECONDS RATE KEY_BASE64 [WARM_SECONDS]
 */
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { ipToBytes } from "../../src/base/endpoint.ts";
import { NodeSealer } from "../../src/io/node-sealer.ts";
import { encodeAlive, encodeUser } from "../../src/wire/gossip-codec.ts";
import { packPlain, sealPacket } from "../../src/wire/packet.ts";
import { encodeUserEvent } from "../../src/wire/serf-codec.ts";
import { encodeTags } from "../../src/wire/serf-tags.ts";

export interface SendReport {
  readonly sent: number;
  readonly fresh: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly errors: number;
  /** CPU of this process while it sent, in percent of one core. */
  readonly cpuPercent: number;
  /** The longest pause of the sender: what came after it came as a burst. */
  readonly pauseMaxMs: number;
}

const GOSSIP_PORT = 7946;
const EVENTS_PER_PACKET = 10;
const FRESH_EVERY = 10;
/** Repeats are taken from so many packets: 0.1 s at full rate. */
const RECENT_PACKETS = 200;
/** Random text hardly shrinks: 11 messages become about 880 bytes. */
const PAYLOAD_BYTES = 44;
const PACKET_BYTES_MAX = 1000;
/** Between the last packet made and the first one sent. */
const PAUSE_MS = 1000;
const WARM_SHARE = 0.1;
const NONE = new Uint8Array(0);

const [agentIp = "", ownIp = "", agentName = "", seconds = "10", rate = "20000", key = "", warmSeconds = "0"] = process.argv.slice(2);
const format = { crc: true, label: NONE, sealer: new NodeSealer([Buffer.from(key, "base64")]), encryptionVersion: 1, verifyOutgoing: true } as const;
const oldNews = encodeAlive({
  node: agentName,
  incarnation: 0,
  addr: ipToBytes(agentIp),
  port: GOSSIP_PORT,
  meta: encodeTags(new Map(), 5),
  versions: Uint8Array.of(1, 5, 2, 2, 5, 5),
});
let lamportTime = 1000;

function freshPlain(): Uint8Array {
  const messages = [oldNews];
  const text = randomBytes(EVENTS_PER_PACKET * PAYLOAD_BYTES);
  for (let i = 0; i < EVENTS_PER_PACKET; i += 1) {
    lamportTime += 1;
    const payload = text.subarray(i * PAYLOAD_BYTES, (i + 1) * PAYLOAD_BYTES);
    messages.push(encodeUser(encodeUserEvent({ lamportTime, name: `load-${lamportTime}`, payload, coalesce: false })));
  }
  const [plain] = packPlain(messages, true);
  if (plain === undefined) throw new Error("no packet");
  return plain;
}

/** All packets, in one piece of memory: half a million small objects would cost the sender collections while it sends. */
class Packets {
  readonly #bytes: Buffer;
  readonly #ends: Uint32Array;
  fresh = 0;

  constructor(count: number) {
    this.#bytes = Buffer.allocUnsafeSlow(count * PACKET_BYTES_MAX);
    this.#ends = new Uint32Array(count + 1);
    const recent: Uint8Array[] = [];
    for (let i = 0; i < count; i += 1) {
      const isFresh = i % FRESH_EVERY === 0;
      const plain = isFresh ? freshPlain() : (recent[Math.floor(Math.random() * recent.length)] as Uint8Array);
      if (isFresh) recent[this.fresh++ % RECENT_PACKETS] = plain;
      const packet = sealPacket(plain, format);
      const start = this.#ends[i] as number;
      this.#bytes.set(packet, start);
      this.#ends[i + 1] = start + packet.length;
    }
  }

  at(i: number): Uint8Array {
    return this.#bytes.subarray(this.#ends[i], this.#ends[i + 1]);
  }

  bytesOf(count: number): number {
    return this.#ends[count] as number;
  }
}

/** Packets behind schedule sent in one go: a machine that paused us must not turn the flow into one burst. */
const CATCH_UP_PACKETS_MAX = 400;

const warmCount = Math.ceil(Number(rate) * WARM_SHARE * Number(warmSeconds));
const count = warmCount + Math.ceil(Number(rate) * Number(seconds));
const packets = new Packets(count);
const socket = createSocket({ type: "udp4", sendBufferSize: 4 << 20, lookup: (host, _options, done) => done(null, host, 4) });
let sent = 0;
let errors = 0;
let pauseMaxMs = 0;

function onSent(error: Error | null): void {
  if (error !== null) errors += 1;
}

/** Sends packets up to number `end`, so many a second. */
function sendTo(end: number, perSecond: number, done: () => void): void {
  let dueFrom = performance.now();
  let due = 0;
  const timer = setInterval(() => {
    const nowMs = performance.now();
    due += ((nowMs - dueFrom) * perSecond) / 1000;
    pauseMaxMs = Math.max(pauseMaxMs, nowMs - dueFrom);
    dueFrom = nowMs;
    const now = Math.min(Math.floor(due), CATCH_UP_PACKETS_MAX, end - sent);
    for (let i = 0; i < now; i += 1) socket.send(packets.at(sent++), GOSSIP_PORT, agentIp, onSent);
    due -= now;
    if (sent < end) return;
    clearInterval(timer);
    done();
  }, 1);
}

function flood(): void {
  process.stdout.write("FLOOD\n");
  const startMs = performance.now();
  const cpuBefore = process.cpuUsage();
  pauseMaxMs = 0;
  sendTo(count, Number(rate), () => {
    const ms = performance.now() - startMs;
    const { user, system } = process.cpuUsage(cpuBefore);
    const answer: SendReport = {
      sent: count - warmCount,
      fresh: Math.ceil((count - warmCount) / FRESH_EVERY),
      bytes: packets.bytesOf(count) - packets.bytesOf(warmCount),
      seconds: Math.round(ms) / 1000,
      errors,
      cpuPercent: Math.round((user + system) / 10 / ms),
      pauseMaxMs: Math.round(pauseMaxMs),
    };
    process.stdout.write(`${JSON.stringify(answer)}\n`);
    setTimeout(() => socket.close(), 100);
  });
}

socket.bind(0, ownIp, () => setTimeout(() => (warmCount > 0 ? sendTo(warmCount, Number(rate) * WARM_SHARE, flood) : flood()), PAUSE_MS));
