/** `muster sim` on several threads: the same run as on one that plays all shards in turns, and an end whatever happens to a thread. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findScenario, runSim } from "../../src/cli/sim/command.ts";
import { replayCommand } from "../../src/cli/sim/play.ts";
import { ENTRIES, runSimApart } from "../../src/cli/sim/thread.ts";
import { threadsByDefault } from "../../src/sim/shards/dividable.ts";
import { tempDir } from "../support/temp-dir.ts";

const SCENARIO = {
  name: "small",
  profile: "local",
  nodes: 240,
  start: "converged",
  // Slow enough that the threads need not meet too often where they have to share a core.
  network: { delayUsMin: 20_000, delayUsMax: 40_000 },
  steps: [
    { atMs: 500, overMs: 2_000, do: "events", nodes: "all", count: 20 },
    { atMs: 1_000, do: "kill", nodes: "1%", power: true },
  ],
  expect: { faultsEndMs: 3_000, convergedWithinMs: 60_000 },
};

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

type Context = Parameters<typeof runSim>[0];

function listening(): { readonly context: Context; heard(code: number): Outcome } {
  const out: string[] = [];
  const err: string[] = [];
  const context = { out: (text: string) => void out.push(text), err: (text: string) => void err.push(text), env: {}, onInterrupt: () => {} };
  return { context, heard: (code) => ({ code, out: out.join("\n"), err: err.join("\n") }) };
}

function inTurns(...words: string[]): Outcome {
  const { context, heard } = listening();
  return heard(runSim(context, words));
}

async function onThreads(...words: string[]): Promise<Outcome> {
  const { context, heard } = listening();
  return heard(await runSimApart(context, words));
}

/** What does not depend on the machine. */
function resultOf({ code, out, err }: Outcome): unknown {
  assert.equal(code, 0, err);
  const { wallSeconds: _wall, setupSeconds: _setup, cpuSeconds: _cpu, rssBytes: _rss, rssPeakBytes: _peak, bytesPerMemberView: _view, ...result } = JSON.parse(out) as Record<string, unknown>;
  return result;
}

test("threads that race each other, and one thread that plays their shards in turns, play the same run", async (t) => {
  const file = join(tempDir(t), "small.json");
  writeFileSync(file, JSON.stringify(SCENARIO));
  for (const threads of [2, 3]) {
    const words = [`-scenario=${file}`, `-threads=${threads}`, "-json"];
    const expected = resultOf(inTurns(...words)) as { readonly threads: number; readonly detectionLatencyMs: { readonly count: number }; readonly eventLatencyMs: { readonly count: number } };
    assert.deepEqual([expected.threads, expected.detectionLatencyMs.count], [threads, 2 * 238]);
    assert.ok(expected.eventLatencyMs.count > 20 * 230);
    // Two at the same time: more threads than most machines have cores.
    for (const outcome of await Promise.all([onThreads(...words), onThreads(...words)])) assert.deepEqual(resultOf(outcome), expected);
  }
});

test("a violation is told once, with the command that replays it on as many threads", async (t) => {
  const file = join(tempDir(t), "late.json");
  writeFileSync(file, JSON.stringify({ ...SCENARIO, expect: { faultsEndMs: 1_100, convergedWithinMs: 300 } }));
  const { code, err, out } = await onThreads(`-scenario=${file}`, "-threads=2");
  assert.equal(code, 1);
  assert.match(out, /^threads +2$/m);
  assert.equal(err.match(/convergence: not within/g)?.length, 1);
  assert.ok(err.endsWith(`\nreplay: muster sim -scenario=${file} -seed=1 -nodes=240 -codec=sampled -threads=2`), err);
});

test("a thread that ends before its time ends the others", async (t) => {
  const dir = tempDir(t);
  const file = join(dir, "small.json");
  writeFileSync(file, JSON.stringify(SCENARIO));
  const { context } = listening();
  for (const [name, source, expected] of [["throws", 'throw new Error("no");', /^Error: no$/], ["exits", "process.exit(3);", /ended with 3/]] as const) {
    const shard = join(dir, `${name}.mjs`);
    writeFileSync(shard, source);
    await assert.rejects(runSimApart(context, [`-scenario=${file}`, "-threads=2"], { ...ENTRIES, shard }), expected);
  }
});

test("thousands of nodes that can be divided are played by two threads without a word; a replay on one says so", () => {
  const threadsOf = (name: string, nodes: number): number | undefined => {
    const found = findScenario(name, nodes, 1);
    return found.ok ? threadsByDefault(found.value) : undefined;
  };
  assert.deepEqual([threadsOf("steady", 5_000), threadsOf("steady", 4_999), threadsOf("join-storm", 5_000)], [2, 1, 1]);
  const choice = { scenario: "steady", seed: 1, codec: "sampled", original: false, threads: 1 } as const;
  assert.match(replayCommand({ ...choice, nodes: 5_000 }), / -threads=1$/);
  assert.doesNotMatch(replayCommand({ ...choice, nodes: 4_999 }), /threads/);
});

test("what one thread only can do is refused to several, with the reason", (t) => {
  const file = join(tempDir(t), "small.json");
  writeFileSync(file, JSON.stringify(SCENARIO));
  for (const [words, message] of [
    [[`-scenario=${file}`, "-threads=0"], /^-threads: 0 is not from 1 to 16/],
    [["-scenario=join-storm", "-threads=2"], /^-threads: this run is played by one thread, because its nodes join each other/],
    [[`-scenario=${file}`, "-threads=2", "-codec=full"], /^-threads: .* because -codec=full encodes all/],
    [[`-scenario=${file}`, "-threads=2", "-trace=x"], /^-threads: .* because -trace writes one file/],
    [["-plan", "-threads=2"], /^-threads does not go with -plan/],
  ] as const) {
    const { code, err } = inTurns(...words);
    assert.equal(code, 2, words.join(" "));
    assert.match(err, message);
  }
});
