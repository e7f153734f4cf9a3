import assert from "node:assert/strict";
import { test } from "node:test";
import { DRIVERS, parseOptions, type Options } from "../../native-free-bench/options.ts";
import { findPeer } from "../../native-free-bench/run-load.ts";

function options(...args: string[]): Options {
  const parsed = parseOptions(args);
  assert(parsed.ok, parsed.ok ? "" : parsed.error);
  return parsed.value;
}

function refusal(...args: string[]): string {
  const parsed = parseOptions(args);
  assert(!parsed.ok);
  return parsed.error;
}

test("everything by default; words are about kernels; --only chooses", () => {
  const all = options();
  assert.deepEqual([all.kernels, all.drivers], [true, DRIVERS]);
  assert.deepEqual([all.against, all.againstGiven, all.pin, all.seed], ["serf", false, true, 1]);
  const words = options("lzw", "alive");
  assert.deepEqual([words.kernels, words.drivers, words.words], [true, [], ["lzw", "alive"]]);
  const only = options("--only", "packets,rpc", "--against", "/opt/serf");
  assert.deepEqual([only.kernels, only.drivers.map(({ name }) => name)], [false, ["rpc", "packets"]]);
  assert.deepEqual([only.against, only.againstGiven], ["/opt/serf", true]);
});

test("--quick shortens, and --runs and --nodes have the last word", () => {
  const quick = options("--quick", "--nodes", "7", "--pin", "none", "--seed", "9");
  assert(quick.scale.windowMs < options().scale.windowMs && quick.scale.runs < options().scale.runs);
  assert.deepEqual([quick.scale.nodes, quick.pin, quick.seed], [7, false, 9]);
  assert.equal(options("--runs", "11").scale.runs, 11);
  assert.deepEqual([options("--members", "1,7").scale.memberCounts, options().scale.memberCounts], [[1, 7], [1, 50, 500]]);
  const { scale } = options("--nodes", "60", "--cluster-runs", "2", "--events", "1000", "--kills", "0", "--profile", "local");
  assert.deepEqual([scale.nodes, scale.clusterRuns, scale.eventLoadMs, scale.kills, scale.profile], [60, 2, 20_000, 0, "local"]);
  assert.equal(options("--against", "none").againstGiven, false);
});

test("what makes no sense is refused", () => {
  assert.match(refusal("--only", "packets,rcp"), /rcp/);
  assert.match(refusal("--pin", "3"), /pin/);
  assert.match(refusal("--seed", "-1"), /seed/);
  assert.match(refusal("--runs", "0"), /runs/);
  assert.match(refusal("--members", "1,0"), /member counts/);
  assert.match(refusal("--members", ""), /member counts/);
  assert.match(refusal("--nodes", "2"), /nodes/);
  assert.match(refusal("--nodes", "121"), /nodes/);
  assert.match(refusal("--cluster-runs", "0"), /clusters/);
  assert.match(refusal("--events", "x"), /events/);
  assert.match(refusal("--nodes", "5", "--kills", "5"), /kills/);
  assert.match(refusal("--profile", "wan"), /wan/);
  assert.match(refusal("--net", "10.0.0"), /loopback/);
  assert.match(refusal("--agianst", "serf"), /agianst/);
});

test("a program that cannot be run is no peer", () => {
  assert.equal(findPeer("/nonexistent/serf"), null);
  assert.equal(findPeer("false"), null);
});
