/** agent-runs: our agent with the recorded arguments, files and signals; text and exit code must be the recorded ones. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { once } from "node:events";
import { projectPath } from "../support/project-root.ts";
import { fieldsOf } from "./compare.ts";
import type { Report } from "./registry.ts";

interface Run {
  readonly name: string;
  readonly args: readonly string[];
  readonly exit: number;
  readonly output: string;
  readonly signals?: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
}
const RUN_FIELDS: ReadonlySet<string> = new Set(["name", "args", "exit", "output", "signals", "files"]);
const SIGNALS: Readonly<Record<string, NodeJS.Signals>> = { interrupt: "SIGINT", terminated: "SIGTERM", hangup: "SIGHUP", "user defined signal 1": "SIGUSR1" };
/** Agents at once: they mostly wait. */
const PARALLEL = 4;
const RUN_MS_MAX = 30_000;
/** Between the line after which the recorder sent signals and the first one, and between signals. */
const SIGNAL_GAP_MS = 300;
const STREAMING = "Log data will now stream in as it occurs:";

export async function checkAgentRuns(data: unknown, report: Report): Promise<void> {
  const { cases = [] } = fieldsOf<{ cases: readonly Run[] }>(data, ["cases"], report);
  const movable = cases.filter((run) => recordedPorts(run.args).length === 2);
  const check = async (queue: Run[]): Promise<void> => {
    for (let run = queue.shift(); run !== undefined; run = queue.shift()) {
      try {
        await checkRun(run);
        report(run.name, null);
      } catch (error) {
        report(run.name, error instanceof Error ? error.message : String(error));
      }
    }
  };
  // Agents on ports that are part of the case, such as the default ones, would meet: they run alone.
  await Promise.all(Array.from({ length: PARALLEL }, () => check(movable)));
  await check(cases.filter((run) => recordedPorts(run.args).length !== 2));
}

async function checkRun(run: Run): Promise<void> {
  const unknown = Object.keys(run).filter((field) => !RUN_FIELDS.has(field));
  assert.deepEqual(unknown, [], "parts of the case without a check");
  assert.equal(run.args[0], "agent", "only agents are run");
  const signals = (run.signals ?? []).map((name) => SIGNALS[name] ?? assert.fail(`unknown signal ${name}`));
  const dir = mkdtempSync(join(tmpdir(), "muster-run-"));
  try {
    for (const [name, text] of Object.entries(run.files ?? {})) {
      assert.ok(resolve(dir, name).startsWith(dir), "files stay in the working directory");
      mkdirSync(dirname(join(dir, name)), { recursive: true });
      writeFileSync(join(dir, name), text);
    }
    const ports = await chooseFreePorts(run.args);
    const args = run.args.map((arg) => replaceAllOf(arg, ports));
    const { exit, text } = await runOurs(args, signals, dir, run.exit);
    const back = ports.map(([recorded, used]) => [used, recorded] as const);
    assert.equal(normalise(replaceAllOf(text, back)), normalise(run.output));
    assert.equal(exit, run.exit, "exit code");
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Other ports than the recorded ones, so that agents run side by side: pairs of recorded and used `:port`. Ports that are part of the case stay. */
async function chooseFreePorts(args: readonly string[]): Promise<(readonly [string, string])[]> {
  const pairs: (readonly [string, string])[] = [];
  for (const { ip, port } of recordedPorts(args)) pairs.push([`:${port}`, `:${await freePort(ip)}`]);
  return pairs;
}

/** Loopback addresses with a usual port that the agent is told to listen on. */
function recordedPorts(args: readonly string[]): { readonly ip: string; readonly port: string }[] {
  return args.flatMap((arg) => {
    const [, ip, port] = /^-?-(?:bind|rpc-addr)=(127\.\d+\.\d+\.\d+):(\d{4,5})$/.exec(arg) ?? [];
    return ip === undefined || port === undefined || Number(port) > 65535 ? [] : [{ ip, port }];
  });
}

async function freePort(ip: string): Promise<number> {
  const server = createServer().listen(0, ip);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function replaceAllOf(text: string, pairs: readonly (readonly [string, string])[]): string {
  return pairs.reduce((changed, [from, to]) => changed.replaceAll(from, to), text);
}

/** Standard output and error as one text, as the recorder took them. */
async function runOurs(args: readonly string[], signals: readonly NodeJS.Signals[], cwd: string, expectedExit: number): Promise<{ exit: number; text: string }> {
  const child = spawn(process.execPath, [projectPath("dist/muster.cjs"), "serf", ...args], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  const limit = setTimeout(() => child.kill("SIGKILL"), expectedExit < 0 ? 3000 : RUN_MS_MAX);
  let text = "";
  const pending = [...signals];
  const sendNext = (): void => {
    const signal = pending.shift();
    if (signal === undefined) return;
    setTimeout(() => {
      child.kill(signal);
      sendNext();
    }, SIGNAL_GAP_MS);
  };
  let streaming = false;
  const take = (chunk: Buffer): void => {
    text += chunk.toString();
    if (streaming || !text.includes(STREAMING)) return;
    streaming = true;
    sendNext();
  };
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(limit);
  return { exit: code ?? -1, text };
}

/** Masks what differs from run to run, and our own additions. */
function normalise(text: string): string {
  return text
    .replace(/^hint: .*\n/gm, "") // What we add to an error.
    .replace(/Usage: serf agent [^]*$/, "<usage text>\n")
    .replace(/^\[\d{4}-.*\]\[[GCS]\] .*\n/gm, "") // Measurements.
    .replace(/^ {4}\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d /gm, "    DATE ")
    .replace(/ on [\d.]+:53: no such host/g, " on RESOLVER: no such host")
    // Members join a second before their event passes the coalescer; whether it still does depends on when the signal comes.
    .replace(/^ {4}DATE \[INFO\] agent: Received event: member-join\n/gm, "")
    // In the original, tasks that end at the same time race for these lines.
    .replace(/^ {4}DATE \[WARN\] agent: Serf shutdown detected, quitting\n/gm, "")
    .replace(/(Shutdown without a Leave\n) {4}DATE \[INFO\] agent: Received event: member-leave\n/g, "$1");
}
