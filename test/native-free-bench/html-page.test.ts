import assert from "node:assert/strict";
import { test } from "node:test";
import { htmlPage } from "../../native-free-bench/html-page.ts";
import { describeMachine } from "../../native-free-bench/machine.ts";
import type { Report } from "../../native-free-bench/report.ts";
import { makeRow, type Row } from "../../native-free-bench/rows.ts";

function row(ours: number[], peer: number[]): Row {
  const made = makeRow({ group: "rpc", operation: "a <b> & c", metric: "CPU per call", unit: "µs", bar: { of: "ratio", atMost: 1 / 5 } });
  made.samples.ours.push(...ours);
  made.samples.peer.push(...peer);
  return made;
}

function page(rows: Row[]): string {
  const report: Report = { machine: describeMachine(), seed: 7, quick: false, pinning: "not pinned", targets: [{ side: "ours", command: "serf", version: "v1" }], kernels: [], rows, failures: [{ group: "cluster", error: "<lost>" }] };
  return htmlPage(report);
}

test("the page needs nothing from outside, follows the reader's colours, and escapes what it shows", () => {
  const html = page([row([1, 2], [10, 20])]);
  assert.doesNotMatch(html, /https?:|<script|<link|@import|url\(|src=/);
  assert.match(html, /prefers-color-scheme: dark/);
  assert.match(html, /seed 7/);
  assert.doesNotMatch(html, /<b> &|<lost>/);
  assert.match(html, /cluster failed: &lt;lost&gt;/);
});

test("plots: a bar that holds or misses, a dot for each sample; without a peer no ratios", () => {
  const holds = page([row([1, 2, 3], [10, 20, 30])]);
  assert.match(holds, /<rect class="fill-holds"/);
  assert.equal(holds.match(/<circle class="fill-ours"/g)?.length, 3);
  assert.equal(holds.match(/<circle class="fill-peer"/g)?.length, 3);
  assert.match(page([row([10], [10])]), /<rect class="fill-misses"/);
  const alone = page([row([1], [])]);
  assert.doesNotMatch(alone, /against the bars/);
  assert.match(alone, /only ours was measured/);
});

test("no figure of a plot is off the page, however far apart the samples are", () => {
  const html = page([row([0, 1e-9], [1e9, 1e9]), row([5], [1]), row([0], [0])]);
  assert.doesNotMatch(html, /NaN|Infinity/);
});
