/**
 * Second step of the build: joins `main` and all commands that talk to a running agent into one file, `dist/muster.cjs`, which is what the name `muster` starts, and
 * the Serf agent into `dist/serf-agent.cjs`, which it loads together with compiled code (`compile-agent.ts` is the last step).
 * Node spends about 1 ms on each ES module of the 30 that `muster serf members` needs, and 8 ms on its module loader as soon as there is one; such a command has to be
 * about as quick as an empty program. What is large and started less often (simulator, Consul persona) is imported
 * when it is asked for; see `bundle-agents.ts`.
 */
import { readFile, writeFile } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type BuildOptions, type Plugin } from "esbuild";
import { asciiSource } from "./ascii.ts";

const dist = fileURLToPath(new URL("../", import.meta.url));
const STAYS_APART: readonly string[] = ["src/cli/sim/thread.js", "src/cli/consul/persona.js"].map((path) => resolve(dist, path));
const AGENT = resolve(dist, "src/cli/serf/agent.js");
const AGENT_FILE = "serf-agent.cjs";
const LOADER = resolve(dist, "src/cli/compiled-code.js");

const apart: Plugin = {
  name: "stays-apart",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\./ }, ({ kind, path, importer }) => {
      const target = resolve(dirname(importer), path);
      if (kind !== "dynamic-import") return null;
      if (target === AGENT) return { path: AGENT_FILE, namespace: "compiled" };
      return STAYS_APART.includes(target) ? { path: `./${relative(dist, target)}`, external: true } : null;
    });
    onLoad({ filter: /./, namespace: "compiled" }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(LOADER)}).loadCompiled(require("node:path").join(__dirname, ${JSON.stringify(path)})).exports;`,
      resolveDir: dist,
    }));
  },
};

/** A joined module finds its neighbours, such as the files of worker threads, where it stood itself. */
const ownUrls: Plugin = {
  name: "own-urls",
  setup({ onLoad }) {
    onLoad({ filter: /\.js$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      if (!path.startsWith(dist) || !text.includes("import.meta.url")) return null;
      const url = `require("node:url").pathToFileURL(require("node:path").join(__dirname, ${JSON.stringify(relative(dist, path))})).href`;
      return { contents: text.replaceAll("import.meta.url", url) };
    });
  },
};

const COMMON: BuildOptions = { bundle: true, platform: "node", format: "cjs", target: "node20", packages: "external", logLevel: "warning" };

await join(resolve(dist, "src/main.js"), "muster.cjs", { plugins: [apart] });
// Packages are `require`d in it: `import()` does not work in a file that is loaded with compiled code.
await join(AGENT, AGENT_FILE, { supported: { "dynamic-import": false }, plugins: [ownUrls] });

async function join(entry: string, name: string, options: BuildOptions): Promise<void> {
  const file = resolve(dist, name);
  await build({ ...COMMON, ...options, entryPoints: [entry], outfile: file });
  await writeFile(file, await asciiSource(await readFile(file, "utf8")));
}
