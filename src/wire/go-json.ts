/**
 * JSON as Go's encoding/json reads it, with its error texts: existing tools and recordings know them, and no JavaScript parser tells a cut file
 * from a wrong character. Differences that users meet: a configuration file may have anything after its first value, strings that are not UTF-8
 * get U+FFFD, and of a repeated key the last wins.
 */
import { fail, ok, type Result } from "../base/result.ts";
import { decodeUtf8, encodeUtf8 } from "../base/utf8.ts";

/** A whole number beyond 2^53 is a bigint: Consul's flags and indexes are 64 bits wide. */
export type JsonValue = null | boolean | number | bigint | string | readonly JsonValue[] | ReadonlyMap<string, JsonValue>;

/** Nesting that Go accepts is 10,000 deep; no configuration needs more than this, and it keeps us off the stack's end. */
const DEPTH_MAX = 1000;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

class JsonError extends Error {}

/** The first value of `bytes`, as Go's `json.Decoder` reads one; what follows is not looked at. Errors: "EOF", "unexpected EOF", "invalid character …". */
export function decodeJson(bytes: Uint8Array): Result<JsonValue> {
  return read(bytes, "decode");
}

/** The only value of `bytes`, as Go's `json.Unmarshal` reads it: a cut text is "unexpected end of JSON input", more than one value is refused. */
export function unmarshalJson(bytes: Uint8Array): Result<JsonValue> {
  return read(bytes, "unmarshal");
}

/** The message for a text that is no JSON value. */
export function goJsonError(text: string): string {
  const read = unmarshalJson(encodeUtf8(text));
  return read.ok ? "unexpected end of JSON input" : read.error;
}

function read(bytes: Uint8Array, mode: "decode" | "unmarshal"): Result<JsonValue> {
  const reader = new Reader(bytes);
  try {
    const value = reader.value(0);
    if (mode === "unmarshal") reader.end();
    return ok(value);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    if (error.message !== "") return fail(error.message);
    if (mode === "unmarshal") return fail("unexpected end of JSON input");
    return fail(reader.empty ? "EOF" : "unexpected EOF");
  }
}

/** A recursive reader; errors leave it as `JsonError`, with an empty message at the end of the input. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Nothing but white space. */
  get empty(): boolean {
    return this.#bytes.every(isSpace);
  }

  value(depth: number): JsonValue {
    if (depth > DEPTH_MAX) throw new JsonError("exceeded max depth");
    const first = this.#token();
    if (first === QUOTE) return this.#string();
    if (first === 0x7b) return this.#object(depth);
    if (first === 0x5b) return this.#array(depth);
    if (first === 0x2d || isDigit(first)) return this.#number();
    if (first === 0x74) return this.#literal("true", true);
    if (first === 0x66) return this.#literal("false", false);
    if (first === 0x6e) return this.#literal("null", null);
    throw this.#invalid("looking for beginning of value");
  }

  end(): void {
    while (this.#at < this.#bytes.length && isSpace(this.#bytes[this.#at] as number)) this.#at += 1;
    if (this.#at < this.#bytes.length) throw this.#invalid("after top-level value");
  }

  #object(depth: number): JsonValue {
    const map = new Map<string, JsonValue>();
    this.#at += 1;
    if (this.#token() === 0x7d) {
      this.#at += 1;
      return map;
    }
    for (;;) {
      if (this.#token() !== QUOTE) throw this.#invalid("looking for beginning of object key string");
      const key = this.#string();
      if (this.#token() !== 0x3a) throw this.#invalid("after object key");
      this.#at += 1;
      map.set(key, this.value(depth + 1));
      if (this.#separator(0x7d, "after object key:value pair")) return map;
    }
  }

  #array(depth: number): JsonValue {
    const list: JsonValue[] = [];
    this.#at += 1;
    if (this.#token() === 0x5d) {
      this.#at += 1;
      return list;
    }
    for (;;) {
      list.push(this.value(depth + 1));
      if (this.#separator(0x5d, "after array element")) return list;
    }
  }

  /** Reads "," (false) or the closing byte (true). */
  #separator(closing: number, context: string): boolean {
    const byte = this.#token();
    if (byte !== closing && byte !== 0x2c) throw this.#invalid(context);
    this.#at += 1;
    return byte === closing;
  }

  #literal(word: string, value: boolean | null): boolean | null {
    for (let i = 0; i < word.length; i += 1) {
      const expected = word[i] as string;
      if (this.#byte() !== expected.charCodeAt(0)) throw this.#invalid(`in literal ${word} (expecting '${expected}')`);
      this.#at += 1;
    }
    return value;
  }

  #number(): number | bigint {
    const start = this.#at;
    if (this.#byte() === 0x2d) this.#at += 1;
    if (!isDigit(this.#byte())) throw this.#invalid("in numeric literal");
    if (this.#byte() === 0x30) this.#at += 1;
    else this.#digits();
    if (this.#peek() === 0x2e) {
      this.#at += 1;
      if (!isDigit(this.#byte())) throw this.#invalid("after decimal point in numeric literal");
      this.#digits();
    }
    const exponent = this.#peek();
    if (exponent === 0x65 || exponent === 0x45) {
      this.#at += 1;
      const sign = this.#byte();
      if (sign === 0x2b || sign === 0x2d) this.#at += 1;
      if (!isDigit(this.#byte())) throw this.#invalid("in exponent of numeric literal");
      this.#digits();
    }
    const text = latin1(this.#bytes.subarray(start, this.#at));
    const value = Number(text);
    if (!Number.isSafeInteger(value) && /^-?\d+$/.test(text)) return BigInt(text);
    if (!Number.isFinite(value)) throw new JsonError(`json: cannot unmarshal number ${text} into Go value of type float64`);
    return value;
  }

  #digits(): void {
    while (isDigit(this.#peek())) this.#at += 1;
  }

  #string(): string {
    this.#at += 1;
    let text = "";
    let plain = this.#at;
    for (;;) {
      const byte = this.#byte();
      if (byte < 0x20) throw this.#invalid("in string literal");
      if (byte !== QUOTE && byte !== BACKSLASH) {
        this.#at += 1;
        continue;
      }
      text += decodeUtf8(this.#bytes, plain, this.#at);
      this.#at += 1;
      if (byte === QUOTE) return text.replace(/\p{Surrogate}/gu, "\ufffd"); // Bytes that were no UTF-8, and halves of pairs.
      text += this.#escape();
      plain = this.#at;
    }
  }

  #escape(): string {
    const byte = this.#byte();
    const simple = ESCAPES.get(byte);
    if (simple !== undefined) {
      this.#at += 1;
      return simple;
    }
    if (byte !== 0x75) throw this.#invalid("in string escape code");
    this.#at += 1;
    let unit = 0;
    for (let i = 0; i < 4; i += 1) {
      const digit = Number.parseInt(String.fromCharCode(this.#byte()), 16);
      if (Number.isNaN(digit)) throw this.#invalid("in \\u hexadecimal character escape");
      unit = unit * 16 + digit;
      this.#at += 1;
    }
    return String.fromCharCode(unit);
  }

  /** The next byte that is no white space; the end of the input is an error. */
  #token(): number {
    while (isSpace(this.#byte())) this.#at += 1;
    return this.#byte();
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new JsonError("");
    return byte;
  }

  /** Like `#byte`, with -1 at the end. */
  #peek(): number {
    return this.#bytes[this.#at] ?? -1;
  }

  #invalid(context: string): JsonError {
    return new JsonError(`invalid character ${quoteByte(this.#byte())} ${context}`);
  }
}

const ESCAPES: ReadonlyMap<number, string> = new Map([
  [0x22, '"'],
  [0x5c, "\\"],
  [0x2f, "/"],
  [0x62, "\b"],
  [0x66, "\f"],
  [0x6e, "\n"],
  [0x72, "\r"],
  [0x74, "\t"],
]);

const QUOTED: ReadonlyMap<number, string> = new Map([
  [0x07, "\\a"],
  [0x08, "\\b"],
  [0x09, "\\t"],
  [0x0a, "\\n"],
  [0x0b, "\\v"],
  [0x0c, "\\f"],
  [0x0d, "\\r"],
  [0x27, "\\'"],
  [0x5c, "\\\\"],
]);

/** Go's `quoteChar`: one byte, read as Latin-1, between single quotes. */
function quoteByte(byte: number): string {
  const known = QUOTED.get(byte);
  if (known !== undefined) return `'${known}'`;
  if (byte < 0x20 || byte === 0x7f) return `'\\x${hex(byte, 2)}'`;
  if ((byte >= 0x80 && byte <= 0xa0) || byte === 0xad) return `'\\u${hex(byte, 4)}'`;
  return `'${String.fromCharCode(byte)}'`;
}

function hex(value: number, width: number): string {
  return value.toString(16).padStart(width, "0");
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
