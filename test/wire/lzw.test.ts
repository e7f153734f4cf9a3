import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { toHex } from "../../src/base/bytes.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { LZW_TOO_LARGE, compressLzw, decompressLzw } from "../../src/wire/lzw.ts";
import { lzwBomb, packCodes } from "../support/lzw-bomb.ts";

/**
 * The format once more, as slowly and plainly as possible (serf-protocol §2.2): codes first, bits afterwards.
 */
function compressPlainly(plain: Uint8Array): Uint8Array {
  let bits = "";
  let width = 9;
  let hi = 257;
  let overflow = 512;
  let dictionary = new Map<string, number>();
  const emit = (code: number): void => {
    bits += [...code.toString(2).padStart(width, "0")].reverse().join("");
  };
  const afterData = (): boolean => {
    hi += 1;
    if (hi === overflow) {
      width += 1;
      overflow *= 2;
    }
    if (hi !== 4095) return false;
    emit(256);
    width = 9;
    hi = 257;
    overflow = 512;
    dictionary = new Map();
    return true;
  };
  const codeOf = (word: readonly number[]): number => (word.length === 1 ? (word[0] as number) : (dictionary.get(word.join()) as number));
  emit(256);
  let word: number[] = [];
  for (const byte of plain) {
    const longer = [...word, byte];
    if (longer.length === 1 || dictionary.has(longer.join())) {
      word = longer;
      continue;
    }
    emit(codeOf(word));
    if (!afterData()) dictionary.set(longer.join(), hi);
    word = [byte];
  }
  if (word.length > 0) {
    emit(codeOf(word));
    afterData();
  }
  emit(257);
  return Uint8Array.from(bits.match(/.{1,8}/g) ?? [], (byte) => Number.parseInt([...byte.padEnd(8, "0")].reverse().join(""), 2));
}

function randomBytes(seed: number, length: number, alphabet: number): Uint8Array {
  const random = new SeededRandom(seed);
  return Uint8Array.from({ length }, () => random.below(alphabet));
}

test("a plain second implementation writes the same bytes, and they come back", () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 0, max: 9000 }), fc.constantFrom(1, 2, 3, 5, 17, 64, 256), (seed, length, alphabet) => {
      const plain = randomBytes(seed, length, alphabet);
      const compressed = compressLzw(plain);
      assert.equal(toHex(compressed), toHex(compressPlainly(plain)));
      assert.deepEqual(decompressLzw(compressed, length), { ok: true, value: plain });
    }),
    { numRuns: 60 },
  );
});

test("the dictionary is empty at each call, however often it was used", () => {
  const plain = randomBytes(1, 300, 4);
  const first = toHex(compressLzw(plain));
  for (let i = 0; i < 5000; i += 1) compressLzw(plain.subarray(0, 1 + (i % 40)));
  assert.equal(toHex(compressLzw(plain)), first);
});

test("inflation stops at the bound: one byte less than needed is refused", () => {
  for (const length of [1, 2, 300, 5000, 100_000]) {
    const plain = randomBytes(length, length, 2);
    const compressed = compressLzw(plain);
    assert.equal(decompressLzw(compressed, length).ok, true);
    assert.deepEqual(decompressLzw(compressed, length - 1), { ok: false, error: LZW_TOO_LARGE });
  }
});

test("a bomb costs no more memory than the bound", () => {
  const bomb = lzwBomb(30_000_000);
  assert.ok(bomb.length < 40_000, `${bomb.length} bytes`);
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 20; i += 1) assert.deepEqual(decompressLzw(bomb, 1 << 20), { ok: false, error: LZW_TOO_LARGE });
  // Nothing is kept of what is refused: 20 times the first, fourfold room.
  assert.ok(process.memoryUsage().arrayBuffers - before < 8 << 20);
});

test("a message that grows a lot takes exactly the room it needs, with clears and full tables on its way", () => {
  const random = new SeededRandom(5);
  for (let round = 0; round < 10; round += 1) {
    // Long runs between noise: more than fourfold, with several dictionaries.
    const parts: number[] = [];
    while (parts.length < 50_000) {
      if (random.below(10) === 0) for (let i = random.below(2000); i > 0; i -= 1) parts.push(random.below(256));
      else parts.push(...new Array<number>(random.below(4000)).fill(random.below(256)));
    }
    const plain = Uint8Array.from(parts);
    const compressed = compressLzw(plain);
    const back = decompressLzw(compressed, plain.length);
    assert.ok(back.ok && Buffer.compare(back.value, plain) === 0, `round ${round}`);
    assert.deepEqual(decompressLzw(compressed, plain.length - 1), { ok: false, error: LZW_TOO_LARGE });
  }
  const bomb = decompressLzw(lzwBomb(1_000_000), 10_000_000);
  assert.ok(bomb.ok && bomb.value.length >= 1_000_000 && bomb.value.every((byte) => byte === 0));
  const copiedAtOnce = 4;
  assert.ok(bomb.value.buffer.byteLength < bomb.value.length + copiedAtOnce);
});

test("cut short anywhere, the end is missed", () => {
  const compressed = compressLzw(randomBytes(7, 500, 8));
  for (let length = 0; length < compressed.length - 1; length += 1) {
    assert.deepEqual(decompressLzw(compressed.subarray(0, length), 10_000), { ok: false, error: "unexpected EOF" });
  }
});

test("a full table stays as it is until a clear: an encoder need not send one", () => {
  // 3,838 literals fill the table to code 4095; the reader goes on with 12 bits and knows all entries.
  const expected = Array.from({ length: 4200 }, (_, i) => i % 251);
  const last = 4095 - 258;
  const compressed = packCodes([256, ...expected, 258, 4095, 257]);
  expected.push(0, 1, last % 251, (last + 1) % 251);
  const plain = decompressLzw(compressed, 10_000);
  assert.deepEqual(plain.ok ? [...plain.value] : plain.error, expected);
});
