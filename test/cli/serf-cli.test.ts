import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { VERSION } from "../../src/base/version.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "../../src/cli/completion.ts";
import type { CliContext } from "../../src/cli/context.ts";
import { KeyError, RpcError } from "../../src/client/errors.ts";
import { SERF_COMMANDS } from "../../src/cli/serf/commands.ts";
import { runSerf } from "../../src/cli/serf/persona.ts";
import { nextStep } from "../../src/cli/serf/rpc.ts";
import { formatEndpoint } from "../../src/base/endpoint.ts";
import { LogHub } from "../../src/io/log-hub.ts";
import { startRpcServer } from "../../src/io/rpc-server.ts";
import { FakeAgent, fakeMember } from "../support/fake-agent.ts";
import { projectPath } from "../support/project-root.ts";
import { tempDir } from "../support/temp-dir.ts";

const MAIN = projectPath("dist/muster.cjs");

async function run(words: readonly string[], env: CliContext["env"] = {}): Promise<{ out: string; err: string; code: number }> {
  let out = "";
  let err = "";
  const code = await runSerf({ out: (text) => (out += `${text}\n`), err: (text) => (err += `${text}\n`), env, onInterrupt: () => undefined }, words);
  return { out, err, code };
}

test("every command has help on stderr, with an example that its own flags accept", async () => {
  const known = (await Promise.all(SERF_COMMANDS.map(({ load }) => load()))).flatMap(({ flagNames }) => flagNames.map((flag) => flag.replace("=", "")));
  for (const { name } of SERF_COMMANDS) {
    const { out, err, code } = await run([name, "-h"]);
    assert.equal(code, 0);
    assert.equal(out, "");
    assert.match(err, new RegExp(`^Usage: serf ${name}`));
    const examples = err.slice(err.search(/^Examples?:$/m)).split("\n").filter((line) => /^ +\S*.*serf /.test(line));
    assert.ok(examples.length > 0, name);
    for (const flag of examples.join(" ").match(/(?<= )-[a-z][a-z-]*/g) ?? []) assert.ok(known.includes(flag), `${name}: ${flag}`);
    for (const line of err.split("\n")) assert.ok(line.length <= 132, `${name}: ${line}`);
  }
});

test("no command, an unknown one, help, flags in the wrong place", async () => {
  assert.equal((await run([])).code, 127);
  const unknown = await run(["bogus"]);
  assert.equal(unknown.code, 127);
  assert.match(unknown.err, /^Usage: serf [^]*hint: there is no command bogus/);
  assert.equal((await run(["--help"])).code, 0);
  assert.equal((await run(["-h", "members"])).code, 0);
  const early = await run(["-format=json", "members"]);
  assert.deepEqual([early.code, early.out], [1, ""]);
  assert.match(early.err, /^Invalid flags before the subcommand\. If these flags are for\nthe subcommand, please put them after the subcommand\.\n\nUsage: serf members/);
});

test("version: also with -v anywhere, and equal to that of the package", async () => {
  assert.equal(VERSION, (JSON.parse(readFileSync(projectPath("package.json"), "utf8")) as { version: string }).version);
  for (const words of [["version"], ["-v"], ["members", "--version"]]) {
    assert.deepEqual(await run(words), { out: `${VERSION}\nAgent Protocol: 5 (Understands back to: 2)\n`, err: "", code: 0 });
  }
});

test("errors: the original's text on stdout, the next step on stderr", async () => {
  const { out, err, code } = await run(["members", "-rpc-addr=127.0.0.1:1"]);
  assert.deepEqual([out, code], ["Error connecting to Serf agent: dial tcp 127.0.0.1:1: connect: connection refused\n", 1]);
  assert.match(err, /^hint: is an agent running there\?.*\n$/);
  const flag = await run(["members", "-bogus"]);
  assert.equal(flag.err, "flag provided but not defined: -bogus\n");
  assert.match(flag.out, /^Usage: serf members/);
});

test("after a refusal of the agent the next step fits it", () => {
  const keys = (text: string) => new KeyError("1/1 nodes reported failure", { nodes: 1, responses: 1, failures: 1, messages: new Map([["a", text]]), keys: new Map() });
  const cases: readonly (readonly [Error, RegExp])[] = [
    [new RpcError("Unknown log level: X"), /^the levels are/],
    [new RpcError("1 error occurred:\n\t* Failed to join 127.0.0.1: dial tcp 127.0.0.1:1: connect: connection refused\n\n"), /^is a member running there/],
    [new RpcError("Encoded length of tags exceeds limit of 512 bytes"), /^all tags together/],
    [new RpcError("query exceeds limit of 1024 bytes"), /^send less/],
    [new RpcError("Queries cannot contain the '_serf_' prefix"), /^choose another name/],
    [new RpcError("illegal base64 data at input byte 0"), /^a key is 16, 24 or 32 bytes/],
    [keys("Keyring is empty (encryption not enabled)"), /encrypt_key or keyring_file$/],
    [keys("Requested key is not in the keyring"), /-install=KEY$/],
    [keys("Removing the primary key is not allowed"), /-use=KEY$/],
    [new RpcError("something new"), /^the agent refused/],
  ];
  for (const [error, step] of cases) assert.match(nextStep(error), step, error.message);
});

test("the environment names agent and token; flags come before it", async (t) => {
  const agent = new FakeAgent([fakeMember("a", { tags: { b: "2", a: "1" } })]);
  const server = await startRpcServer({ agent, listen: { ip: "127.0.0.1", port: 0 }, authKey: "k", logs: new LogHub() });
  t.after(() => server.close());
  const env = { SERF_RPC_ADDR: formatEndpoint(server.address), SERF_RPC_AUTH: "k" };
  assert.deepEqual(await run(["members"], env), { out: "a  127.0.0.1:7946  alive  a=1,b=2\n", err: "", code: 0 });
  assert.match((await run(["members", "-rpc-auth=x"], env)).out, /Invalid authentication token/);
  assert.match((await run(["members", "-rpc-auth="], env)).out, /Authentication required/);
});

test("reachability: missing, surplus and doubled acknowledgements", async (t) => {
  const agent = new FakeAgent([fakeMember("a"), fakeMember("b"), fakeMember("dead", { status: "failed" })]);
  const server = await startRpcServer({ agent, listen: { ip: "127.0.0.1", port: 0 }, authKey: "", logs: new LogHub() });
  t.after(() => server.close());
  const reach = async (...acks: readonly string[]) => {
    agent.onQuery = (record) => {
      for (const from of acks) record({ kind: "ack", from });
      record({ kind: "done" });
    };
    return run(["reachability", `-rpc-addr=${formatEndpoint(server.address)}`]);
  };
  const head = "Total members: 3, live members: 2\nStarting reachability test...\n";
  assert.deepEqual(await reach("a", "b"), { out: `${head}Successfully contacted all live nodes\n`, err: "", code: 0 });
  const few = await reach("a");
  assert.equal(few.code, 1);
  assert.ok(few.out.startsWith(`${head}Received less acks than live nodes! Missing acks from:\n\tb\nThis could mean Serf gossip packets are being lost`));
  const many = await reach("a", "b", "dead");
  assert.ok(many.out.startsWith(`${head}Received more acks than live nodes! Acks from non-live nodes:\n\tdead\nThis could mean Serf is detecting false-failures`));
  assert.ok(many.out.endsWith("* Verify networking equipment is functional\n"));
  const doubled = await reach("a", "a");
  assert.ok(doubled.out.startsWith(`${head}Duplicate response from 'a'\nDuplicate responses means there is a misconfiguration. Verify that node names are unique.\nSuccessfully`));
  assert.equal(doubled.code, 1);
});

test("a link named serf acts as the persona; muster consul is that of Consul; muster alone shows the way", (t) => {
  const link = join(tempDir(t), "serf");
  symlinkSync(MAIN, link);
  const program = (path: string, ...words: readonly string[]) => {
    const { stdout, stderr, status } = spawnSync(path, words, { encoding: "utf8" });
    return { stdout, stderr, status };
  };
  assert.deepEqual(program(link, "version"), { stdout: `${VERSION}\nAgent Protocol: 5 (Understands back to: 2)\n`, stderr: "", status: 0 });
  assert.match(program(link, "keygen").stdout, /^[A-Za-z0-9+/]{43}=\n$/);
  assert.match(program(MAIN, "consul", "agent").stderr, /data_dir cannot be empty/);
  const alone = program(MAIN);
  assert.equal(alone.status, 127);
  assert.match(alone.stderr, /muster serf agent/);
});

test("a command that talks RPC loads one file, without agent, worker, database or Noise code in it", (t) => {
  const list = join(tempDir(t), "loaded.mjs");
  // A loader hook that names every module on stderr.
  writeFileSync(list, `export async function load(url, context, next) { process._rawDebug(url); return next(url, context); }`);
  const loadedBy = (...words: readonly string[]): string[] => {
    const { stderr } = spawnSync(process.execPath, ["--no-warnings", "--experimental-loader", list, MAIN, ...words], { encoding: "utf8" });
    return stderr.split("\n").filter((line) => /^(file|node):/.test(line)).map((url) => url.replace(/^file:.*\/dist\//, "dist/"));
  };
  assert.deepEqual(loadedBy("serf", "members", "-rpc-addr=127.0.0.1:1"), ["dist/muster.cjs"]);
  // Some 300 modules in a few files; the Serf agent is one that is no module.
  const ours = loadedBy("consul", "agent", "-bogus").filter((path) => path.startsWith("dist/"));
  assert.ok(ours.includes("dist/src/cli/consul/agent.js"));
  assert.ok(ours.length < 10, ours.join(" "));
  assert.deepEqual(loadedBy("serf", "agent", "-bogus").filter((path) => path.startsWith("dist/")), ["dist/muster.cjs"]);
  // The bundler names each file it put in, and what is left outside of it is named by a call.
  const bundle = readFileSync(MAIN, "utf8");
  const parts = [...bundle.matchAll(/^\s*\/\/ (dist\/\S+\.js|node_modules\/\S+)$/gm)].map(([, path]) => path as string);
  assert.ok(parts.includes("dist/src/cli/serf/members.js"));
  assert.deepEqual(parts.filter((path) => !/^dist\/src\/(main|(base|wire|client|cli)\/.*|io\/go-errors|serf\/vivaldi)\.js$/.test(path)), []);
  const required = new Set([...bundle.matchAll(/\brequire\("([^"]+)"\)/g)].map(([, name]) => name as string));
  // The file system and the compiler are for the agent, whose code is read when it is asked for.
  const forAgent = ["node:fs", "node:module", "node:vm"];
  assert.deepEqual([...required].sort(), ["node:crypto", ...forAgent, "node:net", "node:path", "node:perf_hooks"].sort());
  for (const name of forAgent) assert.doesNotMatch(bundle, new RegExp(`^var \\S+ = .*require\\("${name}"\\)`, "m"), "read at once");
});

test("completion: a script for each shell with every command and flag; bash's works", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const { out, code } = await run(["completion", shell]);
    assert.equal(code, 0);
    for (const { name, load } of SERF_COMMANDS) {
      assert.ok(out.includes(name), `${shell}: ${name}`);
      if (name === "completion") continue;
      for (const flag of (await load()).flagNames) assert.ok(out.includes(flag.replace(/^-|=$/g, "")), `${shell}: ${name} ${flag}`);
    }
  }
  assert.equal((await run(["completion", "tcsh"])).code, 1);
  const script = bashCompletion([{ name: "members", synopsis: "", flags: ["-format=", "-detailed"] }, { name: "monitor", synopsis: "", flags: [] }]);
  const complete = (...words: readonly string[]): string => {
    const line = `${script}\nCOMP_WORDS=(${words.map((word) => `"${word}"`).join(" ")}); COMP_CWORD=${words.length - 1}; _muster_serf; echo "\${COMPREPLY[*]}"`;
    return spawnSync("bash", ["-c", line], { encoding: "utf8" }).stdout.trim();
  };
  assert.equal(complete("muster", ""), "serf consul sim");
  assert.equal(complete("muster", "serf", "m"), "members monitor");
  assert.equal(complete("/usr/bin/serf", "mem"), "members");
  assert.equal(complete("serf", "members", "-f"), "-format=");
});

/** The scripts in their own shells; one that is not installed is a skip that says so. */
const ENTRIES = [{ name: "members", synopsis: "Lists the 'members'", flags: ["-format=", "-detailed"] }, { name: "monitor", synopsis: "Shows the log", flags: [] }];
const without = (shell: string): string | false => (spawnSync(shell, ["--version"], { stdio: "ignore" }).error === undefined ? false : `${shell} is not installed`);

test("completion in fish itself", { skip: without("fish") }, (t) => {
  const script = join(tempDir(t), "muster.fish");
  writeFileSync(script, fishCompletion(ENTRIES));
  const complete = (line: string): string[] => {
    const { stdout, stderr } = spawnSync("fish", ["--no-config", "-c", `source ${script}; complete -C ${JSON.stringify(line)}`], { encoding: "utf8" });
    assert.equal(stderr, "");
    return stdout.trim().split("\n");
  };
  assert.deepEqual(complete("muster se"), ["serf\tThe Serf agent and its commands"]);
  assert.deepEqual(complete("muster serf m"), ["members\tLists the 'members'", "monitor\tShows the log"]);
  assert.deepEqual(complete("serf mem"), ["members\tLists the 'members'"]);
  assert.deepEqual(complete("muster serf members -f"), ["-format"]);
});

test("completion in zsh itself", { skip: without("zsh") }, (t) => {
  const script = join(tempDir(t), "muster.zsh");
  writeFileSync(script, zshCompletion(ENTRIES));
  // The shell's own functions for offering words need a terminal: these print instead.
  const offers = "compdef() {}; compadd() { print -l -- ${@:#-*} }; _describe() { print -l -- ${(P)2} }";
  const complete = (...words: readonly string[]): string[] => {
    const line = `${offers}; source ${script}; words=(${words.map((word) => `'${word}'`).join(" ")}); CURRENT=${words.length}; _muster_serf`;
    const { stdout, stderr } = spawnSync("zsh", ["-f", "-c", line], { encoding: "utf8" });
    assert.equal(stderr, "");
    return stdout.trim().split("\n");
  };
  assert.deepEqual(complete("muster", ""), ["serf", "consul", "sim"]);
  assert.deepEqual(complete("muster", "serf", "m"), ["members:Lists the 'members'", "monitor:Shows the log"]);
  assert.deepEqual(complete("/usr/bin/serf", ""), ["members:Lists the 'members'", "monitor:Shows the log"]);
});
