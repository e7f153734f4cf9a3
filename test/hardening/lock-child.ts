/** A process that takes the lock of a data directory's `raft/`, says `locked` and does nothing more. */
import { DirectoryLock } from "../../src/io/lanes/directory-lock.ts";

await DirectoryLock.take(process.argv[2] ?? "", `process ${process.pid}, started 2026-01-01T00:00:00.000Z`);
console.log("locked");
setInterval(() => undefined, 1 << 30);
