/**
 * Pings one agent every 5 ms from outside and says how long the acks took: what the cluster sees of an agent under load, whatever the agent
 * measures of itself. A process of its own. With ECHO_IP it sends a datagram to an idle process (`echo.ts`) with each ping as a control: what that takes, the machine
 * and the prober take of the pings too. Prints one JSON line after SECONDS.
 *
 *   node dist/test/load/prober.js AGENT_IP OWN_IP AGENT_NAME SECONDS [KEY_BASE64 [ECHO_IP]]
 */
import { createSocket } from "node:dgram";
import { ipToBytes } from "../../src/base/endpoint.ts";
import { NodeSealer } from "../../src/io/node-sealer.ts";
import { decodePacketMessage, encodePing } from "../../src/wire/gossip-codec.ts";
import { openPacket, packPacket } from "../../src/wire/packet.ts";

export interface RoundTripReport {
  readonly sent: number;
  readonly lost: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  /** The slowest answer to what was sent in each second, null when none was answered. */
  readonly slowestMsBySecond: readonly (number | null)[];
}

export interface ProbeReport extends RoundTripReport {
  /** The worst delay of the prober's own timer: beyond it the figures above say nothing about the agent. */
  readonly ownDelayMaxMs: number;
  /** The same of the idle process; null without one. */
  readonly control: RoundTripReport | null;
}

const INTERVAL_MS = 5;
const GOSSIP_PORT = 7946;
/** Unanswered for so long, a ping counts as lost. */
const LOST_MS = 2_000;
const NONE = new Uint8Array(0);

/** When what was sent, and how long the answers took. */
class RoundTrips {
  readonly #sentAtMs = new Map<number, number>();
  readonly #delaysMs: number[] = [];
  readonly #slowestMsBySecond: (number | null)[] = [];
  readonly #startedAtMs = performance.now();
  #sent = 0;

  sent(seq: number, atMs: number): void {
    this.#sent += 1;
    this.#sentAtMs.set(seq, atMs);
  }

  answered(seq: number, nowMs: number): void {
    const atMs = this.#sentAtMs.get(seq);
    if (atMs === undefined) return;
    this.#sentAtMs.delete(seq);
    this.#delaysMs.push(nowMs - atMs);
    const second = Math.floor((atMs - this.#startedAtMs) / 1000);
    this.#slowestMsBySecond[second] = Math.max(this.#slowestMsBySecond[second] ?? 0, Math.round(nowMs - atMs));
  }

  report(): RoundTripReport {
    const delaysMs = this.#delaysMs.toSorted((a, b) => a - b);
    const at = (share: number): number => Math.round((delaysMs[Math.min(delaysMs.length - 1, Math.floor(share * delaysMs.length))] ?? 0) * 1000) / 1000;
    const slowestMsBySecond = Array.from(this.#slowestMsBySecond, (ms) => ms ?? null);
    return { sent: this.#sent, lost: this.#sentAtMs.size, p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999), maxMs: at(1), slowestMsBySecond };
  }
}

const [agentIp = "", ownIp = "", agentName = "", seconds = "10", key = "", echoIp = "", begin = "now"] = process.argv.slice(2);
const sealer = new NodeSealer(key === "" ? [] : [Buffer.from(key, "base64")]);
let pings = new RoundTrips();
let controls = new RoundTrips();
const socket = createSocket({ type: "udp4", lookup: (host, _options, done) => done(null, host, 4) });
let seq = 0;
let lastTickMs = 0;
let ownDelayMaxMs = 0;

socket.on("message", (packet, { address }) => {
  const nowMs = performance.now();
  if (address === echoIp) {
    controls.answered(packet.readUInt32BE(), nowMs);
    return;
  }
  for (const bytes of openPacket(packet, { sealer, label: NONE, verifyIncoming: true }).messages) {
    const message = decodePacketMessage(bytes);
    if (message.ok && message.value.kind === "ack") pings.answered(message.value.seq, nowMs);
  }
});

function ping(): void {
  const nowMs = performance.now();
  if (lastTickMs > 0) ownDelayMaxMs = Math.max(ownDelayMaxMs, nowMs - lastTickMs - INTERVAL_MS);
  lastTickMs = nowMs;
  seq += 1;
  pings.sent(seq, nowMs);
  const message = encodePing({ seq, node: agentName, sourceAddr: ipToBytes(ownIp), sourcePort: GOSSIP_PORT, sourceNode: "prober" });
  const [packet] = packPacket([message], { crc: false, compress: false, label: NONE, sealer, encryptionVersion: 1, verifyOutgoing: true });
  if (packet !== undefined) socket.send(packet, GOSSIP_PORT, agentIp);
  if (echoIp === "") return;
  controls.sent(seq, nowMs);
  const control = Buffer.alloc(4);
  control.writeUInt32BE(seq);
  socket.send(control, GOSSIP_PORT, echoIp);
}

function report(): void {
  const answer: ProbeReport = { ...pings.report(), ownDelayMaxMs: Math.round(ownDelayMaxMs), control: echoIp === "" ? null : controls.report() };
  process.stdout.write(`${JSON.stringify(answer)}\n`);
  socket.close();
}

socket.bind(GOSSIP_PORT, ownIp, () => {
  const timer = setInterval(ping, INTERVAL_MS);
  const measure = (): void => {
    pings = new RoundTrips();
    controls = new RoundTrips();
    ownDelayMaxMs = 0;
    setTimeout(() => {
      clearInterval(timer);
      setTimeout(report, LOST_MS);
    }, Number(seconds) * 1000);
  };
  if (begin === "signal") process.once("SIGUSR2", measure);
  else measure();
  process.stdout.write("PROBING\n");
});
