/** What a reload applies and what it can only name (reference §10.2). */
import type { FullConfig } from "./agent-settings.ts";
import { CONFIG_KEYS, MDNS_KEYS, type ConfigField, type ConfigKey } from "./config/schema.ts";

/** Keys that differ between the configurations and take effect at a start only, sorted. */
export function notReloadable(running: FullConfig, next: FullConfig): string[] {
  const names = (prefix: string, keys: readonly ConfigKey[]): string[] =>
    keys.filter(({ field, reloads }) => field !== null && !reloads && !same(running[field], next[field])).map(({ key }) => prefix + key);
  return [...names("", CONFIG_KEYS), ...names("mdns.", MDNS_KEYS)].sort();
}

/** `running` with what a reload applies of `next`. */
export function reloaded(running: FullConfig, next: FullConfig): FullConfig {
  const merged: Record<string, unknown> = { ...running };
  for (const { field, reloads } of CONFIG_KEYS) if (field !== null && reloads) merged[field] = next[field as ConfigField];
  return merged as unknown as FullConfig;
}

export function sameTags(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([name, value]) => b.get(name) === value);
}

function same(a: unknown, b: unknown): boolean {
  return Array.isArray(a) && Array.isArray(b) ? a.length === b.length && a.every((item, i) => item === b[i]) : a === b;
}
