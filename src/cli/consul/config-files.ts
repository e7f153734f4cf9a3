/** Configuration files of a Consul agent: JSON, one or a directory of them, each checked key by key. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fail, ok, type Result } from "../../base/result.ts";
import { unmarshalJson, type JsonValue } from "../../wire/go-json.ts";
import { fileErrorText } from "../../io/go-errors.ts";
import { NOT_OFFERED, SETTINGS, type Setting, type SettingKind } from "./settings.ts";

/** Values by key, as the files and flags gave them; durations as text. */
export type SettingValues = Map<string, SettingValue>;
export type SettingValue = string | boolean | number | readonly string[] | ReadonlyMap<string, string>;

const BY_KEY: ReadonlyMap<string, Setting> = new Map(SETTINGS.map((entry) => [entry.key, entry]));
const GROUPS: ReadonlySet<string> = new Set(SETTINGS.flatMap(({ key }) => (key.includes(".") ? [key.slice(0, key.indexOf("."))] : [])));

/** Reads files and directories in order into one table; the first mistake ends it. */
export function readConfigFiles(paths: readonly string[]): Result<SettingValues> {
  const values: SettingValues = new Map();
  for (const path of paths) {
    const files = filesOf(path);
    if (!files.ok) return files;
    for (const file of files.value) {
      const error = readInto(file, values);
      if (error !== null) return fail(error);
    }
  }
  return ok(values);
}

function filesOf(path: string): Result<readonly string[]> {
  try {
    if (!statSync(path).isDirectory()) return ok([path]);
    return ok(readdirSync(path).filter((name) => name.endsWith(".json")).sort().map((name) => join(path, name)));
  } catch (error) {
    return fail(`config: Open failed on ${path}. ${fileErrorText("open", path, error)}`);
  }
}

function readInto(file: string, values: SettingValues): string | null {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    return `config: ReadFile failed on ${file}: ${fileErrorText("read", file, error)}`;
  }
  const json = unmarshalJson(bytes);
  if (!json.ok) return `failed to parse ${file}: ${json.error}`;
  if (!(json.value instanceof Map)) return `failed to parse ${file}: expects one JSON object of settings`;
  const errors: string[] = [];
  takeObject("", json.value as ReadonlyMap<string, JsonValue>, values, errors);
  if (errors.length === 0) return null;
  const count = errors.length === 1 ? "1 error" : `${errors.length} errors`;
  return `failed to parse ${file}: ${count} occurred:\n${errors.map((text) => `\t* ${text}\n`).join("")}\n`;
}

function takeObject(prefix: string, object: ReadonlyMap<string, JsonValue>, values: SettingValues, errors: string[]): void {
  for (const [name, value] of object) {
    const key = prefix + name;
    const known = BY_KEY.get(key);
    if (known !== undefined) {
      const error = merge(known, value, values);
      if (error !== null) errors.push(error);
    } else if (GROUPS.has(key) && value instanceof Map) takeObject(`${key}.`, value as ReadonlyMap<string, JsonValue>, values, errors);
    else if (NOT_OFFERED.has(key)) errors.push(`config key ${key} is not offered by this version of muster: remove it`);
    else errors.push(`invalid config key ${key}`);
  }
}

/** Scalars override, lists and maps grow. Null when the value fits. */
function merge(known: Setting, value: JsonValue, values: SettingValues): string | null {
  if (value === null) return null;
  const taken = take(known.kind, value);
  if (taken === null) return `${known.key}: expects ${ACCEPTS[known.kind]}`;
  values.set(known.key, combined(values.get(known.key), taken));
  return null;
}

export function combined(earlier: SettingValue | undefined, later: SettingValue): SettingValue {
  if (Array.isArray(earlier) && Array.isArray(later)) return [...(earlier as string[]), ...(later as string[])];
  if (earlier instanceof Map && later instanceof Map) return new Map([...(earlier as Map<string, string>), ...(later as Map<string, string>)]);
  return later;
}

const ACCEPTS: Readonly<Record<SettingKind, string>> = {
  string: "a string",
  bool: "true or false",
  int: "a whole number",
  duration: 'a duration such as "10s"',
  list: "a list of strings",
  map: "an object of strings",
};

function take(kind: SettingKind, value: JsonValue): SettingValue | null {
  switch (kind) {
    case "string":
    case "duration":
      return typeof value === "string" ? value : null;
    case "bool":
      return typeof value === "boolean" ? value : null;
    case "int":
      return typeof value === "number" && Number.isInteger(value) ? value : null;
    case "list":
      if (typeof value === "string") return [value];
      return Array.isArray(value) && value.every((item) => typeof item === "string") ? (value as string[]) : null;
    case "map":
      return value instanceof Map && [...value.values()].every((item) => typeof item === "string") ? (value as ReadonlyMap<string, string>) : null;
  }
}
