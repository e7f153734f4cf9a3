/** Texts as keys of ordered maps: Go orders strings by their bytes, JavaScript by UTF-16 units, which differs outside ASCII. */
import { utf8Length, writeUtf8 } from "../base/utf8.ts";

/** A text that sorts, with `<`, as the bytes of `text` do: each unit is one byte of the UTF-8 form. ASCII is its own order key. */
export function orderKey(text: string): string {
  for (let i = 0; i < text.length; i += 1) if (text.charCodeAt(i) >= 0x80) return byteText(text);
  return text;
}

function byteText(text: string): string {
  const bytes = new Uint8Array(utf8Length(text));
  writeUtf8(text, bytes, 0);
  let key = "";
  for (const byte of bytes) key += String.fromCharCode(byte);
  return key;
}

/** Parts of a compound key, in the order of the parts: 0 sorts before everything else. */
export function compoundKey(...parts: readonly string[]): string {
  return parts.map(orderKey).join("\0");
}

/** Lower case letter by letter, as Go does it: JavaScript's own looks at neighbours (a final sigma). */
export function lowerCase(text: string): string {
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x80) return lowerCaseWide(text);
    if (unit >= 0x41 && unit <= 0x5a) return lowerCaseFrom(text, i);
  }
  return text;
}

function lowerCaseFrom(text: string, first: number): string {
  for (let i = first; i < text.length; i += 1) if (text.charCodeAt(i) >= 0x80) return lowerCaseWide(text);
  return text.toLowerCase();
}

function lowerCaseWide(text: string): string {
  let lower = "";
  for (const letter of text) {
    const one = letter.toLowerCase();
    // Go maps letter to letter: what would become several stays, except the dotted capital I, which becomes i.
    lower += letter === "\u0130" ? "i" : one.length > letter.length ? letter : one;
  }
  return lower;
}

/** The key form of names that match in any case. */
export function nameKey(name: string): string {
  return orderKey(lowerCase(name));
}
