/**
 * cli, cli-auth-keys: each recorded command is run with our CLI against a server that plays the recorded agent; what it sends, prints and
 * returns must be as recorded, but for what the original itself leaves to chance (order of maps) and our hints on stderr.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { CliContext } from "../../src/cli/context.ts";
import { SERF_COMMANDS } from "../../src/cli/serf/commands.ts";
import { runSerf, usage } from "../../src/cli/serf/persona.ts";
import { saveKeyringFile } from "../../src/io/keyring-file.ts";
import { Child } from "../support/child.ts";
import { projectPath } from "../support/project-root.ts";
import { tempDir, type Cleanup } from "../support/temp-dir.ts";
import { fieldsOf } from "./compare.ts";
import { startMembersServer } from "./members-server.ts";
import type { Report } from "./registry.ts";
import { ReplayServer, type Frame } from "./rpc-frames.ts";

interface Case {
  readonly name: string;
  readonly args?: readonly string[] | null;
  readonly env?: Readonly<Record<string, string>>;
  readonly exit?: number;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly rpc?: readonly Frame[];
  readonly sigintAfterMs?: number;
  readonly note?: string;
  readonly file?: string;
  readonly outputTail?: string;
}
const TRANSCRIPT_FIELDS: ReadonlySet<string> = new Set(["name", "args", "env", "exit", "stdout", "stderr", "rpc", "sigintAfterMs", "note"]);
const RUN_DEADLINE_MS = 20_000;
/** An interrupted command is interrupted when it has printed as much as recorded, at the latest after this. */
const INTERRUPT_DEADLINE_MS = 3000;

export async function checkCliTranscripts(data: unknown, report: Report): Promise<void> {
  const { cases = [] } = fieldsOf<{ cases: readonly Case[] }>(data, ["cases"], report);
  for (const recorded of cases) {
    const afters: (() => void | Promise<void>)[] = [];
    try {
      await checkCase(recorded, { after: (fn) => void afters.push(fn) });
      report(recorded.name, null);
    } catch (error) {
      report(recorded.name, error instanceof Error ? error.message : String(error));
    } finally {
      for (const after of afters) await after();
    }
  }
}

async function checkCase(recorded: Case, t: Cleanup): Promise<void> {
  if (recorded.file !== undefined) return checkKeyringFile(recorded, t);
  if (recorded.stdout === undefined) return checkAgentExit(recorded, t);
  assert.deepEqual(
    Object.keys(recorded).filter((field) => !TRANSCRIPT_FIELDS.has(field)),
    [],
    "parts of the case without a check",
  );
  const { server, address } = await startPeer(recorded, t);
  const words = (recorded.args ?? []).map((arg, i, all) => (/^--?rpc-addr$/.test(all[i - 1] ?? "") ? address : arg.replace(/^(--?rpc-addr=).*/, `$1${address}`)));
  const env = { ...recorded.env, ...(recorded.env?.["SERF_RPC_ADDR"] === undefined ? {} : { SERF_RPC_ADDR: address }) };
  const run = await runOurs(recorded, words, env, server);
  const recordedAddress = recordedAddressOf(recorded);
  const back = (text: string): string => (recordedAddress === undefined ? text : text.replaceAll(address, recordedAddress));
  const usages = await usageTexts();
  assert.equal(normalise(back(maskUsage(run.stdout, usages))), normalise(recorded.stdout), "stdout");
  assert.equal(withoutHints(maskUsage(run.stderr, usages)), recorded.stderr, "stderr");
  assert.equal(run.exit, recorded.exit, "exit code");
  assert.equal(server?.failure ?? null, null, "RPC");
}

/** The RPC address of the recording, which stands in some outputs. */
function recordedAddressOf({ args, env }: Case): string | undefined {
  const words = args ?? [];
  const flag = words.findIndex((word) => /^--?rpc-addr(=|$)/.test(word));
  if (flag < 0) return env?.["SERF_RPC_ADDR"];
  const word = words[flag] as string;
  return word.includes("=") ? word.slice(word.indexOf("=") + 1) : words[flag + 1];
}

/** Who answers the command: the recording, an agent with the members it printed, or nobody. */
async function startPeer(recorded: Case, t: Cleanup): Promise<{ readonly server: ReplayServer | null; readonly address: string }> {
  if (recorded.rpc !== undefined) {
    const server = await ReplayServer.start(recorded.rpc);
    t.after(() => server.close());
    return { server, address: server.address };
  }
  const listed = recorded.exit === 0 && recorded.args?.[0] === "members" && recorded.stdout?.startsWith("{") === true;
  if (listed) return { server: null, address: await startMembersServer(recorded.stdout ?? "", recorded.env?.["SERF_RPC_AUTH"] ?? "", t) };
  return { server: null, address: `127.0.0.1:${await freePort()}` };
}

interface Run {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number;
}

async function runOurs(recorded: Case, words: readonly string[], env: Readonly<Record<string, string>>, server: ReplayServer | null): Promise<Run> {
  let stdout = "";
  let stderr = "";
  let interrupt: (() => void) | null = null;
  const context: CliContext = {
    out: (text) => {
      stdout += `${text}\n`;
      if (recorded.sigintAfterMs !== undefined && stdout.length >= (recorded.stdout ?? "").length) interrupt?.();
    },
    err: (text) => (stderr += `${text}\n`),
    env,
    onInterrupt: (listener) => (interrupt = listener),
  };
  const late = recorded.sigintAfterMs === undefined ? undefined : setTimeout(() => interrupt?.(), INTERRUPT_DEADLINE_MS);
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`did not end; stdout so far: ${stdout}; ${server?.failure ?? ""}`)), RUN_DEADLINE_MS);
  });
  const exit = await Promise.race([runSerf(context, words), tooLate]).finally(() => {
    clearTimeout(timer);
    clearTimeout(late);
  });
  return { stdout, stderr, exit };
}

let usageCache: readonly string[] | null = null;

async function usageTexts(): Promise<readonly string[]> {
  usageCache ??= [usage(), ...(await Promise.all(SERF_COMMANDS.map(async ({ load }) => (await load()).usage)))];
  return usageCache;
}

function maskUsage(text: string, usages: readonly string[]): string {
  return usages.reduce((masked, help) => masked.replaceAll(help, "<usage text>"), text);
}

/** Our own lines about what to try next. */
function withoutHints(text: string): string {
  return text.replace(/^hint: .*\n/gm, "");
}

/** What varies from run to run with the original, too: order of tags, of map entries in tables and events, random keys, times, the version. */
export function normalise(text: string): string {
  const lines = text
    .replace(/^[^\n]+\n(Agent Protocol: )/, "<version>\n$1")
    .replace(/^[A-Za-z0-9+/]{43}=\n$/, "<key>\n")
    .replace(/^Query time: \d+\.\d\d sec, time to last response: \d+\.\d\d sec$/gm, "Query time: <time>")
    .split("\n")
    .map((line) => line.replace(/[^ ,=]+=[^,]*?(,[^ ,=]+=[^,]*?)+(?= {2}| *$)/g, (tags) => tags.split(",").sort().join(",")));
  // Runs of lines that come out of a map.
  const groups = [/^failed: /, / {2}\[\d+\/\d+\]$/, /^\t[A-Z][A-Za-z]*: /];
  for (const pattern of groups) {
    for (let start = 0; start < lines.length; start += 1) {
      let end = start;
      while (end < lines.length && pattern.test(lines[end] as string)) end += 1;
      if (end > start + 1) lines.splice(start, end - start, ...lines.slice(start, end).sort());
      start = Math.max(start, end);
    }
  }
  return lines.join("\n");
}

/** A keyring file that the original wrote: ours is the same, byte for byte. */
async function checkKeyringFile({ file = "", ...rest }: Case, t: Cleanup): Promise<void> {
  assert.deepEqual(Object.keys(rest), ["name"], "parts of the case without a check");
  const keys = (JSON.parse(file) as readonly string[]).map((key) => new Uint8Array(Buffer.from(key, "base64")));
  const path = join(tempDir(t), "keyring.json");
  await saveKeyringFile(path, keys);
  assert.equal(await readFile(path, "utf8"), file);
}

/** How an agent ends after `serf leave` or a signal, with which code and which last lines. */
async function checkAgentExit(recorded: Case, t: Cleanup): Promise<void> {
  const { name, exit, outputTail, ...rest } = recorded;
  assert.deepEqual(Object.keys(rest), [], "parts of the case without a check");
  const signal = /SIG[A-Z]+/.exec(name)?.[0] as NodeJS.Signals | undefined;
  assert.ok(signal !== undefined || name.includes("leave"), `no check for ${name}`);
  const node = /EventMemberLeave: (\S+) (\S+)/.exec(outputTail ?? "");
  const [, nodeName = "leaver", ip = "127.0.0.1"] = node ?? [];
  const rpcAddr = `127.0.0.1:${await freePort()}`;
  const main = [process.execPath, projectPath("dist/muster.cjs"), "serf"];
  const agent = new Child("agent", [...main, "agent", `-node=${nodeName}`, `-bind=${ip}:${await freePort()}`, `-rpc-addr=${rpcAddr}`, "-profile=local"]);
  t.after(async () => void (await agent.stop()));
  await agent.waitFor("it was up", (output) => output.includes("Log data will now stream in"), RUN_DEADLINE_MS);
  await agent.waitFor("its own join was handled", (output) => output.includes("Received event: member-join"), RUN_DEADLINE_MS);
  if (signal !== undefined) agent.kill(signal);
  else assert.equal(await runSerf({ out: () => undefined, err: () => undefined, env: {}, onInterrupt: () => undefined }, ["leave", `-rpc-addr=${rpcAddr}`]), 0);
  const ended = await agent.exited;
  const lines = agent.output.split("\n");
  if (outputTail !== undefined) {
    const wanted = outputTail.split("\n");
    assert.equal(lines.slice(-wanted.length).map(maskTime).join("\n"), wanted.map(maskTime).join("\n"), "last lines");
  }
  assert.equal(ended.code, exit, "exit code");
}

function maskTime(line: string): string {
  return line.replace(/^( *)\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d /, "$1<time> ");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
