/**
 * Pings one agent every 5 ms from outside and says how long the acks took: what the cluster sees of an agent under load, whatever the agent
 * measures of itself. A process of its own. Prints one JSON line after SECONDS.
 *
 *   node dist/test/load/prober.js AGENT_IP OWN_IP AGENT_NAME SECONDS [KEY_BASE64]
 */
import { createSocket } from "node:dgram";
import { ipToBytes } from "../../src/base/endpoint.ts";
import { NodeSealer } from "../../src/io/node-sealer.ts";
import { decodePacketMessage, encodePing } from "../../src/wire/gossip-codec.ts";
import { openPacket, packPacket } from "../../src/wire/packet.ts";

export interface ProbeReport {
  readonly sent: number;
  readonly lost: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  /** The slowest answer to the pings of each second, null when none was answered. */
  readonly slowestMsBySecond: readonly (number | null)[];
  /** The worst delay of the prober's own timer: beyond it the figures above say nothing about the agent. */
  readonly ownDelayMaxMs: number;
}

const INTERVAL_MS = 5;
const GOSSIP_PORT = 7946;
/** Unanswered for so long, a ping counts as lost. */
const LOST_MS = 2_000;
const NONE = new Uint8Array(0);

const [agentIp = "", ownIp = "", agentName = "", seconds = "10", key = ""] = process.argv.slice(2);
const sealer = new NodeSealer(key === "" ? [] : [Buffer.from(key, "base64")]);
const sentAtMs = new Map<number, number>();
const delaysMs: number[] = [];
const slowestMsBySecond: (number | null)[] = [];
const startedAtMs = performance.now();
const socket = createSocket("udp4");
let seq = 0;
let lastTickMs = 0;
let ownDelayMaxMs = 0;

socket.on("message", (packet) => {
  const nowMs = performance.now();
  for (const bytes of openPacket(packet, { sealer, label: NONE, verifyIncoming: true }).messages) {
    const message = decodePacketMessage(bytes);
    if (!message.ok || message.value.kind !== "ack") continue;
    const atMs = sentAtMs.get(message.value.seq);
    if (atMs === undefined) continue;
    sentAtMs.delete(message.value.seq);
    delaysMs.push(nowMs - atMs);
    const second = Math.floor((atMs - startedAtMs) / 1000);
    slowestMsBySecond[second] = Math.max(slowestMsBySecond[second] ?? 0, Math.round(nowMs - atMs));
  }
});

function ping(): void {
  const nowMs = performance.now();
  if (lastTickMs > 0) ownDelayMaxMs = Math.max(ownDelayMaxMs, nowMs - lastTickMs - INTERVAL_MS);
  lastTickMs = nowMs;
  seq += 1;
  sentAtMs.set(seq, nowMs);
  const message = encodePing({ seq, node: agentName, sourceAddr: ipToBytes(ownIp), sourcePort: GOSSIP_PORT, sourceNode: "prober" });
  const [packet] = packPacket([message], { crc: false, compress: false, label: NONE, sealer, encryptionVersion: 1, verifyOutgoing: true });
  if (packet !== undefined) socket.send(packet, GOSSIP_PORT, agentIp);
}

function report(): void {
  delaysMs.sort((a, b) => a - b);
  const at = (share: number): number => Math.round((delaysMs[Math.min(delaysMs.length - 1, Math.floor(share * delaysMs.length))] ?? 0) * 1000) / 1000;
  const answer: ProbeReport = {
    sent: seq,
    lost: sentAtMs.size,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    p999Ms: at(0.999),
    maxMs: at(1),
    slowestMsBySecond: Array.from(slowestMsBySecond, (ms) => ms ?? null),
    ownDelayMaxMs: Math.round(ownDelayMaxMs),
  };
  process.stdout.write(`${JSON.stringify(answer)}\n`);
  socket.close();
}

socket.bind(GOSSIP_PORT, ownIp, () => {
  const timer = setInterval(ping, INTERVAL_MS);
  setTimeout(() => {
    clearInterval(timer);
    setTimeout(report, LOST_MS);
  }, Number(seconds) * 1000);
});
