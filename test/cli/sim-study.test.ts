/** `muster sim -study`: small versions of the studies, as a user sees them. The published sizes are in the README. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runSim } from "../../src/cli/sim/command.ts";
import { expectedRounds, type DetectionStudy } from "../../src/cli/sim/study-detection.ts";
import type { LifeguardStudy } from "../../src/cli/sim/study-lifeguard.ts";
import { tempDir } from "../support/temp-dir.ts";

function sim(...words: string[]): { readonly code: number; readonly out: string; readonly err: string } {
  const out: string[] = [];
  const err: string[] = [];
  const code = runSim({ out: (text) => void out.push(text), err: (text) => void err.push(text), env: {}, onInterrupt: () => {} }, words);
  return { code, out: out.join("\n"), err: err.join("\n") };
}

test("expected rounds: e/(e − 1) for many nodes, exactly one for two", () => {
  assert.equal(expectedRounds(2), 1);
  assert.ok(Math.abs(expectedRounds(10_000) - 1.5819767) < 1e-3);
});

test("-study=detection: rounds and periods agree with the papers within three standard errors", (t) => {
  const file = join(tempDir(t), "detection.html");
  const { code, out, err } = sim("-study=detection", "-nodes=16", "-trials=60", "-json", `-report=${file}`);
  assert.equal(code, 0, err);
  const study = JSON.parse(out) as DetectionStudy;
  assert.deepEqual([study.nodes, study.crashes, study.seedFirst, study.seedLast], [16, 60, 1, 1]);
  for (const { mean, standardError, expected } of [study.probeRounds, study.probePeriods, study.suspicionPeriods]) {
    assert.ok(standardError > 0 && standardError < 0.15);
    assert.ok(Math.abs(mean - expected) < 3 * standardError, `${mean} is not ${expected} ± 3 × ${standardError}`);
  }
  assert.equal(study.byRound.reduce((sum, count) => sum + count, 0), 60);
  assert.match(readFileSync(file, "utf8"), /<h2>From crash to first suspicion<\/h2>[^]*<h2>First probe by round<\/h2>/);
});

test("-study=lifeguard: without Lifeguard, blocked members make healthy ones look failed; with it they do not", (t) => {
  const file = join(tempDir(t), "lifeguard.html");
  const { code, out, err } = sim("-study=lifeguard", "-grid=tiny", "-nodes=48", "-json", `-report=${file}`);
  assert.equal(code, 0, err);
  const { cells, totals, fewer } = JSON.parse(out) as LifeguardStudy;
  assert.equal(cells.length, 2);
  const [swim, lifeguard, lan] = totals;
  assert.ok(swim !== undefined && lifeguard !== undefined && lan !== undefined);
  assert.ok(swim.all > 100, `${swim.all} false failures without Lifeguard`);
  assert.ok(lifeguard.all * 10 < swim.all && lan.all * 10 < swim.all, `${lifeguard.all} with it, ${lan.all} with lan`);
  assert.deepEqual(fewer.map(({ variant }) => variant), ["Lifeguard", "lan"]);
  assert.match(readFileSync(file, "utf8"), /<h2>Sums over the grid<\/h2>/);
});

test("-study: a wrong word is named, with what would be right, and exits with 2", () => {
  for (const [words, message] of [
    [["-study=speed"], /^-study: "speed" is none of detection, lifeguard/],
    [["-study=detection", "-trials=0"], /^-trials: 0 is not from 1 to 100000/],
    [["-study=detection", "-grid=tiny"], /^-grid goes with -study=lifeguard only/],
    [["-study=detection", "-nodes=1"], /^-nodes: 1 is not from 2 to 20000/],
    [["-study=detection", "-scenario=steady"], /^-scenario does not go with -study/],
    [["-study=detection", "-plan"], /^-plan does not go with -study/],
    [["-study=lifeguard", "-grid=huge"], /^-grid: "huge" is none of paper, coarse, tiny/],
    [["-study=lifeguard", "-profile=wan"], /^-profile does not go with -study=lifeguard/],
    [["-study=lifeguard", "-nodes=20"], /^-nodes: 20 is less than twice the 32 members that this grid stalls/],
    [["-study=detection", "-report=/none/x.html"], /^-report: ENOENT/],
    [["-trials=3"], /^-trials goes with -study only/],
    [["-grid=tiny"], /^-grid goes with -study only/],
  ] as const) {
    const { code, out, err } = sim(...words);
    assert.equal(code, 2, words.join(" "));
    assert.equal(out, "");
    assert.match(err, message);
  }
});
