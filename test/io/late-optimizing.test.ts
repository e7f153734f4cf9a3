import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { USUAL_BUDGET } from "../../src/io/late-optimizing.ts";

test("the budget that an agent goes back to is the runtime's own", (t) => {
  if (!process.versions.v8.startsWith("11.3.")) return t.diagnostic("another V8: the flag is not touched");
  const { stdout } = spawnSync(process.execPath, ["--v8-options"], { encoding: "utf8" });
  assert.match(stdout, new RegExp(`--interrupt-budget=${USUAL_BUDGET}\\b`, "u"));
});
