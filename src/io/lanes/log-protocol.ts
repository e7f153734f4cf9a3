/**
 * What main and the log worker say to each other. Appends and the answers to reads are ArrayBuffers, transferred, whose first word says which; a durable
 * append is answered by its bare number, the cheapest message there is; all else is rare and a small object.
 *
 *   appends  u32 kind · u32 appends · per append: f64 seq, afterRefusal, truncateFrom, firstIndex · u32 entries · u8 hard state? ·
 *            [f64 term, lastVoteTerm · u32 length · candidate] · per entry: u32 length · record (`log-record.ts`)
 *   entries  u32 kind · u32 entries · f64 read · f64 first index · per entry: u32 length · record
 */
import type { MessagePort } from "node:worker_threads";
import { assert } from "../../base/assert.ts";
import { decodeUtf8, utf8Length, writeUtf8 } from "../../base/utf8.ts";
import type { AppendSeq, HardState, SnapshotMeta, TermRun } from "../../raft/types.ts";
import type { LogEntry } from "../../wire/raft-messages.ts";
import { readRecord, recordSize, writeRecord } from "./log-record.ts";
import type { LogAppend } from "./log-store.ts";

export const LogBatchKind = { appends: 1, entries: 2 } as const;

/** Given to the worker's task at its start, with `port` transferred. */
export interface LogStart {
  readonly port: MessagePort;
  /** The data directory; the log is in its `raft/`. */
  readonly dataDir: string;
  /** Entries read back at opening, newest first until so many bytes. */
  readonly tailBytesMax: number;
}

export type LogRequest =
  | { readonly kind: "compact"; readonly upTo: number }
  | { readonly kind: "read"; readonly read: number; readonly from: number; readonly to: number; readonly bytesMax: number }
  | { readonly kind: "snapshotBegin"; readonly call: number; readonly meta: Omit<SnapshotMeta, "id" | "size"> }
  | { readonly kind: "snapshotPiece"; readonly call: number; readonly snapshot: number; readonly bytes: Uint8Array }
  | { readonly kind: "snapshotFinish"; readonly call: number; readonly snapshot: number }
  | { readonly kind: "snapshotAbort"; readonly call: number; readonly snapshot: number }
  | { readonly kind: "snapshotRead"; readonly call: number; readonly id: string; readonly offset: number; readonly bytesMax: number }
  | { readonly kind: "close" };

export type LogReply =
  /** `tail` is a batch of kind `entries`. */
  | { readonly kind: "opened"; readonly found: Omit<FoundLog, "tail">; readonly tail: ArrayBuffer }
  /** It could not be opened: nothing was changed, and the worker ends. */
  | { readonly kind: "refusedToOpen"; readonly error: string }
  | { readonly kind: "refused"; readonly seq: AppendSeq; readonly error: string }
  /** The disk failed a write or gave back other bytes than were written: the worker ends, and so must the process. */
  | { readonly kind: "failed"; readonly error: string }
  /** Something worth a line in the log. */
  | { readonly kind: "report"; readonly text: string }
  /** Answer to a snapshot request. */
  | { readonly kind: "done"; readonly call: number; readonly value: unknown }
  | { readonly kind: "callFailed"; readonly call: number; readonly error: string }
  | { readonly kind: "closed" };

/** What the worker found on disk. */
export interface FoundLog {
  readonly hardState: HardState;
  /** 0 and 0 when empty. */
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly termRuns: readonly TermRun[];
  readonly configurations: readonly LogEntry[];
  readonly tail: readonly LogEntry[];
  /** The newest that is whole. */
  readonly snapshot: SnapshotMeta | null;
}

const BATCH_HEADER_BYTES = 8;
const APPEND_BYTES = 4 * 8 + 4 + 1;
const HARD_STATE_BYTES = 8 + 8 + 4;
const ENTRIES_HEADER_BYTES = BATCH_HEADER_BYTES + 16;
const ENTRIES_BYTES_FIRST = 64 * 1024;

/** Bytes of an append in a batch. */
export function appendSize({ entries, hardState }: LogAppend): number {
  let size = APPEND_BYTES;
  if (hardState !== null) size += HARD_STATE_BYTES + utf8Length(hardState.lastVoteCandidate);
  for (const entry of entries) size += 4 + recordSize(entry);
  return size;
}

/** `byteLength`: the sum of the appends' `appendSize`. */
export function encodeAppends(appends: readonly LogAppend[], byteLength: number): ArrayBuffer {
  const buffer = new ArrayBuffer(BATCH_HEADER_BYTES + byteLength);
  const view = new DataView(buffer);
  const bytes = new Uint8Array(buffer);
  view.setUint32(0, LogBatchKind.appends);
  view.setUint32(4, appends.length);
  let at = BATCH_HEADER_BYTES;
  for (const append of appends) at = writeAppend(append, view, bytes, at);
  assert(at === buffer.byteLength, "a batch of another size than counted");
  return buffer;
}

function writeAppend({ seq, afterRefusal, truncateFrom, entries, hardState }: LogAppend, view: DataView, bytes: Uint8Array, start: number): number {
  let at = start;
  view.setFloat64(at, seq);
  view.setFloat64(at + 8, afterRefusal);
  view.setFloat64(at + 16, truncateFrom);
  view.setFloat64(at + 24, entries[0]?.index ?? 0);
  view.setUint32(at + 32, entries.length);
  view.setUint8(at + 36, hardState === null ? 0 : 1);
  at += APPEND_BYTES;
  if (hardState !== null) {
    view.setFloat64(at, hardState.currentTerm);
    view.setFloat64(at + 8, hardState.lastVoteTerm);
    const end = writeUtf8(hardState.lastVoteCandidate, bytes, at + HARD_STATE_BYTES);
    view.setUint32(at + 16, end - at - HARD_STATE_BYTES);
    at = end;
  }
  for (const entry of entries) {
    const end = writeRecord(entry, view, bytes, at + 4);
    view.setUint32(at, end - at - 4);
    at = end;
  }
  return at;
}

/** One append as the worker sees it; `records` are views of the batch, for it to change. */
export interface AppendWork {
  readonly seq: AppendSeq;
  readonly afterRefusal: AppendSeq;
  readonly truncateFrom: number;
  readonly firstIndex: number;
  readonly records: readonly Buffer[];
  readonly hardState: HardState | null;
  readonly byteLength: number;
}

export function decodeAppends(buffer: ArrayBuffer): AppendWork[] {
  const bytes = Buffer.from(buffer);
  const count = bytes.readUInt32BE(4);
  const appends: AppendWork[] = [];
  let at = BATCH_HEADER_BYTES;
  for (let i = 0; i < count; i += 1) {
    const start = at;
    const entryCount = bytes.readUInt32BE(at + 32);
    at += APPEND_BYTES;
    let hardState: HardState | null = null;
    if (bytes[start + 36] === 1) {
      const end = at + HARD_STATE_BYTES + bytes.readUInt32BE(at + 16);
      const lastVoteCandidate = decodeUtf8(bytes, at + HARD_STATE_BYTES, end);
      hardState = { currentTerm: bytes.readDoubleBE(at), lastVoteTerm: bytes.readDoubleBE(at + 8), lastVoteCandidate };
      at = end;
    }
    const records: Buffer[] = [];
    for (let k = 0; k < entryCount; k += 1) {
      const end = at + 4 + bytes.readUInt32BE(at);
      records.push(bytes.subarray(at + 4, end));
      at = end;
    }
    appends.push({
      seq: bytes.readDoubleBE(start),
      afterRefusal: bytes.readDoubleBE(start + 8),
      truncateFrom: bytes.readDoubleBE(start + 16),
      firstIndex: bytes.readDoubleBE(start + 24),
      records,
      hardState,
      byteLength: at - start,
    });
  }
  return appends;
}

/** Lays records out for main, in memory that serves again and again. */
export class EntriesBatch {
  #bytes = Buffer.allocUnsafeSlow(ENTRIES_BYTES_FIRST);
  #view = new DataView(this.#bytes.buffer);
  #end = ENTRIES_HEADER_BYTES;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Copies a record of `length` bytes, of which `bytes` may be a reused buffer; a view of the copy, to look at until the next call. */
  add(bytes: Uint8Array, length: number): Buffer {
    const start = this.#end + 4;
    const end = start + length;
    if (end > this.#bytes.length) this.#grow(end);
    const copy = this.#bytes.subarray(start, end);
    copy.set(bytes.subarray(0, length));
    this.#view.setUint32(this.#end, length);
    this.#end = end;
    this.#count += 1;
    return copy;
  }

  #grow(size: number): void {
    const bytes = Buffer.allocUnsafeSlow(Math.max(size, 2 * this.#bytes.length));
    bytes.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  /** What was added, as a batch to be transferred; the next begins empty. */
  take(read: number, firstIndex: number): ArrayBuffer {
    this.#view.setUint32(0, LogBatchKind.entries);
    this.#view.setUint32(4, this.#count);
    this.#view.setFloat64(8, read);
    this.#view.setFloat64(16, firstIndex);
    const batch = this.#bytes.buffer.slice(0, this.#end) as ArrayBuffer;
    this.#end = ENTRIES_HEADER_BYTES;
    this.#count = 0;
    return batch;
  }
}

/** Number of the read that a batch of entries answers. */
export function readOf(buffer: ArrayBuffer): number {
  return new DataView(buffer).getFloat64(8);
}

export function decodeEntries(buffer: ArrayBuffer): LogEntry[] {
  const view = new DataView(buffer);
  const bytes = new Uint8Array(buffer);
  const count = view.getUint32(4);
  const firstIndex = view.getFloat64(16);
  const entries: LogEntry[] = [];
  let at = ENTRIES_HEADER_BYTES;
  for (let i = 0; i < count; i += 1) {
    const end = at + 4 + view.getUint32(at);
    entries.push(readRecord(firstIndex + i, view, bytes, at + 4, end));
    at = end;
  }
  return entries;
}
