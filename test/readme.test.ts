import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { AGENT_FLAGS } from "../src/cli/serf/agent-flags.ts";
import { CONFIG_KEYS } from "../src/cli/serf/config/schema.ts";
import { readScenario } from "../src/sim/scenario-file.ts";
import { SCENARIOS } from "../src/sim/scenarios.ts";
import { projectPath } from "./support/project-root.ts";

test("the README's scenario file is accepted, and its list of scenarios is complete", () => {
  const text = readFileSync(projectPath("README.md"), "utf8");
  const json = /```json\n(\{\n {2}"name": "one rack[^]*?\n\})\n```/.exec(text)?.[1] ?? "";
  const read = readScenario("README.md", json);
  assert.ok(read.ok, read.ok ? "" : read.error);
  const listed = /^Built in: (.*)\.$/m.exec(text)?.[1];
  assert.equal(listed, [...SCENARIOS.keys()].map((name) => `\`${name}\``).join(", "));
});

test("the README's configuration table has every key and every flag, and marks what a reload applies", () => {
  const rows = readFileSync(projectPath("README.md"), "utf8").split("\n").filter((line) => line.startsWith("| `"));
  for (const { key, reloads } of CONFIG_KEYS) {
    const row = rows.find((line) => (line.split("|")[1] ?? "").includes(`\`${key}\``));
    assert.ok(row, `no row for the key ${key}`);
    assert.equal(row.includes("↻"), reloads, `${key}: ↻ stands for what SIGHUP applies`);
  }
  const flags = rows.map((line) => line.split("|")[2] ?? "").join(" ");
  // -config-dir and -config-file name the files themselves.
  const missing = Object.keys(AGENT_FLAGS).filter((flag) => !flag.startsWith("config-") && !new RegExp(`\`-${flag}[\` ]`).test(flags));
  assert.deepEqual(missing, []);
});

test("what the README says of npm start is what it runs", () => {
  const said = /^npm ci && npm start +# a Consul dev agent on 127\.0\.0\.1:8500/m;
  assert.match(readFileSync(projectPath("README.md"), "utf8"), said);
  const { scripts } = JSON.parse(readFileSync(projectPath("package.json"), "utf8")) as { scripts: { start: string } };
  assert.match(scripts.start, / consul agent -dev$/);
});
