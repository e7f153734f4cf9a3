import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDuration, parseDuration } from "../../src/wire/go-duration.ts";

test("durations that Go accepts, in ms", () => {
  const accepted: readonly (readonly [string, number])[] = [
    ["0", 0], ["-0", 0], ["10s", 10_000], ["1m30s", 90_000], ["1.5h", 5_400_000], ["-1.5s", -1500], ["+2ms", 2], [".5s", 500], ["1.s", 1000],
    ["1h2m3s4ms5us6ns", 3_723_004.005_006], ["1µs", 0.001], ["1μs", 0.001], ["0.1s", 100], ["2540400h", 9_145_440_000_000], ["1s1s", 2000],
  ];
  for (const [text, ms] of accepted) assert.deepEqual(parseDuration(text), { ok: true, value: ms }, text);
});

test("durations that Go refuses, in its words", () => {
  const refused: readonly (readonly [string, string])[] = [
    ["", 'invalid duration ""'], ["-", 'invalid duration "-"'], ["s", 'invalid duration "s"'], [".s", 'invalid duration ".s"'], ["1", 'missing unit in duration "1"'],
    ["1s2", 'missing unit in duration "1s2"'], ["1x", 'unknown unit "x" in duration "1x"'], ["1 s", 'unknown unit " s" in duration "1 s"'], ["1sé", 'unknown unit "s\\xc3\\xa9" in duration "1s\\xc3\\xa9"'],
    ["2562048h", 'invalid duration "2562048h"'], ['1"', 'unknown unit "\\"" in duration "1\\""'], ["s1", 'invalid duration "s1"'],
  ];
  for (const [text, error] of refused) assert.deepEqual(parseDuration(text), { ok: false, error: `time: ${error}` }, text);
});

test("durations are printed as Go prints them", () => {
  const printed: readonly (readonly [number, string])[] = [
    [0, "0s"], [1000, "1s"], [1500, "1.5s"], [90_000, "1m30s"], [86_400_000, "24h0m0s"], [500, "500ms"], [1.5, "1.5ms"], [0.0015, "1.5µs"], [0.000_005, "5ns"], [-2000, "-2s"],
  ];
  for (const [ms, text] of printed) assert.equal(formatDuration(ms), text);
});
