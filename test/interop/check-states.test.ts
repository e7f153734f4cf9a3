/** Files of what TTL checks were told, between the original and an agent of ours: either reads the other's when the check is registered at it. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { consulHttp, ConsulServerProcess } from "../support/consul-agent.ts";
import { Child } from "../support/child.ts";
import { nextLoopbackIp } from "../support/loopback.ts";
import { peerMissing } from "../support/peers.ts";
import { tempDir, type Cleanup } from "../support/temp-dir.ts";
import { SOON_MS, untilWritable } from "./consul-peers.ts";

const TEST_DEADLINE_MS = 300_000;
const ID = "disk/ä <1>";

interface Agent {
  readonly ip: string;
  readonly child: Child;
}

async function startTheirs(t: Cleanup, dir: string): Promise<Agent> {
  const ip = nextLoopbackIp();
  const child = new Child("theirs", ["consul", "agent", "-server", "-bootstrap-expect=1", `-data-dir=${dir}`, `-bind=${ip}`, `-client=${ip}`, "-node=theirs"]);
  t.after(async () => void (await child.stop("SIGKILL")));
  await untilWritable(ip, child);
  return { ip, child };
}

async function startOurs(t: Cleanup, dir: string): Promise<Agent> {
  const server = new ConsulServerProcess(nextLoopbackIp(), dir, ["-bootstrap-expect=1"]);
  t.after(async () => void (await server.child.stop("SIGKILL")));
  await server.writable("ready", SOON_MS);
  return server;
}

/** A data directory whose checks were told what those of `from` were. */
function heir(t: Cleanup, from: string): string {
  const dir = tempDir(t);
  mkdirSync(join(dir, "checks"), { mode: 0o700 });
  cpSync(join(from, "checks", "state"), join(dir, "checks", "state"), { recursive: true });
  return dir;
}

async function register({ ip }: Agent): Promise<void> {
  assert.deepEqual(await consulHttp(ip, "PUT", "/v1/agent/check/register", JSON.stringify({ ID, Name: "disk", TTL: "1h" })), { status: 200, body: "" });
}

async function shown({ ip }: Agent): Promise<string> {
  const checks = JSON.parse((await consulHttp(ip, "GET", "/v1/agent/checks")).body) as Readonly<Record<string, { readonly Status: string; readonly Output: string }>>;
  return `${checks[ID]?.Status} ${checks[ID]?.Output}`;
}

test("what a TTL check was told at one program counts at the other", { skip: peerMissing("consul"), timeout: TEST_DEADLINE_MS }, async (t) => {
  const [oldDir, theirDir] = [tempDir(t), tempDir(t)];
  const agents: [Agent, string][] = [[await startOurs(t, oldDir), oldDir], [await startTheirs(t, theirDir), theirDir]];
  const told = { Status: "warning", Output: 'half "full" & <slow> …\n' };
  for (const [agent] of agents) {
    await register(agent);
    assert.equal(await shown(agent), "critical ");
    assert.equal((await consulHttp(agent.ip, "PUT", `/v1/agent/check/update/${encodeURIComponent(ID)}`, JSON.stringify(told))).status, 200);
    await agent.child.stop("SIGKILL");
  }
  const heirs = [await startTheirs(t, heir(t, oldDir)), await startOurs(t, heir(t, theirDir))];
  for (const agent of heirs) {
    await register(agent);
    assert.equal(await shown(agent), `${told.Status} ${told.Output}`, agent.child.describe());
  }
});
