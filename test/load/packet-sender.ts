/**
 * Sends gossip packets of about 880 bytes at a steady rate: 11 messages (10 user events and an alive that is no news), encrypted, compressed;
 * every tenth packet is new and the others repeat recent ones. A process of its own. Prints one JSON line at the end.
 *
 *   node dist/test/load/packet-sender.js AGENT_IP OWN_IP AGENT_NAME SECONDS RATE KEY_BASE64
 */
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { ipToBytes } from "../../src/base/endpoint.ts";
import { NodeSealer } from "../../src/io/node-sealer.ts";
import { encodeAlive, encodeUser } from "../../src/wire/gossip-codec.ts";
import { packPacket } from "../../src/wire/packet.ts";
import { encodeUserEvent } from "../../src/wire/serf-codec.ts";
import { encodeTags } from "../../src/wire/serf-tags.ts";

export interface SendReport {
  readonly sent: number;
  readonly fresh: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly errors: number;
}

const GOSSIP_PORT = 7946;
const EVENTS_PER_PACKET = 10;
const FRESH_EVERY = 10;
/** Repeats are taken from so many packets: 0.1 s at full rate. */
const RECENT_PACKETS = 200;
/** Random text hardly shrinks: 11 messages become about 880 bytes. */
const PAYLOAD_BYTES = 44;
const NONE = new Uint8Array(0);

const [agentIp = "", ownIp = "", agentName = "", seconds = "10", rate = "20000", key = ""] = process.argv.slice(2);
const sealer = new NodeSealer([Buffer.from(key, "base64")]);
const socket = createSocket({ type: "udp4", sendBufferSize: 4 << 20, lookup: (host, _options, done) => done(null, host, 4) });
const oldNews = encodeAlive({
  node: agentName,
  incarnation: 0,
  addr: ipToBytes(agentIp),
  port: GOSSIP_PORT,
  meta: encodeTags(new Map(), 5),
  versions: Uint8Array.of(1, 5, 2, 2, 5, 5),
});
const recent: Uint8Array[] = [];
let lamportTime = 1000;
let sent = 0;
let fresh = 0;
let bytes = 0;
let errors = 0;

function freshPacket(): Uint8Array {
  const messages = [oldNews];
  const text = randomBytes(EVENTS_PER_PACKET * PAYLOAD_BYTES);
  for (let i = 0; i < EVENTS_PER_PACKET; i += 1) {
    lamportTime += 1;
    const payload = text.subarray(i * PAYLOAD_BYTES, (i + 1) * PAYLOAD_BYTES);
    messages.push(encodeUser(encodeUserEvent({ lamportTime, name: `load-${lamportTime}`, payload, coalesce: false })));
  }
  const [packet] = packPacket(messages, { crc: true, compress: true, label: NONE, sealer, encryptionVersion: 1, verifyOutgoing: true });
  if (packet === undefined) throw new Error("no packet");
  fresh += 1;
  recent[fresh % RECENT_PACKETS] = packet;
  return packet;
}

function onSent(error: Error | null): void {
  if (error !== null) errors += 1;
}

function send(): void {
  const packet = sent % FRESH_EVERY === 0 ? freshPacket() : (recent[Math.floor(Math.random() * recent.length)] ?? freshPacket());
  sent += 1;
  bytes += packet.length;
  socket.send(packet, GOSSIP_PORT, agentIp, onSent);
}

/** Packets behind schedule sent in one go: a machine that paused us must not turn the flow into one burst. */
const CATCH_UP_PACKETS_MAX = 400;

socket.bind(0, ownIp, () => {
  const startMs = performance.now();
  const endMs = startMs + Number(seconds) * 1000;
  let dueFrom = startMs;
  let due = 0;
  const timer = setInterval(() => {
    const nowMs = performance.now();
    due += ((nowMs - dueFrom) * Number(rate)) / 1000;
    dueFrom = nowMs;
    const now = Math.min(Math.floor(due), CATCH_UP_PACKETS_MAX);
    for (let i = 0; i < now; i += 1) send();
    due -= now;
    if (nowMs < endMs) return;
    clearInterval(timer);
    setTimeout(() => {
      const answer: SendReport = { sent, fresh, bytes, seconds: Math.round(nowMs - startMs) / 1000, errors };
      process.stdout.write(`${JSON.stringify(answer)}\n`);
      socket.close();
    }, 100);
  }, 1);
});
