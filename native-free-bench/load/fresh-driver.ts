/**
 * New user events, delivered to one RPC stream. Closed: never more than WINDOW events sent and not yet delivered, below the original's 512 deep queue
 * per stream, so that nothing may be lost. Open: packets at a fixed rate; the rate without a drop is the highest one tried at which at least
 * 99.5 % of the events and of the pings among them came back and the kernel dropped nothing. Each run has an agent of its own.
 */
import { setImmediate as turn, setTimeout as delay } from "node:timers/promises";
import type { Target } from "./agent.ts";
import { interleave, type Bench, type Driver } from "./bench.ts";
import { EventCounter } from "./event-counter.ts";
import { PacketRun } from "./packet-run.ts";
import { EVENTS_PER_PACKET, PacketFactory, type Wrapping } from "./packets.ts";
import { cpuUs, rssMib, udpDrops } from "./process-cost.ts";
import { makeRow, type Row } from "../rows.ts";
import { median } from "../statistics.ts";
import { SeededRandom } from "../../src/base/random.ts";

const WINDOW = 400;
const STALL_MS = 1000;
const QUIET_MS = 300;
const PACKETS_PER_PING = 50;
const DELIVERED_MIN = 0.995;
/** The search ends when the best rate that passed and the lowest that failed are this close. */
const RATE_RESOLUTION = 1.15;
/** The load generator itself is the limit when it sends less than this part of the rate. */
const PACE_MIN = 0.9;
const US_PER_MS = 1000;

interface Fresh {
  readonly run: PacketRun;
  readonly counter: EventCounter;
  readonly factory: PacketFactory;
}

async function startFresh(bench: Bench, target: Target, wrapping: Wrapping): Promise<Fresh> {
  const factory = new PacketFactory(wrapping, new SeededRandom(bench.seed));
  const run = await PacketRun.start(bench, target, factory);
  try {
    return { run, counter: await EventCounter.open(run.client), factory };
  } catch (error) {
    await run.stop();
    throw error;
  }
}

function build({ factory }: Fresh, packets: number): Uint8Array[] {
  return Array.from({ length: packets }, () => factory.seal(factory.events()));
}

/** Sends all packets within the window and waits for all events. Fails when one is lost. */
async function sendClosed({ run, counter }: Fresh, packets: readonly Uint8Array[]): Promise<void> {
  const base = counter.distinct;
  const total = packets.length * EVENTS_PER_PACKET;
  let sent = 0;
  let lastMs = performance.now();
  let last = base;
  while (counter.distinct - base < total) {
    while (sent < packets.length && (sent + 1) * EVENTS_PER_PACKET - (counter.distinct - base) <= WINDOW) {
      run.send(packets[sent] as Uint8Array);
      sent += 1;
    }
    await turn();
    if (counter.distinct !== last) {
      last = counter.distinct;
      lastMs = performance.now();
    } else if (performance.now() - lastMs > STALL_MS) throw new Error(`${sent * EVENTS_PER_PACKET - (counter.distinct - base)} of ${sent * EVENTS_PER_PACKET} events were not delivered`);
  }
  if (counter.repeated > 0) throw new Error(`${counter.repeated} events were delivered twice`);
}

interface Trial {
  readonly passed: boolean;
  /** Packets per second that were really sent. */
  readonly rate: number;
}

async function sendOpen(bench: Bench, target: Target, wrapping: Wrapping, rate: number): Promise<Trial> {
  const fresh = await startFresh(bench, target, wrapping);
  const { run, counter } = fresh;
  try {
    await sendClosed(fresh, build(fresh, bench.scale.freshWarmPackets));
    const packets = build(fresh, Math.ceil((rate * bench.scale.openMs) / 1000));
    const base = counter.distinct;
    const baseAcks = run.acks;
    let sent = 0;
    let pings = 0;
    const startMs = performance.now();
    while (sent < packets.length) {
      const due = Math.min(packets.length, Math.floor(((performance.now() - startMs) / 1000) * rate));
      while (sent < due) {
        run.send(packets[sent] as Uint8Array);
        sent += 1;
        if (sent % PACKETS_PER_PING !== 0) continue;
        run.ping();
        pings += 1;
      }
      await turn();
    }
    const elapsedMs = performance.now() - startMs;
    do await delay(QUIET_MS / 10);
    while (counter.quietMs < QUIET_MS);
    const delivered = (counter.distinct - base) / (sent * EVENTS_PER_PACKET);
    const acked = pings === 0 ? 1 : (run.acks - baseAcks) / pings;
    const passed = delivered >= DELIVERED_MIN && acked >= DELIVERED_MIN && (udpDrops(run.agent.gossip) ?? 0) === 0;
    return { passed, rate: (sent / elapsedMs) * 1000 };
  } finally {
    await run.stop();
  }
}

/** Doubles or halves a first guess until one rate passed and one failed, then halves the distance between them. 0 when nothing passed. */
async function searchRate(bench: Bench, target: Target, wrapping: Wrapping, guess: number): Promise<number> {
  let passing = 0;
  let failing = Infinity;
  let rate = guess;
  for (let trial = 0; trial < bench.scale.openTrials && failing / passing > RATE_RESOLUTION; trial += 1) {
    bench.progress(`stream: ${wrapping}, ${target.side}, ${rate.toFixed(0)} packets/s`);
    const { passed, rate: sent } = await sendOpen(bench, target, wrapping, rate);
    if (passed) passing = Math.max(passing, sent);
    else failing = rate;
    if (passed && sent < rate * PACE_MIN) break;
    rate = failing === Infinity ? rate * 2 : passing === 0 ? rate / 2 : Math.sqrt(passing * failing);
  }
  return passing;
}

async function measureWrapping(bench: Bench, wrapping: Wrapping): Promise<readonly Row[]> {
  const common = { group: "stream", operation: `new events, ${wrapping}` };
  const cpu = makeRow({ ...common, metric: "CPU per event", unit: "µs", bar: { of: "ratio", atMost: 1 / 3 } });
  const rate = makeRow({ ...common, metric: "closed rate", unit: "packets/s" });
  const busy = makeRow({ ...common, metric: "server busy", unit: "cores" });
  const client = makeRow({ ...common, metric: "load generator busy", unit: "cores" });
  const memory = makeRow({ ...common, metric: "RSS after the run", unit: "MiB" });
  const noDrop = makeRow({ ...common, metric: "rate without a drop", unit: "packets/s", bar: { of: "ratio", atLeast: 4 } });
  const { runs, freshPackets } = bench.scale;
  await interleave(bench, runs, async (target, index) => {
    bench.progress(`stream: ${wrapping}, ${target.side}, run ${index + 1}`);
    const fresh = await startFresh(bench, target, wrapping);
    const { pid } = fresh.run.agent;
    try {
      await sendClosed(fresh, build(fresh, bench.scale.freshWarmPackets));
      const packets = build(fresh, freshPackets);
      const beforeUs = cpuUs(pid);
      const self = process.cpuUsage();
      const startMs = performance.now();
      await sendClosed(fresh, packets);
      const elapsedMs = performance.now() - startMs;
      const spentUs = cpuUs(pid) - beforeUs;
      const { user, system } = process.cpuUsage(self);
      cpu.samples[target.side].push(spentUs / packets.length / EVENTS_PER_PACKET);
      rate.samples[target.side].push((packets.length / elapsedMs) * 1000);
      busy.samples[target.side].push(spentUs / US_PER_MS / elapsedMs);
      client.samples[target.side].push((user + system) / US_PER_MS / elapsedMs);
      memory.samples[target.side].push(rssMib(pid));
    } finally {
      await fresh.run.stop();
    }
  });
  for (const target of bench.targets) noDrop.samples[target.side].push(await searchRate(bench, target, wrapping, median(rate.samples[target.side])));
  return [cpu, rate, busy, client, memory, noDrop];
}

export const freshDriver: Driver = {
  name: "stream",
  about: "packets of 20 new events, delivered to one RPC stream",
  async run(bench, report) {
    for (const wrapping of bench.scale.streamWrappings) report(await measureWrapping(bench, wrapping));
  },
};
