/** The measure of memory that the fuzz tests stand on: it must catch a leak, and only a leak. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertNoLeak, fuzz } from "./fuzz.ts";

const MIB = 1 << 20;

test("fuzz: what keeps 4 KiB of each input is caught", () => {
  const kept: Uint8Array[] = [];
  assert.throws(() => fuzz(1, [Uint8Array.of(1, 2, 3)], () => kept.push(new Uint8Array(4096))), /memory grew by/);
});

test("fuzz: memory taken once is no leak, in whichever part; memory taken with every part is one", () => {
  const base = 20 * MIB;
  assertNoLeak([base, base + 30 * MIB, base + 30 * MIB, base + 30 * MIB], 3000);
  assertNoLeak([base, base, base, base + 30 * MIB], 3000);
  assert.throws(() => assertNoLeak([base, base + 2 * MIB, base + 4 * MIB, base + 6 * MIB], 3000), /2097152, 2097152, 2097152 bytes in 3 parts of 3000/);
});
