/**
 * The log on disk, as main sees it. Appends of one turn are gathered and handed over together; while `BATCHES_MAX` are under way, later ones gather into
 * the next. A worker that dies is not restarted: what it had in hand may or may not be on disk, and only a new start reads which.
 */
import { realpathSync, mkdirSync } from "node:fs";
import type { MessagePort } from "node:worker_threads";
import type { AppendSeq, SnapshotMeta } from "../../raft/types.ts";
import type { LogEntry } from "../../wire/raft-messages.ts";
import { startLogThread, type LogThread } from "./log-host.ts";
import { appendSize, decodeEntries, encodeAppends, readOf, type FoundLog, type LogReply, type LogRequest } from "./log-protocol.ts";
import type { LogAppend, LogEvents, LogStore, SnapshotStore, SnapshotWriter } from "./log-store.ts";
import { assert } from "../../base/assert.ts";
import { READ_BYTES_MAX } from "../../raft/applier.ts";
import { ReadAhead } from "./read-ahead.ts";
import { COMMIT_BYTES_MAX, COMMIT_ENTRIES_MAX, SNAPSHOT_PIECE_BYTES_MAX } from "./log-limits.ts";

/** Batches under way: one in its commit and one behind it, so that the worker never waits for main. */
const BATCHES_MAX = 2;

export interface WorkerLogOptions {
  readonly dataDir: string;
  readonly events: LogEvents;
  /** Entries read back at opening, newest first until so many bytes. */
  readonly tailBytesMax: number;
  /** An append not answered for so long is told as `late`. */
  readonly lateAfterMs: number;
}

/** Data directories open in this process: LMDB would let the same process in twice. */
const openDirs = new Set<string>();

/** Opens the log of a data directory, made if it is missing. Rejects with a text for the operator when it cannot be used; see `LogDatabase`. */
export async function openWorkerLog(options: WorkerLogOptions): Promise<LogStore> {
  mkdirSync(options.dataDir, { recursive: true });
  const dir = realpathSync(options.dataDir);
  if (openDirs.has(dir)) throw new Error(`data directory in use: ${dir} is already open in this process`);
  openDirs.add(dir);
  try {
    const thread = startLogThread({ dataDir: dir, tailBytesMax: options.tailBytesMax });
    const found = await opened(thread, options.events);
    return new WorkerLogStore(thread, found, options, () => openDirs.delete(dir));
  } catch (error) {
    openDirs.delete(dir);
    throw error;
  }
}

function opened({ port, ended }: LogThread, events: LogEvents): Promise<FoundLog> {
  return new Promise((resolve, reject) => {
    let refusal = "the log worker ended while opening";
    const hear = (reply: LogReply): void => {
      if (reply.kind === "report") events.report(reply.text);
      else port.off("message", hear);
      if (reply.kind === "opened") resolve({ ...reply.found, tail: decodeEntries(reply.tail) });
      if (reply.kind === "refusedToOpen") refusal = reply.error;
    };
    port.on("message", hear);
    // Refused only once the thread is gone, and with it whatever it held. After `opened` both do nothing.
    ended.then(
      () => reject(new Error(refusal)),
      (error: unknown) => reject(new Error(`the log worker died while opening: ${error instanceof Error ? error.message : String(error)}`, { cause: error })),
    );
  });
}

interface Call {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/** A batch handed over and not yet answered. */
interface Batch {
  readonly lastSeq: AppendSeq;
  readonly byteLength: number;
  readonly sinceMs: number;
}

class WorkerLogStore implements LogStore {
  readonly found: FoundLog;
  readonly snapshots: SnapshotStore;
  readonly #port: MessagePort;
  readonly #options: WorkerLogOptions;
  readonly #released: () => void;
  #gathered: LogAppend[] = [];
  #gatheredSizes: number[] = [];
  #gatheredBytes = 0;
  #flushDue = false;
  #underWay: Batch[] = [];
  #underWayBytes = 0;
  #watch: NodeJS.Timeout | null = null;
  readonly #calls = new Map<number, Call>();
  readonly #reads = new ReadAhead((from, to, bytesMax) => this.#ask((call) => ({ kind: "read", read: call, from, to, bytesMax })), decodeEntries);
  #lastCall = 0;
  #state: "open" | "closing" | "ended" = "open";
  #resolveClosed: () => void = () => undefined;
  readonly #closed = new Promise<void>((resolve) => {
    this.#resolveClosed = resolve;
  });

  constructor({ port, ended }: LogThread, found: FoundLog, options: WorkerLogOptions, released: () => void) {
    this.#port = port;
    this.found = found;
    this.#options = options;
    this.#released = released;
    this.snapshots = { begin: (meta) => this.#beginSnapshot(meta), read: (id, offset, bytesMax) => this.#ask((call) => ({ kind: "snapshotRead", call, id, offset, bytesMax })) };
    port.on("message", (message: number | ArrayBuffer | LogReply) => this.#hear(message));
    ended.then(
      () => this.#ended("the log worker ended"),
      (error: unknown) => this.#ended(`the log worker died: ${error instanceof Error ? error.message : String(error)}`),
    );
    this.#readForTheStart();
  }

  /** What lies between snapshot and tail is applied first. */
  #readForTheStart(): void {
    const { firstIndex, lastIndex, tail, snapshot } = this.found;
    const from = Math.max(firstIndex, (snapshot?.index ?? 0) + 1);
    const to = lastIndex - tail.length;
    if (from <= to) this.#reads.begin(from, to, READ_BYTES_MAX);
  }

  get pendingBytes(): number {
    return this.#gatheredBytes + this.#underWayBytes;
  }

  append(append: LogAppend): void {
    assert(this.#state === "open", "an append to a closed log");
    const size = appendSize(append);
    if (append.truncateFrom > 0) this.#reads.stop();
    this.#gathered.push(append);
    this.#gatheredSizes.push(size);
    this.#gatheredBytes += size;
    this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#flushDue || this.#underWay.length >= BATCHES_MAX) return;
    this.#flushDue = true;
    // After the sockets of this turn have been read: their appends travel together.
    setImmediate(() => {
      this.#flushDue = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#gathered.length > 0 && this.#underWay.length < BATCHES_MAX && this.#state !== "ended") {
      let count = 0;
      let entries = 0;
      let byteLength = 0;
      while (count < this.#gathered.length && (count === 0 || (entries < COMMIT_ENTRIES_MAX && byteLength < COMMIT_BYTES_MAX))) {
        entries += (this.#gathered[count] as LogAppend).entries.length;
        byteLength += this.#gatheredSizes[count] as number;
        count += 1;
      }
      const appends = this.#gathered.splice(0, count);
      this.#gatheredSizes.splice(0, count);
      this.#gatheredBytes -= byteLength;
      this.#underWay.push({ lastSeq: (appends.at(-1) as LogAppend).seq, byteLength, sinceMs: performance.now() });
      this.#underWayBytes += byteLength;
      const batch = encodeAppends(appends, byteLength);
      this.#port.postMessage(batch, [batch]);
      this.#watchCommits();
    }
  }

  compact(upTo: number): void {
    this.#tell({ kind: "compact", upTo });
  }

  read(from: number, to: number, bytesMax: number): Promise<readonly LogEntry[]> {
    return this.#reads.read(from, to, bytesMax);
  }

  async close(): Promise<void> {
    if (this.#state === "open") {
      this.#state = "closing";
      this.#flushAll();
      this.#tell({ kind: "close" });
    }
    await this.#closed;
  }

  /** At the end the bound on batches under way does not matter. */
  #flushAll(): void {
    if (this.#gathered.length === 0) return;
    const batch = encodeAppends(this.#gathered, this.#gatheredBytes);
    this.#underWay.push({ lastSeq: (this.#gathered.at(-1) as LogAppend).seq, byteLength: this.#gatheredBytes, sinceMs: performance.now() });
    this.#underWayBytes += this.#gatheredBytes;
    this.#gathered = [];
    this.#gatheredSizes = [];
    this.#gatheredBytes = 0;
    this.#port.postMessage(batch, [batch]);
  }

  #hear(message: number | ArrayBuffer | LogReply): void {
    if (typeof message === "number") {
      this.#answered(message);
      this.#options.events.durable(message);
      this.#flush();
    } else if (message instanceof ArrayBuffer) {
      this.#resolve(readOf(message), message);
    } else this.#hearReply(message);
  }

  #hearReply(reply: LogReply): void {
    switch (reply.kind) {
      case "refused":
        // It drops everything up to the append that knows of this; none such can be here before the core hears of it.
        this.#answered(Number.POSITIVE_INFINITY);
        this.#gathered = [];
        this.#gatheredSizes = [];
        this.#gatheredBytes = 0;
        this.#options.events.refused(reply.seq, reply.error);
        return;
      case "failed":
        this.#ended(reply.error);
        return;
      case "report":
        this.#options.events.report(reply.text);
        return;
      case "done":
        this.#resolve(reply.call, reply.value);
        return;
      case "callFailed":
        this.#calls.get(reply.call)?.reject(new Error(reply.error));
        this.#calls.delete(reply.call);
        return;
      default: // The others come before or after our time.
    }
  }

  #answered(seq: AppendSeq): void {
    while (this.#underWay.length > 0 && (this.#underWay[0] as Batch).lastSeq <= seq) this.#underWayBytes -= (this.#underWay.shift() as Batch).byteLength;
  }

  /** One timer while anything is under way, none on an idle node. */
  #watchCommits(): void {
    this.#watch ??= setInterval(() => {
      if (this.#underWay.length === 0) this.#stopWatch();
      // Let answers that are already here be heard first: it may be we who slept.
      else setImmediate(() => this.#tellLate());
    }, this.#options.lateAfterMs / 2).unref();
  }

  #tellLate(): void {
    const oldest = this.#underWay[0];
    if (oldest === undefined || this.#state === "ended") return;
    const waitingMs = performance.now() - oldest.sinceMs;
    if (waitingMs >= this.#options.lateAfterMs) this.#options.events.late(waitingMs);
  }

  #stopWatch(): void {
    if (this.#watch !== null) clearInterval(this.#watch);
    this.#watch = null;
  }

  #ended(reason: string): void {
    const state = this.#state;
    if (state === "ended") return;
    this.#state = "ended";
    this.#stopWatch();
    this.#released();
    this.#port.close();
    for (const { reject } of this.#calls.values()) reject(new Error(reason));
    this.#calls.clear();
    this.#resolveClosed();
    if (state !== "closing" || this.#underWay.length > 0) this.#options.events.failed(reason);
  }

  async #beginSnapshot(meta: Omit<SnapshotMeta, "id" | "size">): Promise<SnapshotWriter> {
    const snapshot = await this.#ask<number>((call) => ({ kind: "snapshotBegin", call, meta }));
    return {
      write: (bytes) => {
        assert(bytes.length <= SNAPSHOT_PIECE_BYTES_MAX, "a piece of a snapshot is too large");
        // A copy of its own size: the bytes may be a small part of a pooled buffer, which would travel whole.
        const piece = new Uint8Array(bytes);
        return this.#ask((call) => ({ kind: "snapshotPiece", call, snapshot, bytes: piece }), [piece.buffer]);
      },
      finish: () => this.#ask((call) => ({ kind: "snapshotFinish", call, snapshot })),
      abort: () => this.#ask((call) => ({ kind: "snapshotAbort", call, snapshot })),
    };
  }

  #ask<Value>(request: (call: number) => LogRequest, transfer: ArrayBuffer[] = []): Promise<Value> {
    return new Promise((resolve, reject) => {
      if (this.#state !== "open") {
        reject(new Error("the log is closed"));
        return;
      }
      this.#lastCall += 1;
      this.#calls.set(this.#lastCall, { resolve, reject });
      this.#port.postMessage(request(this.#lastCall), transfer);
    });
  }

  #resolve(call: number, value: unknown): void {
    this.#calls.get(call)?.resolve(value as never);
    this.#calls.delete(call);
  }

  #tell(request: LogRequest): void {
    if (this.#state !== "ended") this.#port.postMessage(request);
  }
}
