/** What a server says when it cannot start from its data directory: what is wrong, where, and what helps. It never starts from less than it has promised to keep. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, closeSync, cpSync, existsSync, mkdirSync, openSync, readdirSync, rmSync, statSync, truncateSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { ConsulServerProcess, type ServerProcessOptions } from "../support/consul-agent.ts";
import { eventually } from "../support/eventually.ts";
import { nextLoopbackIp } from "../support/loopback.ts";
import { fillDisk, smallDisk } from "../support/small-disk.ts";
import { tempDir } from "../support/temp-dir.ts";

const DEADLINE_MS = 60_000;
const SETTINGS = { raft_snapshot_threshold: 20, raft_snapshot_interval: "50ms", raft_trailing_logs: 1 };
const NOBODY = "65534";

function start(dir: string, options: ServerProcessOptions = {}): ConsulServerProcess {
  return new ConsulServerProcess(nextLoopbackIp(), dir, ["-bootstrap-expect=1"], SETTINGS, options);
}

/** It ends with code 1, and this is what it said. */
async function refusal(t: TestContext, dir: string, options: ServerProcessOptions = {}): Promise<string> {
  const { child } = start(dir, options);
  t.after(() => child.stop("SIGKILL"));
  const { code } = await child.exited;
  assert.equal(code, 1, child.output);
  return child.output;
}

function snapshotsIn(dir: string): readonly string[] {
  const snapshots = join(dir, "raft", "snapshots");
  return (existsSync(snapshots) ? readdirSync(snapshots) : []).filter((id) => !id.endsWith(".tmp")).map((id) => join(snapshots, id));
}

/** A data directory with two snapshots and a log that begins behind the older one; its server was killed. */
async function grownDirectory(t: TestContext): Promise<string> {
  const dir = tempDir(t);
  const server = start(dir);
  t.after(() => server.child.stop("SIGKILL"));
  await server.writable();
  let written = 0;
  await eventually("three snapshots", DEADLINE_MS, async () => {
    for (let i = 0; i < 30; i += 1) written += (await server.http("PUT", `/v1/kv/key/${written}`, "x".repeat(500))).status === 200 ? 1 : 0;
    return written >= 120 && snapshotsIn(dir).length === 2 ? null : `${snapshotsIn(dir).length} snapshots after ${written} writes`;
  }, () => server.child.describe());
  await server.child.stop("SIGKILL");
  return dir;
}

test("a damaged data directory: the server says what is wrong and what to do, and does not start", async (t) => {
  const whole = await grownDirectory(t);
  const remedy = /consul operator raft remove-peer.*move .*raft away.*backup/;
  const cases: readonly (readonly [name: string, damage: (dir: string) => void, said: RegExp])[] = [
    ["every snapshot is torn", (dir) => {
      for (const snapshot of snapshotsIn(dir)) truncateSync(join(snapshot, "state.bin"), statSync(join(snapshot, "state.bin")).size - 1);
    }, /the log in .*raft begins at entry \d+, and there is no whole snapshot: what is between is lost/],
    ["the log is missing", (dir) => rmSync(join(dir, "raft", "log.mdb")), /log\.mdb is missing or empty, but there is snapshot \S+ beside it/],
    ["the log is empty", (dir) => truncateSync(join(dir, "raft", "log.mdb"), 0), /log\.mdb is missing or empty, but there is snapshot \S+ beside it/],
    ["the log is cut off", (dir) => truncateSync(join(dir, "raft", "log.mdb"), 20_000), /log\.mdb is damaged: it has 20000 bytes and should have \d+/],
    ["the log's header is overwritten", (dir) => {
      const fd = openSync(join(dir, "raft", "log.mdb"), "r+");
      writeSync(fd, Buffer.alloc(4096, 0xab), 0, 4096, 4096);
      closeSync(fd);
    }, /log\.mdb is damaged: page 1 is no header of an LMDB file/],
  ];
  for (const [name, damage, said] of cases) {
    const dir = join(tempDir(t), "data");
    cpSync(whole, dir, { recursive: true });
    damage(dir);
    const output = await refusal(t, dir);
    assert.match(output, said, name);
    assert.match(output, remedy, name);
  }
  truncateSync(join(whole, "node-id"), 0);
  assert.match(await refusal(t, whole), /failed to setup node ID: .*node-id: uuid string is wrong length; remove the file to draw a new id/);
});

test("a disk without room at the start: the server says how much it needs, and starts with everything once there is room", async (t) => {
  const disk = smallDisk(t, 96);
  if (disk === null) return t.skip("cannot mount a file system here");
  const dir = join(disk, "data");
  mkdirSync(dir);
  const options = { configDir: tempDir(t) };
  const server = start(dir, options);
  t.after(() => server.child.stop("SIGKILL"));
  await server.writable("before");
  await server.child.stop("SIGKILL");
  const fat = join(disk, "fat");
  await fillDisk(fat);
  assert.match(await refusal(t, dir, options), /no space left for the raft log: 0 bytes free beside .*data\/raft, \d+ needed/);
  rmSync(fat);
  const again = start(dir, options);
  t.after(() => again.child.stop("SIGKILL"));
  await again.writable("after");
  assert.deepEqual(await again.http("GET", "/v1/kv/before?raw"), { status: 200, body: "yes" });
});

test("a read-only file system, and a data directory of another user: refused by name", async (t) => {
  const disk = smallDisk(t, 64);
  if (disk === null) return t.skip("cannot mount a file system here");
  const dir = join(disk, "data");
  mkdirSync(dir);
  const options = { configDir: tempDir(t) };
  const server = start(dir, options);
  t.after(() => server.child.stop("SIGKILL"));
  await server.writable();
  await server.child.stop("SIGKILL");
  execFileSync("mount", ["-o", "remount,ro", disk]);
  assert.match(await refusal(t, dir, options), /the log in .*data\/raft cannot be opened: Read-only file system/);
  execFileSync("mount", ["-o", "remount,rw", disk]);

  chmodSync(options.configDir, 0o755);
  const under = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
  assert.match(await refusal(t, dir, { ...options, under }), /node-id: permission denied/);
});
