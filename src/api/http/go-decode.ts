/** Request bodies into structs, as Go's json.Decoder fills them: names in any case, null empties a list or map and leaves any other field alone, and Go's words for what does not fit. */
import { fail, ok, type Result } from "../../base/result.ts";
import { decodeBase64 } from "../../wire/go-base64.ts";
import { decodeJson, type JsonValue } from "../../wire/go-json.ts";

/** `go` is the type's name in error texts. */
export type GoType =
  | { readonly kind: "string" | "bool" | "int" | "uint64" | "float64" | "bytes" | "any"; readonly go: string }
  | { readonly kind: "list"; readonly of: GoType; readonly go: string }
  | { readonly kind: "map"; readonly of: GoType; readonly go: string }
  | GoStruct;

export interface GoStruct {
  readonly kind: "struct";
  readonly go: string;
  /** The name before the field in error texts; "" for an anonymous struct. */
  readonly name: string;
  readonly fields: Readonly<Record<string, GoType>>;
  /** Unknown names are an error. */
  readonly strict: boolean;
  /** The original decodes it with code of its own: errors inside name the field that holds it. */
  readonly unmarshalsItself?: boolean;
}

export type Decoded = JsonValue | Uint8Array | readonly Decoded[] | DecodedStruct;
/** Set fields by their Go name. */
export interface DecodedStruct {
  readonly [field: string]: Decoded | undefined;
}

export const GO_STRING: GoType = { kind: "string", go: "string" };
export const GO_BOOL: GoType = { kind: "bool", go: "bool" };
export const GO_INT: GoType = { kind: "int", go: "int" };
export const GO_UINT64: GoType = { kind: "uint64", go: "uint64" };
export const GO_FLOAT64: GoType = { kind: "float64", go: "float64" };
export const GO_BYTES: GoType = { kind: "bytes", go: "[]uint8" };
export const GO_ANY: GoType = { kind: "any", go: "interface {}" };

export function goList(of: GoType, go = `[]${of.go}`): GoType {
  return { kind: "list", of, go };
}

export function goMap(of: GoType): GoType {
  return { kind: "map", of, go: `map[string]${of.go}` };
}

export function goStruct(go: string, fields: Readonly<Record<string, GoType>>, strict: boolean): GoStruct {
  return { kind: "struct", go, name: go.slice(go.lastIndexOf(".") + 1), fields, strict };
}

class Mismatch extends Error {}

/** The first value of `body` as a `type`; `undefined` for null. */
export function decodeBody(body: Uint8Array, type: GoType): Result<Decoded | undefined> {
  const json = decodeJson(body);
  if (!json.ok) return json;
  return decodeAs(json.value, type);
}

export function decodeAs(json: JsonValue, type: GoType): Result<Decoded | undefined> {
  try {
    return ok(fit(json, type, null, []));
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    return fail(error.message);
  }
}

function fit(json: JsonValue, type: GoType, struct: GoStruct | null, path: readonly string[]): Decoded | undefined {
  if (json === null) return undefined;
  const mismatch = (what = jsonKind(json)): Mismatch => new Mismatch(mismatchText(what, type.go, struct, path));
  switch (type.kind) {
    case "any":
      return json;
    case "string":
      if (typeof json !== "string") throw mismatch();
      return json;
    case "bool":
      if (typeof json !== "boolean") throw mismatch();
      return json;
    case "float64":
      if (typeof json !== "number" && typeof json !== "bigint") throw mismatch();
      return Number(json);
    case "int":
    case "uint64":
      return fitInteger(json, type.kind, mismatch);
    case "bytes":
      return fitBytes(json, mismatch);
    case "list":
      if (!Array.isArray(json)) throw mismatch();
      return (json as readonly JsonValue[]).map((item) => fit(item, type.of, struct, path) ?? zero(type.of));
    case "map":
      return fitMap(json, type.of, struct, path, mismatch);
    case "struct":
      return fitStruct(json, type, struct, path, mismatch);
  }
}

const UINT64_MAX = 2n ** 64n - 1n;
const INT64_MAX = 2n ** 63n - 1n;

function fitInteger(json: JsonValue, kind: "int" | "uint64", mismatch: (what?: string) => Mismatch): number | bigint {
  if (typeof json !== "number" && typeof json !== "bigint") throw mismatch();
  const whole = typeof json === "bigint" || Number.isInteger(json);
  const [min, max] = kind === "uint64" ? [0n, UINT64_MAX] : [-INT64_MAX - 1n, INT64_MAX];
  if (!whole || json < min || json > max) throw mismatch(`number ${String(json)}`);
  return json;
}

function fitBytes(json: JsonValue, mismatch: () => Mismatch): Uint8Array {
  if (typeof json !== "string") throw mismatch();
  const bytes = decodeBase64(json);
  if (!bytes.ok) throw new Mismatch(bytes.error);
  return bytes.value;
}

function fitMap(json: JsonValue, of: GoType, struct: GoStruct | null, path: readonly string[], mismatch: () => Mismatch): Decoded {
  if (!(json instanceof Map)) throw mismatch();
  const out: Record<string, Decoded> = Object.create(null) as Record<string, Decoded>;
  for (const [key, value] of json as ReadonlyMap<string, JsonValue>) out[key] = fit(value, of, struct, path) ?? zero(of);
  return out;
}

function fitStruct(json: JsonValue, type: GoStruct, outer: GoStruct | null, path: readonly string[], mismatch: () => Mismatch): DecodedStruct {
  if (!(json instanceof Map)) throw mismatch();
  const out: Record<string, Decoded> = Object.create(null) as Record<string, Decoded>;
  for (const [given, value] of json as ReadonlyMap<string, JsonValue>) {
    const name = fieldName(type, given);
    if (name === null) {
      if (type.strict) throw new Mismatch(`json: unknown field ${JSON.stringify(given)}`);
      continue;
    }
    const { kind } = type.fields[name] as GoType;
    if (value === null && (kind === "list" || kind === "map")) {
      out[name] = null;
      continue;
    }
    const itself = type.unmarshalsItself === true && outer !== null;
    const fitted = fit(value, type.fields[name] as GoType, itself ? outer : type, itself ? path : [...path, name]);
    if (fitted !== undefined) out[name] = fitted;
  }
  return out;
}

/** The exact name, else the same in another case. */
function fieldName(type: GoStruct, given: string): string | null {
  if (Object.hasOwn(type.fields, given)) return given;
  const lower = given.toLowerCase();
  return Object.keys(type.fields).find((name) => name.toLowerCase() === lower) ?? null;
}

/** What a null in a list or map leaves. */
function zero(type: GoType): Decoded {
  switch (type.kind) {
    case "string":
      return "";
    case "bool":
      return false;
    case "int":
    case "uint64":
    case "float64":
      return 0;
    case "bytes":
      return new Uint8Array();
    case "list":
      return [];
    case "any":
      return null;
    case "map":
    case "struct":
      return {};
  }
}

function mismatchText(what: string, go: string, struct: GoStruct | null, path: readonly string[]): string {
  if (struct === null) return `json: cannot unmarshal ${what} into Go value of type ${go}`;
  return `json: cannot unmarshal ${what} into Go struct field ${struct.name}.${path.join(".")} of type ${go}`;
}

function jsonKind(json: JsonValue): string {
  if (Array.isArray(json)) return "array";
  if (json instanceof Map) return "object";
  if (typeof json === "boolean") return "bool";
  return typeof json === "string" ? "string" : "number";
}
