/** Go's wording of the syntax errors of JSON, found by a small scanner over text that JSON.parse refused. */

/** The message encoding/json gives for malformed `text`. */
export function goJsonError(text: string): string {
  const scanner = new Scanner(text);
  scanner.value();
  if (scanner.error === "") scanner.end();
  return scanner.error === "" ? "unexpected end of JSON input" : scanner.error;
}

/** Deepest nesting that Go accepts. */
const DEPTH_MAX = 10_000;

class Scanner {
  error = "";
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Reads one value; `error` is set when it cannot be one. */
  value(): void {
    this.#space();
    const char = this.#peek();
    if (char === "{") this.#nested("}", true);
    else if (char === "[") this.#nested("]", false);
    else if (char === '"') this.#string();
    else if (char === "t") this.#literal("true");
    else if (char === "f") this.#literal("false");
    else if (char === "n") this.#literal("null");
    else if (char === "-" || (char !== undefined && /[0-9]/.test(char))) this.#number();
    else this.#fail("looking for beginning of value");
  }

  end(): void {
    this.#space();
    if (this.#peek() !== undefined) this.#fail("after top-level value");
  }

  #nested(close: string, keyed: boolean): void {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) {
      this.error = "exceeded max depth";
      return;
    }
    this.#at += 1;
    this.#space();
    if (this.#peek() === close) {
      this.#at += 1;
      this.#depth -= 1;
      return;
    }
    for (;;) {
      if (keyed) this.#key();
      if (this.error !== "") return;
      this.value();
      if (this.error !== "") return;
      this.#space();
      const next = this.#peek();
      if (next === ",") {
        this.#at += 1;
        continue;
      }
      if (next !== close) return this.#fail(keyed ? "after object key:value pair" : "after array element");
      this.#at += 1;
      this.#depth -= 1;
      return;
    }
  }

  #key(): void {
    this.#space();
    if (this.#peek() !== '"') return this.#fail("looking for beginning of object key string");
    this.#string();
    if (this.error !== "") return;
    this.#space();
    if (this.#peek() !== ":") return this.#fail("after object key");
    this.#at += 1;
  }

  #string(): void {
    this.#at += 1;
    for (;;) {
      const char = this.#peek();
      if (char === undefined || char < " ") return this.#fail("in string literal");
      this.#at += 1;
      if (char === '"') return;
      if (char !== "\\") continue;
      const escaped = this.#peek();
      if (escaped === undefined || !'"\\/bfnrtu'.includes(escaped)) return this.#fail("in string escape code");
      this.#at += 1;
      for (let digit = 0; escaped === "u" && digit < 4; digit += 1) {
        if (!/^[0-9a-fA-F]$/.test(this.#peek() ?? "")) return this.#fail("in \\u hexadecimal character escape");
        this.#at += 1;
      }
    }
  }

  #literal(word: string): void {
    for (let i = 0; i < word.length; i += 1) {
      if (this.#peek() !== word[i]) return this.#fail(`in literal ${word} (expecting '${word[i] as string}')`);
      this.#at += 1;
    }
  }

  #number(): void {
    if (this.#peek() === "-") this.#at += 1;
    if (this.#peek() === "0") this.#at += 1;
    else if (!this.#digits()) return this.#fail("in numeric literal");
    if (this.#peek() === ".") {
      this.#at += 1;
      if (!this.#digits()) return this.#fail("after decimal point in numeric literal");
    }
    if (this.#peek() === "e" || this.#peek() === "E") {
      this.#at += 1;
      if (this.#peek() === "+" || this.#peek() === "-") this.#at += 1;
      if (!this.#digits()) return this.#fail("in exponent of numeric literal");
    }
  }

  #digits(): boolean {
    const start = this.#at;
    while (/^[0-9]$/.test(this.#peek() ?? "")) this.#at += 1;
    return this.#at > start;
  }

  #space(): void {
    while (/^[ \t\r\n]$/.test(this.#peek() ?? "")) this.#at += 1;
  }

  #peek(): string | undefined {
    return this.#text[this.#at];
  }

  #fail(context: string): void {
    const char = this.#peek();
    this.error = char === undefined ? "unexpected end of JSON input" : `invalid character ${quoteChar(char)} ${context}`;
  }
}

/** A character between single quotes, as Go's scanner shows it. */
function quoteChar(char: string): string {
  if (char === "'") return `'\\''`;
  if (char === '"') return `'"'`;
  return `'${JSON.stringify(char).slice(1, -1)}'`;
}
