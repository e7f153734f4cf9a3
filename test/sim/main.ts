/**
 * `npm run sim`: plays scenarios in the simulation. Progress on stderr; on stdout one table row and one JSON line per run; exit 1 when a
 * checker complains, 2 when the command line is wrong.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { RunReport } from "../../src/sim/run-report.ts";
import type { ScenarioRun } from "../../src/sim/scenario-run.ts";
import { SCENARIOS } from "../../src/sim/scenarios.ts";
import type { CodecMode } from "../../src/sim/sim-codec.ts";
import { playLanes } from "./lanes.ts";
import { replayCommand } from "../../src/cli/sim/play.ts";
import { raftMain } from "./raft-main.ts";
import { prepareScenario } from "./run.ts";

const USAGE = `usage: npm run sim -- [--scenario NAME] [--seed N | --seeds A-B] [--nodes N] [--codec full|sampled|off] [--original] [--lanes] [--trace] [--quiet] [--log FILE] [--for SECONDS]
       npm run sim -- raft [--seed N | --seeds A-B] [--minutes N]: the Raft core under mixed faults

  --scenario   ${[...SCENARIOS.keys()].join(", ")} (default mixed-faults)
  --seed       one run with this seed (default 1)
  --seeds      one run for each seed from A to B
  --nodes      number of nodes, 2 to 20000 (default: the scenario's)
  --codec      full: every packet is really encoded; sampled: one in 31; off (default sampled)
  --original   with memberlist's and Serf's own constants, without our floors and repairs, for comparison
  --lanes      nodes behind packet lanes: each seed with and without the repeat filter, which must be the same run (default 10 nodes)
  --trace      print every input of every node on stderr
  --quiet      no progress on stderr
  --log        add a line of JSON for each run to this file, and leave out seeds of this scenario and size that stand in it as ok
  --for        start no further run after so many seconds`;

interface Options {
  readonly scenario: string;
  readonly seeds: readonly [first: number, last: number];
  readonly nodes: number | null;
  readonly codec: CodecMode;
  readonly original: boolean;
  readonly lanes: boolean;
  readonly trace: boolean;
  readonly quiet: boolean;
  readonly log: string | null;
  readonly forSeconds: number;
}

class UsageError extends Error {}

function readOptions(args: string[]): Options {
  const { values } = parse(args);
  const scenario = values.scenario ?? "mixed-faults";
  if (!SCENARIOS.has(scenario)) throw new UsageError(`--scenario: there is no "${scenario}"; choose one of ${[...SCENARIOS.keys()].join(", ")}`);
  const codec = values.codec ?? "sampled";
  if (codec !== "full" && codec !== "sampled" && codec !== "off") throw new UsageError(`--codec: "${codec}" is neither full, sampled nor off`);
  if (values.seed !== undefined && values.seeds !== undefined) throw new UsageError("--seed and --seeds exclude each other");
  const seed = values.seed === undefined ? 1 : integer("--seed", values.seed, 0, 0xffff_ffff);
  return {
    scenario,
    seeds: values.seeds === undefined ? [seed, seed] : range(values.seeds),
    nodes: values.nodes === undefined ? null : integer("--nodes", values.nodes, 2, 20_000),
    codec,
    original: values.original ?? false,
    lanes: values.lanes ?? false,
    trace: values.trace ?? false,
    quiet: values.quiet ?? false,
    log: values.log ?? null,
    forSeconds: values.for === undefined ? Infinity : integer("--for", values.for, 1, 1_000_000),
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        scenario: { type: "string" },
        seed: { type: "string" },
        seeds: { type: "string" },
        nodes: { type: "string" },
        codec: { type: "string" },
        original: { type: "boolean" },
        lanes: { type: "boolean" },
        trace: { type: "boolean" },
        quiet: { type: "boolean" },
        log: { type: "string" },
        for: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function integer(flag: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || value < min || value > max) throw new UsageError(`${flag}: "${text}" is not an integer from ${min} to ${max}`);
  return value;
}

function range(text: string): [number, number] {
  const [first, last, ...more] = text.split("-");
  if (first === undefined || last === undefined || more.length > 0) throw new UsageError(`--seeds: "${text}" is not of the form A-B`);
  const from = integer("--seeds", first, 0, 0xffff_ffff);
  return [from, integer("--seeds", last, from, 0xffff_ffff)];
}

const LANES_NODES = 10;
const HEAD = ["scenario", "seed", "nodes", "virtual s", "wall s", "converged s", "false", "events", "≤2 s %", "max ms", "trace hash", "verdict"];

function row(report: RunReport, wallSeconds: number): string[] {
  const { events } = report;
  return [
    report.scenario,
    String(report.seed),
    String(report.nodes),
    report.virtualSeconds.toFixed(1),
    wallSeconds.toFixed(2),
    report.convergedAfterSeconds < 0 ? "never" : report.convergedAfterSeconds.toFixed(1),
    String(report.falseFailures),
    `${events.delivered}/${events.pairs}`,
    events.pairs === 0 ? "-" : ((100 * events.within2s) / events.pairs).toFixed(3),
    events.maxMs.toFixed(0),
    report.traceHash,
    report.violations.length === 0 ? "ok" : "VIOLATION",
  ];
}

/** One run in the log of a long campaign. */
interface LogLine {
  readonly scenario: string;
  readonly nodes: number;
  readonly seed: number;
  readonly virtualSeconds: number;
  readonly wallSeconds: number;
  readonly traceHash: string;
  /** What was done to the cluster besides starting it: cuts, pauses, kills, restarts, leaves; and the user events sent. */
  readonly faults: number;
  readonly events: number;
  readonly falseFailures: number;
  readonly ok: boolean;
}

/** Seeds that need not be played again. */
function seedsDone({ log, scenario, nodes }: Options): ReadonlySet<number> {
  if (log === null || !existsSync(log)) return new Set();
  const wanted = nodes ?? SCENARIOS.get(scenario)?.nodesDefault;
  const lines = readFileSync(log, "utf8").split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as LogLine);
  return new Set(lines.filter((line) => line.ok && line.scenario === scenario && line.nodes === wanted).map(({ seed }) => seed));
}

function logRun(file: string, { ledger }: ScenarioRun, report: RunReport, wallSeconds: number): void {
  const { scenario, nodes, seed, virtualSeconds, traceHash, events, falseFailures, violations } = report;
  const faults = ledger.faults.filter(({ what }) => what !== "start").length;
  const line: LogLine = { scenario, nodes, seed, virtualSeconds, wallSeconds, traceHash, faults, events: events.sent, falseFailures, ok: violations.length === 0 };
  appendFileSync(file, `${JSON.stringify(line)}\n`);
}

const WIDTHS = [14, 10, 6, 9, 8, 11, 6, 13, 8, 7, 16, 9];

function print(cells: readonly string[]): void {
  process.stdout.write(`${cells.map((cell, i) => cell.padEnd(WIDTHS[i] ?? 0)).join("  ").trimEnd()}\n`);
}

function main(): void {
  const options = readOptions(process.argv.slice(2));
  const [first, last] = options.seeds;
  if (options.lanes) {
    const different = playLanes(first, last, options.nodes ?? LANES_NODES, (line) => void process.stdout.write(`${line}\n`));
    process.exitCode = different > 0 ? 1 : 0;
    return;
  }
  print(HEAD);
  let failed = 0;
  const done = seedsDone(options);
  const endMs = performance.now() + 1_000 * options.forSeconds;
  for (let seed = first; seed <= last; seed += 1) {
    if (done.has(seed)) continue;
    const startedMs = performance.now();
    if (startedMs > endMs) break;
    let shownMs = startedMs;
    const progress = (virtualMs: number): void => {
      const nowMs = performance.now();
      if (options.quiet || nowMs - shownMs < 1_000) return;
      shownMs = nowMs;
      process.stderr.write(`${options.scenario} seed ${seed}: ${(virtualMs / 1000).toFixed(1)} virtual s after ${((nowMs - startedMs) / 1000).toFixed(0)} s\n`);
    };
    const trace = options.trace ? (line: string) => void process.stderr.write(`${line}\n`) : null;
    const run = prepareScenario({ ...options, seed, trace, progress });
    const report = run.run();
    const wallSeconds = (performance.now() - startedMs) / 1000;
    print(row(report, wallSeconds));
    if (options.log === null) process.stdout.write(`${JSON.stringify({ ...report, wallSeconds, rssBytes: process.memoryUsage.rss() })}\n`);
    else logRun(options.log, run, report, wallSeconds);
    if (report.violations.length === 0) continue;
    failed += 1;
    for (const { atUs, checker, text } of report.violations) process.stderr.write(`at ${(atUs / 1e6).toFixed(6)} s, ${checker}: ${text}\n`);
    process.stderr.write(`replay: ${replayCommand({ ...options, seed })}\n`);
  }
  if (failed > 0) process.stderr.write(`${failed} of ${last - first + 1} runs failed\n`);
  process.exitCode = failed > 0 ? 1 : 0;
}

if (process.argv[2] === "raft") process.exitCode = raftMain(process.argv.slice(3));
else if (process.argv.includes("--help") || process.argv.includes("-h")) process.stdout.write(`${USAGE}\n`);
else {
  try {
    main();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n${USAGE}\n`);
    process.exitCode = 2;
  }
}
