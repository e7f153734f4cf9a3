/** The log and snapshots of an agent without a data directory (`-dev`): everything is "durable" one turn later, and gone with the process. */
import type { SnapshotMeta } from "../../raft/types.ts";
import type { LogEntry } from "../../wire/raft-messages.ts";
import { concatBytes, EMPTY_BYTES } from "../../base/bytes.ts";
import { SNAPSHOTS_KEPT } from "./log-limits.ts";
import type { FoundLog } from "./log-protocol.ts";
import type { LogAppend, LogEvents, LogStore, SnapshotStore, SnapshotWriter } from "./log-store.ts";
import { snapshotId } from "./snapshot-meta.ts";
import { assert } from "../../base/assert.ts";

const NOTHING_FOUND: FoundLog = {
  hardState: { currentTerm: 0, lastVoteTerm: 0, lastVoteCandidate: "" },
  firstIndex: 0,
  lastIndex: 0,
  termRuns: [],
  configurations: [],
  tail: [],
  snapshot: null,
};

export class MemoryLogStore implements LogStore {
  readonly found = NOTHING_FOUND;
  readonly snapshots: SnapshotStore;
  readonly #events: Pick<LogEvents, "durable">;
  /** Consecutive; the first has index `#first`, and those before `#skip` are compacted away. */
  #entries: LogEntry[] = [];
  #lastSeq = 0;
  #answerDue = false;
  #open = true;

  constructor(events: Pick<LogEvents, "durable">) {
    this.#events = events;
    this.snapshots = new MemorySnapshots();
  }

  readonly pendingBytes = 0;

  append({ seq, truncateFrom, entries }: LogAppend): void {
    if (truncateFrom > 0) this.#entries.length = Math.max(0, Math.min(this.#entries.length, truncateFrom - this.#firstIndex));
    for (const entry of entries) this.#entries.push(entry);
    this.#lastSeq = seq;
    if (this.#answerDue) return;
    this.#answerDue = true;
    setImmediate(() => {
      this.#answerDue = false;
      if (this.#open) this.#events.durable(this.#lastSeq);
    });
  }

  get #firstIndex(): number {
    return this.#entries[0]?.index ?? 0;
  }

  compact(upTo: number): void {
    if (this.#entries.length > 0) this.#entries.splice(0, Math.max(0, upTo - this.#firstIndex + 1));
  }

  read(from: number, to: number, bytesMax: number): Promise<readonly LogEntry[]> {
    const entries: LogEntry[] = [];
    let bytes = 0;
    const start = from - this.#firstIndex;
    for (let i = start; start >= 0 && i <= to - this.#firstIndex && i < this.#entries.length; i += 1) {
      const entry = this.#entries[i] as LogEntry;
      bytes += entry.data.length + entry.extensions.length;
      if (entries.length > 0 && bytes > bytesMax) break;
      entries.push(entry);
    }
    return Promise.resolve(entries);
  }

  close(): Promise<void> {
    this.#open = false;
    return Promise.resolve();
  }
}

class MemorySnapshots implements SnapshotStore {
  readonly #states = new Map<string, Uint8Array>();
  #lastMs = 0;

  begin(meta: Omit<SnapshotMeta, "id" | "size">): Promise<SnapshotWriter> {
    const pieces: Uint8Array[] = [];
    this.#lastMs = Math.max(Date.now(), this.#lastMs + 1);
    const id = snapshotId(meta.term, meta.index, this.#lastMs);
    return Promise.resolve({
      write: (bytes) => {
        pieces.push(new Uint8Array(bytes));
        return Promise.resolve();
      },
      finish: () => {
        const state = concatBytes(pieces);
        this.#states.set(id, state);
        for (const old of [...this.#states.keys()].slice(0, -SNAPSHOTS_KEPT)) this.#states.delete(old);
        return Promise.resolve({ ...meta, id, size: state.length });
      },
      abort: () => Promise.resolve(),
    });
  }

  read(id: string, offset: number, bytesMax: number): Promise<Uint8Array> {
    const state = this.#states.get(id);
    if (state === undefined) return Promise.reject(new Error(`no snapshot ${id}`));
    assert(offset >= 0, "a negative offset");
    return Promise.resolve(offset >= state.length ? EMPTY_BYTES : state.slice(offset, offset + bytesMax));
  }
}
