/**
 * One configuration file to a `SerfConfig`. Errors keep the original's text, which often names neither key nor form; `hints` add file, key and
 * accepted form, one line each.
 */
import { decodeJson, type JsonValue } from "../../../wire/go-json.ts";
import { parseDuration } from "../../../wire/go-duration.ts";
import { formatGo, goKind, goType, isList, isObject } from "./go-values.ts";
import { CONFIG_KEYS, MDNS_KEYS, type ConfigKey, type SerfConfig } from "./schema.ts";

export interface ConfigError {
  /** As the original words it. */
  readonly error: string;
  readonly hints: readonly string[];
}
export type Decoded = { readonly ok: true; readonly config: SerfConfig } | ({ readonly ok: false } & ConfigError);

/** Decodes the bytes of `file` (its name only serves the messages). */
export function decodeConfig(file: string, bytes: Uint8Array): Decoded {
  const json = decodeJson(bytes);
  if (!json.ok) return failure(file, json.error, [`${file}: expects one JSON object such as {"node_name": "web-1"}`]);
  if (json.value === null) return { ok: true, config: {} };
  if (!isObject(json.value)) {
    const error = `'' expected a map, got '${goKind(json.value)}'`;
    return failure(file, error, [`${file}: expects one JSON object such as {"node_name": "web-1"}`]);
  }
  const decoder = new Decoder(file);
  decoder.object("", json.value, CONFIG_KEYS);
  return decoder.result();
}

function failure(file: string, error: string, hints: readonly string[]): Decoded {
  return { ok: false, error: `Error decoding '${file}': ${error}`, hints };
}

/** Collects every mistake of a file, as the original does, before it looks at durations. */
class Decoder {
  readonly #file: string;
  readonly #config: Record<string, unknown> = {};
  readonly #errors: string[] = [];
  readonly #hints: string[] = [];
  readonly #durations = new Map<string, string>();

  constructor(file: string) {
    this.#file = file;
  }

  result(): Decoded {
    if (this.#errors.length > 0) {
      const list = this.#errors.map((error) => `* ${error}`).sort().join("\n");
      return failure(this.#file, `${this.#errors.length} error(s) decoding:\n\n${list}`, this.#hints);
    }
    for (const name of DURATION_ORDER) {
      const text = this.#durations.get(name);
      if (text === undefined || text === "") continue;
      const known = CONFIG_KEYS.find(({ key }) => key === name) as ConfigKey;
      const parsed = parseDuration(text);
      const error = !parsed.ok ? parsed.error : parsed.value < 0 && !RAISED.has(name) ? `'${name}' must not be negative, value: '${text}'` : "";
      if (error !== "" || !parsed.ok) return failure(this.#file, error, [`${this.#file}: ${name}: expects ${known.accepts}`]);
      this.#config[known.field as string] = parsed.value;
    }
    return { ok: true, config: this.#config };
  }

  object(path: string, object: ReadonlyMap<string, JsonValue>, keys: readonly ConfigKey[]): void {
    const unused = new Set(object.keys());
    for (const known of keys) {
      const name = unused.has(known.key) ? known.key : [...unused].find((given) => given.toLowerCase() === known.key);
      if (name === undefined) continue;
      unused.delete(name);
      this.#value(path === "" ? known.key : `${path}.${known.key}`, known, object.get(name) ?? null);
    }
    if (unused.size === 0) return;
    this.#errors.push(`'${path}' has invalid keys: ${[...unused].sort().join(", ")}`);
    for (const name of [...unused].sort()) this.#hints.push(`${this.#file}: ${path === "" ? name : `${path}.${name}`}: ${unknownKey(name, keys)}`);
  }

  #value(path: string, known: ConfigKey, value: JsonValue): void {
    if (value === null) return;
    const before = this.#errors.length;
    const decoded = this.#decode(path, known, value);
    if (this.#errors.length > before) {
      if (known.kind !== "mdns") this.#hints.push(`${this.#file}: ${path}: expects ${known.accepts}`);
    } else if (typeof decoded === "number" && decoded < 0) {
      this.#errors.push(`'${path}' must not be negative, value: '${decoded}'`);
      this.#hints.push(`${this.#file}: ${path}: expects ${known.accepts}`);
    } else if (known.kind === "duration") this.#durations.set(known.key, decoded as string);
    else if (known.field !== null) this.#config[known.field] = decoded;
  }

  #decode(path: string, known: ConfigKey, value: JsonValue): unknown {
    switch (known.kind) {
      case "string":
      case "duration":
        return this.#scalar(path, "string", value);
      case "bool":
        return this.#scalar(path, "bool", value);
      case "int": {
        const number = this.#scalar(path, "float64", value, "int");
        return number === undefined ? undefined : Math.trunc(Number(number));
      }
      case "strings":
        if (isList(value)) return value.map((item, i) => this.#scalar(`${path}[${i}]`, "string", item) ?? "");
        this.#errors.push(`'${path}': source data must be an array or slice, got ${goKind(value)}`);
        return undefined;
      case "tags":
        if (isObject(value)) return new Map([...value].map(([name, tag]) => [name, this.#scalar(`${path}[${name}]`, "string", tag) ?? ""] as const));
        this.#errors.push(`'${path}' expected a map, got '${goKind(value)}'`);
        return undefined;
      case "mdns":
        if (isObject(value)) this.object(path, value, MDNS_KEYS);
        else {
          this.#errors.push(`'${path}' expected a map, got '${goKind(value)}'`);
          this.#hints.push(`${this.#file}: ${path}: expects ${known.accepts}`);
        }
        return undefined;
    }
  }

  /** The value when it has the wanted kind; null stays unset. */
  #scalar(path: string, kind: string, value: JsonValue, name = kind): JsonValue | undefined {
    if (value === null) return undefined;
    if (goKind(value) === kind) return value;
    this.#errors.push(`'${path}' expected type '${name}', got unconvertible type '${goType(value)}', value: '${formatGo(value)}'`);
    return undefined;
  }
}

/** The order in which the original reads durations; the first bad one is reported. */
const DURATION_ORDER: readonly string[] = ["reconnect_interval", "reconnect_timeout", "tombstone_timeout", "retry_interval", "broadcast_timeout"];

/** Raised to their minimum with a warning, even when negative. */
const RAISED: ReadonlySet<string> = new Set(["retry_interval", "broadcast_timeout"]);

function unknownKey(name: string, keys: readonly ConfigKey[]): string {
  const near = nearest(name, keys);
  if (near !== null) return `unknown key, did you mean ${near.key}? It expects ${near.accepts}`;
  return `unknown key; known are ${keys.map(({ key }) => key).join(", ")}`;
}

/** The known key that differs by at most a third of its letters, ignoring case and separators; null when none is near. */
function nearest(name: string, keys: readonly ConfigKey[]): ConfigKey | null {
  const plain = (text: string): string => text.toLowerCase().replace(/[-_ ]/g, "");
  // Longer names cannot be near any key, and the comparison costs their product.
  if (name.length > 64) return null;
  let best: ConfigKey | null = null;
  let bestDistance = Infinity;
  for (const known of keys) {
    const distance = editDistance(plain(name), plain(known.key));
    if (distance < bestDistance && distance <= plain(known.key).length / 3) {
      best = known;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
