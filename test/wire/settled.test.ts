import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/base/random.ts";
import { MessageHasher } from "../../src/wire/message-hash.ts";
import { PROFILES } from "../../src/swim/profiles.ts";
import { SettledTable, SETTLED_GENERATION_MS } from "../../src/wire/settled-table.ts";

/** The definition, word by word, for comparison: HalfSipHash-1-3 of the pool word followed by the message. */
function halfSipHash(key: { low: number; high: number }, pool: number, message: Uint8Array): [low: number, high: number] {
  const v = [key.low | 0, (key.high | 0) ^ 0xee, 0x6c796765 ^ key.low, 0x74656462 ^ key.high] as [number, number, number, number];
  const rotate = (x: number, n: number): number => (x << n) | (x >>> (32 - n));
  const round = (): void => {
    v[0] = (v[0] + v[1]) | 0;
    v[1] = rotate(v[1], 5) ^ v[0];
    v[0] = rotate(v[0], 16);
    v[2] = (v[2] + v[3]) | 0;
    v[3] = rotate(v[3], 8) ^ v[2];
    v[0] = (v[0] + v[3]) | 0;
    v[3] = rotate(v[3], 7) ^ v[0];
    v[2] = (v[2] + v[1]) | 0;
    v[1] = rotate(v[1], 13) ^ v[2];
    v[2] = rotate(v[2], 16);
  };
  const absorb = (word: number): void => {
    v[3] ^= word;
    round();
    v[0] ^= word;
  };
  absorb(pool);
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  let at = 0;
  for (; at + 4 <= message.length; at += 4) absorb(view.getInt32(at, true));
  let last = message.length << 24;
  for (let k = 0; at + k < message.length; k += 1) last |= (message[at + k] as number) << (8 * k);
  absorb(last);
  v[2] ^= 0xee;
  for (let i = 0; i < 3; i += 1) round();
  const low = v[1] ^ v[3];
  v[1] ^= 0xdd;
  for (let i = 0; i < 3; i += 1) round();
  return [low, v[1] ^ v[3]];
}

test("the hash equals the definition for every length, and depends on key and pool", () => {
  const random = new SeededRandom(1);
  const key = { low: random.u32(), high: random.u32() };
  const hasher = new MessageHasher(key);
  for (let length = 0; length < 70; length += 1) {
    const padded = new Uint8Array(length + 7).map(() => random.below(256));
    const message = padded.slice(3, 3 + length);
    hasher.hash(padded, 3, 3 + length, 9);
    assert.deepEqual([hasher.low, hasher.high], halfSipHash(key, 9, message), `length ${length}`);
    hasher.hash(padded, 3, 3 + length, 8);
    assert.notDeepEqual([hasher.low, hasher.high], halfSipHash(key, 9, message));
  }
});

test("no two of 100,000 similar messages share a hash", () => {
  const hasher = new MessageHasher({ low: 1, high: 2 });
  const seen = new Set<string>();
  const message = new Uint8Array(40);
  const view = new DataView(message.buffer);
  for (let i = 0; i < 100_000; i += 1) {
    view.setUint32(11, i);
    hasher.hash(message, 0, message.length, 0);
    seen.add(`${hasher.low}.${hasher.high}`);
  }
  assert.equal(seen.size, 100_000);
});

test("a settled hash is known until its generation and the next one are over", () => {
  const table = new SettledTable(0);
  table.add(5, 7, 0);
  assert.equal(table.has(5, 7), true);
  assert.equal(table.has(5, 8), false);
  assert.equal(table.has(4, 7), false);
  table.age(SETTLED_GENERATION_MS);
  assert.equal(table.has(5, 7), true, "one generation later it is still there");
  table.age(2 * SETTLED_GENERATION_MS);
  assert.equal(table.has(5, 7), false);
});

test("the table keeps the newest hashes and never grows", () => {
  const table = new SettledTable(0);
  const total = 200_000;
  for (let i = 1; i <= total; i += 1) table.add(Math.imul(i, 2654435761), i, 0);
  assert.ok(table.size <= 32_768);
  for (let i = total - 16_000; i <= total; i += 1) assert.ok(table.has(Math.imul(i, 2654435761), i));
  assert.equal(table.has(2654435761 | 0, 1), false);
  table.add(0, 0, 0);
  assert.equal(table.has(0, 0), false, "the empty slot's value is never a member");
});

test("after a long silence nothing is known any more, however rarely the table is aged", () => {
  const table = new SettledTable(0);
  table.add(1, 2, 0);
  table.age(2 * SETTLED_GENERATION_MS);
  assert.equal(table.has(1, 2), false);
});

test("whoever dies now is not forgotten before its settled claims are: else a repeat of its alive would be missed", () => {
  for (const { gossipToTheDeadMs } of Object.values(PROFILES)) assert.ok(gossipToTheDeadMs > 2 * SETTLED_GENERATION_MS);
});
