/** `muster sim` as a user sees it, without a process: what goes where, the exit codes, the complaints. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runSim } from "../../src/cli/sim/command.ts";
import type { Plan, PlanPoint } from "../../src/cli/sim/plan.ts";
import { tempDir } from "../support/temp-dir.ts";

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function sim(...words: string[]): Outcome {
  const out: string[] = [];
  const err: string[] = [];
  const code = runSim({ out: (text) => void out.push(text), err: (text) => void err.push(text), env: {}, onInterrupt: () => {} }, words);
  return { code, out: out.join("\n"), err: err.join("\n") };
}

test("-json prints one object with exactly the promised keys, and the same seed prints the same run", () => {
  const first = sim("-scenario=crash-1pct", "-nodes=8", "-seed=3", "-json");
  assert.equal(first.code, 0, first.err);
  assert.match(first.err, /^crash-1pct, 8 nodes, seed 3, codec full: /);
  const summary = JSON.parse(first.out) as Record<string, unknown>;
  assert.deepEqual(Object.keys(summary), [
    "traceHash", "scenario", "seed", "nodes", "threads", "virtualSeconds", "wallSeconds", "setupSeconds", "cpuSeconds", "rssBytes", "rssPeakBytes", "bytesPerMemberView", "receptions", "convergedAtSeconds", "falseFailures", "violations",
    "eventLatencyMs", "detectionLatencyMs",
  ]);
  const { nodes, falseFailures, violations, detectionLatencyMs, convergedAtSeconds, traceHash } = summary as {
    nodes: number; falseFailures: number; violations: unknown[]; detectionLatencyMs: { count: number; p50: number; max: number }; convergedAtSeconds: number; traceHash: string;
  };
  assert.deepEqual([nodes, falseFailures, violations], [8, 0, []]);
  assert.equal(detectionLatencyMs.count, 7, "each of the others reports the one that crashed");
  assert.ok(detectionLatencyMs.p50 > 1_000 && detectionLatencyMs.max < 40_000);
  assert.ok(convergedAtSeconds > 30 && convergedAtSeconds < 75);
  const again = JSON.parse(sim("-scenario=crash-1pct", "-nodes=8", "-seed=3", "-json", "-codec=off").out) as { traceHash: string };
  assert.equal(again.traceHash, traceHash);
  const other = JSON.parse(sim("-scenario=crash-1pct", "-nodes=8", "-seed=4", "-json", "-codec=off").out) as { traceHash: string };
  assert.notEqual(other.traceHash, traceHash);
});

test("the table names what the JSON has; -duration and -profile are applied", () => {
  const { code, out } = sim("-nodes=3", "-duration=90s", "-profile=wan", "-codec=off");
  assert.equal(code, 0);
  for (const [name, value] of [["scenario", "steady"], ["virtual time", "90\\.0 s"], ["false failures", "0"], ["violations", "0"], ["codec", "off"]] as const) {
    assert.match(out, new RegExp(`^${name} +${value}`, "m"));
  }
});

test("a scenario file: who never hears of an event is a violation, exit 1, with the command that replays it", (t) => {
  const dir = tempDir(t);
  const file = join(dir, "my storm.json");
  const scenario = {
    name: "my storm",
    nodes: 4,
    steps: [
      { atMs: 0, do: "start", nodes: "all" },
      { atMs: 0, do: "join", nodes: "others", to: "0" },
      { atMs: 10_000, do: "disturb", from: "all", to: "3", both: true, lossPpm: 1_000_000, forMs: 600_000 },
    ],
    expect: { faultsEndMs: 20_000, convergedWithinMs: 30_000 },
  };
  writeFileSync(file, JSON.stringify(scenario));
  const trace = join(dir, "trace.txt");
  const { code, err, out } = sim(`-scenario=${file}`, `-trace=${trace}`, "-seed=9");
  assert.equal(code, 1);
  assert.match(out, /^violations +1$/m);
  assert.match(err, /^at 50\.\d{6} s, convergence: not within 30 s: node-0 shows node-3 as (absent|dead|suspect): it is alive/m);
  assert.ok(err.endsWith(`\nreplay: muster sim -scenario='${file}' -seed=9 -nodes=4 -codec=full`), err);
  const lines = readFileSync(trace, "utf8").split("\n");
  assert.match(lines[0] as string, /^0\.000 node-\d+ \w+/);
  assert.ok(lines.length > 500 && lines.some((line) => line.includes("node-2 message from=10.0.0.1 type=")));
});

test("a wrong word is named, with what would be right, and exits with 2", () => {
  for (const [words, message] of [
    [["-nodes=1"], /^-nodes: 1 is not from 2 to 20000/],
    [["-seed=-1"], /^-seed: -1 is not from 0 to 4294967295/],
    [["-seed=x"], /^invalid value "x" for flag -seed: parse error/],
    [["-profile=fast"], /^-profile: "fast" is none of lan, wan, local/],
    [["-codec=some"], /^-codec: "some" is none of full, sampled, off/],
    [["-duration=0s"], /^-duration: it must be above zero/],
    [["-scenario=storm"], /^-scenario: there is no "storm"; choose one of steady, join-storm, /],
    [["-scenario=./none.json"], /^-scenario: ENOENT.*none\.json/],
    [["-trace=/"], /^-trace: EISDIR/],
    [["-fanout=3"], /^-fanout goes with -plan only/],
    [["-plan", "-scenario=steady"], /^-scenario does not go with -plan/],
    [["-plan", "-fanout=0"], /^-fanout: 0 is not from 1 to 20/],
    [["-plan", "-loss=90"], /^-loss: 90 is not from 0 to 80/],
    [["-plan", "-interval=1ms"], /^-interval: it must be from 10ms to 10s/],
    [["-report=/none/x.html"], /^-report: ENOENT/],
    [["storm"], /^there are no arguments besides flags: "storm"/],
    [["-sed=1"], /^flag provided but not defined: -sed/],
  ] as const) {
    const { code, out, err } = sim(...words);
    assert.equal(code, 2, words.join(" "));
    assert.equal(out, "");
    assert.match(err, message);
    assert.match(err, /hint: `muster sim -h`/);
  }
});

test("-h shows the flags and an example", () => {
  const { code, err } = sim("-h");
  assert.equal(code, 0);
  assert.match(err, /^Usage: muster sim \[options\][^]*-scenario=[^]*Examples:\n\n {2}muster sim -scenario=/);
});

test("-plan: the formula and the simulator side by side, as text, JSON and a page", (t) => {
  const file = join(tempDir(t), "plan.html");
  const { code, out } = sim("-plan", "-nodes=20", "-loss=10", "-fanout=2", "-json", `-report=${file}`);
  assert.equal(code, 0);
  const { points, formulaSeconds, simulatedSeconds, formulaBytesPerSecond, idleBytesPerSecond, spreadBytesPerSecond } = JSON.parse(out) as Plan;
  // ln(19 · 999) = 9.85 rounds' worth at 2 · 0.9 per round, each 0.2 s.
  assert.ok(Math.abs(formulaSeconds - 1.095) < 0.01, String(formulaSeconds));
  assert.equal(formulaBytesPerSecond, 14_000);
  assert.ok(simulatedSeconds !== null && simulatedSeconds > 0.01 && simulatedSeconds < 10);
  assert.ok(idleBytesPerSecond > 50 && idleBytesPerSecond < spreadBytesPerSecond && spreadBytesPerSecond < formulaBytesPerSecond);
  const [first, last] = [points[0], points.at(-1)];
  assert.ok(first !== undefined && Math.abs(first.formula - 0.05) < 1e-9 && last !== undefined && last.formula > 0.999 && last.simulated >= 0.999);
  for (const curve of ["formula", "simulated"] as const) assert.ok(points.every((point, i) => i === 0 || point[curve] >= (points[i - 1] as PlanPoint)[curve]), curve);
  assert.match(readFileSync(file, "utf8"), /<h2>How one event spreads<\/h2>/);
  assert.match(sim("-plan", "-nodes=20", "-profile=local").out, /^20 nodes, profile local, gossip to 3 every 100 ms, 0 % of the packets lost\n[^]*99\.9 % have it after {4}formula /);
});
