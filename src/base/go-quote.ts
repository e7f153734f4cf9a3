/** Go's quoting of texts, which error texts and tables of the originals contain. */

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};

/** `%q` of a string: `strconv.Quote`. A lone surrogate U+DC00+b stands for the byte b (see `base/utf8.ts`) and is printed as `\xbb`. */
export function goQuote(text: string): string {
  let quoted = '"';
  for (const char of text) {
    const short = SHORT_ESCAPES[char];
    const point = char.codePointAt(0) as number;
    if (short !== undefined) quoted += short;
    else if (point >= 0xdc80 && point <= 0xdcff) quoted += `\\x${(point - 0xdc00).toString(16)}`;
    else if (point < 0x20 || point === 0x7f) quoted += `\\x${point.toString(16).padStart(2, "0")}`;
    else if (isPrintable(char)) quoted += char;
    else if (point < 0x10000) quoted += `\\u${point.toString(16).padStart(4, "0")}`;
    else quoted += `\\U${point.toString(16).padStart(8, "0")}`;
  }
  return `${quoted}"`;
}

/** Letters, marks, numbers, punctuation, symbols and the ASCII space: what Go's `strconv.IsPrint` lets through. */
function isPrintable(char: string): boolean {
  return /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(char);
}
