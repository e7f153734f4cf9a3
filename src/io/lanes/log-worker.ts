/**
 * The worker's side of the log: a task that piscina runs once and that returns when told to close. It takes everything that has arrived, writes it in one
 * transaction, answers with the last number, and looks again: what was queued during a commit makes the next one (group commit).
 */
import { mkdirSync, existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { receiveMessageOnPort, type MessagePort } from "node:worker_threads";
import { assertNever } from "../../base/assert.ts";
import { COMMIT_BYTES_MAX, COMMIT_ENTRIES_MAX } from "./log-limits.ts";
import { DirectoryLock } from "./directory-lock.ts";
import { LogDatabase } from "./log-database.ts";
import { checkLogFile, DamagedLogError, remedyFor } from "./log-file-check.ts";
import { decodeAppends, EntriesBatch, type AppendWork, type LogReply, type LogRequest, type LogStart } from "./log-protocol.ts";
import { LogSpace } from "./log-space.ts";
import { SnapshotFiles } from "./snapshot-files.ts";

type ReadRequest = Extract<LogRequest, { kind: "read" }>;
type SnapshotRequest = Extract<LogRequest, { call: number }>;

interface LogFiles {
  readonly lock: DirectoryLock;
  readonly database: LogDatabase;
  readonly space: LogSpace;
  readonly snapshots: SnapshotFiles;
}

class LogWorker {
  readonly #port: MessagePort;
  readonly #lock: DirectoryLock;
  readonly #database: LogDatabase;
  readonly #space: LogSpace;
  readonly #snapshots: SnapshotFiles;
  #appends: AppendWork[] = [];
  #entries = 0;
  #bytes = 0;
  #reads: ReadRequest[] = [];
  readonly #batch = new EntriesBatch();
  /** Refuse until an append says that it knows of this refusal; 0: none. */
  #refusedSeq = 0;
  #compactTo = 0;
  #sliceDue = false;
  #closing = false;
  #failed = false;
  #ended = false;
  readonly #closed: Promise<void>;
  #resolveClosed: () => void = () => undefined;
  /** Snapshot requests run one after the other. */
  #snapshotWork: Promise<void> = Promise.resolve();

  constructor(port: MessagePort, { lock, database, space, snapshots }: LogFiles) {
    this.#port = port;
    this.#lock = lock;
    this.#database = database;
    this.#space = space;
    this.#snapshots = snapshots;
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  run(): Promise<void> {
    this.#port.on("close", () => void this.#close());
    this.#port.on("message", (message: ArrayBuffer | LogRequest) => {
      this.#take(message);
      // The event loop would hand over one message at a time, and each would become a commit.
      while (this.#entries < COMMIT_ENTRIES_MAX && this.#bytes < COMMIT_BYTES_MAX) {
        const next = receiveMessageOnPort(this.#port) as { readonly message: ArrayBuffer | LogRequest } | undefined;
        if (next === undefined) break;
        this.#take(next.message);
      }
      this.#work();
    });
    void this.#space.fill(this.#database.usedBytes);
    return this.#closed;
  }

  #take(message: ArrayBuffer | LogRequest): void {
    if (message instanceof ArrayBuffer) {
      for (const append of decodeAppends(message)) this.#takeAppend(append);
      return;
    }
    switch (message.kind) {
      case "read":
        this.#reads.push(message);
        return;
      case "compact":
        this.#compactTo = Math.max(this.#compactTo, message.upTo);
        return;
      case "close":
        this.#closing = true;
        return;
      case "snapshotBegin":
      case "snapshotPiece":
      case "snapshotFinish":
      case "snapshotAbort":
      case "snapshotRead":
        this.#snapshotWork = this.#snapshotWork.then(() => this.#snapshot(message));
        return;
      default:
        assertNever(message);
    }
  }

  #takeAppend(append: AppendWork): void {
    if (this.#refusedSeq !== 0) {
      if (append.afterRefusal !== this.#refusedSeq) return;
      this.#refusedSeq = 0;
    }
    this.#appends.push(append);
    this.#entries += append.records.length;
    this.#bytes += append.byteLength;
  }

  #work(): void {
    if (this.#failed) return;
    try {
      this.#commit();
      for (const request of this.#reads) this.#read(request);
      this.#reads = [];
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#closing) void this.#close();
    else this.#scheduleSlice();
  }

  #commit(): void {
    const appends = this.#appends;
    if (appends.length === 0) return;
    const byteLength = this.#bytes;
    this.#appends = [];
    this.#entries = 0;
    this.#bytes = 0;
    const refusal = this.#space.refusal(byteLength);
    if (refusal !== null) {
      this.#refusedSeq = (appends[0] as AppendWork).seq;
      this.#tell({ kind: "refused", seq: this.#refusedSeq, error: refusal });
      return;
    }
    this.#database.write(appends, this.#dueCompaction());
    this.#port.postMessage((appends.at(-1) as AppendWork).seq);
    void this.#space.fill(this.#database.usedBytes);
  }

  #dueCompaction(): number {
    return this.#database.compactable(this.#compactTo) > 0 ? this.#compactTo : 0;
  }

  /** A slice of its own when no commit takes it along. */
  #scheduleSlice(): void {
    if (this.#sliceDue || this.#dueCompaction() === 0) return;
    this.#sliceDue = true;
    setImmediate(() => {
      this.#sliceDue = false;
      if (this.#failed || this.#closing || this.#space.refusal(COMMIT_BYTES_MAX) !== null) return;
      try {
        this.#database.write([], this.#dueCompaction());
      } catch (error) {
        this.#fail(error);
        return;
      }
      this.#scheduleSlice();
    });
  }

  #read({ read, from, to, bytesMax }: ReadRequest): void {
    this.#database.read(from, to, bytesMax, this.#batch);
    const answer = this.#batch.take(read, from);
    this.#port.postMessage(answer, [answer]);
  }

  async #snapshot(request: SnapshotRequest): Promise<void> {
    const { call } = request;
    try {
      const value = await this.#runSnapshot(request);
      if (value instanceof Uint8Array) this.#port.postMessage({ kind: "done", call, value } satisfies LogReply, [value.buffer as ArrayBuffer]);
      else this.#tell({ kind: "done", call, value });
    } catch (error) {
      this.#tell({ kind: "callFailed", call, error: textOf(error) });
    }
  }

  #runSnapshot(request: SnapshotRequest): Promise<unknown> {
    switch (request.kind) {
      case "snapshotBegin":
        return this.#snapshots.begin(request.meta);
      case "snapshotPiece":
        return this.#snapshots.write(request.snapshot, request.bytes);
      case "snapshotFinish":
        return this.#snapshots.finish(request.snapshot);
      case "snapshotAbort":
        return this.#snapshots.abort(request.snapshot);
      case "snapshotRead":
        return this.#snapshots.read(request.id, request.offset, request.bytesMax);
    }
  }

  /** After a failed commit the cache may hold what the disk does not: nothing is written or read any more. */
  #fail(error: unknown): void {
    this.#failed = true;
    this.#tell({ kind: "failed", error: error instanceof DamagedLogError ? `${error.message}; ${remedyFor(dirname(this.#database.path))}` : textOf(error) });
  }

  /** On request, or when main is gone. */
  async #close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#snapshotWork;
    await this.#snapshots.close().catch(() => undefined);
    if (!this.#failed) {
      await this.#database.close();
      await this.#lock.release();
    }
    this.#tell({ kind: "closed" });
    this.#port.close();
    this.#resolveClosed();
  }

  #tell(message: LogReply): void {
    this.#port.postMessage(message);
  }
}

/** Entry of the piscina task. */
export async function runLogWorker(start: LogStart): Promise<void> {
  const { port } = start;
  const tell = (message: LogReply): void => port.postMessage(message);
  let worker: LogWorker;
  try {
    worker = await openLog(start, tell);
  } catch (error) {
    tell({ kind: "refusedToOpen", error: openErrorText(join(start.dataDir, "raft"), error) });
    port.close();
    return;
  }
  await worker.run();
}

async function openLog({ port, dataDir, tailBytesMax }: LogStart, tell: (message: LogReply) => void): Promise<LogWorker> {
  const dir = join(dataDir, "raft");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  if (existsSync(join(dir, "raft.db"))) {
    throw new Error(
      `${join(dir, "raft.db")} is the log of another program (Consul): start with an empty data directory and join this server to the cluster, ` +
        "or restore a snapshot taken with `consul snapshot save`",
    );
  }
  const path = join(dir, "log.mdb");
  const space = new LogSpace(dir);
  const refusal = space.refusal(0);
  if (refusal !== null) throw new Error(refusal);
  const snapshotsDir = join(dir, "snapshots");
  const lock = await DirectoryLock.take(dir, `process ${process.pid}, started ${new Date().toISOString()}`);
  let database: LogDatabase | null = null;
  try {
    checkLogFile(path, snapshotsDir);
    database = new LogDatabase(dir);
    const snapshots = new SnapshotFiles({ dir: snapshotsDir, space, nowMs: Date.now, report: (text) => tell({ kind: "report", text }) });
    const snapshot = await snapshots.newest();
    const { firstIndex, lastIndex } = database;
    const tailStart = database.tailStart(tailBytesMax);
    const tail = new EntriesBatch();
    database.read(tailStart, lastIndex, Number.POSITIVE_INFINITY, tail);
    tell({
      kind: "opened",
      found: { hardState: database.hardState(), firstIndex, lastIndex, termRuns: database.termRuns(), configurations: database.configurations(), snapshot },
      tail: tail.take(0, tailStart),
    });
    return new LogWorker(port, { lock, database, space: new LogSpace(path), snapshots });
  } catch (error) {
    await database?.close();
    await lock.release();
    throw error;
  }
}

function openErrorText(dir: string, error: unknown): string {
  const text = textOf(error);
  if (error instanceof DamagedLogError) return `${text}; ${remedyFor(dir)}`;
  if (text.startsWith("MDB_")) return `the log in ${dir} cannot be read: ${text}; ${remedyFor(dir)}`;
  return text.includes(dir) ? text : `the log in ${dir} cannot be opened: ${text}`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
