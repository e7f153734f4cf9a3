/** How Go names and prints decoded JSON values (`%T` and `%v`); the decoding errors of configuration files contain both. */
import type { JsonValue } from "../../../wire/go-json.ts";

/** Go's kind of a decoded value ("slice"). */
export function goKind(value: JsonValue): string {
  if (value === null) return "invalid";
  if (isList(value)) return "slice";
  if (isObject(value)) return "map";
  return isNumber(value) ? "float64" : typeof value === "boolean" ? "bool" : "string";
}

/** Go's type of a decoded value ("[]interface {}"). */
export function goType(value: JsonValue): string {
  if (value === null) return "<nil>";
  if (isList(value)) return "[]interface {}";
  return isObject(value) ? "map[string]interface {}" : goKind(value);
}

/** A decoded value as `%v` prints it: `[1 <nil> s map[a:1e-07 b:true]]`. */
export function formatGo(value: JsonValue): string {
  if (value === null) return "<nil>";
  if (isNumber(value)) return formatFloat(Number(value));
  if (isList(value)) return `[${value.map(formatGo).join(" ")}]`;
  if (!isObject(value)) return String(value);
  const keys = [...value.keys()].sort();
  return `map[${keys.map((key) => `${key}:${formatGo(value.get(key) ?? null)}`).join(" ")}]`;
}

/** What json.Unmarshal calls a value of the wrong type ("json: cannot unmarshal number into …"). */
export function jsonKind(value: JsonValue): string {
  if (value === null) return "null";
  if (isList(value)) return "array";
  if (isObject(value)) return "object";
  if (isNumber(value)) return "number";
  return typeof value === "boolean" ? "bool" : typeof value;
}

/** A whole number beyond 2^53 arrives as a bigint. */
export function isNumber(value: JsonValue): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

export function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

export function isObject(value: JsonValue): value is ReadonlyMap<string, JsonValue> {
  return value instanceof Map;
}

/** Shortest digits, with an exponent of at least two digits outside 1e-4 … 1e21. */
function formatFloat(value: number): string {
  if (Object.is(value, -0)) return "-0";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e21)) {
    const [digits, exponent] = value.toExponential().split("e") as [string, string];
    return `${digits}e${exponent.slice(0, 1)}${exponent.slice(1).padStart(2, "0")}`;
  }
  return String(value);
}
