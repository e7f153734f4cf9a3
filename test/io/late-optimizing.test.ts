import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { USUAL_BUDGET, USUAL_EARLY_BYTES, USUAL_TICKS } from "../../src/io/late-optimizing.ts";

test("the values that an agent goes back to are the runtime's own", (t) => {
  if (!process.versions.v8.startsWith("11.3.")) return t.diagnostic("another V8: the flag is not touched");
  const { stdout } = spawnSync(process.execPath, ["--v8-options"], { encoding: "utf8" });
  assert.match(stdout, new RegExp(`--interrupt-budget=${USUAL_BUDGET}\\b`, "u"));
  assert.match(stdout, new RegExp(`--ticks-before-optimization=${USUAL_TICKS}\\b`, "u"));
  assert.match(stdout, new RegExp(`--max-bytecode-size-for-early-opt=${USUAL_EARLY_BYTES}\\b`, "u"));
});
