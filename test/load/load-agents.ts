/** A small live cluster for load programs, and what an outside observer can see of its first agent. */
import { readdirSync, readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { SerfClient } from "../../src/client/serf-client.ts";
import { Child } from "../support/child.ts";
import { projectPath } from "../support/project-root.ts";
import { SerfAgent } from "../support/serf-agent.ts";

export const LOAD_KEY = Buffer.alloc(16, 7).toString("base64");
const GOSSIP_PORT = 7946;

/** Agents at `network`.1 and up, joined; the first one is the target and takes `args` in addition. */
export async function startCluster(network: string, count: number, args: readonly string[]): Promise<readonly SerfAgent[]> {
  const agents: SerfAgent[] = [];
  try {
    for (let i = 1; i <= count; i += 1) {
      const more = i === 1 ? args : [`-join=${network}.1`, "-packet-workers=0"];
      agents.push(new SerfAgent({ program: "muster", name: `load-${i}`, ip: `${network}.${i}`, args: ["-log-level=warn", `-encrypt=${LOAD_KEY}`, ...more] }));
      await agents.at(-1)?.started();
    }
    const client = await connectTo(agents[0] as SerfAgent);
    while ((await client.members()).length < count) await new Promise((resolve) => setTimeout(resolve, 50));
    client.close();
    return agents;
  } catch (error) {
    await stopCluster(agents);
    throw error;
  }
}

export async function stopCluster(agents: readonly SerfAgent[]): Promise<void> {
  await Promise.all(agents.map((agent) => agent.child.stop("SIGKILL")));
}

export function connectTo(agent: SerfAgent): Promise<SerfClient> {
  return SerfClient.connect({ address: agent.rpcAddr });
}

/** An idle process for controls, at port 7946 of an address that nobody else uses; it says `ECHO` when it listens. */
export function startEcho(ip: string): Child {
  return new Child("echo", [process.execPath, projectPath("dist/test/load/echo.js"), ip]);
}

/** Datagrams that the kernel dropped because an agent's receive buffer was full. */
export function socketDrops(ip: string): number {
  const address = ip.split(".").reverse().map((part) => Number(part).toString(16).padStart(2, "0")).join("").toUpperCase();
  const wanted = `${address}:${GOSSIP_PORT.toString(16).toUpperCase()}`;
  for (const line of readFileSync("/proc/net/udp", "utf8").split("\n")) {
    const fields = line.trim().split(/\s+/);
    if (fields[1] === wanted) return Number(fields.at(-1));
  }
  return Number.NaN;
}

/** CPU time of a process so far, user and system, in ms. */
export function cpuMs(pid: number): number {
  return cpuMsIn(`/proc/${pid}/stat`);
}

/** CPU time of each thread of a process so far in ms, main first, the others by age. */
export function threadsCpuMs(pid: number): readonly number[] {
  const tasks = readdirSync(`/proc/${pid}/task`).map(Number).toSorted((a, b) => a - b);
  return tasks.map((task) => cpuMsIn(`/proc/${pid}/task/${task}/stat`));
}

function cpuMsIn(path: string): number {
  const fields = readFileSync(path, "utf8").replace(/^.*\) /, "").split(" ");
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

/** Runs one of the programs beside this file; the last line it prints is JSON. */
export function runLoadProgram<Report>(name: string, args: readonly string[], deadlineMs: number): Promise<Report> {
  return startLoadProgram<Report>(name, args, deadlineMs).report;
}

export interface LoadProgram<Report> {
  printed(text: string): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  readonly report: Promise<Report>;
}

/** As `runLoadProgram`, and `printed` resolves once the program has printed a text. */
export function startLoadProgram<Report>(name: string, args: readonly string[], deadlineMs: number): LoadProgram<Report> {
  const child = new Child(name, [process.execPath, projectPath(`dist/test/load/${name}.js`), ...args]);
  const end = async (): Promise<Report> => {
    const deadline = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
    const { code } = await child.exited;
    clearTimeout(deadline);
    if (code !== 0) throw new Error(`${name} ended with ${code}: ${child.output}`);
    return JSON.parse(child.output.trim().split("\n").at(-1) ?? "") as Report;
  };
  return {
    printed: (text) => child.waitFor(`it said ${text}`, (output) => output.includes(text), deadlineMs),
    signal: (signal) => child.kill(signal),
    report: end(),
  };
}

export function machineLine(): string {
  const processors = cpus();
  return `${processors.length} × ${processors[0]?.model.trim() ?? "?"}, Node ${process.version}, load average ${loadavg().map((load) => load.toFixed(1)).join(" ")}`;
}

/** Looks at every agent's members each second; what it saw of live agents that were not alive. */
export function watchMembers(agents: readonly SerfAgent[]): { stop(): Promise<readonly string[]> } {
  const seen = new Set<string>();
  let stopped = false;
  const watch = async (agent: SerfAgent): Promise<void> => {
    const client = await connectTo(agent);
    while (!stopped) {
      for (const { name, status } of await client.members()) if (status !== "alive") seen.add(`${agent.name} sees ${name} ${status}`);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    client.close();
  };
  const watches = agents.map(watch);
  return {
    async stop() {
      stopped = true;
      await Promise.all(watches);
      return [...seen];
    },
  };
}
