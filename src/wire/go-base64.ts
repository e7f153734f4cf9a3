/** Standard base64 with the error texts of Go's decoder, which users of the key commands see. */
import { fail, ok, type Result } from "../base/result.ts";
import { encodeUtf8 } from "../base/utf8.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PAD = 0x3d;
const VALUES = new Int8Array(256).fill(-1);
for (let i = 0; i < ALPHABET.length; i += 1) VALUES[ALPHABET.charCodeAt(i)] = i;

function isNewline(byte: number | undefined): boolean {
  return byte === 0x0a || byte === 0x0d;
}

function corrupt(at: number): { readonly ok: false; readonly error: string } {
  return fail(`illegal base64 data at input byte ${at}`);
}

/** Decodes padded base64; line ends are skipped anywhere. */
export function decodeBase64(text: string): Result<Uint8Array> {
  const source = encodeUtf8(text);
  const bytes: number[] = [];
  let at = 0;
  for (;;) {
    const digits: number[] = [];
    let ended = false;
    while (digits.length < 4) {
      const byte = source[at];
      if (byte === undefined) {
        if (digits.length === 0) return ok(Uint8Array.from(bytes));
        return corrupt(at - digits.length);
      }
      at += 1;
      const value = VALUES[byte] as number;
      if (value >= 0) digits.push(value);
      else if (isNewline(byte)) continue;
      else if (byte !== PAD || digits.length < 2) return corrupt(at - 1);
      else {
        if (digits.length === 2) {
          while (isNewline(source[at])) at += 1;
          if (at === source.length) return corrupt(at);
          if (source[at] !== PAD) return corrupt(at - 1);
          at += 1;
        }
        while (isNewline(source[at])) at += 1;
        if (at < source.length) return corrupt(at);
        ended = true;
        break;
      }
    }
    const [a = 0, b = 0, c = 0, d = 0] = digits;
    const group = [(a << 2) | (b >> 4), ((b & 15) << 4) | (c >> 2), ((c & 3) << 6) | d];
    bytes.push(...group.slice(0, digits.length - 1));
    if (ended) return ok(Uint8Array.from(bytes));
  }
}
