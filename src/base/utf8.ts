/**
 * UTF-8 for the pure layers. Peers may send names that are not UTF-8; such a byte b becomes the lone surrogate
 * U+DC00+b and turns back into b when encoded, so that every byte string survives a round trip through a JS string.
 */

const REPLACED = 0xdc00;

/** Text of `bytes[start, end)`. Never throws. */
export function decodeUtf8(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let text = "";
  let i = start;
  while (i < end) {
    const first = bytes[i] as number;
    if (first < 0x80) {
      // Eight at a time where all are ASCII: each piece added is an object of its own until the text is first compared.
      if (i + 8 <= end && isAscii8(bytes, i)) {
        text += String.fromCharCode(first, bytes[i + 1] as number, bytes[i + 2] as number, bytes[i + 3] as number,
          bytes[i + 4] as number, bytes[i + 5] as number, bytes[i + 6] as number, bytes[i + 7] as number);
        i += 8;
        continue;
      }
      if (i + 4 <= end && isAscii4(bytes, i)) {
        text += String.fromCharCode(first, bytes[i + 1] as number, bytes[i + 2] as number, bytes[i + 3] as number);
        i += 4;
        continue;
      }
      text += String.fromCharCode(first);
      i += 1;
      continue;
    }
    const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    const point = decodeSequence(bytes, i, end, first, length);
    if (point < 0) {
      text += String.fromCharCode(REPLACED + first);
      i += 1;
    } else {
      text += String.fromCodePoint(point);
      i += length;
    }
  }
  return text;
}

function isAscii8(bytes: Uint8Array, at: number): boolean {
  let all = 0;
  for (let i = at; i < at + 8; i += 1) all |= bytes[i] as number;
  return all < 0x80;
}

function isAscii4(bytes: Uint8Array, at: number): boolean {
  return ((bytes[at] as number) | (bytes[at + 1] as number) | (bytes[at + 2] as number) | (bytes[at + 3] as number)) < 0x80;
}

/** The code point of a well-formed sequence at `at`, or -1 (RFC 3629: shortest form, no surrogates, at most U+10FFFF). */
function decodeSequence(bytes: Uint8Array, at: number, end: number, first: number, length: number): number {
  if (first < 0xc2 || first > 0xf4 || at + length > end) return -1;
  let point = first & (0xff >> (length + 1));
  for (let k = 1; k < length; k += 1) {
    const next = bytes[at + k] as number;
    if ((next & 0xc0) !== 0x80) return -1;
    point = (point << 6) | (next & 0x3f);
  }
  if (length === 3 && (point < 0x800 || (point >= 0xd800 && point <= 0xdfff))) return -1;
  if (length === 4 && (point < 0x10000 || point > 0x10ffff)) return -1;
  return point;
}

/** Number of bytes `encodeUtf8` writes for `text`. */
export function utf8Length(text: string): number {
  let length = 0;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) length += 1;
    else if (unit < 0x800) length += 2;
    else if (isPair(text, i)) {
      length += 4;
      i += 1;
    } else length += isReplaced(unit) ? 1 : 3;
  }
  return length;
}

/** Writes `text` at `offset` and returns the offset behind it. The caller has made room (see `utf8Length`). */
export function writeUtf8(text: string, target: Uint8Array, offset: number): number {
  let at = offset;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) target[at++] = unit;
    else if (unit < 0x800) {
      target[at++] = 0xc0 | (unit >> 6);
      target[at++] = 0x80 | (unit & 0x3f);
    } else if (isPair(text, i)) {
      const point = text.codePointAt(i) as number;
      i += 1;
      target[at++] = 0xf0 | (point >> 18);
      target[at++] = 0x80 | ((point >> 12) & 0x3f);
      target[at++] = 0x80 | ((point >> 6) & 0x3f);
      target[at++] = 0x80 | (point & 0x3f);
    } else if (isReplaced(unit)) target[at++] = unit - REPLACED;
    else {
      target[at++] = 0xe0 | (unit >> 12);
      target[at++] = 0x80 | ((unit >> 6) & 0x3f);
      target[at++] = 0x80 | (unit & 0x3f);
    }
  }
  return at;
}

export function encodeUtf8(text: string): Uint8Array {
  const bytes = new Uint8Array(utf8Length(text));
  writeUtf8(text, bytes, 0);
  return bytes;
}

function isPair(text: string, i: number): boolean {
  const unit = text.charCodeAt(i);
  if (unit < 0xd800 || unit > 0xdbff) return false;
  const next = text.charCodeAt(i + 1);
  return next >= 0xdc00 && next <= 0xdfff;
}

function isReplaced(unit: number): boolean {
  return unit >= REPLACED + 0x80 && unit <= REPLACED + 0xff;
}
