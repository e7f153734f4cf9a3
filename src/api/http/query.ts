/** Query strings as Go's `url.ParseQuery` reads them, and percent-decoding of paths. */
import { decodeUtf8, encodeUtf8 } from "../../base/utf8.ts";

const NONE: ReadonlySet<string> = new Set();

export class Query {
  readonly #pairs: readonly (readonly [string, string])[];

  constructor(pairs: readonly (readonly [string, string])[]) {
    this.#pairs = pairs;
  }

  get isEmpty(): boolean {
    return this.#pairs.length === 0;
  }

  has(name: string): boolean {
    for (const [key] of this.#pairs) if (key === name) return true;
    return false;
  }

  /** The first value, "" when there is none. */
  get(name: string): string {
    for (const [key, value] of this.#pairs) if (key === name) return value;
    return "";
  }

  all(name: string): readonly string[] {
    return this.#pairs.filter(([key]) => key === name).map(([, value]) => value);
  }

  /** `url.Values.Encode`: sorted by name, escaped. */
  encode(without: ReadonlySet<string> = NONE): string {
    const sorted = this.#pairs.filter(([name]) => !without.has(name)).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return sorted.map(([name, value]) => `${escapeQuery(name)}=${escapeQuery(value)}`).join("&");
  }
}

const EMPTY_QUERY = new Query([]);

/** Null when an escape is malformed. */
export function parseQuery(raw: string): Query | null {
  if (raw === "") return EMPTY_QUERY;
  const pairs: [string, string][] = [];
  for (const part of raw.split(/[&;]/)) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = unescape(equals < 0 ? part : part.slice(0, equals), true);
    const value = equals < 0 ? "" : unescape(part.slice(equals + 1), true);
    if (name === null || value === null) return null;
    pairs.push([name, value]);
  }
  return new Query(pairs);
}

/** Percent-decoded text; null when an escape is malformed. In a query "+" is a blank, in a path it stands for itself. */
export function unescape(text: string, inQuery: boolean): string | null {
  const plain = inQuery ? text.replaceAll("+", " ") : text;
  if (!plain.includes("%")) return plain;
  if (/%(?![0-9a-fA-F]{2})/.test(plain)) return null;
  const source = encodeUtf8(plain);
  const bytes = new Uint8Array(source.length);
  let length = 0;
  for (let i = 0; i < source.length; i += 1) {
    if (source[i] === PERCENT) {
      bytes[length++] = Number.parseInt(String.fromCharCode(source[i + 1] as number, source[i + 2] as number), 16);
      i += 2;
    } else bytes[length++] = source[i] as number;
  }
  return decodeUtf8(bytes, 0, length);
}

const PERCENT = 0x25;

/** `url.QueryEscape`. */
function escapeQuery(text: string): string {
  return escapeBytes(text, QUERY_PLAIN).replaceAll("%20", "+");
}

/** The path of a redirect, as `url.URL.String` writes it. */
export function escapePath(path: string): string {
  return escapeBytes(path, PATH_PLAIN);
}

const QUERY_PLAIN = /[A-Za-z0-9\-_.~]/;
const PATH_PLAIN = /[A-Za-z0-9\-_.~$&+,/:;=@]/;

function escapeBytes(text: string, plain: RegExp): string {
  let escaped = "";
  for (const byte of encodeUtf8(text)) {
    const char = String.fromCharCode(byte);
    escaped += byte < 0x80 && plain.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return escaped;
}
