/** On a small file system: opens a log, waits for its reserve, takes all room that is left, and writes a full batch as if the check had passed just before. */
import { openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { LogDatabase } from "../../src/io/lanes/log-database.ts";
import { appendSize, decodeAppends, encodeAppends, EntriesBatch } from "../../src/io/lanes/log-protocol.ts";
import { LogSpace, RESERVE_BYTES } from "../../src/io/lanes/log-space.ts";
import { appendOf, entryOf } from "../io/lanes/log-support.ts";

const dir = process.argv[2] ?? "";
const database = new LogDatabase(dir);
const space = new LogSpace(database.path);
while (statSync(database.path).size < database.usedBytes + RESERVE_BYTES) await space.fill(database.usedBytes);

const fat = openSync(join(dir, "fat"), "w");
const page = Buffer.alloc(4096, 1);
try {
  for (;;) writeSync(fat, page);
} catch (error) {
  process.stdout.write(`${(error as NodeJS.ErrnoException).code ?? ""}\n`);
}
// 250 entries of 4,150 bytes: a full batch of 1 MiB, each entry in overflow pages of its own.
const append = appendOf(1, { entries: Array.from({ length: 250 }, (_, i) => entryOf(i + 1, 1, Buffer.alloc(4150, i))) });
database.write(decodeAppends(encodeAppends([append], appendSize(append))), 0);
const read = new EntriesBatch();
database.read(1, 250, Number.POSITIVE_INFINITY, read);
process.stdout.write(`written on a full disk: ${read.count} entries\n`);
await database.close();
