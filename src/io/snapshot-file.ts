/**
 * The snapshot file on disk (serf-protocol §10.4). The core makes the lines; this side appends, buffers, syncs and replaces, one operation
 * at a time, and never lets a sick disk reach the gossip path: errors are reported and retried, lines wait meanwhile.
 */
import { readFile, type FileHandle } from "node:fs/promises";
import { nodeFileSystem, replaceFile, type FileSystem } from "./durable-file.ts";
import { errorCode, errnoText } from "./go-errors.ts";

/** Lines wait this long for company before they are written. */
export const SNAPSHOT_FLUSH_MS = 500;
/** Pause after a failed write. */
export const SNAPSHOT_RETRY_MS = 30_000;
/**
 * Lines that may wait for a sick disk; the oldest are given up beyond it. The core asks for a compaction, which replaces all that waits,
 * long before: after 128 KiB of lines or 256 bytes per member.
 */
export const SNAPSHOT_PENDING_LINES_MAX = 262_144;

const LF = 0x0a;

export interface SnapshotContent {
  /** Complete lines, without the torn tail and without NUL bytes; null when there is no file. */
  readonly bytes: Uint8Array | null;
  /** Where to go on writing: length of the complete lines in the file. */
  readonly completeBytes: number;
  /** Length of a last line without LF: the process died while writing it. */
  readonly tornBytes: number;
  /** NUL bytes found: some file systems leave them after a power failure. */
  readonly nulBytes: number;
}

/** Reads the file; a missing one is no error, any other failure rejects. */
export async function readSnapshotFile(path: string): Promise<SnapshotContent> {
  let file: Uint8Array;
  try {
    file = await readFile(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return { bytes: null, completeBytes: 0, tornBytes: 0, nulBytes: 0 };
    throw error;
  }
  const end = file.lastIndexOf(LF) + 1;
  const complete = file.subarray(0, end);
  const clean = complete.includes(0) ? withoutNul(complete) : complete;
  return { bytes: clean, completeBytes: end, tornBytes: file.length - end, nulBytes: file.reduce((count, byte) => (byte === 0 ? count + 1 : count), 0) };
}

/** Strips NULs in front of a line (what follows them was written after the crash) and drops lines with NULs inside (damaged). */
function withoutNul(bytes: Uint8Array): Uint8Array {
  const kept: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(LF, start) + 1;
    let from = start;
    while (bytes[from] === 0) from += 1;
    const line = bytes.subarray(from, end);
    if (line.length > 1 && !line.includes(0)) kept.push(line);
    start = end;
  }
  return Buffer.concat(kept);
}

export interface SnapshotFileHooks {
  /** A failed write, as text ("no space left on device"); called once per attempt. */
  readonly failed: (error: string) => void;
  /** Writing works again after failures; `dropped`: lines given up meanwhile. */
  readonly recovered: (dropped: number) => void;
}

export class SnapshotFile {
  readonly #path: string;
  readonly #hooks: SnapshotFileHooks;
  readonly #fs: FileSystem;
  #handle: FileHandle | null = null;
  #size: number; // Bytes known to be whole lines; what a failed write left behind them is cut off.
  #pending: string[] = [];
  #replacing = false; // `pending` begins a new file.
  #syncWanted = false;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #failing = false;
  #dropped = 0;
  #closed = false;

  /** `sizeBytes`: where to go on, the length of the complete lines; or null to write the file anew with the first lines. */
  constructor(path: string, sizeBytes: number | null, hooks: SnapshotFileHooks, fs: FileSystem = nodeFileSystem) {
    this.#path = path;
    this.#size = sizeBytes ?? 0;
    this.#replacing = sizeBytes === null;
    this.#hooks = hooks;
    this.#fs = fs;
  }

  /** Adds lines (without their LF). `flush` writes and syncs them now, else they wait for company. */
  append(lines: readonly string[], flush: boolean): void {
    if (this.#closed) return;
    for (const line of lines) this.#pending.push(line);
    const excess = this.#pending.length - SNAPSHOT_PENDING_LINES_MAX;
    if (excess > 0) {
      this.#pending.splice(0, excess);
      this.#dropped += excess;
    }
    this.#syncWanted ||= flush;
    this.#schedule(flush ? 0 : SNAPSHOT_FLUSH_MS);
  }

  /** Replaces the whole file by these lines; everything that still waits is outdated by them. */
  compact(lines: readonly string[]): void {
    if (this.#closed) return;
    this.#pending = [...lines];
    this.#replacing = true;
    this.#schedule(0);
  }

  /** Writes and syncs what waits, once even if the disk has just failed, and closes the file. Never rejects. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelTimer();
    await this.#running;
    this.#syncWanted = true;
    await this.#write();
    await this.#handle?.close().catch(() => undefined);
    this.#handle = null;
  }

  #schedule(delayMs: number): void {
    if (this.#closed || this.#running !== null || this.#failing) return; // The end of a run and the retry look for new work.
    if (delayMs === 0) {
      this.#cancelTimer();
      this.#running = this.#run();
    } else this.#timer ??= setTimeout(() => this.#fire(), delayMs);
  }

  #fire(): void {
    this.#timer = null;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    const written = await this.#write();
    this.#running = null;
    if (this.#closed) return;
    if (!written) {
      this.#failing = true;
      this.#timer = setTimeout(() => this.#fire(), SNAPSHOT_RETRY_MS);
    } else if (this.#pending.length > 0) this.#schedule(this.#syncWanted || this.#replacing ? 0 : SNAPSHOT_FLUSH_MS);
  }

  /** One attempt at everything that waits. */
  async #write(): Promise<boolean> {
    const lines = this.#pending;
    const replacing = this.#replacing;
    const sync = this.#syncWanted;
    if (lines.length === 0 && !sync && !replacing) return true;
    this.#pending = [];
    this.#replacing = false;
    this.#syncWanted = false;
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
    try {
      if (replacing) await this.#replace(bytes);
      else await this.#extend(bytes, sync);
    } catch (error) {
      this.#restore(lines, replacing, sync);
      this.#hooks.failed(errnoText(error));
      return false;
    }
    if (this.#failing) {
      this.#failing = false;
      this.#hooks.recovered(this.#dropped);
      this.#dropped = 0;
    }
    return true;
  }

  async #replace(bytes: Uint8Array): Promise<void> {
    await this.#handle?.close();
    this.#handle = null;
    await replaceFile(this.#path, bytes, this.#fs, ".compact");
    this.#size = bytes.length;
  }

  async #extend(bytes: Uint8Array, sync: boolean): Promise<void> {
    if (this.#handle === null) {
      // Opened for update, not appending: a torn tail is overwritten, never continued.
      this.#handle = await this.#fs.open(this.#path, "r+", 0o600);
      await this.#handle.truncate(this.#size);
    }
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, this.#size + done);
      done += bytesWritten;
    }
    if (sync) await this.#handle.sync();
    this.#size += bytes.length;
  }

  /** Puts a failed attempt back in front of what came since; a compaction that came since outdates it. */
  #restore(lines: string[], replacing: boolean, sync: boolean): void {
    void this.#handle?.close().catch(() => undefined); // Opened again, and cut to the good size, at the next attempt.
    this.#handle = null;
    this.#syncWanted ||= sync;
    if (this.#replacing) return;
    this.#pending = [...lines, ...this.#pending];
    this.#replacing = replacing;
  }

  #cancelTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
