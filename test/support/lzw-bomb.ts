/** LZW streams that no encoder writes: legal for the decoder, hostile or unusual. */

/** Codes as bits, with the widths that a decoder expects; the table fills and stays full when no clear comes. */
export function packCodes(codes: readonly number[]): Uint8Array {
  const bytes: number[] = [];
  let bits = 0;
  let bitCount = 0;
  let width = 9;
  let hi = 257;
  for (const code of codes) {
    bits |= code << bitCount;
    bitCount += width;
    while (bitCount >= 8) {
      bytes.push(bits & 0xff);
      bits >>>= 8;
      bitCount -= 8;
    }
    if (code === 256) {
      width = 9;
      hi = 257;
    } else {
      if (hi < 4095) hi += 1;
      if (hi === 1 << width && width < 12) width += 1;
    }
  }
  bytes.push(bits);
  return Uint8Array.from(bytes);
}

/** At least `plainLength` zero bytes in as few bytes as possible: each code is one byte longer than the last, then the longest repeats. */
export function lzwBomb(plainLength: number): Uint8Array {
  const codes = [256, 0];
  let length = 1;
  for (let code = 258; code < 4096; code += 1) {
    codes.push(code);
    length += code - 256;
  }
  for (; length < plainLength; length += 4095 - 256) codes.push(4095);
  return packCodes([...codes, 257]);
}
