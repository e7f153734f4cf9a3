/**
 * The log as the core sees it: the terms of all entries, and the newest entries themselves. What is durable, committed and handed to the
 * state machine may leave memory once more than `tailBytesMax` are held; such entries are read back from the disk when a slow follower
 * needs them.
 */
import { assert } from "../base/assert.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";
import { ENTRY_TYPE, type LogEntry } from "../wire/raft-messages.ts";
import { TermRuns } from "./term-runs.ts";
import type { RaftStart } from "./types.ts";

/** What one entry costs in memory besides its data: the object, its slot and the view. */
const ENTRY_OVERHEAD_BYTES = 128;
/** Evicted slots are cut off in pieces: shifting an array one by one would move it each time. */
const EVICTED_MAX = 1024;
const EVICTED: LogEntry = { index: 0, term: 0, type: ENTRY_TYPE.noop, data: EMPTY_BYTES, extensions: EMPTY_BYTES };

export function entryBytes(entry: LogEntry): number {
  return entry.data.length + entry.extensions.length + ENTRY_OVERHEAD_BYTES;
}

/** Where a write began: a refused one is taken back to it. */
export interface LogPoint {
  readonly lastIndex: number;
  readonly terms: TermRuns;
  /** What was in memory, if the write truncates; null when it only appends. */
  readonly tail: readonly LogEntry[] | null;
}

export class RaftLog {
  readonly #tailBytesMax: number;
  /** Covers the entries and, where known, the one before the first: the previous entry of the oldest that can be sent. */
  #terms: TermRuns;
  #firstIndex: number;
  #lastIndex: number;
  #tail: LogEntry[] = [];
  /** Slots at the head of `#tail` whose entries were evicted. */
  #evicted = 0;
  #tailBytes = 0;

  /** `start` must not contradict its snapshot: see `settledStart`. */
  constructor(start: RaftStart, tailBytesMax: number) {
    const base = start.snapshot;
    this.#tailBytesMax = tailBytesMax;
    if (start.lastIndex === 0) {
      this.#terms = base === null ? new TermRuns([], 0) : new TermRuns([{ firstIndex: base.index, term: base.term }], base.index);
      this.#lastIndex = base?.index ?? 0;
      this.#firstIndex = this.#lastIndex + 1;
      return;
    }
    this.#firstIndex = start.firstIndex;
    this.#lastIndex = start.lastIndex;
    this.#terms = new TermRuns(start.termRuns, start.lastIndex);
    if (base !== null && base.index === start.firstIndex - 1) this.#terms = withPrevious(this.#terms, base, start);
    this.#setTail([...start.tail]);
    const newest = this.#tail.at(-1);
    assert(newest === undefined || newest.index === this.#lastIndex, "the tail ends where the log ends");
  }

  /** Index of the first entry still in the log; one behind the last when it is empty. */
  get firstIndex(): number {
    return this.#firstIndex;
  }

  /** Of the newest entry, or of the snapshot when there is none behind it; 0 at the very beginning. */
  get lastIndex(): number {
    return this.#lastIndex;
  }

  get lastTerm(): number {
    return this.#lastIndex === 0 ? 0 : (this.#terms.termAt(this.#lastIndex) ?? 0);
  }

  /** First index held in memory; one behind the last when none is. */
  get tailFirstIndex(): number {
    return this.#lastIndex + 1 - (this.#tail.length - this.#evicted);
  }

  get tailBytes(): number {
    return this.#tailBytes;
  }

  /** The term of an entry, of the one before the first if it is known, and 0 for index 0; else null. */
  termAt(index: number): number | null {
    return index === 0 ? 0 : this.#terms.termAt(index);
  }

  /** First index of the run of equal terms that `index` is in. */
  termStart(index: number): number {
    return this.#terms.runStart(index);
  }

  /** Held in memory; undefined otherwise. */
  entry(index: number): LogEntry | undefined {
    return index < this.tailFirstIndex ? undefined : this.#tail[this.#evicted + index - this.tailFirstIndex];
  }

  /** Entries from `from` (which must be in memory) on: at most `countMax`, and at most `bytesMax` bytes of data unless the first alone is larger. */
  slice(from: number, countMax: number, bytesMax: number): LogEntry[] {
    assert(from >= this.tailFirstIndex, "a slice of what is in memory");
    return takeEntries(this.#tail, this.#evicted + from - this.tailFirstIndex, countMax, bytesMax);
  }

  append(entry: LogEntry): void {
    assert(entry.index === this.#lastIndex + 1, "entries follow each other");
    this.#terms.push(entry.index, entry.term);
    this.#lastIndex = entry.index;
    this.#tail.push(entry);
    this.#tailBytes += entryBytes(entry);
  }

  /** Removes `index` and everything behind it. */
  truncateFrom(index: number): void {
    assert(index >= this.#firstIndex && index <= this.#lastIndex, "only entries can be truncated");
    if (index < this.tailFirstIndex) this.#setTail([]);
    else {
      for (let i = this.#evicted + index - this.tailFirstIndex; i < this.#tail.length; i += 1) this.#tailBytes -= entryBytes(this.#tail[i] as LogEntry);
      this.#tail.length -= this.#lastIndex + 1 - index;
    }
    this.#terms.truncateFrom(index);
    this.#lastIndex = index - 1;
  }

  /** A snapshot replaces the whole log. */
  reset(index: number, term: number): void {
    this.#setTail([]);
    this.#terms.reset(index, term);
    this.#firstIndex = index + 1;
    this.#lastIndex = index;
  }

  /** Forgets entries up to `index`, which a snapshot covers; keeps the term of the last one. */
  compact(index: number): void {
    if (index < this.#firstIndex) return;
    assert(index <= this.#lastIndex, "only entries can be compacted");
    this.#terms.startAt(index);
    while (this.#tail.length > this.#evicted && (this.#tail[this.#evicted] as LogEntry).index <= index) this.#evictOne();
    this.#firstIndex = index + 1;
  }

  /** Lets the oldest entries go, up to `index`, while too much is held. */
  evict(index: number): void {
    while (this.#tailBytes > this.#tailBytesMax && this.#tail.length > this.#evicted) {
      if ((this.#tail[this.#evicted] as LogEntry).index > index) return;
      this.#evictOne();
    }
  }

  /** To be taken before the first change of a write. */
  point(truncates: boolean): LogPoint {
    return { lastIndex: this.#lastIndex, terms: this.#terms.copy(), tail: truncates ? this.#tail.slice(this.#evicted) : null };
  }

  /** Takes a write back that the disk refused: what it appended goes, what it truncated returns. Compaction since then stays. */
  restore({ lastIndex, terms, tail }: LogPoint): void {
    // What is not durable is never evicted, so the appended entries are all in memory.
    const kept = tail ?? this.#tail.slice(this.#evicted).filter((entry) => entry.index <= lastIndex);
    this.#setTail(kept.filter((entry) => entry.index >= this.#firstIndex));
    this.#terms = terms.copy();
    if (this.#terms.termAt(this.#firstIndex - 1) !== null) this.#terms.startAt(this.#firstIndex - 1);
    this.#lastIndex = lastIndex;
  }

  #setTail(tail: LogEntry[]): void {
    this.#tail = tail;
    this.#evicted = 0;
    this.#tailBytes = 0;
    for (const entry of tail) this.#tailBytes += entryBytes(entry);
  }

  #evictOne(): void {
    this.#tailBytes -= entryBytes(this.#tail[this.#evicted] as LogEntry);
    this.#tail[this.#evicted] = EVICTED; // The slot stays for a while and must not keep the data alive.
    this.#evicted += 1;
    if (this.#evicted < EVICTED_MAX) return;
    this.#tail.splice(0, this.#evicted); // In place: a copy of a long tail is garbage of the expensive kind.
    this.#evicted = 0;
  }
}

/** As many of `entries` from `at` on as fit; at least one if there is one. */
export function takeEntries(entries: readonly LogEntry[], at: number, countMax: number, bytesMax: number): LogEntry[] {
  const taken: LogEntry[] = [];
  let bytes = 0;
  for (let i = at; i < entries.length && taken.length < countMax; i += 1) {
    const entry = entries[i] as LogEntry;
    bytes += entry.data.length;
    if (bytes > bytesMax && taken.length > 0) break;
    taken.push(entry);
  }
  return taken;
}

function withPrevious(terms: TermRuns, base: { readonly index: number; readonly term: number }, start: RaftStart): TermRuns {
  const runs = start.termRuns;
  const first = runs[0];
  if (first === undefined || first.term < base.term) return terms;
  const rest = first.term === base.term ? runs.slice(1) : runs;
  return new TermRuns([{ firstIndex: base.index, term: base.term }, ...rest], start.lastIndex);
}
