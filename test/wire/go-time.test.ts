import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeGoTime, encodeGoTime, formatGoSeconds } from "../../src/wire/go-time.ts";

const NS_PER_MS = 1_000_000n;

test("a recorded time is read and written as the same bytes; what is none reads as 0", () => {
  const recorded = Buffer.from("010000000ee292ef2c13e014e70000", "hex");
  const ns = decodeGoTime(recorded);
  assert.equal(formatGoSeconds(ns), new Date(Math.round(Number(ns / NS_PER_MS) / 1000) * 1000).toISOString().replace(".000Z", "Z"));
  assert.deepEqual(Buffer.from(encodeGoTime(ns)), recorded);
  for (const bad of [null, new Uint8Array(), recorded.subarray(1), Buffer.from(recorded).fill(2, 0, 1)]) assert.equal(decodeGoTime(bad), 0n);
});

test("times are shown in whole seconds of UTC, leap days included", () => {
  for (const text of ["1970-01-01T00:00:00Z", "1999-12-31T23:59:59Z", "2000-02-29T12:00:00Z", "2024-02-29T00:00:01Z", "2100-03-01T06:07:08Z", "1969-12-31T23:59:58Z"]) {
    assert.equal(formatGoSeconds(BigInt(Date.parse(text)) * NS_PER_MS), text);
  }
  assert.equal(formatGoSeconds(1_500_000_000n), "1970-01-01T00:00:02Z");
});
