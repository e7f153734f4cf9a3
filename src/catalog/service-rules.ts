/** What weights and meta data of a service may be, in the original's words (reference: consul-agent §2.1). */
import type { TextMap, Weights } from "../wire/fsm-commands.ts";

const WEIGHT_MAX = 65_535;
export const META_PAIRS_MAX = 64;
const META_KEY_MAX = 128;
const META_VALUE_MAX = 512;

/** Null when nothing is wrong, or no weights were given. */
export function weightsProblem(weights: Weights | null): string | null {
  if (weights === null) return null;
  if (weights.passing < 1) return "Invalid Weights: Passing must be greater than 0";
  if (weights.warning < 0) return "Invalid Weights: Warning must be greater or equal than 0";
  return weights.passing > WEIGHT_MAX || weights.warning > WEIGHT_MAX ? `Invalid Weights: DNS Weight must be between 0 and ${WEIGHT_MAX}` : null;
}

export function metaProblem(meta: TextMap | null): string | null {
  if (meta === null || meta.size === 0) return null;
  if (meta.size > META_PAIRS_MAX) return `Node metadata cannot contain more than ${META_PAIRS_MAX} key/value pairs`;
  for (const [key, value] of meta) {
    const problem = pairProblem(key, value);
    if (problem !== null) return `Couldn't load metadata pair ('${key}', '${value}'): ${problem}`;
  }
  return null;
}

function pairProblem(key: string, value: string): string | null {
  if (key === "") return "Key cannot be blank";
  if (!/^[A-Za-z0-9_-]+$/.test(key)) return "Key contains invalid characters";
  if (key.length > META_KEY_MAX) return `Key is too long (limit: ${META_KEY_MAX} characters)`;
  if (key.startsWith("consul-")) return "Key prefix 'consul-' is reserved for internal use";
  return value.length > META_VALUE_MAX ? `Value is too long (limit: ${META_VALUE_MAX} characters)` : null;
}
