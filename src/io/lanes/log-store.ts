/**
 * The durable half of Raft as main sees it: the log with term and vote, and the snapshots. Two implementations: `WorkerLogStore` (LMDB in a worker
 * thread) and `MemoryLogStore` (`-dev`, nothing survives). It takes the core's effects in their order; see `src/raft/types.ts`.
 */
import type { AppendSeq, RaftEffect, SnapshotMeta } from "../../raft/types.ts";
import type { LogEntry } from "../../wire/raft-messages.ts";
import type { FoundLog } from "./log-protocol.ts";

/** The core's `append` effect without what must wait for it. */
export type LogAppend = Omit<Extract<RaftEffect, { kind: "append" }>, "kind" | "afterDurable">;

export interface LogEvents {
  /** This append and all before it are on disk. */
  durable(seq: AppendSeq): void;
  /** Nothing of this append and of those after it was written, up to one whose `afterRefusal` is `seq`. */
  refused(seq: AppendSeq, error: string): void;
  /** The oldest append has not been answered for so long; told again and again until it is. */
  late(waitingMs: number): void;
  /** The log can no longer be trusted. Nothing more will be durable: say so and end the process; a restart reads what is really there. */
  failed(error: string): void;
  /** Something an operator should read. */
  report(text: string): void;
}

export interface LogStore {
  /** What was there at opening. */
  readonly found: FoundLog;
  readonly snapshots: SnapshotStore;
  /** Bytes of appends not yet answered. */
  readonly pendingBytes: number;
  /** Answered by `durable` or `refused`. Appends of one turn are handed over together at its end. */
  append(append: LogAppend): void;
  /** Removes entries up to this index, in slices between other work. */
  compact(upTo: number): void;
  /** Entries `from` … `to`, at least one, stopping after `bytesMax` bytes; none when the first is not there. */
  read(from: number, to: number, bytesMax: number): Promise<readonly LogEntry[]>;
  /** Resolves when all appends are answered and the files are closed. */
  close(): Promise<void>;
}

export interface SnapshotStore {
  /** Starts writing one. Nothing of it can be seen before `finish` resolves. */
  begin(meta: Omit<SnapshotMeta, "id" | "size">): Promise<SnapshotWriter>;
  /** Up to `bytesMax` bytes from `offset` on; fewer at the end, none behind it. Rejects when there is no such snapshot. */
  read(id: string, offset: number, bytesMax: number): Promise<Uint8Array>;
}

export interface SnapshotWriter {
  /** Appends bytes, at most `SNAPSHOT_PIECE_BYTES_MAX`, which must not change until it resolves. Wait for it before the next. */
  write(bytes: Uint8Array): Promise<void>;
  /** Syncs, reads back, compares, gives it its name. Older ones beyond the last two are removed. */
  finish(): Promise<SnapshotMeta>;
  /** Removes what was written. */
  abort(): Promise<void>;
}
