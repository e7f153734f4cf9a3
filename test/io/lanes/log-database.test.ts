import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { LogDatabase, LOG_FORMAT, COMPACT_SLICE_ENTRIES } from "../../../src/io/lanes/log-database.ts";
import { appendSize, decodeAppends, encodeAppends } from "../../../src/io/lanes/log-protocol.ts";
import type { LogAppend } from "../../../src/io/lanes/log-store.ts";
import { LogSpace, RESERVE_BYTES, SPACE_LEFT_BYTES, SPACE_PER_BYTE } from "../../../src/io/lanes/log-space.ts";
import { COMMIT_BYTES_MAX } from "../../../src/io/lanes/log-limits.ts";
import { projectPath } from "../../support/project-root.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { appendOf, entriesOf } from "./log-support.ts";

function write(database: LogDatabase, append: LogAppend, compactTo = 0): void {
  database.write(decodeAppends(encodeAppends([append], appendSize(append))), compactTo);
}

test("formats: a newer one is refused, an older one goes through its steps in order, one without a step is refused", async (t) => {
  const dir = tempDir(t);
  const first = new LogDatabase(dir);
  write(first, appendOf(1, { entries: entriesOf(1, 3, 1) }));
  await first.close();

  const steps: number[] = [];
  const upgrades = new Map([[LOG_FORMAT, (database: LogDatabase): void => void steps.push(database.usedBytes > 0 ? LOG_FORMAT : 0)], [LOG_FORMAT + 1, (): void => void steps.push(LOG_FORMAT + 1)]]);
  const upgraded = new LogDatabase(dir, upgrades, LOG_FORMAT + 2);
  assert.deepEqual(steps, [LOG_FORMAT, LOG_FORMAT + 1]);
  assert.equal(upgraded.lastIndex, 3);
  await upgraded.close();

  assert.throws(() => new LogDatabase(dir), new RegExp(`has format ${LOG_FORMAT + 2}, written by a newer version; this one reads up to ${LOG_FORMAT}$`));
  assert.throws(() => new LogDatabase(dir, new Map(), LOG_FORMAT + 3), new RegExp(`has format ${LOG_FORMAT + 2}, which this version cannot read any more`));
  const again = new LogDatabase(dir, upgrades, LOG_FORMAT + 2);
  assert.deepEqual(steps, [LOG_FORMAT, LOG_FORMAT + 1], "once");
  assert.equal(again.lastIndex, 3, "a refused start changed nothing");
  await again.close();
});

test("compaction removes a bounded number of entries with each write, and never more than asked", async (t) => {
  const database = new LogDatabase(tempDir(t));
  write(database, appendOf(1, { entries: entriesOf(1, 3000, 1) }));
  assert.equal(database.compactable(2500), 2500);
  database.write([], 2500);
  assert.equal(database.firstIndex, COMPACT_SLICE_ENTRIES + 1);
  write(database, appendOf(2, { entries: entriesOf(3001, 3001, 1) }), 2500);
  database.write([], 2500);
  assert.deepEqual([database.firstIndex, database.lastIndex, database.compactable(2500)], [2501, 3001, 0]);
  database.write([], 9999);
  assert.deepEqual([database.firstIndex, database.lastIndex], [0, 0], "all of it");
  write(database, appendOf(3, { entries: entriesOf(7000, 7001, 1) }));
  assert.deepEqual([database.firstIndex, database.lastIndex], [7000, 7001]);
  await database.close();
});

test("entries that do not follow are a mistake of ours, and the transaction leaves nothing", async (t) => {
  const dir = tempDir(t);
  const database = new LogDatabase(dir);
  write(database, appendOf(1, { entries: entriesOf(1, 3, 1) }));
  assert.throws(() => write(database, appendOf(2, { entries: entriesOf(5, 5, 1) })), /entry 5 does not follow 3/);
  await database.close();
  const again = new LogDatabase(dir);
  assert.equal(again.lastIndex, 3);
  await again.close();
});

test("room: a write is refused below eight times its bytes and 16 MiB; the reserve is as large as the largest write may need", () => {
  assert.ok(RESERVE_BYTES >= COMMIT_BYTES_MAX * SPACE_PER_BYTE);
  const needed = 1000 * SPACE_PER_BYTE + SPACE_LEFT_BYTES;
  assert.equal(new LogSpace("log.mdb", () => needed).refusal(1000), null);
  assert.equal(new LogSpace("log.mdb", () => needed - 1).refusal(1000), `no space left for the raft log: ${needed - 1} bytes free beside log.mdb, ${needed} needed`);
});

test("only the log worker loads lmdb: 10 MB and 75 ms that main need not spend", () => {
  const root = projectPath("src");
  const imports = (pattern: RegExp): string[] =>
    readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts") && pattern.test(readFileSync(join(root, name), "utf8"))).sort();
  assert.deepEqual(imports(/from "lmdb"|import\("lmdb"\)/), [join("io", "lanes", "directory-lock.ts"), join("io", "lanes", "log-database.ts")]);
  assert.deepEqual(imports(/\/directory-lock\.ts"/), [join("io", "lanes", "log-database.ts"), join("io", "lanes", "log-worker.ts")]);
  assert.deepEqual(imports(/\/log-database\.ts"/), [join("io", "lanes", "log-worker.ts")]);
  assert.deepEqual(imports(/\/log-worker\.ts"/), []);
});
