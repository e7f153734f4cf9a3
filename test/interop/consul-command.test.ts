/** The real `consul` command against agents of ours: one dev agent, and three servers asked through one that does not lead. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { consulHttp } from "../support/consul-agent.ts";
import { eventually } from "../support/eventually.ts";
import { peerMissing } from "../support/peers.ts";
import { tempDir } from "../support/temp-dir.ts";
import { consul, SOON_MS, startConsul, startDevAgent, startServers } from "./consul-peers.ts";

const TEST_DEADLINE_MS = 400_000;

/** In this order: arguments, exit code, and what is printed. */
const KV_COMMANDS: readonly (readonly [readonly string[], number, string])[] = [
  [["kv", "put", "app/a", "one"], 0, "Success! Data written to: app/a\n"],
  [["kv", "put", "-flags=42", "app/b/c", "two"], 0, "Success! Data written to: app/b/c\n"],
  [["kv", "put", "-base64", "app/d", "dGhyZWU="], 0, "Success! Data written to: app/d\n"],
  [["kv", "get", "app/a"], 0, "one\n"],
  [["kv", "get", "app/d"], 0, "three\n"],
  [["kv", "get", "-recurse", "app/"], 0, "app/a:one\napp/b/c:two\napp/d:three\n"],
  [["kv", "get", "-keys", "app/"], 0, "app/a\napp/b/\napp/d\n"],
  [["kv", "get", "app/none"], 1, "Error! No key exists at: app/none\n"],
  [["kv", "put", "-cas", "-modify-index=1", "app/a", "x"], 1, "Error! Did not write to app/a: CAS failed\n"],
  [["kv", "put", "app/new", "x"], 0, "Success! Data written to: app/new\n"],
  [["kv", "delete", "-cas", "-modify-index=1", "app/new"], 1, "Error! Did not delete key app/new: CAS failed\n"],
  [["kv", "delete", "app/new"], 0, "Success! Deleted key: app/new\n"],
  [["kv", "get", "app/new"], 1, "Error! No key exists at: app/new\n"],
];

/** Refused with a reason, not half done. */
const NOT_OFFERED: readonly (readonly string[])[] = [["snapshot", "save", "never.snap"], ["event", "-name=deploy"]];

test("the consul command at our dev agent", { skip: peerMissing("consul"), timeout: TEST_DEADLINE_MS }, async (t) => {
  const { ip, child } = await startDevAgent(t);
  await everyday(t, ip);

  await t.test("members, peers, catalog and info", async () => {
    assert.match((await consul(ip, "members")).output, new RegExp(`^dev +${ip}:8301 +alive +server +1\\.8\\.7 +2 +dc1 +<all>$`, "m"));
    assert.match((await consul(ip, "operator", "raft", "list-peers")).output, new RegExp(`^dev +\\S+ +${ip}:8300 +leader +true +3$`, "m"));
    assert.match((await consul(ip, "catalog", "nodes")).output, new RegExp(`^dev +\\w{8} +${ip} +dc1$`, "m"));
    assert.equal((await consul(ip, "catalog", "services")).output, "consul\n");
    assert.equal((await consul(ip, "catalog", "datacenters")).output, "dc1\n");
    const info = await consul(ip, "info");
    assert.equal(info.code, 0);
    for (const line of ["\tleader = true", "\tserver = true", "\tstate = Leader", `\tleader_addr = ${ip}:8300`]) assert.ok(info.output.includes(line), info.output);
  });

  await t.test("autopilot's settings are read and changed, and wrong ones refused", async () => {
    const { code, output } = await consul(ip, "operator", "autopilot", "get-config");
    assert.equal(code, 0);
    for (const line of ["CleanupDeadServers = true", "LastContactThreshold = 200ms", "MaxTrailingLogs = 250", "ServerStabilizationTime = 10s"]) assert.ok(output.includes(`${line}\n`), output);
    assert.deepEqual(await consul(ip, "operator", "autopilot", "set-config", "-max-trailing-logs=300"), { code: 0, output: "Configuration updated!\n" });
    assert.match((await consul(ip, "operator", "autopilot", "get-config")).output, /^MaxTrailingLogs = 300$/m);
    assert.equal((await consul(ip, "operator", "autopilot", "set-config", "-max-trailing-logs=many")).code, 1);
    const health = await consulHttp(ip, "GET", "/v1/operator/autopilot/health");
    assert.deepEqual([health.status, (JSON.parse(health.body) as { Healthy: boolean }).Healthy], [200, true]);
  });

  await t.test("keys of an agent without encryption, and round trips to nodes that told no coordinate", async () => {
    const keys = await consul(ip, "keyring", "-list");
    assert.equal(keys.code, 1);
    assert.match(keys.output, /Keyring is empty \(encryption not enabled\)/);
    const far = await consul(ip, "rtt", "dev", "nobody");
    assert.equal(far.code, 1);
    assert.match(far.output, /Could not find a coordinate for node "(nobody|dev)"/);
    assert.match((await consul(ip, "rtt", "-wan", "dev.dc1", "dev.dc1")).output, /^Estimated dev\.dc1 <-> dev\.dc1 rtt: \d+\.\d+ ms \(using WAN coordinates\)$/m);
    await consulHttp(ip, "PUT", "/v1/coordinate/update", JSON.stringify({ Node: "dev", Coord: { Vec: [0, 0, 0, 0, 0, 0, 0, 0], Error: 1.5, Height: 1e-5 } }));
    await eventually("a coordinate that was told", SOON_MS, async () => {
      const { output } = await consul(ip, "rtt", "dev", "dev");
      return /^Estimated dev <-> dev rtt: 0\.020 ms \(using LAN coordinates\)$/m.test(output) ? null : output;
    });
  });

  await t.test("what others register is listed, near and by meta data, and taken out again", async () => {
    assert.equal((await consulHttp(ip, "PUT", "/v1/catalog/register", JSON.stringify({ Node: "ext", Address: "10.0.0.9", NodeMeta: { rack: "r1" }, Service: { Service: "db", Tags: ["primary"] } }))).body.trim(), "true");
    assert.match((await consul(ip, "catalog", "nodes", "-service=db")).output, /^ext +10\.0\.0\.9 +dc1$/m);
    assert.match((await consul(ip, "catalog", "nodes", "-near=dev", "-node-meta=rack=r1")).output, /^ext +10\.0\.0\.9 +dc1$/m);
    assert.deepEqual((await consul(ip, "catalog", "services", "-tags")).output.trimEnd().split("\n").map((row) => row.trim().split(/ +/).join(" ")).sort(), ["consul", "db primary"]);
    assert.equal((await consul(ip, "catalog", "services", "-node=ext")).output, "db\n");
    assert.match((await consul(ip, "catalog", "nodes", "-filter=Nope == x")).output, /Selector "Nope" is not valid/);
    assert.equal(rows((await consul(ip, "catalog", "nodes", "-filter=Node == ext")).output).length, 1);
    assert.match((await consul(ip, "watch", "-type=service", "-service=db")).output, /"Node": "ext"/);
    assert.equal((await consulHttp(ip, "PUT", "/v1/catalog/deregister", JSON.stringify({ Node: "ext" }))).body.trim(), "true");
    assert.equal((await consul(ip, "catalog", "services")).output, "consul\n");
  });

  await t.test("services and maintenance of the agent itself", async () => {
    assert.deepEqual(await consul(ip, "services", "register", "-name=web", "-port=80", "-tag=v1"), { code: 0, output: "Registered service: web\n" });
    assert.match((await consul(ip, "catalog", "nodes", "-service=web")).output, new RegExp(`^dev +\\w{8} +${ip} +dc1$`, "m"));
    assert.deepEqual(await consul(ip, "maint", "-enable", "-service=web", "-reason=paint"), { code: 0, output: 'Service maintenance is now enabled for "web"\n' });
    assert.match((await consul(ip, "maint")).output, /ID: +web[\s\S]*Reason: +paint/);
    assert.equal((await consulHttp(ip, "GET", "/v1/agent/health/service/id/web")).status, 503);
    assert.equal((await consul(ip, "maint", "-disable", "-service=web")).code, 0);
    assert.equal((await consul(ip, "maint", "-enable", "-service=nosuch")).code, 1);
    assert.deepEqual(await consul(ip, "services", "register"), { code: 1, output: "Service registration requires at least one argument or flags.\n" });
    assert.deepEqual(await consul(ip, "services", "deregister", "-id=web"), { code: 0, output: "Deregistered service: web\n" });
    assert.equal((await consul(ip, "catalog", "services")).output, "consul\n");
    assert.equal((await consul(ip, "services", "deregister")).code, 1);
  });

  await t.test("what is not offered says so", async () => {
    for (const command of NOT_OFFERED) {
      const { code, output } = await consul(ip, ...command);
      assert.equal(code, 1, command.join(" "));
      assert.match(output, /not offered by this version of muster/);
    }
    assert.ok(!existsSync("never.snap"));
  });

  await t.test("reload, then leave", async () => {
    assert.deepEqual(await consul(ip, "reload"), { code: 0, output: "Configuration reload triggered\n" });
    assert.deepEqual(await consul(ip, "leave"), { code: 0, output: "Graceful leave complete\n" });
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });
});

test("the consul command at three servers of ours", { skip: peerMissing("consul"), timeout: TEST_DEADLINE_MS }, async (t) => {
  const servers = await startServers(t);
  let leader = "";
  await eventually("the leader is told", SOON_MS, async () => {
    const answer = await servers[0]?.http("GET", "/v1/status/leader");
    leader = /^"(.+):8300"/.exec(answer?.body ?? "")?.[1] ?? "";
    return leader === "" ? JSON.stringify(answer) : null;
  });
  const [asked, leaving] = servers.filter(({ ip }) => ip !== leader);
  assert.ok(asked !== undefined && leaving !== undefined);
  const { ip } = asked;
  await everyday(t, ip);

  await t.test("three members, three peers, one leader", async () => {
    const members = rows((await consul(ip, "members")).output);
    assert.deepEqual(members.map(([, address, status, type]) => `${address} ${status} ${type}`).sort(), servers.map((server) => `${server.ip}:8301 alive server`).sort());
    const peers = rows((await consul(ip, "operator", "raft", "list-peers")).output);
    assert.deepEqual(peers.map(([, , address, state]) => `${address} ${state}`).sort(),
      servers.map((server) => `${server.ip}:8300 ${server.ip === leader ? "leader" : "follower"}`).sort());
    assert.equal(rows((await consul(ip, "catalog", "nodes")).output).length, 3);
    assert.match((await consul(ip, "info")).output, /\tstate = Follower\n/);
  });

  await t.test("join", async () => {
    assert.deepEqual(await consul(ip, "join", leaving.ip), { code: 0, output: "Successfully joined cluster by contacting 1 nodes.\n" });
    const refused = await consul(ip, "join", "127.0.0.99");
    assert.equal(refused.code, 1);
    assert.match(refused.output, /Failed to join 127\.0\.0\.99: dial tcp 127\.0\.0\.99:8301: connect: connection refused/);
  });

  await t.test("a server leaves", async () => {
    assert.deepEqual(await consul(leaving.ip, "leave"), { code: 0, output: "Graceful leave complete\n" });
    assert.deepEqual(await leaving.child.exited, { code: 0, signal: null });
    await eventually("it is gone from peers and marked as left", SOON_MS, async () => {
      const peers = rows((await consul(ip, "operator", "raft", "list-peers")).output).length;
      const status = rows((await consul(ip, "members")).output).find(([, address]) => address === `${leaving.ip}:8301`)?.[2];
      return peers === 2 && status === "left" ? null : `${peers} peers, ${status}`;
    });
    assert.equal((await consul(ip, "kv", "put", "after", "leave")).code, 0);
  });
});

/** What is the same at any agent. */
async function everyday(t: TestContext, ip: string): Promise<void> {
  await t.test("kv", async () => {
    for (const [command, code, output] of KV_COMMANDS) assert.deepEqual(await consul(ip, ...command), { code, output }, command.join(" "));
    const [, index] = /^ModifyIndex +(\d+)$/m.exec((await consul(ip, "kv", "get", "-detailed", "app/a")).output) ?? [];
    const swapped = await consul(ip, "kv", "put", "-cas", `-modify-index=${index}`, "app/a", "swapped");
    assert.deepEqual(swapped, { code: 0, output: "Success! Data written to: app/a\n" });
  });
  await t.test("kv export and import", () => exportAndImport(t, ip));
  await t.test("two contenders for a lock run one after the other", () => locks(t, ip));
  await t.test("watches run their handlers", () => watches(t, ip));
  await t.test("force-leave of an unknown node", async () => {
    const { code, output } = await consul(ip, "force-leave", "nobody");
    assert.deepEqual([code, output], [1, "Error force leaving: Unexpected response code: 500 (agent: No node found with name 'nobody')\n"]);
  });
}

async function exportAndImport(t: TestContext, ip: string): Promise<void> {
  const exported = await consul(ip, "kv", "export", "app/");
  assert.equal(exported.code, 0);
  const file = join(tempDir(t), "kv.json");
  writeFileSync(file, exported.output);
  assert.deepEqual(await consul(ip, "kv", "delete", "-recurse", "app/"), { code: 0, output: "Success! Deleted keys with prefix: app/\n" });
  assert.deepEqual(await consul(ip, "kv", "get", "-recurse", "app/"), { code: 0, output: "" });
  assert.deepEqual(await consul(ip, "kv", "import", `@${file}`), { code: 0, output: "Imported: app/a\nImported: app/b/c\nImported: app/d\n" });
  assert.deepEqual(await consul(ip, "kv", "export", "app/"), exported);
}

async function locks(t: TestContext, ip: string): Promise<void> {
  const dir = tempDir(t);
  const log = join(dir, "log");
  const go = join(dir, "go");
  writeFileSync(log, "");
  const first = startConsul(t, ip, "lock", "-name=first", "locks/one", `echo in >> ${log}; while [ ! -e ${go} ]; do sleep 0.05; done; echo out >> ${log}`);
  await eventually("the first holds the lock", SOON_MS, () => (readFileSync(log, "utf8") === "in\n" ? null : first.describe()));
  const second = startConsul(t, ip, "lock", "-name=second", "locks/one", `echo second >> ${log}`);
  await eventually("the second waits with a session of its own", SOON_MS, async () => {
    const sessions = JSON.parse((await consulHttp(ip, "GET", "/v1/session/list")).body || "[]") as readonly { readonly Name: string }[];
    return sessions.length === 2 ? null : JSON.stringify(sessions);
  }, () => second.describe());
  assert.equal(readFileSync(log, "utf8"), "in\n");
  writeFileSync(go, "");
  assert.equal((await first.exited).code, 0, first.describe());
  assert.equal((await second.exited).code, 0, second.describe());
  assert.equal(readFileSync(log, "utf8"), "in\nout\nsecond\n");
}

async function watches(t: TestContext, ip: string): Promise<void> {
  for (const [kind, option] of [["key", "-key=watched/one"], ["keyprefix", "-prefix=watched/"]] as const) {
    const log = join(tempDir(t), "log");
    await consul(ip, "kv", "delete", "-recurse", "watched/");
    const watch = startConsul(t, ip, "watch", `-type=${kind}`, option, `cat >> ${log}`);
    const seen = (what: string): Promise<void> =>
      eventually(`${kind}: the handler saw ${what}`, SOON_MS, () => (existsSync(log) && readFileSync(log, "utf8").includes(what) ? null : "not yet"), () => watch.describe());
    await seen("null");
    await consul(ip, "kv", "put", "watched/one", "first");
    await seen(Buffer.from("first").toString("base64"));
    await consul(ip, "kv", "put", "watched/one", "again");
    await seen(Buffer.from("again").toString("base64"));
    await watch.stop("SIGINT");
  }
}

/** The cells of a table, without its head. */
function rows(output: string): string[][] {
  return output.trimEnd().split("\n").slice(1).map((line) => line.split(/ {2,}/));
}
