import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import { projectPath } from "../support/project-root.ts";
import { checkers, type Checker } from "./registry.ts";
import { checkVectorFile, listVectorFiles } from "./run.ts";

const files = listVectorFiles(projectPath("test/vectors/data"));

for (const path of files) {
  test(`recording ${basename(path)}`, async () => {
    const { passed, failures } = await checkVectorFile(path, checkers);
    assert.deepEqual(failures.map(({ caseName, error }) => `${caseName}: ${error}`), []);
    assert.ok(passed > 0);
  });
}

test("every registered kind has a recording here", () => {
  const names = new Set(files.map((path) => basename(path, ".json")));
  assert.deepEqual([...checkers.keys()].filter((kind) => !names.has(kind)), []);
});

test("what cannot be checked counts as failed", async () => {
  const dir = mkdtempSync(join(tmpdir(), "muster-vectors-"));
  try {
    const known = new Map<string, Checker>([
      ["empty", () => {}],
      ["throws", (_, report) => {
        report("first", null);
        throw new Error("broken");
      }],
      ["hangs", () => new Promise(() => {})],
      ["bad-json", (_, report) => report("never", null)],
      ["mixed", (data, report) => {
        for (const [name, value] of Object.entries(data as Record<string, number>)) report(name, value === 1 ? null : `${value} is not 1`);
      }],
    ]);
    for (const name of ["empty", "throws", "hangs", "unknown"]) writeFileSync(join(dir, `${name}.json`), "{}");
    writeFileSync(join(dir, "bad-json.json"), "{");
    writeFileSync(join(dir, "mixed.json"), `{"a":1,"b":2,"c":1}`);
    const counts: Record<string, [passed: number, failed: number]> = {};
    for (const path of listVectorFiles(dir)) {
      const { passed, failures } = await checkVectorFile(path, known, 20);
      counts[basename(path, ".json")] = [passed, failures.length];
    }
    assert.deepEqual(counts, { "bad-json": [0, 1], empty: [0, 1], hangs: [0, 1], mixed: [2, 1], throws: [1, 1], unknown: [0, 1] });
    assert.deepEqual(listVectorFiles(dir, ["mix"]).map((path) => basename(path)), ["mixed.json"]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
