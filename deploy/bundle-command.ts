/**
 * Second step of the build: joins `main` and all commands that talk to a running agent into one file, `dist/muster.cjs`, which is what the name `muster` starts.
 * Node spends about 1 ms on each ES module of the 30 that `muster serf members` needs, and 8 ms on its module loader as soon as there is one; such a command has to be
 * about as quick as an empty program. What is large (agent, simulator) stays as `tsc` wrote it and is imported when it is asked for; see `bundle-agents.ts`.
 */
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const dist = fileURLToPath(new URL("../", import.meta.url));
const STAYS_APART: readonly string[] = ["src/cli/serf/agent.js", "src/cli/sim/command.js", "src/cli/consul/persona.js"].map((path) => resolve(dist, path));

const apart: Plugin = {
  name: "stays-apart",
  setup({ onResolve }) {
    onResolve({ filter: /^\./ }, ({ kind, path, importer }) => {
      const target = resolve(dirname(importer), path);
      if (kind !== "dynamic-import" || !STAYS_APART.includes(target)) return null;
      return { path: `./${relative(dist, target)}`, external: true };
    });
  },
};

await build({
  entryPoints: [resolve(dist, "src/main.js")],
  outfile: resolve(dist, "muster.cjs"),
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  packages: "external",
  plugins: [apart],
  logLevel: "warning",
});
