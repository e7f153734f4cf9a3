/** JSON as Go's encoding/json writes it: field order as given, `<`, `>`, `&` escaped, indented by four blanks when asked. */
import { orderKey } from "../../catalog/order-key.ts";

/**
 * An object's fields keep their order; undefined fields are left out (`omitempty` is the caller's). What users name belongs into a `Map`, whose keys are sorted
 * bytewise as Go does: an object moves names that look like numbers to its front. `RawJson` is written as it stands.
 */
export type Json = null | boolean | number | bigint | string | RawJson | readonly Json[] | ReadonlyMap<string, Json> | { readonly [name: string]: Json | undefined };

/** Text that is JSON already. */
export class RawJson {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const PLAIN = /^[ !#-%'-;=?-[\]-~]*$/;

/** A string between quotes. Bytes that were no UTF-8 (see `base/utf8.ts`) become U+FFFD. */
export function jsonString(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  // JSON.stringify writes lone surrogates as \ud800 to \udfff; Go writes what was no UTF-8 as \ufffd.
  return JSON.stringify(text).replace(/[<>&\u2028\u2029]|\\ud[89a-f][0-9a-f]{2}|\\b|\\f|\\\\/g, (found) => {
    if (found === "\\\\") return found;
    if (found.startsWith("\\u")) return "\\ufffd";
    if (found === "\\b") return "\\u0008";
    if (found === "\\f") return "\\u000c";
    return `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** A float64. JavaScript's shortest digits and its exponent, below 1e-6 and from 1e21 on, are Go's; only negative zero differs. */
export function jsonNumber(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

/** Compact without a line end, or indented with one. */
export function writeJson(value: Json, pretty: boolean): string {
  return pretty ? `${write(value, "\n")}\n` : write(value, "");
}

/** `indent`: line end and blanks of the enclosing level, "" for compact. */
function write(value: Json, indent: string): string {
  if (value === null) return "null";
  if (typeof value === "string") return jsonString(value);
  if (typeof value === "number") return jsonNumber(value);
  if (typeof value !== "object") return String(value);
  if (value instanceof RawJson) return value.text;
  const inner = indent === "" ? "" : `${indent}    `;
  if (isArray(value)) {
    if (value.length === 0) return "[]";
    return `[${inner}${value.map((item) => write(item, inner)).join(`,${inner}`)}${indent}]`;
  }
  const colon = indent === "" ? ":" : ": ";
  const fields: string[] = [];
  if (isMap(value)) {
    for (const [name, field] of [...value].sort(bytewise)) fields.push(`${jsonString(name)}${colon}${write(field, inner)}`);
  } else {
    for (const name in value) {
      const field = value[name];
      if (field !== undefined) fields.push(`${jsonString(name)}${colon}${write(field, inner)}`);
    }
  }
  return fields.length === 0 ? "{}" : `{${inner}${fields.join(`,${inner}`)}${indent}}`;
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function bytewise([a]: readonly [string, Json], [b]: readonly [string, Json]): number {
  return orderKey(a) < orderKey(b) ? -1 : 1;
}

function isMap(value: Json): value is ReadonlyMap<string, Json> {
  return value instanceof Map;
}
