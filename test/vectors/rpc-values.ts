/** Values of RPC recordings: {"$bin"} bin family, {"$f64"} doubles, {"$int"} integers beyond 2^53, {"$rawstr"} text that is not UTF-8. */
import { decodeUtf8 } from "../../src/base/utf8.ts";
import { encodeValue, Float64, Reader, type Encodable, type MsgpackValue } from "../../src/wire/msgpack.ts";
import { hexBytes } from "./values.ts";

export function encodeTagged(value: unknown): Uint8Array {
  return encodeValue(toEncodable(value), "rpc");
}

function toEncodable(value: unknown): Encodable {
  if (value === null || typeof value === "boolean" || typeof value === "number" || typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(toEncodable);
  if (typeof value !== "object") throw new Error(`no msgpack form of ${typeof value}`);
  const entries = Object.entries(value);
  const [tag, content] = entries[0] ?? ["", null];
  if (entries.length === 1 && tag.startsWith("$")) {
    if (tag === "$bin") return hexBytes(content);
    if (tag === "$f64") return new Float64(Number(content));
    if (tag === "$int") return BigInt(content as string);
    if (tag === "$rawstr") return decodeUtf8(hexBytes(content));
    throw new Error(`unknown value tag ${tag}`);
  }
  return new Map(entries.map(([key, item]) => [key, toEncodable(item)]));
}

/** Plain form of an object for comparing and reading: maps as objects with sorted keys, bytes as {"$bin"}, doubles as {"$f64"}. */
export function plainOf(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = reader.value();
  if (reader.failed) throw new Error("malformed msgpack");
  return plain(value);
}

function plain(value: MsgpackValue): unknown {
  if (value instanceof Uint8Array) return { $bin: Buffer.from(value).toString("hex") };
  if (value instanceof Float64) return { $f64: value.value };
  if (value instanceof Map) return Object.fromEntries([...(value as ReadonlyMap<string, MsgpackValue>)].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, plain(item)]));
  if (Array.isArray(value)) return (value as readonly MsgpackValue[]).map(plain);
  return typeof value === "bigint" ? { $int: String(value) } : value;
}
