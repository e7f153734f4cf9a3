/**
 * Gossip flood against a live agent with packet lanes (issue 4, B2): 20,000 packets/s of about 880 bytes for 30 s, 90 % repeats, while a
 * prober pings every 5 ms and three more agents probe it as members do. Prints a JSON report; exit 1 when a bar is missed.
 *
 *   node dist/test/load/flood.js [--seconds 30] [--rate 20000] [--lanes 1] [--network 127.0.23]
 */
import { parseArgs } from "node:util";
import { connectTo, cpuMs, LOAD_KEY, machineLine, runLoadProgram, socketDrops, startCluster, stopCluster, watchMembers } from "./load-agents.ts";
import type { SendReport } from "./packet-sender.ts";
import type { ProbeReport } from "./prober.ts";
import type { SerfAgent } from "../support/serf-agent.ts";

export interface FloodOptions {
  readonly seconds: number;
  readonly rate: number;
  readonly lanes: number;
  /** First three bytes of loopback addresses that nobody else uses. */
  readonly network: string;
}

export interface FloodReport {
  readonly machine: string;
  readonly send: SendReport;
  readonly probe: ProbeReport;
  /** Of all packets opened, in percent. */
  readonly offloadedPercent: number;
  readonly socketDrops: number;
  /** CPU of the agent per packet sent, all its threads, in µs. */
  readonly cpuUsPerPacket: number;
  /** The agent's own section about its lanes. */
  readonly lanes: Readonly<Record<string, string>>;
  readonly notAlive: readonly string[];
}

export async function flood({ seconds, rate, lanes, network }: FloodOptions): Promise<FloodReport> {
  const agents = await startCluster(network, 4, [`-packet-workers=${lanes}`]);
  try {
    const target = agents[0] as SerfAgent;
    const members = watchMembers(agents);
    const cpuBefore = cpuMs(target.child.pid);
    const deadlineMs = 1000 * seconds + 30_000;
    const [send, probe] = await Promise.all([
      runLoadProgram<SendReport>("packet-sender", [target.ip, `${network}.20`, target.name, String(seconds), String(rate), LOAD_KEY], deadlineMs),
      runLoadProgram<ProbeReport>("prober", [target.ip, `${network}.21`, target.name, String(seconds), LOAD_KEY], deadlineMs),
    ]);
    const cpu = cpuMs(target.child.pid) - cpuBefore;
    const notAlive = await members.stop();
    const client = await connectTo(target);
    const section = (await client.stats()).get("packet_lanes") ?? new Map<string, string>();
    client.close();
    const offloaded = Number(section.get("packets_offloaded") ?? 0);
    const inline = Number(section.get("packets_inline") ?? 0);
    return {
      machine: machineLine(),
      send,
      probe,
      offloadedPercent: Math.round((10_000 * offloaded) / Math.max(1, offloaded + inline)) / 100,
      socketDrops: socketDrops(target.ip),
      cpuUsPerPacket: Math.round((10_000 * cpu) / send.sent) / 10,
      lanes: Object.fromEntries(section),
      notAlive,
    };
  } finally {
    await stopCluster(agents);
  }
}

/** Bars of the issue that this report misses. */
function missed({ offloadedPercent, lanes, probe, notAlive, socketDrops: drops }: FloodReport): string[] {
  const bars: [string, boolean][] = [
    ["95 % of the packets go through lanes", offloadedPercent >= 95],
    ["p99 of the loop delay ≤ 10 ms", Number(lanes["loop_delay_p99_ms"]) <= 10],
    ["maximum of the loop delay ≤ 50 ms", Number(lanes["loop_delay_max_ms"]) <= 50],
    ["p99.9 of the outside prober ≤ 50 ms", probe.p999Ms <= 50 && probe.lost === 0],
    ["no live agent called failed", notAlive.length === 0],
    ["no packet lost to the socket buffer", drops === 0],
  ];
  return bars.filter(([, held]) => !held).map(([bar]) => bar);
}

const { values } = parseArgs({ options: { seconds: { type: "string" }, rate: { type: "string" }, lanes: { type: "string" }, network: { type: "string" } } });
const report = await flood({
  seconds: Number(values.seconds ?? 30),
  rate: Number(values.rate ?? 20_000),
  lanes: Number(values.lanes ?? 1),
  network: values.network ?? "127.0.23",
});
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
for (const bar of missed(report)) {
  process.stderr.write(`missed: ${bar}\n`);
  process.exitCode = 1;
}
