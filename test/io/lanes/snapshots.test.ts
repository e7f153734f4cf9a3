import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MemoryLogStore } from "../../../src/io/lanes/memory-log-store.ts";
import type { SnapshotStore } from "../../../src/io/lanes/log-store.ts";
import type { SnapshotMeta } from "../../../src/raft/types.ts";
import { concatBytes, equalBytes } from "../../../src/base/bytes.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { appendOf, entriesOf, LogWitness, openLog } from "./log-support.ts";

const configuration = { servers: [{ id: "a", address: "127.0.60.1:8300", suffrage: "voter" as const }, { id: "b", address: "127.0.60.2:8300", suffrage: "nonvoter" as const }] };

function stateOf(index: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * index) ^ (i >>> 7));
}

async function write(store: SnapshotStore, index: number, size = 1000): Promise<SnapshotMeta> {
  const state = stateOf(index, size);
  const writer = await store.begin({ index, term: 2, configuration, configurationIndex: 1 });
  for (let at = 0; at < size; at += 1 << 20) await writer.write(state.subarray(at, at + (1 << 20)));
  return writer.finish();
}

async function readAll(store: SnapshotStore, { id, size }: SnapshotMeta): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < size; at += 300_000) pieces.push(await store.read(id, at, 300_000));
  assert.equal((await store.read(id, size, 10)).length, 0);
  return concatBytes(pieces);
}

test("a snapshot is read back as it was written, in memory and on disk; the last two are kept", async (t) => {
  const dir = tempDir(t);
  const disk = await openLog(dir, new LogWitness());
  for (const store of [new MemoryLogStore({ durable: () => undefined }).snapshots, disk.snapshots]) {
    await write(store, 10);
    const second = await write(store, 20, 0);
    const third = await write(store, 30, 2_500_000);
    assert.deepEqual({ ...third, id: third.id.slice(0, 5) }, { id: "2-30-", index: 30, term: 2, configuration, configurationIndex: 1, size: 2_500_000 });
    assert.ok(equalBytes(await readAll(store, third), stateOf(30, 2_500_000)));
    assert.equal((await readAll(store, second)).length, 0);
    await assert.rejects(store.read("2-10-1", 0, 10));
    await assert.rejects(store.read("../../log.mdb", 0, 10));
  }
  assert.deepEqual(readdirSync(join(dir, "raft", "snapshots")).map((name) => name.split("-")[1]), ["20", "30"]);
  await disk.close();
  const again = await openLog(dir, new LogWitness());
  assert.equal(again.found.snapshot?.index, 30);
  await again.close();
});

test("what was aborted, or is not finished when the log closes, leaves nothing behind", async (t) => {
  const dir = tempDir(t);
  const log = await openLog(dir, new LogWitness());
  const aborted = await log.snapshots.begin({ index: 5, term: 1, configuration, configurationIndex: 1 });
  await aborted.write(new Uint8Array(10));
  await aborted.abort();
  await assert.rejects(aborted.write(new Uint8Array(1)), /not being written/);
  const open = await log.snapshots.begin({ index: 6, term: 1, configuration, configurationIndex: 1 });
  await open.write(new Uint8Array(10));
  await log.close();
  assert.deepEqual(readdirSync(join(dir, "raft", "snapshots")), []);
  mkdirSync(join(dir, "raft", "snapshots", "1-7-1.tmp"));
  writeFileSync(join(dir, "raft", "snapshots", "1-7-1.tmp", "state.bin"), "half");
  await (await openLog(dir, new LogWitness())).close();
  assert.deepEqual(readdirSync(join(dir, "raft", "snapshots")), [], "a crash left it");
});

const damages: Readonly<Record<string, (dir: string) => void>> = {
  "a torn tail": (dir) => truncateSync(join(dir, "state.bin"), 999),
  "one changed byte": (dir) => {
    const path = join(dir, "state.bin");
    const bytes = readFileSync(path);
    bytes[500] = (bytes[500] as number) ^ 1;
    writeFileSync(path, bytes);
  },
  "bytes too many": (dir) => appendFileSync(join(dir, "state.bin"), "x"),
  "no state": (dir) => rmSync(join(dir, "state.bin")),
  "no meta.json": (dir) => rmSync(join(dir, "meta.json")),
  "half a meta.json": (dir) => truncateSync(join(dir, "meta.json"), 40),
  "a meta.json of something else": (dir) => writeFileSync(join(dir, "meta.json"), "[]"),
};

for (const [what, damage] of Object.entries(damages)) {
  test(`a damaged snapshot (${what}) is reported and the older one used`, async (t) => {
    const dir = tempDir(t);
    const log = await openLog(dir, new LogWitness());
    const older = await write(log.snapshots, 10);
    const newer = await write(log.snapshots, 20);
    await log.close();
    damage(join(dir, "raft", "snapshots", newer.id));
    const witness = new LogWitness();
    const again = await openLog(dir, witness);
    assert.deepEqual(again.found.snapshot, older);
    assert.equal(witness.reports.length, 1);
    assert.match(witness.reports[0] ?? "", new RegExp(`^snapshot ${newer.id} in .* is damaged \\(.+\\); trying an older one$`));
    await again.close();
    assert.ok(existsSync(join(dir, "raft", "snapshots", newer.id)), "left for whoever wants to look");
  });
}

test("the log goes on while a snapshot is written", async (t) => {
  const witness = new LogWitness();
  const log = await openLog(tempDir(t), witness);
  const writer = await log.snapshots.begin({ index: 1, term: 1, configuration, configurationIndex: 1 });
  const piece = new Uint8Array(1 << 20);
  let order = "";
  const written = writer.write(piece).then(() => writer.write(piece)).then(() => writer.finish()).then(() => (order += "s"));
  for (let seq = 1; seq <= 3; seq += 1) {
    log.append(appendOf(seq, { entries: entriesOf(seq, seq, 1) }));
    await witness.durable(seq);
    order += seq;
  }
  await written;
  assert.match(order, /^1.*3/);
  assert.ok(order.startsWith("1"), `a commit had to wait for the whole snapshot: ${order}`);
  await log.close();
});
