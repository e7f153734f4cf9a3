/** Reads configuration files and directories in the order of the command line. */
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileErrorText } from "../../../io/go-errors.ts";
import { decodeConfig, type Decoded } from "./decode.ts";
import { mergeConfigs } from "./merge.ts";
import type { ConfigField, SerfConfig } from "./schema.ts";

type Configs = Extract<Decoded, { readonly ok: false }> | { readonly ok: true; readonly config: SerfConfig; readonly origins: ReadonlyMap<string, string> };

/** All of `paths` merged, and for each field given the file that gave it last; a directory stands for its `*.json` files by name, without its subdirectories. The first error ends the reading. */
export function readConfigs(paths: readonly string[]): Configs {
  const origins = new Map<string, string>();
  let config: SerfConfig = {};
  for (const path of paths) {
    const files = listFiles(path);
    if (!files.ok) return files;
    for (const file of files.paths) {
      const read = readConfig(file);
      if (!read.ok) return read;
      const merged = mergeConfigs(config, read.config);
      for (const field of Object.keys(merged) as ConfigField[]) if (merged[field] !== config[field]) origins.set(field, file);
      config = merged;
    }
  }
  return { ok: true, config, origins };
}

type Listed = { readonly ok: true; readonly paths: readonly string[] } | { readonly ok: false; readonly error: string; readonly hints: readonly string[] };

function listFiles(path: string): Listed {
  try {
    if (!statSync(path).isDirectory()) return { ok: true, paths: [path] };
    const entries = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.name.endsWith(".json") && !entry.isDirectory());
    return { ok: true, paths: entries.map((entry) => join(path, entry.name)).sort() };
  } catch (error) {
    return unreadable(path, error);
  }
}

function readConfig(file: string): Decoded {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    return unreadable(file, error);
  }
  return decodeConfig(file, bytes);
}

function unreadable(path: string, error: unknown): { readonly ok: false; readonly error: string; readonly hints: readonly string[] } {
  const hints = [`${path}: expects a JSON file, or a directory of *.json files, that this user may read`];
  return { ok: false, error: `Error reading '${path}': ${fileErrorText("open", path, error)}`, hints };
}
