/**
 * How long `muster serf members` takes beside an empty Node program: both are started in turns, and the medians compared. Prints a JSON report; exit 1 when the command
 * takes more than 1.5 times as long.
 *
 *   node dist/test/load/command-start.js [--runs 30] [--ip 127.0.25.1]
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { projectPath } from "../support/project-root.ts";
import { SerfAgent } from "../support/serf-agent.ts";
import { machineLine } from "./load-agents.ts";

const RATIO_MAX = 1.5;
/** Runs before those that count: the files are in the kernel's cache then. */
const WARM_UP_RUNS = 3;

const { values } = parseArgs({ options: { runs: { type: "string" }, ip: { type: "string" } } });
const runs = Number(values.runs ?? 30);
const dir = mkdtempSync(join(tmpdir(), "muster-command-start-"));
const agent = new SerfAgent({ program: "muster", name: "command-start", ip: values.ip ?? "127.0.25.1" });
try {
  await agent.started();
  const empty = join(dir, "empty.mjs");
  writeFileSync(empty, "");
  const commands = { empty: [empty], members: [projectPath("dist/muster.cjs"), "serf", "members", `-rpc-addr=${agent.rpcAddr}`] };
  const times = { empty: [] as number[], members: [] as number[] };
  for (let i = -WARM_UP_RUNS; i < runs; i += 1) {
    for (const name of ["empty", "members"] as const) {
      const ms = timeOf(commands[name]);
      if (i >= 0) times[name].push(ms);
    }
  }
  const emptyMs = median(times.empty);
  const membersMs = median(times.members);
  const ratio = Math.round((100 * membersMs) / emptyMs) / 100;
  process.stdout.write(`${JSON.stringify({ machine: machineLine(), runs, emptyMs, membersMs, ratio }, null, 2)}\n`);
  if (ratio > RATIO_MAX) process.exitCode = 1;
} finally {
  await agent.child.stop("SIGKILL");
  rmSync(dir, { recursive: true });
}

function timeOf(args: readonly string[]): number {
  const startMs = performance.now();
  const { status } = spawnSync(process.execPath, args);
  const ms = performance.now() - startMs;
  if (status !== 0) throw new Error(`${args.join(" ")}: exit code ${status}`);
  return ms;
}

function median(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b);
  return Math.round(10 * (sorted[Math.floor(sorted.length / 2)] ?? 0)) / 10;
}
