/**
 * Command-line flags as Go's `flag` package reads them: `-name value`, `-name=value`, `--name`, booleans as `-name` or `-name=false`, and
 * everything from the first other word on is an argument. `parseArgs` of node has other rules for each of these, and costs a command 2 ms.
 */
import { parseDuration } from "../wire/go-duration.ts";
import { goQuote } from "../base/go-quote.ts";
import { parseGoBool, parseGoInt } from "./go-text.ts";

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

/** Never throws: what a user types wrong is a value. Of a flag given twice the last one wins; a list keeps all. */
export function parseFlags<S extends FlagSpecs>(specs: S, words: readonly string[]): ParsedFlags<S> {
  const flags: Record<string, FlagValue> = {};
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
    let text = equals < 0 ? null : body.slice(equals + 1);
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec === undefined) return { ok: false, error: `flag provided but not defined: -${name}` };
    if (spec.kind === "bool") text ??= "true";
    else if (text === null) {
      if (i >= words.length) return { ok: false, error: `flag needs an argument: -${name}` };
      text = words[i] as string;
      i += 1;
    }
    const value = convert(spec.kind, text);
    const outOfRange = spec.kind === "int" && Math.abs(Number(value)) >= 2 ** 63; // Go's int has 64 bits.
    if (value === null || outOfRange) {
      const what = spec.kind === "bool" ? `boolean value ${goQuote(text)} for` : `value ${goQuote(text)} for flag`;
      return { ok: false, error: `invalid ${what} -${name}: ${outOfRange ? "value out of range" : "parse error"}` };
    }
    const key = spec.into ?? name;
    const earlier = flags[key];
    flags[key] = spec.kind === "list" ? [...(Array.isArray(earlier) ? (earlier as string[]) : []), text] : value;
  }
  return { ok: true, flags: flags as FlagValues<S>, args: words.slice(i) };
}

type FlagValue = boolean | string | number | readonly string[];

/** The value, or null when Go would refuse it. */
function convert(kind: FlagSpec["kind"], text: string): boolean | string | number | null {
  switch (kind) {
    case "bool":
      return parseGoBool(text);
    case "int":
      return parseGoInt(text);
    case "duration": {
      const duration = parseDuration(text);
      return duration.ok ? duration.value : null;
    }
    case "string":
    case "list":
      return text;
  }
}
