/**
 * Gossip flood against a live agent with packet lanes (issue 4, B2): 20,000 packets/s of about 880 bytes for 30 s, 90 % repeats, while a
 * prober pings every 5 ms and three more agents probe it as members do. The prober is there before the flood, and asks an idle process with each ping: what that
 * takes longer is not the agent's doing. Prints a JSON report; exit 1 when a bar is missed.
 *
 *   node dist/test/load/flood.js [--seconds 30] [--warm 5] [--rate 20000] [--lanes 1] [--network 127.0.23]
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { RECEIVE_BUFFER_BYTES } from "../../src/io/udp-socket.ts";
import { connectTo, cpuMs, LOAD_KEY, machineLine, socketDrops, startCluster, startEcho, startLoadProgram, stopCluster, threadsCpuMs, watchMembers } from "./load-agents.ts";
import type { SendReport } from "./packet-sender.ts";
import type { ProbeReport } from "./prober.ts";
import { readOrExplain } from "./usage.ts";
import type { SerfAgent } from "../support/serf-agent.ts";

export interface FloodOptions {
  readonly seconds: number;
  /** At a tenth of the rate before. 0: the flood meets an agent that has just been started. */
  readonly warmSeconds: number;
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
  /** Of the agent's socket, as granted. */
  readonly receiveBufferBytes: number;
  /** CPU of the agent per packet sent, all its threads, in µs. */
  readonly cpuUsPerPacket: number;
  /** The same per thread, main first, in percent of a core; threads that did nothing are left out. */
  readonly threadsPercent: readonly number[];
  /** CPU of the other agents, which get all events from it, in percent of a core. */
  readonly othersPercent: readonly number[];
  /** The agent's own section about its lanes. */
  readonly lanes: Readonly<Record<string, string>>;
  readonly notAlive: readonly string[];
}

const ECHO_START_MS_MAX = 10_000;

export async function flood({ seconds, warmSeconds, rate, lanes, network }: FloodOptions): Promise<FloodReport> {
  const agents = await startCluster(network, 4, [`-packet-workers=${lanes}`]);
  const echoIp = `${network}.22`;
  const echo = startEcho(echoIp);
  try {
    await echo.waitFor("it listened", (output) => output.includes("ECHO"), ECHO_START_MS_MAX);
    const target = agents[0] as SerfAgent;
    const members = watchMembers(agents);
    const deadlineMs = 1000 * (seconds + warmSeconds) + 60_000;
    const sender = startLoadProgram<SendReport>("packet-sender", [target.ip, `${network}.20`, target.name, String(seconds), String(rate), LOAD_KEY, String(warmSeconds)], deadlineMs);
    const prober = startLoadProgram<ProbeReport>("prober", [target.ip, `${network}.21`, target.name, String(seconds), LOAD_KEY, echoIp, "signal"], deadlineMs);
    await prober.printed("PROBING");
    await sender.printed("FLOOD");
    prober.signal("SIGUSR2");
    const { pid } = target.child;
    const cpuBefore = cpuMs(pid);
    const threadsBefore = threadsCpuMs(pid);
    const othersBefore = agents.map(({ child }) => cpuMs(child.pid));
    const send = await sender.report;
    const cpu = cpuMs(pid) - cpuBefore;
    const percent = (ms: number): number => Math.round(ms / (10 * seconds));
    const threadsPercent = threadsCpuMs(pid).map((ms, i) => percent(ms - (threadsBefore[i] ?? 0))).filter((share) => share > 0);
    const othersPercent = agents.map(({ child }, i) => percent(cpuMs(child.pid) - (othersBefore[i] ?? 0))).slice(1);
    const probe = await prober.report;
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
      threadsPercent,
      othersPercent,
      receiveBufferBytes: Math.min(RECEIVE_BUFFER_BYTES, Number(readFileSync("/proc/sys/net/core/rmem_max", "utf8"))),
      lanes: Object.fromEntries(section),
      notAlive,
    };
  } finally {
    await Promise.all([stopCluster(agents), echo.stop("SIGKILL")]);
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

const USAGE = "usage: node dist/test/load/flood.js [--seconds 30] [--warm 5] [--rate 20000] [--lanes 1] [--network 127.0.23]";

const text = { type: "string" } as const;
const { values } = readOrExplain(USAGE, () => parseArgs({ options: { seconds: text, warm: text, rate: text, lanes: text, network: text } }));
const report = await flood({
  seconds: Number(values.seconds ?? 30),
  warmSeconds: Number(values.warm ?? 5),
  rate: Number(values.rate ?? 20_000),
  lanes: Number(values.lanes ?? 1),
  network: values.network ?? "127.0.23",
});
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
for (const bar of missed(report)) {
  process.stderr.write(`missed: ${bar}\n`);
  process.exitCode = 1;
}
