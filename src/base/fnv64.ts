/** FNV-1a of 64 bits over the units of a text, as 16 hex digits: to tell contents apart, never against somebody who tries to make them equal. */

const OFFSET = 0xcbf29ce484222325n;
const PRIME = 0x100000001b3n;
const MASK = 0xffff_ffff_ffff_ffffn;

export function fnv64(text: string): string {
  let hash = OFFSET;
  for (let i = 0; i < text.length; i += 1) hash = ((hash ^ BigInt(text.charCodeAt(i))) * PRIME) & MASK;
  return hash.toString(16).padStart(16, "0");
}
