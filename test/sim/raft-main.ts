/**
 * `npm run sim -- raft`: plays seeds of the Raft simulation; one JSON line a run. Exit 1 when a checker complains (the line that replays the run
 * is on stderr), 2 when the command line is wrong.
 */
import { appendFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { runRaft } from "../../src/sim/raft/raft-run.ts";

const USAGE = `usage: npm run sim -- raft [--seed N | --seeds A-B] [--minutes N] [--servers N] [--trace] [--log FILE] [--for SECONDS]

  --seed     one run with this seed (default 1)
  --seeds    one run for each seed from A to B
  --minutes  virtual time of a run (default 60)
  --servers  voters at first, 1 to 9 (default 5); two more stand by
  --trace    print every input of every server with its effects on stderr
  --log      add the lines to this file instead of printing them
  --for      start no further run after so many seconds`;

const WRONG_WORDS = 2;

interface Words {
  readonly first: number;
  readonly last: number;
  readonly minutes: number;
  readonly servers: number;
  readonly trace: boolean;
  readonly log: string | null;
  readonly forSeconds: number;
}

export function raftMain(args: string[]): number {
  const words = read(args);
  if (typeof words === "string") {
    process.stderr.write(`${words}\n${USAGE}\n`);
    return WRONG_WORDS;
  }
  const { first, last, minutes, servers, log } = words;
  const trace = words.trace ? { trace: (line: string) => void process.stderr.write(`${line}\n`) } : {};
  const endMs = performance.now() + 1000 * words.forSeconds;
  let failed = 0;
  for (let seed = first; seed <= last && performance.now() < endMs; seed += 1) {
    const startedMs = performance.now();
    const report = runRaft({ seed, minutes, servers, ...trace });
    const line = `${JSON.stringify({ ...report, wallSeconds: (performance.now() - startedMs) / 1000 })}\n`;
    if (log === null) process.stdout.write(line);
    else appendFileSync(log, line);
    if (report.violation === null) continue;
    failed += 1;
    process.stderr.write(`seed ${seed}, after ${report.virtualSeconds} s: ${report.violation}\nreplay: npm run sim -- raft --seed ${seed} --minutes ${minutes} --servers ${servers}\n`);
  }
  return failed > 0 ? 1 : 0;
}

function read(args: string[]): Words | string {
  try {
    const { values } = parseArgs({
      args,
      options: {
        seed: { type: "string" }, seeds: { type: "string" }, minutes: { type: "string" }, servers: { type: "string" },
        trace: { type: "boolean" }, log: { type: "string" }, for: { type: "string" },
      },
    });
    if (values.seed !== undefined && values.seeds !== undefined) return "--seed and --seeds exclude each other";
    const [first, last] = (values.seeds ?? `${values.seed ?? 1}-${values.seed ?? 1}`).split("-").map(Number);
    const [minutes, servers, forSeconds] = [Number(values.minutes ?? 60), Number(values.servers ?? 5), Number(values.for ?? Infinity)];
    if (!isCount(first, 0) || !isCount(last, first)) return "--seed and --seeds take whole numbers, such as 7 or 1-20";
    if (!isCount(minutes, 1)) return "--minutes takes a whole number from 1 on";
    if (!isCount(servers, 1) || servers > 9) return "--servers takes a whole number from 1 to 9";
    if (!(forSeconds > 0)) return "--for takes seconds";
    return { first, last, minutes, servers, trace: values.trace ?? false, log: values.log ?? null, forSeconds };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function isCount(value: number | undefined, least: number): value is number {
  return value !== undefined && Number.isSafeInteger(value) && value >= least && value <= 0xffff_ffff;
}
