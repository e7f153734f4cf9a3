/**
 * Go's `%#v` of a msgpack value that was decoded without a type, which is how `serf monitor` shows events. The form depends on how a number
 * was written: a fixint is an int64 (`5`), a uint8 … uint64 is a uint64 (`0x461a`).
 */
import { MSGPACK_DEPTH_MAX, Reader } from "../wire/msgpack.ts";
import { goQuote } from "../base/go-quote.ts";

/** Key and Go-syntax value of each field of a map, in wire order; null when `bytes` is no map or malformed. */
export function goSyntaxFields(bytes: Uint8Array): readonly (readonly [string, string])[] | null {
  const reader = new Reader(bytes);
  const fields: [string, string][] = [];
  const count = reader.mapHead();
  for (let i = 0; i < count && !reader.failed; i += 1) {
    const key = reader.text();
    fields.push([key, goSyntax(reader, bytes, 0)]);
  }
  return reader.failed ? null : fields;
}

function goSyntax(reader: Reader, bytes: Uint8Array, depth: number): string {
  const first = bytes[reader.at] ?? 0xc1;
  if (depth > MSGPACK_DEPTH_MAX) reader.fail();
  if (reader.failed) return "";
  const isMap = (first & 0xf0) === 0x80 || first === 0xde || first === 0xdf;
  if (isMap) return mapSyntax(reader, bytes, depth);
  if ((first & 0xf0) === 0x90 || first === 0xdc || first === 0xdd) return listSyntax(reader, bytes, depth);
  const value = reader.value();
  if (value === null) return depth === 0 ? "<nil>" : "interface {}(nil)";
  if (typeof value === "string") return goQuote(value);
  if (value instanceof Uint8Array) return bytesSyntax(value, depth === 0 ? "[]byte" : "[]uint8");
  if (first >= 0xcc && first <= 0xcf) return `0x${BigInt(value as number | bigint).toString(16)}`;
  return typeof value === "object" && "value" in value ? String(value.value) : String(value as boolean | number | bigint);
}

function bytesSyntax(bytes: Uint8Array, type: string): string {
  return bytes.length === 0 ? `${type}(nil)` : `${type}{${Array.from(bytes, (byte) => `0x${byte.toString(16)}`).join(", ")}}`;
}

function listSyntax(reader: Reader, bytes: Uint8Array, depth: number): string {
  const count = reader.arrayHead();
  const items: string[] = [];
  for (let i = 0; i < count && !reader.failed; i += 1) items.push(goSyntax(reader, bytes, depth + 1));
  return `[]interface {}{${items.join(", ")}}`;
}

/** Go prints maps sorted by key. */
function mapSyntax(reader: Reader, bytes: Uint8Array, depth: number): string {
  const count = reader.mapHead();
  const fields: [string, string][] = [];
  for (let i = 0; i < count && !reader.failed; i += 1) {
    const key = reader.text();
    fields.push([key, goSyntax(reader, bytes, depth + 1)]);
  }
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[interface {}]interface {}{${fields.map(([key, value]) => `${goQuote(key)}:${value}`).join(", ")}}`;
}
