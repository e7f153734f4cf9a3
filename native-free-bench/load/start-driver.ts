/** From the start of the process to the first RPC answer, what a `members` command takes, and what an agent that idles costs. */
import { spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { Agent, type Target } from "./agent.ts";
import { interleave, type Bench, type Driver } from "./bench.ts";
import { cpuUs, rssMib } from "./process-cost.ts";
import { makeRow, type Row } from "../rows.ts";

const US_PER_MS = 1000;
const PERCENT = 100;
/** What a start leaves behind (compilers, collectors) is over after this. */
const CALM_MS = 1000;

/** Runs `members` against an agent and resolves with its duration in ms. */
function runMembers(bench: Bench, target: Target, agent: Agent): Promise<number> {
  const [program = "", ...args]: readonly string[] = [...bench.pinning.cluster, ...target.command, "members", `-rpc-addr=${agent.rpcAddress}`];
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0 && output.includes(agent.name)) resolve(performance.now() - startMs);
      else reject(new Error(`members ended with ${code} and printed: ${output}`));
    });
  });
}

export const startDriver: Driver = {
  name: "start",
  about: "start-up, the members command, and idle cost of a lone agent",
  async run(bench, report) {
    const row = (operation: string, metric: string, unit: string, limits: Pick<Row, "bar"> = {}): Row => makeRow({ group: "start", operation, metric, unit, ...limits });
    const start = row("agent start", "to the first RPC answer", "ms");
    const startCpu = row("agent start", "CPU", "ms");
    const members = row("members command", "duration", "ms");
    const idleCpu = row("idle agent", "CPU", "% of a core");
    const idleRss = row("idle agent", "RSS", "MiB", { bar: { of: "ours", atMost: 75 } });
    await interleave(bench, bench.scale.starts, async (target, run) => {
      const { side } = target;
      bench.progress(`start: ${side}, run ${run + 1}`);
      const startMs = performance.now();
      const agent = new Agent({ target, name: "bench", ip: bench.nextIp(), prefix: bench.pinning.server });
      try {
        const client = await agent.connect();
        start.samples[side].push(performance.now() - startMs);
        startCpu.samples[side].push(cpuUs(agent.pid) / US_PER_MS);
        client.close();
        members.samples[side].push(await runMembers(bench, target, agent));
        if (run > 0) return;
        await delay(CALM_MS);
        const before = cpuUs(agent.pid);
        const idleMs = performance.now();
        await delay(bench.scale.idleMs);
        idleCpu.samples[side].push(((cpuUs(agent.pid) - before) / US_PER_MS / (performance.now() - idleMs)) * PERCENT);
        idleRss.samples[side].push(rssMib(agent.pid));
      } finally {
        await agent.kill();
      }
    });
    report([start, startCpu, members, idleCpu, idleRss]);
  },
};
