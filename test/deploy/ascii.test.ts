/** Joined files are ASCII only, and mean what they meant. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import { asciiSource } from "../../deploy/ascii.ts";
import { projectPath } from "../support/project-root.ts";

const SOURCE = [
  "class Row {",
  "  /** At most – how many … 𝄞. */",
  '  texts() { return ["a – b", `${1}… 𝄞`, "ä\\n?", "\\\\…", "\\u2026"]; }',
  "}",
  "JSON.stringify(new Row().texts())",
].join("\n");
const TEXTS = ["a – b", "1… 𝄞", "ä\n?", "\\…", "…"];

test("strings and templates mean the same in ASCII, and comments stay comments", async () => {
  const escaped = await asciiSource(SOURCE);
  assert.match(escaped, /^[\0-\x7f]+$/);
  assert.match(escaped, /At most \\u2013 how many/);
  assert.deepEqual([SOURCE, escaped].map((source) => JSON.parse(String(runInNewContext(source))) as unknown), [TEXTS, TEXTS]);
});

test("what would mean something else is refused", async () => {
  await assert.rejects(asciiSource("export const length = String.raw`…`.length;"), /mean something else/);
});

test("what the build has joined is ASCII", () => {
  const folders = ["", "src/cli/serf/", "src/cli/consul/", "workers/"].map((folder) => projectPath(`dist/${folder}`));
  const files = folders.flatMap((folder) => readdirSync(folder).filter((name) => /\.c?js$/.test(name)).map((name) => folder + name));
  const joined = files.filter((file) => /\/(?:muster|serf-agent)\.cjs$|\/agent\.js$|\/workers\/[^/]*\.js$/.test(file));
  assert.ok(joined.length >= 7, joined.join());
  for (const file of joined) assert.match(readFileSync(file, "utf8"), /^[\0-\x7f]+$/, file);
});
