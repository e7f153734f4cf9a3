/**
 * Packets of events that the agent knows: most of what a member of a real cluster receives. Bursts of packets and a ping; the next burst goes out
 * when the ack is back, so nothing can be lost, and a burst that is not acknowledged in time fails the run.
 */
import type { Agent, Target } from "./agent.ts";
import { interleave, WARM_TIMES_MAX, type Bench, type Driver } from "./bench.ts";
import { PacketRun } from "./packet-run.ts";
import { PacketFactory, type Wrapping } from "./packets.ts";
import { cpuUs, udpDrops } from "./process-cost.ts";
import { makeRow, type Row, type Side } from "../rows.ts";
import { SeededRandom } from "../../src/base/random.ts";

const PACKETS = 40;
/** Each is sealed so often, so that what arrives repeats in content and not in bytes. */
const SEALINGS = 8;
const BURST = 16;
const US_PER_MS = 1000;
const DUPLICATE_BAR = { of: "ratio", atMost: 1 / 5 } as const;

interface Known {
  readonly run: PacketRun;
  readonly packets: readonly Uint8Array[];
}

async function teach(bench: Bench, target: Target, wrapping: Wrapping): Promise<Known> {
  const factory = new PacketFactory(wrapping, new SeededRandom(bench.seed));
  const plains = Array.from({ length: PACKETS }, () => factory.events());
  const run = await PacketRun.start(bench, target, factory);
  for (const plain of plains) {
    run.send(factory.seal(plain));
    await acknowledged(run);
  }
  return { run, packets: Array.from({ length: SEALINGS }, () => plains.map((plain) => factory.seal(plain))).flat() };
}

async function acknowledged(run: PacketRun): Promise<void> {
  if (!(await run.drained())) throw new Error("the agent did not acknowledge a ping");
}

/** Sends known packets for so long, and longer while fewer than `sentMin` were sent. Returns how many. */
async function repeat({ run, packets }: Known, durationMs: number, sentMin = 0): Promise<{ readonly sent: number; readonly elapsedMs: number }> {
  const startMs = performance.now();
  let sent = 0;
  const over = (elapsedMs: number): boolean => elapsedMs >= durationMs * WARM_TIMES_MAX || (elapsedMs >= durationMs && sent >= sentMin);
  while (!over(performance.now() - startMs)) {
    for (let i = 0; i < BURST; i += 1) {
      run.send(packets[sent % packets.length] as Uint8Array);
      sent += 1;
    }
    await acknowledged(run);
  }
  return { sent, elapsedMs: performance.now() - startMs };
}

async function measureWrapping(bench: Bench, wrapping: Wrapping): Promise<readonly Row[]> {
  const common = { group: "packets", operation: `known packet, ${wrapping}` };
  const cpu = makeRow({ ...common, metric: "CPU per packet", unit: "µs", bar: DUPLICATE_BAR });
  const rate = makeRow({ ...common, metric: "rate", unit: "packets/s" });
  const busy = makeRow({ ...common, metric: "server busy", unit: "cores" });
  const known = new Map<Side, Known>();
  try {
    for (const target of bench.targets) known.set(target.side, await teach(bench, target, wrapping));
    await interleave(bench, bench.scale.runs, async ({ side }, index) => {
      bench.progress(`packets: ${wrapping}, ${side}, run ${index + 1}`);
      const each = known.get(side) as Known;
      const { agent } = each.run;
      await repeat(each, bench.scale.warmMs, index === 0 ? bench.scale.warmOperations : 0);
      const before = cpuUs(agent.pid);
      const { sent, elapsedMs } = await repeat(each, bench.scale.windowMs);
      const spentUs = cpuUs(agent.pid) - before;
      assertNoDrops(agent);
      cpu.samples[side].push(spentUs / sent);
      rate.samples[side].push((sent / elapsedMs) * 1000);
      busy.samples[side].push(spentUs / US_PER_MS / elapsedMs);
    });
  } finally {
    for (const { run } of known.values()) await run.stop();
  }
  return [cpu, rate, busy];
}

function assertNoDrops(agent: Agent): void {
  const drops = udpDrops(agent.gossip);
  if (drops !== null && drops > 0) throw new Error(`the kernel dropped ${drops} packets`);
}

export const duplicatesDriver: Driver = {
  name: "packets",
  about: "packets of 20 events the agent knows already, in bursts of 16 paced by acks",
  async run(bench, report) {
    for (const wrapping of bench.scale.wrappings) report(await measureWrapping(bench, wrapping));
  },
};
