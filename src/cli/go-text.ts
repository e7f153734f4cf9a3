/** Text as Go's standard library prints and reads it; the Serf commands are compared with the original word for word. */

/** An integer that Go's `strconv.ParseInt(text, 0, 64)` accepts; null when it is refused. */
export function parseGoInt(text: string): number | null {
  const match = /^([+-]?)(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|0[0-7_]*|[1-9][0-9_]*)$/.exec(text);
  if (match === null) return null;
  const digits = match[2] as string;
  // An underscore may only stand between digits, and only where the base is written.
  if (digits.includes("_") && (!digits.startsWith("0") || /__|_$/.test(digits))) return null;
  const plain = digits.replaceAll("_", "");
  const value = Number(/^0[0-7]+$/.test(plain) ? `0o${plain.slice(1)}` : plain);
  return match[1] === "-" ? -value : value;
}

/** A truth value that Go's `strconv.ParseBool` accepts; null when it is refused. */
export function parseGoBool(text: string): boolean | null {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(text)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(text)) return false;
  return null;
}

/**
 * `json.MarshalIndent(value, "", "  ")`: differs from `JSON.stringify` in escaping HTML and in the short escapes; bytes that are no UTF-8
 * become U+FFFD. The caller sorts the keys of what is a map in Go.
 */
export function goJson(value: unknown): string {
  return JSON.stringify(value, null, 2)
    .replace(/\\ud[89a-f][0-9a-f]{2}/g, "\\ufffd")
    .replace(/\\b|\\f|\\\\/g, (escape) => (escape === "\\b" ? "\\u0008" : escape === "\\f" ? "\\u000c" : escape))
    .replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** An object whose keys are in byte order, as Go prints maps. */
export function sortedObject<T>(entries: Iterable<readonly [string, T]>): Record<string, T> {
  const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  // No prototype, so that a tag named "__proto__" is a key like any other.
  return Object.assign(Object.create(null) as Record<string, T>, Object.fromEntries(sorted));
}
