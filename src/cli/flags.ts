/**
 * Command-line flags as Go's `flag` package reads them: `-name value`, `-name=value`, `--name`, booleans as `-name` or `-name=false`, and
 * everything from the first other word on is an argument. The words are normalised, then `parseArgs` of node collects them.
 */
import { parseArgs } from "node:util";
import { goQuote, parseGoBool, parseGoDuration, parseGoInt } from "./go-text.ts";

/** `duration` values are in ms; `list` flags may be repeated. */
export interface FlagSpec {
  readonly kind: "bool" | "string" | "int" | "duration" | "list";
  /** How the value is shown in help and completion, such as "<regexp>"; "" for booleans. */
  readonly value: string;
  readonly help: string;
  /** The list flag that collects this one's values too, so that the order among both is kept. */
  readonly into?: string;
}
export type FlagSpecs = Readonly<Record<string, FlagSpec>>;

interface KindTypes {
  readonly bool: boolean;
  readonly string: string;
  readonly int: number;
  readonly duration: number;
  readonly list: readonly string[];
}
/** Flags that were not given are absent, so that the caller's defaults (environment, configuration) apply. */
export type FlagValues<S extends FlagSpecs> = { readonly [Name in keyof S]?: KindTypes[S[Name]["kind"]] };

export type ParsedFlags<S extends FlagSpecs> =
  | { readonly ok: true; readonly flags: FlagValues<S>; readonly args: readonly string[] }
  /** The complaint in Go's words. */
  | { readonly ok: false; readonly error: string };

/** Never throws: what a user types wrong is a value. */
export function parseFlags<S extends FlagSpecs>(specs: S, words: readonly string[]): ParsedFlags<S> {
  const normal = normalise(specs, words);
  if (!normal.ok) return normal;
  const options = Object.fromEntries(Object.keys(specs).map((name) => [name, { type: "string", multiple: true } as const]));
  const { values } = parseArgs({ args: normal.flags, options, strict: true });
  const flags: Record<string, unknown> = {};
  for (const [name, given] of Object.entries(values)) {
    if (!Array.isArray(given)) continue;
    flags[name] = given.length === 0 ? undefined : convert((specs[name] as FlagSpec).kind, given as string[]);
  }
  return { ok: true, flags: flags as FlagValues<S>, args: normal.args };
}

function convert(kind: FlagSpec["kind"], given: readonly string[]): boolean | string | number | readonly string[] | null {
  if (kind === "list") return given;
  return convertOne(kind, given.at(-1) as string); // The last one wins.
}

/** The value, or null when Go would refuse it. */
function convertOne(kind: FlagSpec["kind"], text: string): boolean | string | number | null {
  switch (kind) {
    case "bool":
      return parseGoBool(text);
    case "int":
      return parseGoInt(text);
    case "duration":
      return parseGoDuration(text);
    case "string":
    case "list":
      return text;
  }
}

type Normal = { readonly ok: true; readonly flags: string[]; readonly args: readonly string[] } | { readonly ok: false; readonly error: string };

/** Rewrites Go's forms to `--name=value`, checking each value, up to the first argument. */
function normalise(specs: FlagSpecs, words: readonly string[]): Normal {
  const flags: string[] = [];
  let i = 0;
  while (i < words.length) {
    const word = words[i] as string;
    if (word.length < 2 || !word.startsWith("-")) break;
    i += 1;
    if (word === "--") break;
    const body = word.slice(word.startsWith("--") ? 2 : 1);
    if (body === "" || body.startsWith("-") || body.startsWith("=")) return { ok: false, error: `bad flag syntax: ${word}` };
    const equals = body.indexOf("=", 1);
    const name = equals < 0 ? body : body.slice(0, equals);
    let value = equals < 0 ? null : body.slice(equals + 1);
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec === undefined) return { ok: false, error: `flag provided but not defined: -${name}` };
    if (spec.kind === "bool") value ??= "true";
    else if (value === null) {
      if (i >= words.length) return { ok: false, error: `flag needs an argument: -${name}` };
      value = words[i] as string;
      i += 1;
    }
    const converted = convertOne(spec.kind, value);
    const outOfRange = spec.kind === "int" && Math.abs(Number(converted)) >= 2 ** 63; // Go's int has 64 bits.
    if (converted === null || outOfRange) {
      const what = spec.kind === "bool" ? `boolean value ${goQuote(value)} for` : `value ${goQuote(value)} for flag`;
      return { ok: false, error: `invalid ${what} -${name}: ${outOfRange ? "value out of range" : "parse error"}` };
    }
    flags.push(`--${spec.into ?? name}=${value}`);
  }
  return { ok: true, flags, args: words.slice(i) };
}
