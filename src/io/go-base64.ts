/** Standard base64 as Go decodes it: padding required, CR and LF skipped, errors with the offset. */
import { fail, ok, type Result } from "../base/result.ts";

const ALPHABET = /^[A-Za-z0-9+/]$/;

/** The bytes, or Go's `illegal base64 data at input byte K`, where K is the offset of the first character that cannot be. */
export function decodeGoBase64(text: string): Result<Uint8Array> {
  let digits = 0;
  let at = 0;
  const skipNewlines = (): void => {
    while (text[at] === "\n" || text[at] === "\r") at += 1;
  };
  const illegal = (offset: number): Result<Uint8Array> => fail(`illegal base64 data at input byte ${offset}`);
  for (; ; at += 1) {
    skipNewlines();
    const char = text[at];
    if (char === undefined) break;
    if (char === "=") return finishPadding();
    if (!ALPHABET.test(char)) return illegal(at);
    digits += 1;
  }
  // Go reports an incomplete last group at the place where it began to lack characters.
  if (digits % 4 !== 0) return illegal(at - (digits % 4));
  return ok(new Uint8Array(Buffer.from(text, "base64")));

  function finishPadding(): Result<Uint8Array> {
    const inGroup = digits % 4;
    if (inGroup < 2) return illegal(at);
    at += 1;
    if (inGroup === 2) {
      skipNewlines();
      if (text[at] === undefined) return illegal(text.length);
      if (text[at] !== "=") return illegal(at - 1);
      at += 1;
    }
    skipNewlines();
    return at < text.length ? illegal(at) : ok(new Uint8Array(Buffer.from(text, "base64")));
  }
}
