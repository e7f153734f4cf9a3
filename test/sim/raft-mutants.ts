/**
 * The Raft core with one mistake in it: the compiled modules are copied, one line is changed, and the copy is loaded. So production code needs
 * no switch for mistakes, and a mutant that no longer applies (its line is gone) is an error instead of a test of nothing.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Raft } from "../../src/raft/raft.ts";
import type { CreateRaft } from "../../src/sim/raft/raft-server.ts";

export interface Mutation {
  /** Module of `src/raft`, without its extension. */
  readonly module: string;
  /** Text of the compiled module, which must be there exactly once. */
  readonly from: string;
  readonly to: string;
}

export async function mutant(mutations: readonly Mutation[]): Promise<CreateRaft> {
  const source = fileURLToPath(new URL("../../src/", import.meta.url));
  const dir = mkdtempSync(join(tmpdir(), "muster-mutant-"));
  try {
    cpSync(join(source, "raft"), join(dir, "raft"), { recursive: true });
    // Imported through links, the other layers stay the same modules as the simulation's.
    for (const layer of ["base", "wire"]) symlinkSync(join(source, layer), join(dir, layer));
    writeFileSync(join(dir, "package.json"), JSON.stringify({ type: "module" }));
    for (const { module, from, to } of mutations) {
      const file = join(dir, "raft", `${module}.js`);
      const text = readFileSync(file, "utf8");
      if (text.split(from).length !== 2) throw new Error(`${module}.js does not hold exactly once: ${from}`);
      writeFileSync(file, text.replace(from, () => to));
    }
    const loaded = (await import(pathToFileURL(join(dir, "raft", "raft.js")).href)) as { Raft: typeof Raft };
    return (config, start, random) => new loaded.Raft(config, start, random);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
