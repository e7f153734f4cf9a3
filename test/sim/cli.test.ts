import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "main.ts" : "main.js", import.meta.url));

function sim(...args: string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync(process.execPath, [main, ...args], { encoding: "utf8" });
}

test("npm run sim: a table row and a JSON object on stdout, nothing else", () => {
  const { status, stdout, stderr } = sim("--scenario", "steady", "--nodes", "3", "--seeds", "4-5", "--quiet");
  assert.equal(status, 0);
  assert.equal(stderr, "");
  const lines = stdout.trimEnd().split("\n");
  assert.equal(lines.length, 5);
  const reports = [lines[2], lines[4]].map((line) => JSON.parse(line ?? "") as { readonly seed: number; readonly traceHash: string; readonly violations: unknown[] });
  assert.deepEqual(reports.map(({ seed }) => seed), [4, 5]);
  assert.ok(reports.every(({ traceHash, violations }) => /^[0-9a-f]{16}$/.test(traceHash) && violations.length === 0));
});

test("npm run sim: a wrong flag is named, with what would be right", () => {
  for (const [args, message] of [
    [["--seed", "x"], /--seed: "x" is not an integer from 0/],
    [["--seeds", "5-3"], /--seeds: "3" is not an integer from 5/],
    [["--seeds", "5"], /--seeds: "5" is not of the form A-B/],
    [["--seed", "1", "--seeds", "1-2"], /exclude each other/],
    [["--nodes", "1"], /--nodes: "1" is not an integer from 2 to 20000/],
    [["--scenario", "storm"], /--scenario: there is no "storm"; choose one of steady, join-storm/],
    [["--codec", "some"], /--codec: "some" is neither full, sampled nor off/],
    [["--sed", "1"], /'--sed'/],
  ] as const) {
    const { status, stdout, stderr } = sim(...args);
    assert.equal(status, 2);
    assert.equal(stdout, "");
    assert.match(stderr, message);
    assert.match(stderr, /usage: npm run sim/);
  }
});
