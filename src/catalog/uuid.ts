/** Ids as the original's tables index them: 16 bytes as 36 characters, hex digits in any case, hyphens anywhere. */

/** The error that a lookup with this id gives, null when it is well-formed. */
export function uuidProblem(id: string): string | null {
  if (id.length !== 36) return "index error: UUID must be 36 characters";
  const hyphens = id.split("-").length - 1;
  if (hyphens > 4) return `index error: UUID should have maximum of 4 "-"; got ${hyphens}`;
  const digits = id.replaceAll("-", "");
  if (digits.length % 2 !== 0) return "index error: Input (without hyphens) must be even length";
  const wrong = /[^0-9a-fA-F]/u.exec(digits)?.[0];
  if (wrong === undefined) return null;
  return `index error: Invalid UUID: encoding/hex: invalid byte: U+${(wrong.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, "0")} '${wrong}'`;
}

/** The form under which equal ids are equal and sort like their bytes. */
export function uuidKey(id: string): string {
  return id.replaceAll("-", "").toLowerCase();
}
