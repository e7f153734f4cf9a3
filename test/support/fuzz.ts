/** Mutation of valid inputs, for decoders that must survive anything (serf: B5). */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { concatBytes, toHex } from "../../src/base/bytes.ts";
import { SeededRandom } from "../../src/base/random.ts";

/** Mutated inputs per decoder: a few with every test run, `FUZZ=1000000` for the full one. */
export const FUZZ_COUNT: number = Number(process.env["FUZZ"] ?? 3000);

/** Bytes that open something: msgpack heads with forged counts, message types of framing, ends of ranges. */
const LURES = [0x00, 0x07, 0x09, 0x0a, 0x0c, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc4, 0xc6, 0xc7, 0xc9, 0xcb, 0xcf, 0xd3, 0xd8, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xf4, 0xff];
const INPUT_BYTES_MAX = 8192;

/** Calls `decode` with `FUZZ_COUNT` mutations of `inputs`; an exception names the input that caused it, and memory must not grow. */
export function fuzz(seed: number, inputs: readonly Uint8Array[], decode: (bytes: Uint8Array) => void): void {
  const random = new SeededRandom(seed);
  const gc = collector();
  const settled: number[] = [];
  for (let i = 0; i < FUZZ_COUNT; i += 1) {
    if (i >= settled.length * (FUZZ_COUNT / GROWTH_PARTS)) settled.push(memoryInUse(gc));
    const bytes = mutate(inputs, random);
    try {
      decode(bytes);
    } catch (error) {
      throw new Error(`seed ${seed}, number ${i}: ${toHex(bytes)}`, { cause: error });
    }
  }
  settled.push(memoryInUse(gc));
  assertNoLeak(settled, FUZZ_COUNT);
}

/** Throws when memory in use, measured at the ends of equal parts of `count` inputs, grew with every part: what the runtime takes once (code, tables that fill, buffers not yet swept) it does not take again. */
export function assertNoLeak(settled: readonly number[], count: number): void {
  const growths = settled.slice(1).map((bytes, part) => bytes - (settled[part] as number));
  const least = Math.min(...growths);
  assert.ok(least < GROWTH_BYTES_MAX, `memory grew by ${growths.join(", ")} bytes in ${growths.length} parts of ${count} inputs`);
}

const GROWTH_PARTS = 5;
/** Growth that every part may show: a leak of 10 bytes an input is more at 10^6, one of 2 KiB at 3,000. */
const GROWTH_BYTES_MAX = 1 << 20;

/** One of `inputs` with a few mistakes in it. */
export function mutate(inputs: readonly Uint8Array[], random: SeededRandom): Uint8Array {
  let bytes: Uint8Array = Uint8Array.from(pick(inputs, random));
  for (let left = 1 + random.below(4); left > 0; left -= 1) bytes = mutateOnce(bytes, inputs, random);
  return bytes.subarray(0, INPUT_BYTES_MAX);
}

function mutateOnce(bytes: Uint8Array, inputs: readonly Uint8Array[], random: SeededRandom): Uint8Array {
  const at = random.below(bytes.length + 1);
  const changed = Uint8Array.from(bytes);
  switch (random.below(7)) {
    case 0:
      return bytes.slice(0, at);
    case 1:
      if (at < bytes.length) changed[at] = (changed[at] as number) ^ (1 << random.below(8));
      return changed;
    case 2:
      if (at < bytes.length) changed[at] = pick(LURES, random);
      return changed;
    case 3:
      if (at < bytes.length) changed[at] = random.below(256);
      return changed;
    case 4: // Insert a few lures: forged heads with their lengths.
      return splice(bytes, at, 0, Uint8Array.from({ length: 1 + random.below(6) }, () => pick(LURES, random)));
    case 5: // Repeat or move a piece.
      return splice(bytes, at, 0, bytes.subarray(random.below(bytes.length + 1)).subarray(0, random.below(40)));
    default: // Go on as another input does.
      return splice(bytes, at, bytes.length, pick(inputs, random).subarray(random.below(30)));
  }
}

function splice(bytes: Uint8Array, at: number, removed: number, inserted: Uint8Array): Uint8Array {
  return concatBytes([bytes.subarray(0, at), inserted, bytes.subarray(at + removed)]);
}

function pick<T>(items: ArrayLike<T>, random: SeededRandom): T {
  return items[random.below(items.length)] as T;
}

function collector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}

function memoryInUse(gc: () => void): number {
  gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
