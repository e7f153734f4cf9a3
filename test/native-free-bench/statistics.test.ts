import assert from "node:assert/strict";
import { test } from "node:test";
import { barText, formatFigure, makeRow, verdict, type Bar } from "../../native-free-bench/rows.ts";
import { median, quantile, ratio, summarize } from "../../native-free-bench/statistics.ts";
import { loadTable } from "../../native-free-bench/text-table.ts";

test("medians and quantiles, of samples in any order", () => {
  assert.equal(median([5]), 5);
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([10, 1, 2, 3]), 2.5);
  assert.equal(quantile([4, 1, 3, 2, 5], 0), 1);
  assert.equal(quantile([4, 1, 3, 2, 5], 0.25), 2);
  assert.equal(quantile([4, 1, 3, 2, 5], 1), 5);
  assert.equal(quantile([0, 10], 0.99), 9.9);
  assert.deepEqual(summarize([9, 10, 100, 1]), { count: 4, min: 1, median: 9.5, max: 100 });
  assert.equal(summarize([]), null);
  assert.throws(() => median([]));
});

test("a ratio is that of the medians; its extremes come from runs measured one after the other", () => {
  assert.deepEqual(ratio([1, 2, 30], [10, 10, 100]), { ofMedians: 0.2, min: 0.1, max: 0.3 });
  assert.equal(ratio([], [1]), null);
  assert.equal(ratio([1], []), null);
  assert.equal(ratio([1], [0]), null);
});

test("bars: of ratios and of our own figures, and nothing to say without a peer", () => {
  const row = (bar: Bar, ours: number[], peer: number[]) => {
    const made = makeRow({ group: "g", operation: "o", metric: "m", unit: "u", bar });
    made.samples.ours.push(...ours);
    made.samples.peer.push(...peer);
    return made;
  };
  assert.equal(verdict(row({ of: "ratio", atMost: 1 / 5 }, [20], [100])), "holds");
  assert.equal(verdict(row({ of: "ratio", atMost: 1 / 5 }, [21], [100])), "misses");
  assert.equal(verdict(row({ of: "ratio", atLeast: 4 }, [399], [100])), "misses");
  assert.equal(verdict(row({ of: "ratio", atLeast: 4 }, [400], [100])), "holds");
  assert.equal(verdict(row({ of: "ratio", atMost: 1 }, [1], [])), "unknown");
  assert.equal(verdict(row({ of: "ours", atMost: 75 }, [74], [])), "holds");
  assert.equal(verdict(row({ of: "ours", atLeast: 100 }, [99.9], [])), "misses");
  assert.equal(verdict(row({ of: "ours", atLeast: 100 }, [], [])), "unknown");
  assert.equal(verdict(makeRow({ group: "g", operation: "o", metric: "m", unit: "u" })), "unknown");
});

test("figures and bars as text, and a table that marks what misses", () => {
  assert.equal(formatFigure(0.123456), "0.123");
  assert.equal(formatFigure(12), "12");
  assert.equal(formatFigure(12345.6), "12346");
  assert.equal(barText({ of: "ratio", atMost: 1 / 20 }), "≤ 1/20");
  assert.equal(barText({ of: "ratio", atLeast: 4 }), "≥ 4");
  assert.equal(barText({ of: "ours", atLeast: 99.99 }), "ours ≥ 99.99");
  const row = makeRow({ group: "rpc", operation: "members, 500", metric: "CPU per call", unit: "µs", bar: { of: "ratio", atMost: 1 / 20 } });
  row.samples.ours.push(100, 90, 110);
  row.samples.peer.push(900, 900, 1100);
  const [head, line] = loadTable([row]).split("\n");
  assert.match(head ?? "", /^operation +figure +unit +ours +peer +ours\/peer +bar$/);
  assert.match(line ?? "", /^members, 500 +CPU per call +µs +100 \[90\.\.110\] +900 \[900\.\.1100\] +0\.11 \[0\.10\.\.0\.11\] +≤ 1\/20 +misses$/);
});
