/** lzw: buffers compressed by Go, byte-exact both ways; decoder cases; compress messages. */
import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { toHex } from "../../src/base/bytes.ts";
import { decodeCompress, encodeCompress } from "../../src/wire/compress.ts";
import { compressLzw, decompressLzw } from "../../src/wire/lzw.ts";
import { attempt, fieldsOf } from "./compare.ts";
import type { Report } from "./registry.ts";
import { hexBytes, unwrap } from "./values.ts";

interface Generator {
  readonly kind?: string;
  readonly seed: number;
  readonly mod: number;
}
interface LzwCase {
  readonly name: string;
  readonly len: number;
  readonly plainHex?: string;
  readonly gen?: Generator;
  readonly plainSha256?: string;
  readonly compressedHex?: string;
  readonly compressedB64?: string;
  readonly compressedLen?: number;
  readonly compressedSha256?: string;
}
interface Recording {
  readonly vectors: readonly LzwCase[];
  readonly resetSweep: readonly { readonly seed: number; readonly mod: number; readonly len: number; readonly compressedLen: number; readonly compressedSha256: string }[];
  readonly decodeCases: readonly { readonly name: string; readonly compressedHex: string; readonly plainHex?: string; readonly error?: string }[];
  readonly compressMessages: readonly { readonly messageHex: string; readonly plainHex: string; readonly smallerThanPlain: boolean }[];
}

const PLAIN_MAX = 1 << 26;

export function checkLzw(data: unknown, report: Report): void {
  const { vectors, resetSweep, decodeCases, compressMessages } = fieldsOf<Recording>(data, ["vectors", "resetSweep", "decodeCases", "compressMessages"], report);
  for (const item of vectors ?? []) attempt(item.name, report, () => checkBuffer(item));
  for (const { seed, mod, ...item } of resetSweep ?? []) {
    attempt(`reset sweep ${item.len}`, report, () => checkBuffer({ name: "", gen: { seed, mod }, ...item }));
  }
  for (const { name, compressedHex, plainHex, error } of decodeCases ?? []) {
    attempt(`decode ${name}`, report, () => {
      const plain = decompressLzw(hexBytes(compressedHex), PLAIN_MAX);
      assert.deepEqual(plain.ok ? { plainHex: toHex(plain.value) } : { error: plain.error }, error === undefined ? { plainHex } : { error });
    });
  }
  for (const { messageHex, plainHex, smallerThanPlain } of compressMessages ?? []) {
    attempt(`message ${messageHex}`, report, () => {
      const plain = hexBytes(plainHex);
      assert.equal(toHex(encodeCompress(plain)), messageHex);
      assert.equal(encodeCompress(plain).length < plain.length, smallerThanPlain);
      assert.equal(toHex(unwrap(decodeCompress(hexBytes(messageHex), PLAIN_MAX))), plainHex);
    });
  }
}

function checkBuffer(item: LzwCase): void {
  assert.ok(item.gen !== undefined || item.plainHex !== undefined, "no plain bytes");
  const plain = item.gen === undefined ? hexBytes(item.plainHex) : generate(item.gen, item.len);
  assert.equal(plain.length, item.len);
  if (item.plainSha256 !== undefined) assert.equal(sha256(plain), item.plainSha256);
  const compressed = compressLzw(plain);
  assert.ok(item.compressedHex !== undefined || item.compressedSha256 !== undefined, "no compressed bytes");
  if (item.compressedHex !== undefined) assert.equal(toHex(compressed), item.compressedHex);
  if (item.compressedLen !== undefined) assert.equal(compressed.length, item.compressedLen);
  if (item.compressedB64 !== undefined) assert.equal(Buffer.from(compressed).toString("base64"), item.compressedB64);
  if (item.compressedSha256 !== undefined) assert.equal(sha256(compressed), item.compressedSha256);
  assert.equal(sha256(unwrap(decompressLzw(compressed, item.len))), sha256(plain));
}

/** The linear congruential generator that the recording's notes describe. */
function generate({ kind = "lcg", seed, mod }: Generator, length: number): Uint8Array {
  assert.equal(kind, "lcg", "unknown generator");
  const bytes = new Uint8Array(length);
  let x = seed >>> 0;
  for (let i = 0; i < length; i += 1) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    bytes[i] = (x >>> 16) % mod;
  }
  return bytes;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
