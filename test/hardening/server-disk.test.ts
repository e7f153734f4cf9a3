/** A whole server on a disk that fills, sticks, or has another owner: it says so, loses nothing that it acknowledged, and goes on when it can. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Child } from "../support/child.ts";
import { ConsulServerProcess } from "../support/consul-agent.ts";
import { eventually } from "../support/eventually.ts";
import { nextLoopbackIp } from "../support/loopback.ts";
import { canTrace, fillDisk, smallDisk } from "../support/small-disk.ts";
import { tempDir } from "../support/temp-dir.ts";

const DEADLINE_MS = 60_000;
const WRITES = 20;

/** "" while it knows none. */
async function leaderOf(server: ConsulServerProcess): Promise<string> {
  return (JSON.parse((await server.http("GET", "/v1/status/leader")).body || '""') as string).split(":")[0] ?? "";
}

/** Writes at `other` until some are acknowledged and another than `leaderIp` leads; gives their keys, which begin with k. */
async function writesUnderAnother(servers: readonly ConsulServerProcess[], other: ConsulServerProcess, leaderIp: string): Promise<readonly string[]> {
  const acknowledged: string[] = [];
  await eventually("another server leads and takes writes", DEADLINE_MS, async () => {
    const key = `k${acknowledged.length}-${performance.now()}`;
    if ((await other.http("PUT", `/v1/kv/${key}`, "yes", 2_000)).status === 200) acknowledged.push(key);
    const now = await leaderOf(other);
    return acknowledged.length >= WRITES && now !== leaderIp && now !== "" ? null : `${acknowledged.length} written, leader ${now}`;
  }, () => servers.map((server) => server.child.describe(25)).join("\n"));
  return acknowledged;
}

async function holdsAll(server: ConsulServerProcess, acknowledged: readonly string[]): Promise<void> {
  await eventually(`${server.ip} has all of them`, DEADLINE_MS, async () => {
    const keys = JSON.parse((await server.http("GET", "/v1/kv/k?keys&stale")).body || "[]") as string[];
    const missing = acknowledged.filter((key) => !keys.includes(key));
    return missing.length === 0 ? null : `missing: ${missing.join(" ")}`;
  }, () => server.child.describe());
}

test("a full disk: writes are refused with a reason, stale reads go on, writes resume by themselves, and all of them survive a kill", async (t) => {
  const disk = smallDisk(t, 96);
  if (disk === null) return t.skip("cannot mount a file system here");
  const dir = join(disk, "data");
  mkdirSync(dir);
  const ip = nextLoopbackIp();
  const server = new ConsulServerProcess(ip, dir, ["-bootstrap-expect=1"]);
  t.after(() => server.child.stop("SIGKILL"));
  await server.writable("before");
  const fat = join(disk, "fat");
  await fillDisk(fat);
  await eventually("a write is refused", DEADLINE_MS, async () => {
    const { status, body } = await server.http("PUT", "/v1/kv/during", "no");
    return status === 500 ? null : `${status} ${body}`;
  }, () => server.child.describe());
  assert.match(server.child.output, /no space left for the raft log/);
  const read = await server.http("GET", "/v1/kv/before?raw&stale");
  assert.deepEqual(read, { status: 200, body: "yes" });
  rmSync(fat);
  await server.writable("after");

  server.child.kill("SIGKILL");
  await server.child.exited;
  const again = new ConsulServerProcess(ip, dir, ["-bootstrap-expect=1"]);
  t.after(() => again.child.stop("SIGKILL"));
  await again.writable("restarted");
  for (const key of ["before", "after"]) assert.deepEqual(await again.http("GET", `/v1/kv/${key}?raw`), { status: 200, body: "yes" });
});

test("a second server on one data directory ends with the name of the first", async (t) => {
  const dir = tempDir(t);
  const first = new ConsulServerProcess(nextLoopbackIp(), dir, ["-bootstrap-expect=1"]);
  t.after(() => first.child.stop("SIGKILL"));
  await first.writable();
  const second = new ConsulServerProcess(nextLoopbackIp(), dir, ["-bootstrap-expect=1"]);
  const { code } = await second.child.exited;
  assert.equal(code, 1);
  assert.match(second.child.output, new RegExp(`data directory in use: .* is open in process ${first.child.pid} `));
  await first.writable("still");
});

test("a data directory of the original is refused with a hint, and left as it is", async (t) => {
  const dir = tempDir(t);
  mkdirSync(join(dir, "raft"));
  writeFileSync(join(dir, "raft", "raft.db"), "bolt");
  const server = new ConsulServerProcess(nextLoopbackIp(), dir, ["-bootstrap-expect=1"]);
  const { code } = await server.child.exited;
  assert.equal(code, 1);
  assert.match(server.child.output, /raft\.db is the log of another program .*consul snapshot save/);
  assert.deepEqual(readdirSync(join(dir, "raft")), ["raft.db"]);
});

test("a torn tail of the newest snapshot: the server says so, starts from the older one and the log, and has every write", async (t) => {
  const dir = tempDir(t);
  const ip = nextLoopbackIp();
  // However few entries trail behind a snapshot, the log goes back to the one before it.
  const settings = { raft_snapshot_threshold: 20, raft_snapshot_interval: "50ms", raft_trailing_logs: 1 };
  const server = new ConsulServerProcess(ip, dir, ["-bootstrap-expect=1"], settings);
  t.after(() => server.child.stop("SIGKILL"));
  await server.writable();
  const snapshots = join(dir, "raft", "snapshots");
  const indexes = (): number[] => (existsSync(snapshots) ? readdirSync(snapshots) : []).filter((id) => !id.endsWith(".tmp")).map((id) => Number(id.split("-")[1])).sort((a, b) => a - b);
  let written = 0;
  await eventually("two snapshots", DEADLINE_MS, async () => {
    for (let i = 0; i < 25; i += 1) {
      const { status } = await server.http("PUT", `/v1/kv/key/${written}`, String(written));
      if (status === 200) written += 1;
    }
    return indexes().length >= 2 ? null : `${indexes().length} snapshots after ${written} writes`;
  }, () => server.child.describe());
  server.child.kill("SIGKILL");
  await server.child.exited;
  const newest = readdirSync(snapshots).filter((id) => !id.endsWith(".tmp")).find((id) => Number(id.split("-")[1]) === indexes().at(-1)) as string;
  const state = join(snapshots, newest, "state.bin");
  truncateSync(state, readFileSync(state).length - 1);

  const again = new ConsulServerProcess(ip, dir, ["-bootstrap-expect=1"], settings);
  t.after(() => again.child.stop("SIGKILL"));
  await again.writable();
  assert.match(again.child.output, new RegExp(`snapshot ${newest} in .* is damaged`));
  for (let i = 0; i < written; i += 1) assert.deepEqual(await again.http("GET", `/v1/kv/key/${i}?raw`), { status: 200, body: String(i) });
});

test("the leader's disk takes 5 s for a sync: another server leads, and nothing acknowledged is lost", async (t) => {
  if (!canTrace()) return t.skip("strace is missing or may not trace here");
  const ips = [nextLoopbackIp(), nextLoopbackIp(), nextLoopbackIp()];
  const servers = ips.map((ip) => new ConsulServerProcess(ip, tempDir(t), ["-bootstrap-expect=3", ...ips.map((other) => `-retry-join=${other}`)]));
  t.after(async () => {
    await Promise.all(servers.map((server) => server.child.stop("SIGKILL")));
  });
  for (const server of servers) await server.writable(`ready-${server.ip}`);
  const leaderIp = await leaderOf(servers[0] as ConsulServerProcess);
  const leader = servers.find((server) => server.ip === leaderIp);
  const other = servers.find((server) => server.ip !== leaderIp);
  assert.ok(leader !== undefined && other !== undefined, leaderIp);

  const strace = new Child("strace", ["strace", "-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=5000000", "-p", String(leader.child.pid)]);
  t.after(() => strace.stop("SIGINT"));
  await strace.waitFor("attached", (output) => output.includes("attached"), DEADLINE_MS);
  const acknowledged = await writesUnderAnother(servers, other, leaderIp);
  await strace.stop("SIGINT");
  for (const server of servers) await holdsAll(server, acknowledged);
});

test("the leader's disk is full: another server leads, nothing acknowledged is lost, and with room it follows again", async (t) => {
  const disks = [smallDisk(t, 96), smallDisk(t, 96), smallDisk(t, 96)];
  if (disks.some((disk) => disk === null)) return t.skip("cannot mount a file system here");
  const ips = disks.map(() => nextLoopbackIp());
  const servers = ips.map((ip, i) => {
    const dir = join(disks[i] as string, "data");
    mkdirSync(dir);
    return new ConsulServerProcess(ip, dir, ["-bootstrap-expect=3", ...ips.map((other) => `-retry-join=${other}`)]);
  });
  t.after(() => Promise.all(servers.map((server) => server.child.stop("SIGKILL"))));
  for (const server of servers) await server.writable(`ready-${server.ip}`);
  const leaderIp = await leaderOf(servers[0] as ConsulServerProcess);
  const full = ips.indexOf(leaderIp);
  const other = servers.find((server) => server.ip !== leaderIp);
  assert.ok(full >= 0 && other !== undefined, leaderIp);

  const fat = join(disks[full] as string, "fat");
  await fillDisk(fat);
  const acknowledged = await writesUnderAnother(servers, other, leaderIp);
  assert.match(servers[full]?.child.output ?? "", /no space left for the raft log/);
  rmSync(fat);
  for (const server of servers) await holdsAll(server, acknowledged);
});

test("registered services and checks are there after a kill, in the agent and in the catalog, and removed ones are not", async (t) => {
  const dir = tempDir(t);
  const ip = nextLoopbackIp();
  const first = new ConsulServerProcess(ip, dir, ["-bootstrap-expect=1"]);
  t.after(() => first.child.stop("SIGKILL"));
  await first.writable();
  const put = async (path: string, body: unknown): Promise<void> => assert.equal((await first.http("PUT", path, JSON.stringify(body))).status, 200, path);
  await put("/v1/agent/service/register", { Name: "web", Port: 80, Check: { TTL: "60s", Status: "passing" } });
  await put("/v1/agent/service/register", { Name: "gone" });
  await put("/v1/agent/check/register", { Name: "disk", TTL: "60s" });
  await put("/v1/agent/service/deregister/gone", {});
  first.child.kill("SIGKILL");
  await first.child.exited;
  const again = new ConsulServerProcess(ip, dir, ["-bootstrap-expect=1"]);
  t.after(() => again.child.stop("SIGKILL"));
  await again.writable("restarted");
  const keys = async (path: string): Promise<readonly string[]> => Object.keys(JSON.parse((await again.http("GET", path)).body) as object);
  assert.deepEqual(await keys("/v1/agent/services"), ["web"]);
  assert.deepEqual(await keys("/v1/agent/checks"), ["disk", "service:web"]);
  await eventually("a check that nobody has spoken for is critical in the catalog", DEADLINE_MS, async () => {
    const { body } = await again.http("GET", "/v1/health/checks/web");
    return (JSON.parse(body) as readonly { Status: string }[])[0]?.Status === "critical" ? null : body;
  });
  assert.deepEqual(await keys("/v1/catalog/services"), ["consul", "web"]);
});
