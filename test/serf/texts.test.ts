import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeBase64 } from "../../src/wire/go-base64.ts";
import { formatDuration } from "../../src/serf/go-duration.ts";

test("base64 decodes what Node encodes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const decoded = decodeBase64(Buffer.from(bytes).toString("base64"));
      assert.deepEqual(decoded.ok && decoded.value, bytes);
    }),
  );
});

test("bad base64 names the byte as Go does", () => {
  const cases: [string, number][] = [["a", 0], ["ab", 0], ["abc", 0], ["not base64!", 3], ["====", 0], ["a===", 1], ["ab=", 3], ["ab=c", 2], ["ab==x", 4], ["abcd*", 4], ["abcde", 4]];
  for (const [text, at] of cases) assert.deepEqual(decodeBase64(text), { ok: false, error: `illegal base64 data at input byte ${at}` }, text);
  assert.deepEqual(decodeBase64("YW\r\nJj\n"), { ok: true, value: Uint8Array.of(0x61, 0x62, 0x63) });
});

test("durations read as Go prints them", () => {
  const cases: [number, string][] = [[0, "0s"], [1, "1ns"], [-1, "-1ns"], [1500, "1.5µs"], [2_000_000, "2ms"], [10_000_000_001, "10.000000001s"], [90e9, "1m30s"], [3_600e9, "1h0m0s"]];
  for (const [ns, text] of cases) assert.equal(formatDuration(ns), text);
});
