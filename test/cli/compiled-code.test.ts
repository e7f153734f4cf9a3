import assert from "node:assert/strict";
import { appendFileSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { codeFileOf, loadCompiled } from "../../src/cli/compiled-code.ts";
import { projectPath } from "../support/project-root.ts";
import { tempDir } from "../support/temp-dir.ts";

const SOURCE = `const path = require("node:path"); exports.place = path.basename(__filename); exports.answer = () => 42;`;

function fileOf(t: TestContext, source: string): string {
  const file = join(tempDir(t), "part.cjs");
  writeFileSync(file, source);
  return file;
}

function answerOf(file: string): unknown {
  return (loadCompiled(file).exports as { readonly answer: () => unknown }).answer();
}

test("a file runs as required, without code and with the code kept of it", (t) => {
  const file = fileOf(t, SOURCE);
  const first = loadCompiled(file);
  assert.equal(first.fromCode, false);
  writeFileSync(codeFileOf(file), first.encode());
  const second = loadCompiled(file);
  assert.equal(second.fromCode, true);
  for (const { exports } of [first, second]) assert.deepEqual(Object.keys(exports as object), ["place", "answer"]);
  assert.equal((second.exports as { readonly place: string }).place, "part.cjs");
  assert.equal(answerOf(file), 42);
});

test("code of another source, also one of the same length, is not run", (t) => {
  const file = fileOf(t, SOURCE);
  writeFileSync(codeFileOf(file), loadCompiled(file).encode());
  writeFileSync(file, SOURCE.replace("42", "43"));
  assert.equal(loadCompiled(file).fromCode, false);
  assert.equal(answerOf(file), 43);
});

test("torn, damaged, empty and foreign code files are not used", (t) => {
  const file = fileOf(t, SOURCE);
  const code = Buffer.from(loadCompiled(file).encode());
  const damaged = Buffer.from(code);
  damaged[code.length - 1] = (damaged[code.length - 1] as number) ^ 1;
  const foreign = Buffer.alloc(code.length, "x");
  for (const bytes of [Buffer.alloc(0), code.subarray(0, 16), code.subarray(0, code.length - 1), damaged, foreign]) {
    writeFileSync(codeFileOf(file), bytes);
    assert.equal(loadCompiled(file).fromCode, false);
    assert.equal(answerOf(file), 42);
  }
});

test("the agent of this build has code that V8 takes", (t) => {
  const built = projectPath("dist/serf-agent.cjs");
  assert.equal(loadCompiled(built).fromCode, true);
  // And without it, it loads all the same.
  const copy = fileOf(t, "");
  copyFileSync(built, copy);
  appendFileSync(copy, "\n");
  const { exports, fromCode } = loadCompiled(copy);
  assert.equal(fromCode, false);
  assert.deepEqual(Object.keys(exports as object), ["agentCommand"]);
  assert.ok(readFileSync(codeFileOf(built)).length > 100_000);
});
