import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { OUTPUT_BYTES_MAX } from "../../src/io/spawner-messages.ts";
import { Spawner } from "../../src/io/spawner.ts";

const deaths: string[] = [];
const spawner = new Spawner((reason) => deaths.push(reason));
const dir = mkdtempSync(join(tmpdir(), "muster-spawner-"));
after(() => {
  spawner.stop();
  rmSync(dir, { recursive: true });
});
const run = (command: string, env: Record<string, string> = {}, stdin = "") => spawner.run(command, new Map(Object.entries(env)), Buffer.from(stdin));
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

test("a script gets environment and standard input, and its two outputs come back as one", async () => {
  const result = await run('printf %s "$A-$HOME" >&2; cat; echo err >&2', { A: "x;$(touch never)" }, "in\0\n");
  assert.deepEqual({ ...result, output: text(result.output) }, { status: "", output: `x;$(touch never)-${process.env["HOME"] ?? ""}in\0\nerr\n`, outputBytes: result.outputBytes });
});

test("the spawner's own channel is not in a script's environment", async () => {
  assert.equal(text((await run("env | grep -c NODE_CHANNEL")).output), "0\n");
});

test("exit codes and signals are reported in Go's words", async () => {
  assert.equal((await run("exit 7")).status, "exit status 7");
  assert.equal((await run("kill -9 $$")).status, "signal: killed");
  assert.equal((await run("kill -15 $$")).status, "signal: terminated");
  assert.equal((await run("nosuchcommand-muster")).status, "exit status 127");
});

test("of a flood only the end is kept", async () => {
  const result = await run("head -c 3000000 /dev/zero | tr '\\0' x; printf end");
  assert.equal(result.outputBytes, 3_000_003);
  assert.equal(result.output.length, OUTPUT_BYTES_MAX);
  assert.equal(text(result.output).slice(-6), "xxxend");
});

test("a script that does not read its input succeeds", async () => {
  assert.equal((await run("exit 0", {}, "x".repeat(1_000_000))).status, "");
});

test("a process left in the background does not hold the script", async () => {
  const started = performance.now();
  const result = await run("sleep 20 & echo done");
  assert.equal(text(result.output), "done\n");
  assert.ok(performance.now() - started < 10_000);
});

test("a script that cannot start is a failure, not an error", async () => {
  const result = await run("true", { BIG: "x".repeat(4_000_000) });
  assert.match(result.status, /^fork\/exec \/bin\/sh: /);
  assert.equal((await run("exit 0")).status, "");
});

test("when the spawner dies its scripts fail and the next one starts a new spawner", async () => {
  const file = join(dir, "pid");
  const lost = run(`echo started >> ${file}; sleep 20`);
  while (!readIfThere(file).includes("started")) await new Promise((resolve) => setImmediate(resolve));
  const { pid } = spawner;
  process.kill(pid, "SIGKILL");
  assert.equal((await lost).status, "the spawner process died: signal SIGKILL");
  assert.deepEqual(deaths, ["signal SIGKILL"]);
  assert.equal((await run("exit 3")).status, "exit status 3");
  assert.notEqual(spawner.pid, pid);
});

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
