/** Every built-in scenario at a small size: no checker complains, one seed is one run, another seed is another. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { replayCommand } from "../../src/cli/sim/play.ts";
import { SCENARIOS } from "../../src/sim/scenarios.ts";
import { runScenario } from "./run.ts";

const NODES = 8;

function hashOf(scenario: string, seed: number, filterRepeats: boolean): string {
  const choice = { scenario, seed, nodes: NODES, codec: "off", original: false, filterRepeats } as const;
  const { violations, traceHash } = runScenario(choice);
  assert.deepEqual(violations.map(({ checker, text }) => `${checker}: ${text}`), [], replayCommand(choice));
  return traceHash;
}

/** A day in three runs takes minutes; `npm run sim` plays it. */
const TOO_LONG: readonly string[] = ["partition-25h"];

for (const scenario of SCENARIOS.keys()) {
  if (TOO_LONG.includes(scenario)) continue;
  test(`${scenario}: the same seed gives the same trace hash, another seed another one`, () => {
    const hash = hashOf(scenario, 11, true);
    assert.equal(hashOf(scenario, 11, false), hash, "without the repeat filter it is the same run too");
    assert.notEqual(hashOf(scenario, 12, true), hash);
  });
}

/** Paths of other versions of node, separated by colons: `MUSTER_OTHER_NODES=/opt/node22/bin/node:… npm test -- determinism`. */
const OTHER_NODES = (process.env["MUSTER_OTHER_NODES"] ?? "").split(":").filter((path) => path !== "");
const MAIN = fileURLToPath(new URL("./main.js", import.meta.url));

for (const binary of OTHER_NODES) {
  const version = spawnSync(binary, ["--version"], { encoding: "utf8" }).stdout.trim();
  test(`node ${version} gives the same trace hashes as ${process.version}`, () => {
    for (const scenario of SCENARIOS.keys()) {
      if (TOO_LONG.includes(scenario)) continue;
      const args = ["--scenario", scenario, "--seed", "11", "--nodes", String(NODES), "--codec", "off", "--quiet"];
      const { stdout, stderr } = spawnSync(binary, [MAIN, ...args], { encoding: "utf8", maxBuffer: 1 << 24 });
      const json = stdout.split("\n").find((line) => line.startsWith("{"));
      assert.ok(json !== undefined, stderr);
      assert.equal((JSON.parse(json) as { readonly traceHash: string }).traceHash, hashOf(scenario, 11, true), scenario);
    }
  });
}

for (const scenario of ["mixed-faults", "join-storm", "rolling-restart"]) {
  test(`${scenario}: what is really encoded, sampled, or passed by reference, is one run`, () => {
    const hashes = (["full", "sampled", "off"] as const).map((codec) => {
      const { violations, traceHash } = runScenario({ scenario, seed: 17, nodes: 12, codec, original: false });
      assert.deepEqual(violations.map(({ checker, text }) => `${checker}: ${text}`), []);
      return traceHash;
    });
    assert.deepEqual(hashes, [hashes[0], hashes[0], hashes[0]]);
  });
}
