/**
 * Scenario files: JSON that a person writes, read into a `Scenario`. Every key is checked; a mistake is answered with the key's path, what
 * stood there, and what would be right. Selectors are short texts ("all", "0-9", "5%"), and an action is named by the key `do`.
 */
import { fail, ok, type Result } from "../base/result.ts";
import { QUIET_NETWORK, type NetworkConfig } from "./network.ts";
import type { Action, ChaosWeights, Expectation, Scenario, Selector, Step, ScenarioStart } from "./scenario.ts";

export const NODES_MIN = 2;
export const NODES_MAX = 20_000;
const STEPS_MAX = 10_000;
/** Ten years; times stay exact in µs. */
const MS_MAX = 315_360_000_000;
const US_MAX = 60_000_000;
const PPM_MAX = 1_000_000;
/** With its name and header an event of this size fits the agent's limit of 512 bytes. */
const EVENT_BYTES_MAX = 400;
const COUNT_MAX = 1_000_000;

/** A mistake in the file; caught by `readScenario`. */
class FileError extends Error {}

type Reader<T> = (value: unknown, path: string) => T;

function refuse(path: string, value: unknown, form: string): never {
  const shown = JSON.stringify(value) ?? "nothing";
  throw new FileError(`${path}: ${shown.length > 60 ? `${shown.slice(0, 57)}...` : shown} is not ${form}`);
}

function int(min: number, max: number): Reader<number> {
  return (value, path) => (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max ? (value as number) : refuse(path, value, `an integer from ${min} to ${max}`));
}

function text(value: unknown, path: string): string {
  return typeof value === "string" && value !== "" ? value : refuse(path, value, "a text that is not empty");
}

function flag(value: unknown, path: string): boolean {
  return typeof value === "boolean" ? value : refuse(path, value, "true or false");
}

function oneOf<const T extends readonly string[]>(...words: T): Reader<T[number]> {
  return (value, path) => (words.includes(value as string) ? (value as T[number]) : refuse(path, value, `one of ${words.map((word) => `"${word}"`).join(", ")}`));
}

const SELECTOR_FORM = 'a selector: "all", "others" (all but node 0), "7", "0-9", "random 5" or "2.5%"';

function selector(value: unknown, path: string): Selector {
  const match = typeof value === "string" ? /^(?:(all|others|earlier)|(\d{1,5})(?:-(\d{1,5}))?|random (\d{1,5})|(\d{1,3}(?:\.\d)?)%)$/.exec(value) : null;
  if (match === null) return refuse(path, value, SELECTOR_FORM);
  const [, word, first, last, count, percent] = match;
  if (word !== undefined) return { kind: word as "all" | "others" | "earlier" };
  if (count !== undefined) return { kind: "random", count: Number(count) };
  if (percent !== undefined) return Number(percent) <= 100 ? { kind: "share", perMille: Math.round(Number(percent) * 10) } : refuse(path, value, SELECTOR_FORM);
  const range = { kind: "range", first: Number(first), last: Number(last ?? first) } as const;
  return range.first <= range.last ? range : refuse(path, value, SELECTOR_FORM);
}

/** Everywhere but in `join.to`, where "earlier" means a random node that stands before the joining one. */
function nodes(value: unknown, path: string): Selector {
  const selected = selector(value, path);
  return selected.kind === "earlier" ? refuse(path, value, SELECTOR_FORM) : selected;
}

/** A required value has no default. */
interface Field<T> {
  readonly read: Reader<T>;
  readonly otherwise?: T;
}
type Fields<T> = { readonly [Key in keyof T]-?: Field<T[Key]> };

function field<T>(read: Reader<T>, ...otherwise: [T?]): Field<T> {
  return otherwise.length === 0 ? { read } : { read, otherwise: otherwise[0] as T };
}

function object(value: unknown, path: string): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : refuse(path, value, "an object");
}

/** Reads the known keys of `value` (besides `others`, read elsewhere) and refuses the rest. */
function record<T extends object>(value: unknown, path: string, fields: Fields<T>, others: readonly string[] = []): T {
  const given = object(value, path);
  const inside = (key: string): string => (path === "" ? key : `${path}.${key}`);
  const known = [...others, ...Object.keys(fields)];
  for (const key of Object.keys(given)) {
    if (!known.includes(key)) throw new FileError(`${inside(key)}: there is no such key here; known are ${known.join(", ")}`);
  }
  const result: Record<string, unknown> = {};
  for (const [key, spec] of Object.entries<Field<unknown>>(fields)) {
    if (Object.hasOwn(given, key)) result[key] = spec.read(given[key], inside(key));
    else if ("otherwise" in spec) result[key] = spec.otherwise;
    else throw new FileError(`${inside(key)}: is missing`);
  }
  return result as T;
}

const ms = int(0, MS_MAX);
const someMs = int(1, MS_MAX);
const us = int(0, US_MAX);
const ppm = int(0, PPM_MAX);
const weight = field(int(0, 1_000), 0);

const NETWORK_READERS: { readonly [Key in keyof NetworkConfig]: Reader<number> } = {
  delayUsMin: us,
  delayUsMax: us,
  tailPpm: ppm,
  tailUs: us,
  lossPpm: ppm,
  duplicatePpm: ppm,
  bandwidthBytesPerSecond: int(0, 1e12),
  zones: int(1, 100),
  zoneDelayUs: us,
};

function network(value: unknown, path: string): NetworkConfig {
  const config = { ...QUIET_NETWORK, ...networkChange(value, path) };
  if (config.delayUsMin > config.delayUsMax) refuse(`${path}.delayUsMin`, config.delayUsMin, `at most delayUsMax, which is ${config.delayUsMax}`);
  return config;
}

function networkChange(value: unknown, path: string): Partial<NetworkConfig> {
  const given = object(value, path);
  const change: Record<string, number> = {};
  for (const [key, part] of Object.entries(given)) {
    const known = Object.keys(NETWORK_READERS);
    if (!known.includes(key)) throw new FileError(`${path}.${key}: there is no such key here; known are ${known.join(", ")}`);
    change[key] = NETWORK_READERS[key as keyof NetworkConfig](part, `${path}.${key}`);
  }
  return change;
}

const WEIGHTS: Fields<ChaosWeights> = {
  pause: weight,
  cut: weight,
  oneWay: weight,
  partition: weight,
  loss: weight,
  kill: weight,
  powerOff: weight,
  restart: weight,
  leave: weight,
  event: weight,
  query: weight,
  tags: weight,
  clock: weight,
  disk: weight,
};

function weights(value: unknown, path: string): ChaosWeights {
  const read = record(value, path, WEIGHTS);
  return Object.values(read).some((part) => part > 0) ? read : refuse(path, value, "a set of weights of which one is above 0");
}

type ActionFields = { readonly [Kind in Action["kind"]]: Fields<Omit<Extract<Action, { readonly kind: Kind }>, "kind">> };

const ACTIONS: ActionFields = {
  start: { nodes: field(nodes) },
  join: { nodes: field(nodes), to: field(selector) },
  leave: { nodes: field(nodes) },
  kill: { nodes: field(nodes), power: field(flag, false) },
  restart: { nodes: field(nodes), snapshot: field(flag, true) },
  pause: { nodes: field(nodes), forMs: field(someMs) },
  stallDisk: { nodes: field(nodes), forMs: field(someMs) },
  starve: { nodes: field(nodes), pausedMs: field(someMs), runningMs: field(someMs), forMs: field(someMs) },
  disturb: {
    from: field(nodes),
    to: field(nodes),
    both: field(flag, false),
    lossPpm: field(ppm, 0),
    delayMs: field(int(0, 60_000), 0),
    forMs: field(someMs),
  },
  partition: { groups: field(int(2, 100), 2), forMs: field(someMs) },
  zoneCut: { forMs: field(someMs) },
  network: { change: field(networkChange) },
  jumpClock: { nodes: field(nodes), byMs: field(ms) },
  events: { nodes: field(nodes), count: field(int(1, COUNT_MAX)), bytes: field(int(0, EVENT_BYTES_MAX), 32) },
  queries: { nodes: field(nodes), count: field(int(1, COUNT_MAX)) },
  tags: { nodes: field(nodes) },
  chaos: { forMs: field(someMs), everyMs: field(someMs), weights: field(weights) },
};

const actionKind = oneOf(...(Object.keys(ACTIONS) as Action["kind"][]));

function step(value: unknown, path: string): Step {
  const given = object(value, path);
  const kind = actionKind(given["do"], `${path}.do`);
  const { atMs, overMs, ...action } = record(value, path, { atMs: field(ms), overMs: field(ms, 0), ...ACTIONS[kind] } as Fields<{ atMs: number; overMs: number }>, ["do"]);
  return { atMs, overMs, action: { kind, ...action } as unknown as Action };
}

function steps(value: unknown, path: string): readonly Step[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > STEPS_MAX) return refuse(path, value, `a list of 1 to ${STEPS_MAX} steps`);
  return value.map((item: unknown, i) => step(item, `${path}[${i}]`));
}

/** When a step's doing is over, in ms; what it caused may last longer. */
export function stepEndMs({ atMs, overMs, action }: Step): number {
  return atMs + overMs + ("forMs" in action ? action.forMs : 0);
}

function expectFields(lastMs: number): Fields<Expectation> {
  return {
    faultsEndMs: field(ms, lastMs),
    convergedWithinMs: field(ms, 600_000),
    quietWithinMs: field(ms, 120_000),
    noFalseFailures: field(flag, false),
    leftIsLeft: field(flag, false),
    eventsWithinMs: field<number>((value, path) => (value === null ? Infinity : ms(value, path)), 300_000),
    detectedWithinMs: field<number | null>((value, path) => (value === null ? null : ms(value, path)), null),
    eventLatency: field<Expectation["eventLatency"]>((value, path) => (value === null ? null : record(value, path, { fastMs: field(ms), fastPpm: field(ppm), allMs: field(ms) })), null),
  };
}

interface FileContent {
  readonly name: string;
  readonly about: string;
  readonly profile: Scenario["profile"];
  readonly nodes: number;
  readonly network: NetworkConfig;
  readonly clockDriftPpmMax: number;
  readonly start: ScenarioStart;
  readonly steps: readonly Step[];
  readonly durationMs: number;
  readonly settledMs: number;
}

const FILE: Fields<FileContent> = {
  name: field(text),
  about: field(text, ""),
  profile: field(oneOf("lan", "wan", "local"), "lan"),
  nodes: field(int(NODES_MIN, NODES_MAX), 20),
  network: field(network, QUIET_NETWORK),
  clockDriftPpmMax: field(int(0, 1_000), 200),
  start: field(oneOf("empty", "converged"), "empty"),
  steps: field(steps),
  durationMs: field(ms, 0),
  settledMs: field(ms, 0),
};

/** The scenario in the text of a file, or what is wrong with it, as "FILE: key: what stands there and what would be right". */
export function readScenario(file: string, json: string): Result<Scenario> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (error) {
    return fail(`${file}: is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  try {
    const content = record(parsed, "", FILE, ["expect"]);
    const lastMs = Math.max(...content.steps.map(stepEndMs));
    const expect = record((parsed as { readonly expect?: unknown }).expect ?? {}, "expect", expectFields(lastMs));
    return ok({ ...content, expect });
  } catch (error) {
    if (error instanceof FileError) return fail(`${file}: ${error.message}`);
    throw error;
  }
}
