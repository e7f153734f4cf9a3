/** Files of services, of checks and of what those with a TTL were told, between the original and an agent of ours: either takes up the other's. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
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

/** A data directory that begins with some of the files of `from`. */
function heirOf(t: Cleanup, from: string, paths: readonly string[]): string {
  const dir = tempDir(t);
  for (const path of paths) {
    mkdirSync(dirname(join(dir, path)), { recursive: true, mode: 0o700 });
    cpSync(join(from, path), join(dir, path), { recursive: true });
  }
  return dir;
}

/** A data directory whose checks were told what those of `from` were. */
function heir(t: Cleanup, from: string): string {
  return heirOf(t, from, [join("checks", "state")]);
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

const REGISTRATIONS: readonly (readonly [string, object | null])[] = [
  ["service/register", {
    ID: "web/ä <1>", Name: "web", Tags: ["a", "b"], Address: "10.1.1.1", Port: 80, Meta: { x: "y" }, TaggedAddresses: { lan: { Address: "1.2.3.4", Port: 5 } }, Weights: { Passing: 3, Warning: 2 },
    EnableTagOverride: true, Checks: [
      { HTTP: "http://127.0.0.1:9/", Method: "POST", Header: { "X-A": ["1", "2"] }, Body: "b", Interval: "1h", Timeout: "3s", Notes: "often", DeregisterCriticalServiceAfter: "90m" },
      { CheckID: "tcp", Name: "TCP", TCP: "127.0.0.1:9", Interval: "1h" },
    ],
  }],
  ["service/register", { Name: "plain" }],
  ["check/register", { ID: "ttl", Name: "TTL", TTL: "1h", Status: "passing", Notes: "of the node" }],
  ["check/register", { ID: "of-plain", Name: "TTL", TTL: "1h", ServiceID: "plain" }],
  ["check/register", { ID: "alias", Name: "as the other", AliasService: "plain" }],
  ["maintenance?enable=true&reason=night", null],
  ["service/maintenance/plain?enable=true&reason=day", null],
];

/** Services as they are, and what does not depend on when checks were looked at. */
async function registered({ ip }: Agent): Promise<unknown> {
  const services = JSON.parse((await consulHttp(ip, "GET", "/v1/agent/services")).body) as unknown;
  const checks = JSON.parse((await consulHttp(ip, "GET", "/v1/agent/checks")).body) as Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  const names = ["CheckID", "Name", "Notes", "ServiceID", "ServiceName", "ServiceTags", "Type"];
  return { services, checks: Object.fromEntries(Object.entries(checks).map(([id, check]) => [id, Object.fromEntries(names.map((name) => [name, check[name]]))])) };
}

test("services and checks registered at one program are taken up by the other", { skip: peerMissing("consul"), timeout: TEST_DEADLINE_MS }, async (t) => {
  const [ourDir, theirDir] = [tempDir(t), tempDir(t)];
  const agents: [Agent, string][] = [[await startOurs(t, ourDir), ourDir], [await startTheirs(t, theirDir), theirDir]];
  const before: unknown[] = [];
  for (const [agent] of agents) {
    for (const [path, body] of REGISTRATIONS) assert.equal((await consulHttp(agent.ip, "PUT", `/v1/agent/${path}`, body === null ? "" : JSON.stringify(body))).status, 200, path);
    before.push(await registered(agent));
    await agent.child.stop("SIGKILL");
  }
  assert.deepEqual(before[0], before[1]);
  const heirs = [await startTheirs(t, heirOf(t, ourDir, ["services", "checks"])), await startOurs(t, heirOf(t, theirDir, ["services", "checks"]))];
  for (const [i, agent] of heirs.entries()) assert.deepEqual(await registered(agent), before[i], agent.child.describe());
  for (const agent of heirs) {
    // As after a restart of the same program: nobody knows what happened meanwhile.
    const checks = JSON.parse((await consulHttp(agent.ip, "GET", "/v1/agent/checks")).body) as Readonly<Record<string, { readonly Status: string }>>;
    assert.deepEqual([checks["ttl"]?.Status, checks["of-plain"]?.Status, checks["_node_maintenance"]?.Status], ["critical", "critical", "critical"]);
  }
});
