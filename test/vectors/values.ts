/** Values as the recordings write them: {"$hex"} byte strings, {"$int"} integers beyond 2^53, {"$f64"} doubles, null for nil. */
import { strict as assert } from "node:assert";
import { fromHex, toHex } from "../../src/base/bytes.ts";

export type Fields = Readonly<Record<string, unknown>>;

export function asFields(value: unknown): Fields {
  assert.ok(typeof value === "object" && value !== null && !Array.isArray(value), `not an object: ${JSON.stringify(value)}`);
  return value as Fields;
}

export function asList(value: unknown): readonly unknown[] {
  assert.ok(Array.isArray(value), `not a list: ${JSON.stringify(value)}`);
  return value;
}

export function asText(value: unknown): string {
  assert.equal(typeof value, "string");
  return value as string;
}

export function asNumber(value: unknown): number {
  if (typeof value === "object" && value !== null && "$f64" in value) return Number(value.$f64);
  assert.equal(typeof value, "number");
  return value as number;
}

/** Bytes of a plain hexadecimal string. */
export function hexBytes(value: unknown): Uint8Array {
  const text = asText(value);
  assert.match(text, /^([0-9a-f]{2})*$/, "not hexadecimal");
  return fromHex(text);
}

/** Bytes of {"$hex"}; null stays null. */
export function taggedBytes(value: unknown): Uint8Array | null {
  if (value === null) return null;
  const { $hex, ...rest } = asFields(value);
  assert.deepEqual(rest, {});
  return hexBytes($hex);
}

/** {"$hex"} of bytes; an empty byte string decodes as nil, so both are null. */
export function tagBytes(bytes: Uint8Array | null): { readonly $hex: string } | null {
  return bytes === null || bytes.length === 0 ? null : { $hex: toHex(bytes) };
}

/** The value with every empty byte string as null: what a decoder can know. */
export function withoutEmptyBytes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmptyBytes);
  if (typeof value !== "object" || value === null) return value;
  if ("$hex" in value && value.$hex === "") return null;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, withoutEmptyBytes(item)]));
}

type Kind = "bytes" | "text" | "int" | "bool";
/** Wire name, our property, kind. */
export type Shape = readonly (readonly [wire: string, property: string, kind: Kind])[];

const ZERO: Readonly<Record<Kind, unknown>> = { bytes: null, text: "", int: 0, bool: false };

/** Our message of recorded fields. Members that the shape lacks fail; absent ones are zero values. */
export function messageOf(fields: Fields, shape: Shape): Record<string, unknown> {
  const known = new Set(shape.map(([wire]) => wire));
  for (const name of Object.keys(fields)) assert.ok(known.has(name), `unknown field ${name}`);
  return Object.fromEntries(
    shape.map(([wire, property, kind]) => {
      const value = fields[wire] === undefined ? ZERO[kind] : fields[wire];
      return [property, kind === "bytes" ? taggedBytes(value) : value];
    }),
  );
}

/** Recorded fields of our message: the inverse of `messageOf`. */
export function fieldsOfMessage(message: object, shape: Shape): Record<string, unknown> {
  const values = message as Fields;
  return Object.fromEntries(
    shape.map(([wire, property, kind]) => {
      assert.ok(property in values, `the message has no ${property}`);
      const value = values[property];
      return [wire, kind === "bytes" ? tagBytes(value as Uint8Array | null) : value];
    }),
  );
}

/** `fields` with zero values for what is absent and null for empty byte strings. */
export function completed(fields: Fields, shape: Shape): Record<string, unknown> {
  const zeros = Object.fromEntries(shape.map(([wire, , kind]) => [wire, ZERO[kind]]));
  return { ...zeros, ...(withoutEmptyBytes(fields) as Fields) };
}

export function unwrap<T>(result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string }): T {
  if (!result.ok) throw new Error(`refused: ${result.error}`);
  return result.value;
}
