import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import { SerfClient } from "../../../src/client/serf-client.ts";
import { eventually } from "../../support/eventually.ts";
import { nextLoopbackIp } from "../../support/loopback.ts";
import { projectPath } from "../../support/project-root.ts";

/** Together more than a pipe and an agent's memory for lines hold. */
const EVENTS = 3000;
const PAYLOAD = Buffer.from("x".repeat(440));

/** An agent whose standard output is a pipe that nobody reads yet, and a way to make it log much. */
async function startUnread(t: TestContext) {
  const ip = nextLoopbackIp();
  const args = ["serf", "agent", "-node=unread", `-bind=${ip}`, `-rpc-addr=${ip}:7373`, "-log-level=debug"];
  const agent = spawn(process.execPath, [projectPath("dist/muster.cjs"), ...args], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => agent.kill("SIGKILL"));
  let client: SerfClient | null = null;
  await eventually("the RPC port", 15_000, async () => {
    client = await SerfClient.connect({ address: `${ip}:7373` }).catch(() => null);
    return client === null ? "it does not answer" : null;
  });
  const connected = client as unknown as SerfClient;
  t.after(() => connected.close());
  const send = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i += 50) await Promise.all(Array.from({ length: 50 }, () => connected.userEvent("e", PAYLOAD, { coalesce: false })));
  };
  return { agent, client: connected, send };
}

test("an agent whose output nobody reads goes on, and ends", async (t) => {
  const { agent, client, send } = await startUnread(t);
  await send(EVENTS);
  assert.equal((await client.members()).length, 1);
  agent.kill("SIGINT");
  const [code] = (await once(agent, "exit")) as [number | null];
  assert.equal(code, 0);
});

test("a reader that comes late gets the lines in order and is told what is missing", async (t) => {
  const { agent, send } = await startUnread(t);
  await send(EVENTS);
  let text = "";
  agent.stdout.on("data", (chunk: Buffer) => void (text += chunk.toString()));
  await eventually("the waiting lines", 15_000, async () => {
    await send(50);
    return /\n {4}\[WARN\] agent: \d+ lines were dropped here: the reader of the log is too slow\n/.test(text) ? null : `${text.length} characters`;
  });
  assert.match(text, /^==> Starting Serf agent\.\.\.\n==> Starting Serf agent RPC\.\.\.\n/);
});
