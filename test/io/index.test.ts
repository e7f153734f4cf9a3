import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { OptionsError, SerfError, startSerf, type ReceivedQuery, type SerfNode, type SerfNodeOptions } from "../../src/index.ts";
import { projectPath } from "../support/project-root.ts";
import { within } from "./support/agents.ts";

async function start(t: TestContext, options: SerfNodeOptions): Promise<SerfNode> {
  const node = await startSerf({ profile: "local", ...options });
  t.after(() => node.stop());
  return node;
}

function once(node: SerfNode, name: "member-join" | "member-leave" | "user" | "query" | "stopped"): Promise<unknown> {
  return within(new Promise((resolve) => node.once(name, resolve)), name);
}

test("an embedded node: typed events, queries as a loop, leave", async (t) => {
  const a = await start(t, { name: "a", bind: "127.0.14.41:0" });
  const joined = once(a, "member-join");
  const b = await start(t, { name: "b", bind: "127.0.14.42:0", join: [a.address], tags: { role: "db" } });
  await joined;
  const user = once(b, "user");
  await a.userEvent("deploy", "v1");
  assert.equal(((await user) as { readonly name: string }).name, "deploy");

  b.on("query", (query: ReceivedQuery) => {
    void query.respond(`${query.name} from ${query.sourceNode}`).then(() => assert.rejects(query.respond("again"), { code: "ERR_MUSTER_SERF" }));
  });
  const answers: string[] = [];
  for await (const record of a.query("ping", "", { tags: { role: "^db$" }, timeoutMs: 1000 })) {
    assert.equal(record.kind, "response");
    answers.push(`${record.from}: ${Buffer.from((record.kind === "response" && record.payload) || []).toString()}`);
    break; // Enough: the loop cancels the query.
  }
  assert.deepEqual(answers, ["b: ping from a"]);

  await a.setTags({ zone: "1" });
  assert.equal(a.members().find(({ name }) => name === "a")?.tags.get("zone"), "1");
  const left = once(a, "member-leave");
  const stopped = once(b, "stopped");
  await b.leave();
  await left;
  assert.equal(await stopped, "leave");
  await assert.rejects(b.userEvent("late"), SerfError);
});

test("options that cannot be used are refused with a stable code, the option's name and the accepted form", async () => {
  const refused: readonly (readonly [SerfNodeOptions, RegExp])[] = [
    [{ bind: "nonsense" }, /^bind: "nonsense" is no address; accepted is IP or IP:PORT/],
    [{ bind: "127.0.14.41:99999" }, /^bind: /],
    [{ advertise: "300.1.1.1" }, /^advertise: /],
    [{ keys: ["%%"] }, /^keys: illegal base64 data at input byte 0; accepted is base64 of 16, 24 or 32 bytes$/],
    [{ keys: ["MDEyMzQ1Njc4OWFiY2RlZg=="], keyringFile: "x" }, /^keys: not together with keyringFile/],
    [{ keyringFile: "/nonexistent/keyring" }, /^keyringFile: stat \/nonexistent\/keyring: no such file or directory$/],
  ];
  for (const [options, message] of refused) {
    await assert.rejects(startSerf({ bind: "127.0.14.41:0", ...options }), (error) => error instanceof OptionsError && error.code === "ERR_MUSTER_OPTIONS" && message.test(error.message));
  }
});

test("a start whose join reaches nobody fails and leaves nothing open", async (t) => {
  const failed = startSerf({ name: "x", bind: "127.0.14.43:7946", profile: "local", join: ["127.0.14.44:1"] });
  await assert.rejects(failed, (error) => error instanceof SerfError && error.code === "ERR_MUSTER_SERF" && error.message.includes("connection refused"));
  await start(t, { name: "y", bind: "127.0.14.43:7946" });
});

test("the example program joins, asks, answers and leaves", async (t) => {
  const a = await start(t, { name: "a", bind: "127.0.14.45:0" });
  const example = spawn(process.execPath, [projectPath("deploy/examples/uptime-node.mjs"), "example", "127.0.14.46", a.address], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = new Promise<number | null>((resolve) => example.once("exit", resolve));
  t.after(() => example.kill("SIGKILL"));
  const lines: string[] = [];
  const waiting = new Map<string, () => void>();
  createInterface({ input: example.stdout }).on("line", (line) => {
    lines.push(line);
    for (const [text, resolve] of waiting) if (line.includes(text)) resolve();
  });
  const printed = (text: string): Promise<void> =>
    within(new Promise((resolve) => (lines.some((line) => line.includes(text)) ? resolve() : waiting.set(text, resolve))), `"${text}" printed`);

  await printed("example listens on 127.0.14.46:7946");
  await printed("asked everybody");
  assert.ok(lines.some((line) => /^uptime of example: \d+ s$/.test(line)), lines.join("\n"));
  await a.userEvent("deploy", "v2");
  await printed("event deploy: v2");
  const answers: string[] = [];
  for await (const record of a.query("uptime", "", { nodes: ["example"], timeoutMs: 5000 })) {
    if (record.kind === "response") answers.push(record.from);
    break;
  }
  assert.deepEqual(answers, ["example"]);
  const left = once(a, "member-leave");
  example.kill("SIGINT");
  await left;
  assert.equal(await within(exited, "exit"), 0);
});
