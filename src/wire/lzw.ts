/**
 * LZW as Go's compress/lzw writes it: least significant bit first, 8-bit literals, code widths of 9 to 12 bits (reference:
 * serf-protocol §2.2). The encoder is byte-exact; the decoder stops as soon as the output would pass the caller's bound.
 * The tables are made once and reused: calls never nest.
 */
import { fail, ok, type Result } from "../base/result.ts";

const CLEAR = 256;
const EOF = 257;
const WIDTH_MIN = 9;
const WIDTH_MAX = 12;
/** The encoder clears its dictionary when this code would come next; it never writes it. */
const CODE_MAX = 4095;
const INVALID = -1;

/** Scratch output larger than this is dropped after use. */
let keepBytes = 65_536;
const KEEP_BYTES_MIN = 4096;

/**
 * Encoder dictionary: open addressing over (epoch, prefix code, next byte). Entries of an older epoch count as free, so a clear is
 * one increment; every 2,047 epochs the table is really emptied (31 bits: 11 of epoch, 12 of code, 8 of byte).
 */
const DICTIONARY_SIZE = 8192;
const EPOCH_MAX = 0x7ff;
const dictionaryKeys = new Int32Array(DICTIONARY_SIZE);
const dictionaryCodes = new Uint16Array(DICTIONARY_SIZE);
/** Emptied within the first dozens of messages: what happens for the first time when V8 has compiled it makes V8 compile it anew. */
let epoch = EPOCH_MAX - 16;

let output = new Uint8Array(KEEP_BYTES_MIN);
let outputView = new DataView(output.buffer);

/** For a thread that works on large messages: keeps scratch output of up to so many bytes. */
export function keepScratch(bytes: number): void {
  keepBytes = bytes;
}

/** Takes other memory as scratch output. */
function replaceOutput(bytes: number): void {
  output = new Uint8Array(bytes);
  outputView = new DataView(output.buffer);
}

function nextEpoch(): number {
  if (epoch === EPOCH_MAX) {
    dictionaryKeys.fill(0);
    epoch = 0;
  }
  epoch += 1;
  return epoch << 20;
}

/** Room for `needed` bytes in the scratch output; its content is not kept. */
function reserve(needed: number): void {
  if (output.length < needed) replaceOutput(needed);
}

/** The first `length` bytes of the scratch output: a copy, or the scratch itself when it would be dropped anyway and is mostly filled. */
export function takeInflated(length: number): Uint8Array {
  const taken = output.length > keepBytes && 2 * length > output.length ? output.subarray(0, length) : output.slice(0, length);
  releaseInflated();
  return taken;
}

/** The compressed form of `plain`. */
export function compressLzw(plain: Uint8Array): Uint8Array {
  return compressLzwView(plain).slice();
}

/** As `compressLzw`, but a view of memory that the next call of this module overwrites: for callers that copy it at once. */
export function compressLzwView(plain: Uint8Array): Uint8Array {
  // One code of at most 12 bits for each byte, a clear for each dictionary, and first clear, EOF and padding.
  reserve(Math.ceil(plain.length * 1.51) + 16);
  const compressed = output.subarray(0, encodeInto(output, plain));
  releaseInflated();
  return compressed;
}

function encodeInto(target: Uint8Array, plain: Uint8Array): number {
  const keys = dictionaryKeys;
  const codes = dictionaryCodes;
  let stamp = nextEpoch();
  let hi = EOF;
  let width = WIDTH_MIN;
  let overflow = 512;
  let at = 0;
  let bits = CLEAR; // Every stream begins with a clear.
  let bitCount = WIDTH_MIN;
  let match = plain.length === 0 ? INVALID : (plain[0] as number);

  for (let i = 1; i <= plain.length; i += 1) {
    const atEnd = i === plain.length;
    const byte = atEnd ? 0 : (plain[i] as number);
    const key = stamp | (match << 8) | byte;
    let slot = (Math.imul(key, 0x9e3779b1) >>> 19) & (DICTIONARY_SIZE - 1);
    if (!atEnd) {
      let found = keys[slot] as number;
      while (found !== key && found >= stamp) {
        slot = (slot + 1) & (DICTIONARY_SIZE - 1);
        found = keys[slot] as number;
      }
      if (found === key) {
        match = codes[slot] as number;
        continue;
      }
    }

    bits |= match << bitCount;
    bitCount += width;
    if (bitCount >= 16) {
      target[at] = bits;
      target[at + 1] = bits >>> 8;
      at += 2;
      bits >>>= 16;
      bitCount -= 16;
    }
    hi += 1;
    if (hi === overflow) {
      width += 1;
      overflow <<= 1;
    }
    if (hi === CODE_MAX) {
      bits |= CLEAR << bitCount;
      bitCount += width;
      if (bitCount >= 16) {
        target[at] = bits;
        target[at + 1] = bits >>> 8;
        at += 2;
        bits >>>= 16;
        bitCount -= 16;
      }
      stamp = nextEpoch();
      hi = EOF;
      width = WIDTH_MIN;
      overflow = 512;
    } else if (!atEnd) {
      keys[slot] = key;
      codes[slot] = hi;
    }
    match = byte;
  }

  bits |= EOF << bitCount;
  bitCount += width;
  while (bitCount > 0) {
    target[at++] = bits;
    bits >>>= 8;
    bitCount -= 8;
  }
  return at;
}

/** Where in the output a code's string stands, and its length. */
const entryStart = new Int32Array(CODE_MAX + 1);
const entryLength = new Int32Array(CODE_MAX + 1);

export const LZW_TOO_LARGE = "decompressed data is larger than allowed";

/** What `inflateLzw` gives instead of a length: `~` of the place in `ERRORS`. */
const SHORT = ~0;
const INVALID_CODE = ~1;
export const INFLATED_TOO_LARGE = ~2;
const ERRORS = ["unexpected EOF", "lzw: invalid code", LZW_TOO_LARGE];

/** Strings are copied four bytes at a time, so up to so many are written behind the last. */
const SLACK_BYTES = 3;

/** The plain bytes of `compressed`, at most `plainBytesMax`. The error is Go's, or `LZW_TOO_LARGE`. */
export function decompressLzw(compressed: Uint8Array, plainBytesMax: number): Result<Uint8Array> {
  const length = inflateLzw(compressed, 0, compressed.length, plainBytesMax);
  return length < 0 ? fail(ERRORS[~length] as string) : ok(takeInflated(length));
}

/** Where `inflateLzw` has put its result: overwritten by the next call of this module. */
export function inflatedBytes(): Uint8Array {
  return output;
}

/** Leaves the present scratch output to whoever still reads it. */
export function detachInflated(): void {
  replaceOutput(KEEP_BYTES_MIN);
}

/** Gives scratch output back that has become large. To be called after `inflateLzw`, when its result has been used. */
export function releaseInflated(): void {
  if (output.length > keepBytes) replaceOutput(KEEP_BYTES_MIN);
}

/** As `decompressLzw` of `bytes[start, end)`, into scratch memory (`inflatedBytes`): for callers that hardly ever keep what they find. The length, or negative. */
export function inflateLzw(bytes: Uint8Array, start: number, end: number, plainBytesMax: number): number {
  reserve(Math.min(plainBytesMax, 4 * (end - start)) + 1 + SLACK_BYTES);
  let target = output;
  let view = outputView;
  let room = target.length - SLACK_BYTES;
  let at = 0; // End of the output.
  let width = WIDTH_MIN;
  let overflow = 512;
  let hi = EOF;
  let last = 0; // Start and length of the previous code's string; length 0 right after a clear and while the table is full.
  let lastLength = 0;
  let bits = 0;
  let bitCount = 0;
  let next = start;

  for (;;) {
    if (bitCount < width) {
      // Two bytes at a time: at most 11 bits are left over, so 27 are held.
      if (next + 1 < end) {
        bits |= ((bytes[next] as number) | ((bytes[next + 1] as number) << 8)) << bitCount;
        bitCount += 16;
        next += 2;
      } else {
        if (next < end) {
          bits |= (bytes[next++] as number) << bitCount;
          bitCount += 8;
        }
        if (bitCount < width) return failed(SHORT);
      }
    }
    const code = bits & ((1 << width) - 1);
    bits >>>= width;
    bitCount -= width;

    if (code === CLEAR) {
      width = WIDTH_MIN;
      overflow = 512;
      hi = EOF;
      lastLength = 0;
      continue;
    }
    if (code === EOF) return at;
    if (code > hi) return failed(INVALID_CODE);
    // The new entry is the previous string and the byte after it, which is the first byte of the string now written:
    // both stand side by side in the output, even when the code is the new entry itself.
    if (lastLength > 0) {
      entryStart[hi] = last;
      entryLength[hi] = lastLength + 1;
    }
    const length = code < CLEAR ? 1 : (entryLength[code] as number);
    if (at + length > plainBytesMax) return failed(INFLATED_TOO_LARGE);
    if (at + length > room) {
      // More than fourfold: measured before memory is taken, so that a bomb costs none and a real message only its own.
      const place = { next, bits, bitCount, width, overflow, hi, length };
      const whole = at + length + measureRest(bytes, end, place, plainBytesMax - at - length);
      if (whole > plainBytesMax) return failed(INFLATED_TOO_LARGE);
      replaceOutput(whole + SLACK_BYTES);
      output.set(target.subarray(0, at));
      target = output;
      view = outputView;
      room = whole;
    }
    if (code < CLEAR) target[at] = code;
    else {
      const from = entryStart[code] as number;
      // Most strings are no longer than four bytes.
      view.setInt32(at, view.getInt32(from, true), true);
      for (let i = 4; i < length; i += 4) view.setInt32(at + i, view.getInt32(from + i, true), true);
      // The last byte of the new entry itself has only just been written: it was not there to be copied.
      if (code === hi && lastLength > 0) target[at + length - 1] = target[at] as number;
    }
    last = at;
    lastLength = length;
    at += length;

    hi += 1;
    if (hi < overflow) continue;
    if (width < WIDTH_MAX) {
      width += 1;
      overflow <<= 1;
    } else {
      hi -= 1; // The table is full and stays as it is until a clear.
      lastLength = 0;
    }
  }
}

/** Where the decoder stands after a code has been taken and before its string is written. */
interface Place {
  readonly next: number;
  readonly bits: number;
  readonly bitCount: number;
  readonly width: number;
  readonly overflow: number;
  readonly hi: number;
  /** Of the code's string. */
  readonly length: number;
}

const measuredLength = new Int32Array(CODE_MAX + 1);

/** How many bytes the codes from `place` on yield: up to the end, a mistake, or just beyond `bytesMax`. The decoder without its output. */
function measureRest(compressed: Uint8Array, end: number, place: Place, bytesMax: number): number {
  let { next, bits, bitCount, width, overflow, hi } = place;
  let lastLength = place.length;
  let sum = 0;
  measuredLength.set(entryLength);
  for (;;) {
    hi += 1;
    if (hi >= overflow) {
      if (width < WIDTH_MAX) {
        width += 1;
        overflow <<= 1;
      } else {
        hi -= 1;
        lastLength = 0;
      }
    }
    let code = CLEAR;
    do {
      for (; bitCount < width; bitCount += 8) {
        if (next >= end) return sum;
        bits |= (compressed[next++] as number) << bitCount;
      }
      code = bits & ((1 << width) - 1);
      bits >>>= width;
      bitCount -= width;
      if (code === CLEAR) {
        width = WIDTH_MIN;
        overflow = 512;
        hi = EOF;
        lastLength = 0;
      }
    } while (code === CLEAR);
    if (code === EOF || code > hi) return sum;
    if (lastLength > 0) measuredLength[hi] = lastLength + 1;
    lastLength = code < CLEAR ? 1 : (measuredLength[code] as number);
    sum += lastLength;
    if (sum > bytesMax) return sum;
  }
}

function failed(code: number): number {
  releaseInflated();
  return code;
}
