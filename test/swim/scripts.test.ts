/** The behaviour of one machine as text: `data/*.txt`. After an intended change run with REWRITE=1, then read the diff before committing it. */
import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { projectPath } from "../support/project-root.ts";
import { runScript } from "./script.ts";

const dir = projectPath("test/swim/data");

for (const file of readdirSync(dir)) {
  test(file, () => {
    const expected = readFileSync(`${dir}/${file}`, "utf8");
    const actual = runScript(expected);
    if (process.env["REWRITE"] === "1") writeFileSync(`${dir}/${file}`, actual);
    else assert.equal(actual, expected);
  });
}
