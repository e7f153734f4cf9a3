/** Files of what TTL checks were told: as the original writes them, and what becomes of those that are late, torn or in the way. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CheckStates } from "../../src/io/check-states.ts";
import { nodeFileSystem, type FileSystem } from "../../src/io/durable-file.ts";
import { tempDir, type Cleanup } from "../support/temp-dir.ts";

const NOW_MS = 1_796_046_476_700;
/** md5 of "service:web1". */
const WEB = "b56960a7cfb1e8c914c9285682d47496";
const PASSING = { status: "passing", output: "fine" };

class Bench {
  readonly dataDir: string;
  readonly dir: string;
  readonly reports: string[] = [];
  nowMs = NOW_MS;

  constructor(t: Cleanup) {
    this.dataDir = tempDir(t);
    this.dir = join(this.dataDir, "checks", "state");
  }

  open(fileSystem?: FileSystem): CheckStates {
    return new CheckStates({ dataDir: this.dataDir, nowMs: () => this.nowMs, report: (level, text) => this.reports.push(`${level} ${text}`), ...(fileSystem && { fileSystem }) });
  }

  file(name = WEB): string {
    return readFileSync(join(this.dir, name), "utf8");
  }
}

test("a state is written to the byte as by the original, for its owner only, and read by the next process until it expires", async (t) => {
  const bench = new Bench(t);
  const states = bench.open();
  states.put("service:web1", { status: "passing", output: "all good <b> …" }, 60_000);
  await states.kept("service:web1");
  assert.equal(bench.file(), '{"CheckID":"service:web1","Output":"all good \\u003cb\\u003e …","Status":"passing","Expires":1796046536}');
  assert.deepEqual([statSync(bench.dir).mode & 0o777, statSync(join(bench.dir, WEB)).mode & 0o777, readdirSync(bench.dir)], [0o700, 0o600, [WEB]]);
  const next = bench.open();
  bench.nowMs = 1_796_046_535_999;
  assert.deepEqual({ ...(await next.read("service:web1")) }, { status: "passing", output: "all good <b> …", expires: 1_796_046_536 });
  bench.nowMs = 1_796_046_536_000;
  assert.equal(await next.read("service:web1"), null);
  await next.idle();
  assert.deepEqual([bench.reports, readdirSync(bench.dir)], [["debug check state expired, not restoring: check=service:web1"], []]);
  assert.equal(await next.read("never"), null);
});

test("a changed status is durable before it is kept, a beat is not waited for by the disk", async (t) => {
  const bench = new Bench(t);
  const durable: string[] = [];
  const states = bench.open({ ...nodeFileSystem, rename: (from, to) => (durable.push(readFileSync(from, "utf8")), nodeFileSystem.rename(from, to)) });
  const put = async (status: string, output: string): Promise<void> => {
    bench.nowMs += 1000;
    states.put("service:web1", { status, output }, 60_000);
    await states.kept("service:web1");
  };
  await put("passing", "first");
  await put("passing", "beat");
  await put("critical", "down");
  await put("critical", "still down");
  assert.deepEqual(durable.map((text) => /"Output":"([^"]*)"/.exec(text)?.[1]), ["first", "down"]);
  assert.match(bench.file(), /still down/);
  const full = bench.open({ ...nodeFileSystem, open: (path) => Promise.reject(new Error(`ENOSPC: no space left on device, open '${path}'`)) });
  full.put("service:web1", { status: "passing", output: "up" }, 60_000);
  await assert.rejects(full.kept("service:web1"), /ENOSPC/);
  assert.match(bench.file(), /still down/);
});

test("a changed status that could not be written is durable with the beat that came meanwhile", async (t) => {
  const bench = new Bench(t);
  let [opened, renamed] = [0, 0];
  const states = bench.open({
    ...nodeFileSystem,
    open: (...args) => ((opened += 1) === 1 ? Promise.reject(new Error("EIO: i/o error, open")) : nodeFileSystem.open(...args)),
    rename: (from, to) => ((renamed += 1), nodeFileSystem.rename(from, to)),
  });
  mkdirSync(bench.dir, { recursive: true });
  states.put("service:web1", PASSING, 60_000);
  states.put("service:web1", { ...PASSING, output: "beat" }, 60_000);
  await states.kept("service:web1");
  assert.match(bench.file(), /beat/);
  assert.equal(renamed, 1);
});

test("of beats that wait the last is written, and one that changes nothing is not", async (t) => {
  const bench = new Bench(t);
  const states = bench.open();
  states.put("service:web1", { status: "warning", output: "" }, 60_000);
  await states.idle();
  for (let i = 0; i < 1000; i += 1) states.put("service:web1", { status: "passing", output: `beat ${i}` }, 60_000);
  assert.equal((await states.read("service:web1"))?.output, "beat 999", "what waits is read");
  await states.idle();
  assert.match(bench.file(), /beat 999/);
  const before = statSync(join(bench.dir, WEB)).ino;
  states.put("service:web1", { status: "passing", output: "beat 999" }, 60_000);
  await states.idle();
  assert.equal(statSync(join(bench.dir, WEB)).ino, before, "the file is the same");
  bench.nowMs += 1000;
  states.put("service:web1", { status: "passing", output: "beat 999" }, 60_000);
  await states.idle();
  assert.match(bench.file(), /1796046537/);
});

test("a check that goes while its state is being written leaves no file, and one that comes back is a new one", async (t) => {
  const bench = new Bench(t);
  const states = bench.open();
  states.put("service:web1", PASSING, 60_000);
  states.drop("service:web1");
  assert.equal(await states.read("service:web1"), null);
  await states.kept("service:web1");
  assert.deepEqual(existsSync(bench.dir) ? readdirSync(bench.dir) : [], []);
  states.put("service:web1", PASSING, 60_000);
  await states.idle();
  states.drop("service:web1");
  states.put("service:web1", { status: "warning", output: "" }, 60_000);
  await states.idle();
  assert.match(bench.file(), /warning/);
});

test("what is no state is named and left where it is, until the check is told again", async (t) => {
  const bench = new Bench(t);
  mkdirSync(bench.dir, { recursive: true });
  for (const content of ["", '{"CheckID":"service:web1","Ou', "null", "[]", '{"CheckID":"service:web1","Output":"","Status":"fine","Expires":9999999999}', '{"Output":"","Status":"passing"}']) {
    bench.reports.length = 0;
    writeFileSync(join(bench.dir, WEB), content);
    const states = bench.open();
    assert.equal(await states.read("service:web1"), null, content);
    assert.deepEqual([bench.reports.length, bench.file()], [1, content]);
    assert.match(bench.reports[0] ?? "", new RegExp(`^warn .*${WEB} is left out: check=service:web1 error=`));
    states.put("service:web1", PASSING, 60_000);
    await states.idle();
    assert.deepEqual((await states.read("service:web1"))?.status, "passing");
  }
});

test("a disk that takes nothing: whoever waits is told, the log once, and the same beat is written when it can be", async (t) => {
  const bench = new Bench(t);
  const states = bench.open();
  mkdirSync(join(bench.dataDir, "checks"));
  writeFileSync(bench.dir, "in the way");
  for (const id of ["service:web1", "other"]) {
    states.put(id, PASSING, 60_000);
    await assert.rejects(states.kept(id), /ENOTDIR|EEXIST/);
  }
  assert.equal(bench.reports.length, 1);
  assert.match(bench.reports[0] ?? "", /^warn failed persisting state for checks: check=service:web1 error=/);
  rmSync(bench.dir);
  states.put("service:web1", PASSING, 60_000);
  await states.kept("service:web1");
  assert.match(bench.file(), /fine/);
});

test("without a directory nothing is kept", async () => {
  const states = new CheckStates({ dataDir: "", nowMs: () => NOW_MS, report: () => assert.fail() });
  states.put("c", PASSING, 1000);
  states.drop("d");
  await states.kept("c");
  await states.idle();
  assert.equal(await states.read("c"), null);
});
