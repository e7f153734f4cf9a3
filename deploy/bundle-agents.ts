/**
 * Third step of the build: what starts as a process or a thread of its own is joined, in place, with the modules it needs. An agent is some 300 ES modules, and
 * Node spends about 1 ms of processor time on each: of the 0.4 s that the Consul agent took to its first answer, more than half. The file that starts is written
 * over by the joined one, so it is found under the same path however it is started; the modules stay where they are, for tests and for programs that import them.
 * What is imported when it is needed stays a file of its own beside it (`NAME-HASH.js`), and packages stay packages.
 */
import { readFile, writeFile } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { asciiSource } from "./ascii.ts";

const dist = fileURLToPath(new URL("../", import.meta.url));
const STARTS: readonly string[] = ["src/cli/serf/agent.js", "src/cli/consul/agent.js", "src/io/spawner-child.js", "workers/log-worker.js", "workers/packet-lane.js", "workers/stream-lane.js"];

/** A module that asks where it lies, to find a worker's file beside it, still gets its own place. */
function ownPlaces(outputDir: string): Plugin {
  return {
    name: "own-places",
    setup({ onLoad }) {
      onLoad({ filter: /\/dist\/(src|workers)\/.*\.js$/ }, async ({ path }) => {
        const text = await readFile(path, "utf8");
        if (!text.includes("import.meta.url")) return null;
        const own = `new URL(${JSON.stringify(relative(outputDir, path))}, import.meta.url).href`;
        return { contents: text.replaceAll("import.meta.url", own), loader: "js" };
      });
    },
  };
}

for (const start of STARTS) {
  const folder = dirname(start);
  const { outputFiles } = await build({
    write: false,
    entryPoints: [resolve(dist, start)],
    outdir: dist,
    outbase: dist,
    entryNames: "[dir]/[name]",
    chunkNames: `${folder}/[name]-[hash]`,
    allowOverwrite: true,
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    plugins: [ownPlaces(resolve(dist, folder))],
    logLevel: "warning",
  });
  for (const { path, text } of outputFiles) await writeFile(path, await asciiSource(text));
}
