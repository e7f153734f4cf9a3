import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MemoryLogStore } from "../../../src/io/lanes/memory-log-store.ts";
import { ENTRY_TYPE } from "../../../src/wire/raft-messages.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { appendOf, entriesOf, entryOf, LogWitness, openLog } from "./log-support.ts";

const HARD_STATE = { currentTerm: 7, lastVoteTerm: 6, lastVoteCandidate: "127.0.60.1:8300" };

test("a log is read back as it was written: entries, term runs, configurations, hard state, tail", async (t) => {
  const dir = tempDir(t);
  const witness = new LogWitness();
  const first = await openLog(dir, witness);
  assert.deepEqual(first.found, { hardState: { currentTerm: 0, lastVoteTerm: 0, lastVoteCandidate: "" }, firstIndex: 0, lastIndex: 0, termRuns: [], configurations: [], tail: [], snapshot: null });
  const configuration = entryOf(3, 2, "servers", ENTRY_TYPE.configuration);
  const withExtensions = { ...entryOf(6, 4, new Uint8Array(300).fill(9)), extensions: Uint8Array.of(1, 2, 3) };
  const entries = [...entriesOf(1, 2, 1), configuration, ...entriesOf(4, 5, 2), withExtensions, entryOf(7, 4, "")];
  first.append(appendOf(1, { entries: entries.slice(0, 4) }));
  first.append(appendOf(2, { entries: entries.slice(4), hardState: HARD_STATE }));
  await witness.durable(2);
  await first.close();

  const again = await openLog(dir, witness);
  assert.deepEqual(again.found, {
    hardState: HARD_STATE, firstIndex: 1, lastIndex: 7, configurations: [configuration], tail: entries, snapshot: null,
    termRuns: [{ firstIndex: 1, term: 1 }, { firstIndex: 3, term: 2 }, { firstIndex: 6, term: 4 }],
  });
  assert.deepEqual(await again.read(2, 4, 1 << 20), entries.slice(1, 4));
  assert.deepEqual(await again.read(6, 7, 1), [withExtensions], "at least one, however large");
  assert.deepEqual(await again.read(6, 99, 1 << 20), entries.slice(5));
  assert.deepEqual(await again.read(8, 9, 1 << 20), []);
  await again.close();
  const short = await openLog(dir, witness, { tailBytesMax: 60 });
  assert.deepEqual(short.found.tail, entries.slice(6), "the tail is bounded by its bytes");
  await short.close();
  assert.deepEqual(witness.failures, []);
});

test("truncation and replacement in one write, removal of all, compaction in slices", async (t) => {
  const dir = tempDir(t);
  const witness = new LogWitness();
  const log = await openLog(dir, witness);
  log.append(appendOf(1, { entries: [...entriesOf(1, 9, 1), entryOf(10, 1, "c", ENTRY_TYPE.configuration)] }));
  log.append(appendOf(2, { truncateFrom: 6, entries: [entryOf(6, 2, "d", ENTRY_TYPE.configuration), ...entriesOf(7, 3000, 2)] }));
  await witness.durable(2);
  assert.deepEqual((await log.read(5, 6, 1 << 20)).map((entry) => entry.term), [1, 2]);
  log.compact(2500);
  log.append(appendOf(3, { entries: entriesOf(3001, 3001, 3) }));
  await witness.durable(3);
  for (let rest = 1; rest > 0; ) rest = (await log.read(2500, 2500, 1)).length; // Slices run between requests.
  assert.equal((await log.read(2501, 2501, 1)).length, 1);
  await log.close();

  const again = await openLog(dir, witness);
  const { firstIndex, lastIndex, configurations, termRuns } = again.found;
  assert.deepEqual({ firstIndex, lastIndex, configurations, termRuns }, {
    firstIndex: 2501, lastIndex: 3001, configurations: [], termRuns: [{ firstIndex: 2501, term: 2 }, { firstIndex: 3001, term: 3 }],
  });
  // A snapshot of the leader replaces everything: the next entry follows it, not the old log.
  again.append(appendOf(4, { truncateFrom: 1, entries: [entryOf(9001, 4)] }));
  await witness.durable(4);
  assert.deepEqual(await again.read(1, 9001, 1 << 20), [], "what is asked for first is gone");
  assert.deepEqual(await again.read(9001, 9001, 1 << 20), [entryOf(9001, 4)]);
  await again.close();
  assert.deepEqual(witness.failures, []);
});

test("indexes beyond 2^32 keep their order", async (t) => {
  const dir = tempDir(t);
  const witness = new LogWitness();
  const log = await openLog(dir, witness);
  const first = 2 ** 32 - 2;
  log.append(appendOf(1, { entries: entriesOf(first, first + 4, 2 ** 40) }));
  await witness.durable(1);
  await log.close();
  const again = await openLog(dir, witness);
  assert.deepEqual(again.found.termRuns, [{ firstIndex: first, term: 2 ** 40 }]);
  assert.deepEqual(again.found.tail, entriesOf(first, first + 4, 2 ** 40));
  await again.close();
});

test("one data directory: a second opening in this process is refused, and allowed after closing", async (t) => {
  const dir = tempDir(t);
  const witness = new LogWitness();
  const log = await openLog(dir, witness);
  await assert.rejects(openLog(dir, witness), /data directory in use: .* already open in this process/);
  await log.close();
  await (await openLog(dir, witness)).close();
});

test("the original's raft.db is refused with a hint and nothing is made beside it", async (t) => {
  const dir = tempDir(t);
  mkdirSync(join(dir, "raft"));
  writeFileSync(join(dir, "raft", "raft.db"), "");
  await assert.rejects(openLog(dir, new LogWitness()), /raft\.db is the log of another program .*consul snapshot save/);
  assert.equal(existsSync(join(dir, "raft", "log.mdb")), false);
});

test("a log file that was cut off is an error that says so, not a crash", async (t) => {
  const dir = tempDir(t);
  const witness = new LogWitness();
  const log = await openLog(dir, witness);
  log.append(appendOf(1, { entries: [entryOf(1, 1, new Uint8Array(300_000))] }));
  await witness.durable(1);
  await log.close();
  const path = join(dir, "raft", "log.mdb");
  truncateSync(path, 40_960);
  await assert.rejects(openLog(dir, witness), /log\.mdb is damaged: it has 40960 bytes and should have \d+/);
});

test("a lock file that is none is an error that says what to do; an empty one is made good", async (t) => {
  const dir = tempDir(t);
  const witness = new LogWitness();
  await (await openLog(dir, witness)).close();
  const path = join(dir, "raft", "lock.mdb");
  writeFileSync(path, new Uint8Array(8192));
  await assert.rejects(openLog(dir, witness), /lock\.mdb is damaged: page 0 is no header of an LMDB file; remove it, it holds no data$/);
  truncateSync(path, 0);
  await (await openLog(dir, witness)).close();
  rmSync(path);
  await (await openLog(dir, witness)).close();
});

test("an entry that the disk gives back changed is found before the core sees it", async (t) => {
  const dir = tempDir(t);
  const witness = new LogWitness();
  const log = await openLog(dir, witness);
  log.append(appendOf(1, { entries: entriesOf(1, 5, 1) }));
  log.append(appendOf(2, { entries: [entryOf(6, 1, "a very particular text")] }));
  await witness.durable(2);
  await log.close();
  const path = join(dir, "raft", "log.mdb");
  const bytes = readFileSync(path);
  let flipped = 0;
  for (let at = bytes.indexOf("a very particular text"); at >= 0; at = bytes.indexOf("a very particular text", at + 1)) {
    bytes[at] = 0x41;
    flipped += 1;
  }
  assert.ok(flipped > 0);
  writeFileSync(path, bytes);
  await assert.rejects(openLog(dir, witness), /entry 6 is not what was written/);
});

test("a reserve is written behind the last page and survives reopening", async (t) => {
  const dir = tempDir(t);
  const witness = new LogWitness();
  const log = await openLog(dir, witness);
  log.append(appendOf(1, { entries: entriesOf(1, 10, 1) }));
  await witness.durable(1);
  await log.close();
  const path = join(dir, "raft", "log.mdb");
  const { size, blocks } = statSync(path);
  assert.ok(size >= 4 << 20, `size ${size}`);
  assert.ok(blocks * 512 >= size, "written, not a hole");
  const again = await openLog(dir, witness);
  assert.equal(again.found.lastIndex, 10);
  await again.close();
});

test("the log in memory answers as the one on disk does", async () => {
  const witness = new LogWitness();
  const log = new MemoryLogStore(witness.events);
  log.append(appendOf(1, { entries: entriesOf(1, 10, 1) }));
  log.append(appendOf(2, { truncateFrom: 8, entries: entriesOf(8, 12, 2) }));
  await witness.durable(2);
  assert.deepEqual(await log.read(7, 8, 1 << 20), [entryOf(7, 1), entryOf(8, 2)]);
  log.compact(7);
  assert.deepEqual(await log.read(7, 8, 1 << 20), []);
  assert.deepEqual(await log.read(8, 99, 1), [entryOf(8, 2)]);
  log.append(appendOf(3, { truncateFrom: 1, entries: [entryOf(100, 3)] }));
  await witness.durable(3);
  assert.deepEqual(await log.read(100, 100, 1), [entryOf(100, 3)]);
  await log.close();
});
