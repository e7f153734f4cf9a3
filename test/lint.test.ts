/** The lint rules that guard the architecture, each shown to fire; `npm run check` applies them to the tree itself. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { projectPath } from "./support/project-root.ts";

/** File and content, and the rule that must refuse it; null: must be accepted. */
const CASES: readonly (readonly [file: string, source: string, rule: string | null])[] = [
  ["src/base/up.ts", `import type { X } from "../wire/x.ts";\nexport type Y = X;`, "no-restricted-imports"],
  ["src/wire/up.ts", `export { X } from "../swim/x.ts";`, "no-restricted-imports"],
  ["src/wire/star.ts", `export * from "../swim/x.ts";`, "no-restricted-imports"],
  ["src/wire/down.ts", `export { X } from "../base/x.ts";`, null],
  ["src/swim/up.ts", `export { X } from "../serf/x.ts";`, "no-restricted-imports"],
  ["src/swim/deep/up.ts", `export { X } from "../../serf/x.ts";`, "no-restricted-imports"],
  ["src/serf/down.ts", `export { X } from "../swim/x.ts";`, null],
  ["src/serf/aside.ts", `export { X } from "../raft/x.ts";`, "no-restricted-imports"],
  ["src/raft/aside.ts", `export { X } from "../swim/x.ts";`, "no-restricted-imports"],
  ["src/catalog/aside.ts", `export { X } from "../raft/x.ts";`, "no-restricted-imports"],
  ["src/api/aside.ts", `export { X } from "../swim/x.ts";`, "no-restricted-imports"],
  ["src/node/up.ts", `export { X } from "../io/x.ts";`, "no-restricted-imports"],
  ["src/node/down.ts", `export { X } from "../serf/x.ts";`, null],
  ["src/sim/aside.ts", `export { X } from "../io/x.ts";`, "no-restricted-imports"],
  ["src/io/aside.ts", `export { X } from "../sim/x.ts";`, "no-restricted-imports"],
  ["src/io/lanes/aside.ts", `export { X } from "../../sim/x.ts";`, "no-restricted-imports"],
  ["src/io/up.ts", `export { X } from "../client/x.ts";`, "no-restricted-imports"],
  ["src/io/node.ts", `import { readFileSync } from "node:fs";\nexport const text = readFileSync("x", "utf8");`, null],
  ["src/client/up.ts", `export { X } from "../cli/x.ts";`, "no-restricted-imports"],
  ["src/client/aside.ts", `export { X } from "../serf/x.ts";`, "no-restricted-imports"],
  ["src/cli/aside.ts", `export { X } from "../sim/x.ts";`, "no-restricted-imports"],
  ["src/cli/sim/run.ts", `export { X } from "../../sim/x.ts";`, null],
  ["src/cli/serf/run.ts", `export { X } from "../../sim/x.ts";`, "no-restricted-imports"],
  ["src/cli/sim/up.ts", `export { X } from "../../index.ts";`, "no-restricted-imports"],
  ["src/cli/out.ts", `export { X } from "../../test/x.ts";`, "no-restricted-imports"],
  ["src/main.ts", `export { X } from "./sim/x.ts";`, "no-restricted-imports"],
  ["workers/lane.ts", `export { X } from "../src/wire/x.ts";`, "no-restricted-imports"],
  ["workers/good.ts", `export { X } from "../src/io/lanes/x.ts";`, null],
  ["src/io/dynamic.ts", `export const x = (): Promise<unknown> => import("../sim/x.ts");`, "no-restricted-imports"],
  ["src/serf/dynamic.ts", `export const x = (): unknown => import("node:fs");`, "no-restricted-imports"],
  ["src/base/node.ts", `import { hash } from "node:crypto";\nexport const h = hash;`, "no-restricted-imports"],
  ["src/serf/package.ts", `import { RE2JS } from "re2js";\nexport const r = RE2JS;`, "no-restricted-imports"],
  ["src/swim/clock.ts", `export const now = (): number => Date.now();`, "no-restricted-globals"],
  ["src/swim/performance.ts", `export const now = (): number => performance.now();`, "no-restricted-globals"],
  ["src/sim/timer.ts", `export const later = (f: () => void): unknown => setTimeout(f, 1);`, "no-restricted-globals"],
  ["src/raft/promise.ts", `export const p = Promise.resolve(1);`, "no-restricted-globals"],
  ["src/node/process.ts", `export const env = process.env;`, "no-restricted-globals"],
  ["src/wire/buffer.ts", `export const b = Buffer.alloc(1);`, "no-restricted-globals"],
  ["src/serf/random.ts", `export const r = (): number => Math.random();`, "no-restricted-properties"],
  ["src/serf/regexp.ts", `export const r = (text: string): RegExp => new RegExp(text);`, "no-restricted-globals"],
  ["src/io/regexp.ts", `export const r = (text: string): unknown => new RegExp(text);`, "no-restricted-globals"],
  ["src/io/clock.ts", `export const now = (): number => Date.now();`, null],
  ["src/io/any.ts", `export const x = (y: any): void => y.z();`, "no-explicit-any"],
  ["src/io/default.ts", `const x = 1;\nexport default x;`, "no-default-export"],
  ["src/io/ignore.ts", `// @ts-ignore\nexport const x: string = "";`, "ban-ts-comment"],
  ["src/io/floating.ts", `async function f(): Promise<void> {}\nexport function g(): void {\n  f();\n}`, "no-floating-promises"],
];

test("each rule of the architecture refuses its violation and nothing else", async () => {
  const dir = mkdtempSync(join(tmpdir(), "muster-lint-"));
  try {
    copyFileSync(projectPath(".oxlintrc.json"), join(dir, ".oxlintrc.json"));
    writeFileSync(join(dir, "tsconfig.json"), `{"compilerOptions":{"strict":true,"target":"es2023","module":"nodenext","types":[]}}`);
    for (const [file, source] of CASES) {
      mkdirSync(dirname(join(dir, file)), { recursive: true });
      writeFileSync(join(dir, file), `${source}\n`);
    }
    const found = await lint(dir);
    for (const [file, , rule] of CASES) assert.deepEqual([file, ...(found.get(file) ?? [])], rule === null ? [file] : [file, rule]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

interface Diagnostic {
  readonly code: string;
  readonly filename: string;
}

/** Rule names per file, as oxlint reports them. */
async function lint(dir: string): Promise<Map<string, string[]>> {
  const stdout = await new Promise<string>((resolve) => {
    // oxlint looks for its type-aware half on the PATH.
    const bin = projectPath("node_modules/.bin");
    const env = { ...process.env, PATH: `${bin}:${process.env["PATH"]}` };
    execFile(join(bin, "oxlint"), ["--type-aware", "--format", "json", "."], { cwd: dir, env, maxBuffer: 1 << 24 }, (_error, out) => resolve(out));
  });
  const { diagnostics } = JSON.parse(stdout) as { readonly diagnostics: readonly Diagnostic[] };
  const found = new Map<string, string[]>();
  for (const { code, filename } of diagnostics) {
    const rule = code.slice(code.indexOf("(") + 1, -1);
    found.set(filename, [...(found.get(filename) ?? []), rule]);
  }
  return found;
}
