/**
 * The snapshots of a data directory, as the original lays them out: `raft/snapshots/<term>-<index>-<ms>/{meta.json,state.bin}`. Written under a name ending
 * in `.tmp`, synced, read back and compared, then renamed. Runs in the log worker; its file calls are asynchronous, so that commits of the log go on between.
 */
import { mkdir, open, readFile, readdir, rename, rm, writeFile, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { equalBytes } from "../../base/bytes.ts";
import type { SnapshotMeta } from "../../raft/types.ts";
import { Crc64 } from "../../wire/crc64.ts";
import { SNAPSHOTS_KEPT } from "./log-limits.ts";
import type { LogSpace } from "./log-space.ts";
import { decodeSnapshotMeta, encodeSnapshotMeta, olderFirst, parseSnapshotId, snapshotId, type SnapshotFileMeta } from "./snapshot-meta.ts";

/** Written bytes are synced after so many: one large sync at the end would hold up the log's own. */
const SYNC_BYTES = 8 << 20;
/** Read back in pieces that take about 0.4 ms to check. */
const CHECK_BYTES = 256 << 10;
const TEMPORARY = ".tmp";
const OWNER_FILE = 0o600;
const OWNER_DIR = 0o700;

interface Writing {
  readonly meta: Omit<SnapshotMeta, "id" | "size">;
  readonly id: string;
  readonly dir: string;
  readonly state: FileHandle;
  readonly crc: Crc64;
  size: number;
  synced: number;
}

export interface SnapshotFilesOptions {
  /** `<data-dir>/raft/snapshots`. */
  readonly dir: string;
  readonly space: LogSpace;
  readonly nowMs: () => number;
  readonly report: (text: string) => void;
}

export class SnapshotFiles {
  readonly #options: SnapshotFilesOptions;
  readonly #writing = new Map<number, Writing>();
  #lastNumber = 0;
  #lastMs = 0;

  constructor(options: SnapshotFilesOptions) {
    this.#options = options;
  }

  /** The newest snapshot that is whole. Damaged ones are reported and passed over; what a crash left half written is removed. */
  async newest(): Promise<SnapshotMeta | null> {
    const { dir, report } = this.#options;
    await mkdir(dir, { recursive: true, mode: OWNER_DIR });
    for (const name of await readdir(dir)) if (name.endsWith(TEMPORARY)) await rm(join(dir, name), { recursive: true, force: true });
    for (const id of await this.#ids()) {
      const checked = await checkSnapshot(join(dir, id), id);
      if (typeof checked !== "string") return checked;
      report(`snapshot ${id} in ${dir} is damaged (${checked}); trying an older one`);
    }
    return null;
  }

  /** Newest first. */
  async #ids(): Promise<string[]> {
    const names = await readdir(this.#options.dir);
    return names.filter((name) => parseSnapshotId(name) !== null).sort(olderFirst).reverse();
  }

  /** Returns a number for `write`, `finish` and `abort`. */
  async begin(meta: Omit<SnapshotMeta, "id" | "size">): Promise<number> {
    const { dir, nowMs } = this.#options;
    this.#checkSpace(0);
    this.#lastMs = Math.max(nowMs(), this.#lastMs + 1); // Two of one index within a millisecond must differ.
    const id = snapshotId(meta.term, meta.index, this.#lastMs);
    const temporary = join(dir, id + TEMPORARY);
    await mkdir(temporary, { recursive: true, mode: OWNER_DIR });
    const state = await open(join(temporary, "state.bin"), "wx+", OWNER_FILE);
    this.#lastNumber += 1;
    this.#writing.set(this.#lastNumber, { meta, id, dir: temporary, state, crc: new Crc64(), size: 0, synced: 0 });
    return this.#lastNumber;
  }

  async write(number: number, bytes: Uint8Array): Promise<void> {
    const writing = this.#find(number);
    this.#checkSpace(bytes.length);
    writing.crc.update(bytes);
    for (let at = 0; at < bytes.length; ) at += (await writing.state.write(bytes, at, bytes.length - at, writing.size + at)).bytesWritten;
    writing.size += bytes.length;
    if (writing.size - writing.synced < SYNC_BYTES) return;
    await writing.state.datasync();
    writing.synced = writing.size;
  }

  async finish(number: number): Promise<SnapshotMeta> {
    const { dir } = this.#options;
    const { meta, id, dir: temporary, state, crc, size } = this.#find(number);
    this.#writing.delete(number);
    await state.sync();
    await state.close();
    const full: SnapshotFileMeta = { ...meta, id, size, crc: crc.digest() };
    const metaPath = join(temporary, "meta.json");
    await writeFile(metaPath, encodeSnapshotMeta(full), { mode: OWNER_FILE, flush: true });
    const checked = await checkSnapshot(temporary, id);
    if (typeof checked === "string") throw new Error(`snapshot ${id} does not read back as written: ${checked}`);
    await syncDirectory(temporary);
    await rename(temporary, join(dir, id));
    await syncDirectory(dir);
    await this.#removeOld();
    return checked;
  }

  async abort(number: number): Promise<void> {
    const writing = this.#writing.get(number);
    if (writing === undefined) return;
    this.#writing.delete(number);
    await writing.state.close();
    await rm(writing.dir, { recursive: true, force: true });
  }

  async read(id: string, offset: number, bytesMax: number): Promise<Uint8Array> {
    if (parseSnapshotId(id) === null) throw new Error(`no snapshot ${id}`);
    const state = await open(join(this.#options.dir, id, "state.bin"), "r");
    try {
      const bytes = new Uint8Array(bytesMax);
      let filled = 0;
      while (filled < bytesMax) {
        const { bytesRead } = await state.read(bytes, filled, bytesMax - filled, offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return filled === bytesMax ? bytes : bytes.slice(0, filled);
    } finally {
      await state.close();
    }
  }

  /** Aborts what is being written. */
  async close(): Promise<void> {
    for (const number of [...this.#writing.keys()]) await this.abort(number);
  }

  #find(number: number): Writing {
    const writing = this.#writing.get(number);
    if (writing === undefined) throw new Error("this snapshot is not being written");
    return writing;
  }

  #checkSpace(byteLength: number): void {
    // A snapshot takes what it is long; the log's own margin must stay.
    const refusal = this.#options.space.refusal(byteLength / 8);
    if (refusal !== null) throw new Error(refusal);
  }

  async #removeOld(): Promise<void> {
    const ids = await this.#ids();
    for (const id of ids.slice(SNAPSHOTS_KEPT)) await rm(join(this.#options.dir, id), { recursive: true, force: true });
  }
}

/** Its meta when size and checksum of the state are as it says, else what is wrong. */
async function checkSnapshot(dir: string, id: string): Promise<SnapshotMeta | string> {
  try {
    const decoded = decodeSnapshotMeta(await readFile(join(dir, "meta.json"), "utf8"));
    if (!decoded.ok) return decoded.error;
    const { crc, ...meta } = decoded.value;
    if (meta.id !== id) return `it says that it is ${meta.id}`;
    const state = await open(join(dir, "state.bin"), "r");
    try {
      const { size } = await state.stat();
      if (size !== meta.size) return `state.bin has ${size} bytes instead of ${meta.size}`;
      return equalBytes(await checksumOf(state), crc) ? meta : "the checksum of state.bin differs";
    } finally {
      await state.close();
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function checksumOf(file: FileHandle): Promise<Uint8Array> {
  const crc = new Crc64();
  const piece = new Uint8Array(CHECK_BYTES);
  for (;;) {
    const { bytesRead } = await file.read(piece, 0, piece.length);
    if (bytesRead === 0) return crc.digest();
    crc.update(piece.subarray(0, bytesRead));
  }
}

/** Makes new names in it durable. */
async function syncDirectory(path: string): Promise<void> {
  const dir = await open(path, "r");
  try {
    await dir.sync();
  } finally {
    await dir.close();
  }
}
