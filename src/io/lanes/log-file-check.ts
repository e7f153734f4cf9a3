/**
 * What is looked at before LMDB opens the log: a file whose header is not LMDB's ends the process by a signal in its C code, and a log that is gone while snapshots are
 * there would be begun anew, without the term, the vote and the entries that this server has promised to keep.
 */
import { closeSync, openSync, readSync, readdirSync, statSync } from "node:fs";
import { errorCode } from "../go-errors.ts";
import { parseSnapshotId } from "./snapshot-meta.ts";

/** LMDB's data file begins with two pages that say where its trees are, each with this number at the same place (format 2 of its file, 64-bit). */
const META_PAGES = 2;
const MAGIC = 0xbeefc0de;
const MAGIC_AT = 24;
/** Size of a page, in the first of them. */
const PAGE_SIZE_AT = 48;
const HEADER_BYTES = 64;

/** The disk gave back other bytes than were written, or less. */
export class DamagedLogError extends Error {
  readonly code = "ERR_MUSTER_LOG_DAMAGED";
}

/** What helps when this server's own state cannot be used. */
export function remedyFor(raftDir: string): string {
  return `remove this server from its cluster (consul operator raft remove-peer), move ${raftDir} away and start it again: it joins without state and is brought up to date; without other servers restore a backup of the data directory`;
}

/** Throws `DamagedLogError` when the log at `path` is there and is no LMDB file, or is empty or missing while there are snapshots in `snapshotsDir`. */
export function checkLogFile(path: string, snapshotsDir: string): void {
  const size = sizeOf(path);
  if (size === 0) {
    const [snapshot] = snapshotsIn(snapshotsDir);
    if (snapshot !== undefined) throw new DamagedLogError(`${path} is missing or empty, but there is snapshot ${snapshot} beside it: term, vote and log of this server are lost`);
    return;
  }
  const damaged = damagedPage(path);
  if (damaged !== null) throw new DamagedLogError(`${path} is damaged: page ${damaged} is no header of an LMDB file (${size} bytes)`);
}

/** The first of the two header pages of `path` that is none of LMDB's; null when both are, or the file is empty or missing. */
export function damagedPage(path: string): number | null {
  if (sizeOf(path) === 0) return null;
  const fd = openSync(path, "r");
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    let at = 0;
    for (let page = 0; page < META_PAGES; page += 1) {
      const read = readSync(fd, header, 0, HEADER_BYTES, at);
      if (read < HEADER_BYTES || header.readUInt32LE(MAGIC_AT) !== MAGIC) return page;
      if (page === 0) at = header.readUInt32LE(PAGE_SIZE_AT);
    }
    return null;
  } finally {
    closeSync(fd);
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return 0;
    throw error;
  }
}

function snapshotsIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir).filter((name) => parseSnapshotId(name) !== null);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}
