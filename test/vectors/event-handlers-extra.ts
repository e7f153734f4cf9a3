/**
 * event-handlers-extra: one agent with awkward names and several handlers, driven by commands. Our agent gets the same arguments and our command the
 * same calls; handlers must see the same, the commands print the same, and the agent log the same about events and scripts.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { nextLoopbackIp } from "../support/loopback.ts";
import { projectPath } from "../support/project-root.ts";
import { attempt, fieldsOf } from "./compare.ts";
import { readInvocations, splitTags, withSortedTags, writeHandlerScript, type Invocation } from "./handler-script.ts";
import type { Report } from "./registry.ts";

interface Recording {
  readonly args: readonly string[];
  readonly catchAll: readonly Invocation[];
  readonly listedTwice: readonly Invocation[];
  readonly cli: readonly { readonly args: readonly string[]; readonly exit: number; readonly stdout: string }[];
  readonly log: string;
}

const MAIN = projectPath("dist/muster.cjs");
const DEADLINE_MS = 20_000;

export async function checkEventHandlersExtra(data: unknown, report: Report): Promise<void> {
  const recording = fieldsOf<Recording>(data, ["args", "catchAll", "listedTwice", "cli", "log"], report) as Recording;
  const dir = mkdtempSync(join(tmpdir(), "muster-extra-"));
  writeHandlerScript(dir);
  // Everything of the recording stays, but for the addresses.
  const recordedIp = /-bind=([\d.]+):/.exec(recording.args.join(" "))?.[1] ?? "";
  const recordedRpc = /-rpc-addr=(\S+)/.exec(recording.args.join(" "))?.[1] ?? "";
  const ip = nextLoopbackIp();
  const ours = (text: string): string => text.replaceAll(recordedRpc, `${ip}:7373`).replaceAll(recordedIp, ip);
  const theirs = (text: string): string => text.replaceAll(`${ip}:7373`, recordedRpc).replaceAll(ip, recordedIp);
  const agent = spawn(process.execPath, [MAIN, "serf", ...recording.args.map(ours)], { cwd: dir, stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  for (const stream of [agent.stdout, agent.stderr]) stream.on("data", (chunk: Buffer) => void (log += chunk.toString()));
  try {
    const [catchAll, twice] = outputFiles(recording.args).map((name) => join(dir, name)) as [string, string];
    const seen = async (what: string, path: string, count: number): Promise<void> =>
      eventually(what, DEADLINE_MS, () => (readInvocations(path).length >= count ? null : `${readInvocations(path).length} of ${count} invocations`), () => log);
    await seen("the first event", catchAll, 1);
    for (const { args, exit, stdout } of recording.cli) {
      const { code, output } = await runCommand([process.execPath, MAIN, "serf", ...args.map(ours)], DEADLINE_MS);
      attempt(`cli ${args.join(" ")}`, report, () => {
        assert.equal(sortTagColumns(theirs(output)), sortTagColumns(stdout));
        assert.equal(code, exit);
      });
    }
    await seen("the last event of all", catchAll, recording.catchAll.length);
    await seen("the last user event", twice, recording.listedTwice.length);
    const lines = (recorded: readonly Invocation[], path: string): void =>
      assert.deepEqual(readInvocations(path).map((line) => withSortedTags(mapIps(line, theirs))), recorded.map(withSortedTags));
    attempt("catchAll", report, () => lines(recording.catchAll, catchAll));
    attempt("listedTwice", report, () => lines(recording.listedTwice, twice));
    agent.kill("SIGINT");
    await once(agent, "close");
    attempt("log", report, () => assert.deepEqual(eventLines(theirs(log)), eventLines(recording.log)));
  } catch (error) {
    report("(agent)", error instanceof Error ? error.message : String(error));
  } finally {
    if (agent.exitCode === null) agent.kill("SIGKILL");
    rmSync(dir, { recursive: true });
  }
}

/** Where the handler writes that gets every event, and the one that is listed twice. */
function outputFiles(args: readonly string[]): [string, string] {
  const files = args.flatMap((arg) => {
    const [, filter, name] = /^-?-event-handler=(?:(.*)=)?node h\.js (\S+)$/.exec(arg) ?? [];
    return name === undefined ? [] : [{ filter, name }];
  });
  const all = files.filter(({ filter = "*" }) => filter === "*");
  const some = files.filter(({ filter = "*" }) => filter !== "*");
  assert.deepEqual([all.length, some.length], [1, 1], "one recording handler for all events and one with a filter");
  return [(all[0] as { name: string }).name, (some[0] as { name: string }).name];
}

function mapIps(invocation: Invocation, theirs: (text: string) => string): Invocation {
  const stdin = Buffer.from(theirs(Buffer.from(invocation.stdinHex, "hex").toString("latin1")), "latin1");
  return { env: invocation.env, stdin: stdin.toString(), stdinHex: stdin.toString("hex") };
}

/** Tags in one order, wherever the members command prints them. */
function sortTagColumns(text: string): string {
  return text.replace(/(?<= alive {2})(.*(?:\n.*)*)\n$/, (_, tags: string) => `${splitTags(tags).sort().join(",")}\n`);
}

/**
 * What the log says about events, scripts and their failures, sorted: our handlers run side by side, theirs one after another. "Event … script output"
 * lines are compared by their number and text.
 */
function eventLines(log: string): string[] {
  const records = log.split(/^ {4}\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d |^==> .*\n/m);
  // What scripts print after the signal depends on when the agent ends.
  const about = /^\[\w+\] agent: (Received event|Script|Event '(user|query)' script output|Error invoking|Failed to respond|Requesting)/;
  // How long an interpreter takes to start is the machine's business.
  const slowInterpreter = /Script 'node .*' slow/;
  return records.filter((record) => about.test(record) && !slowInterpreter.test(record)).sort();
}
