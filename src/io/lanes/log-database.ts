/**
 * The LMDB environment of the log. Only this file and `directory-lock.ts` import lmdb (10 MB, 75 ms), so only the worker loads it. Everything here is synchronous; a method that
 * changes something returns after the commit is on disk (checked for lmdb 3.5.6: `transactionSync` with `overlappingSync: false`).
 *
 * Tables: `log` (8-byte big-endian index → record), `configurations` (the indexes of configuration entries, for the start), `stable` (text keys).
 */
import { fstatSync, openSync, closeSync } from "node:fs";
import { join } from "node:path";
import { open, type Database, type RootDatabase } from "lmdb";
import { assert } from "../../base/assert.ts";
import { decodeUtf8, encodeUtf8 } from "../../base/utf8.ts";
import type { HardState, TermRun } from "../../raft/types.ts";
import type { LogEntry } from "../../wire/raft-messages.ts";
import { inUseText, otherProcesses } from "./directory-lock.ts";
import { DamagedLogError } from "./log-file-check.ts";
import { isConfiguration, isIntact, readRecord, recordTerm, sealRecord } from "./log-record.ts";
import type { AppendWork, EntriesBatch } from "./log-protocol.ts";

/** Frozen: the layout described above. A change that older code cannot read gets the next number and a step in `UPGRADES`. */
export const LOG_FORMAT = 1;
/** `UPGRADES[n]` turns format n into n + 1, inside the transaction that writes the new number. Older formats than the first key are refused. */
export type Upgrade = (database: LogDatabase) => void;
const UPGRADES: ReadonlyMap<number, Upgrade> = new Map();

export const LOG_FILE = "log.mdb";
const KEY_BYTES = 8;
/** Entries removed in one transaction by compaction: each costs about 2 µs, and appends wait meanwhile. */
export const COMPACT_SLICE_ENTRIES = 1024;

type Table = Database<Buffer, Buffer>;
const BINARY = { encoding: "binary", keyEncoding: "binary" } as const;
const FORMAT_KEY = Buffer.from("format");
const TERM_KEY = Buffer.from("currentTerm");
const VOTE_KEY = Buffer.from("lastVote");

export class LogDatabase {
  readonly path: string;
  readonly #env: RootDatabase<Buffer, Buffer>;
  readonly #log: Table;
  readonly #configurations: Table;
  readonly #stable: Table;
  readonly #key = Buffer.alloc(KEY_BYTES);
  #first = 0;
  #last = 0;

  /**
   * Opens or makes the environment in `dir`, of which this process has the `DirectoryLock`. Throws with a text for the operator when it is damaged, in use by a process
   * that has no such lock, or of a newer format.
   */
  constructor(dir: string, upgrades: ReadonlyMap<number, Upgrade> = UPGRADES, format = LOG_FORMAT) {
    this.path = join(dir, LOG_FILE);
    // noMemInit: pages may carry old bytes of this process in unused room; the file is as private as the log itself.
    this.#env = open<Buffer, Buffer>({ path: this.path, maxDbs: 4, overlappingSync: false, noMemInit: true, ...BINARY });
    try {
      this.#checkSize();
      this.#log = this.#env.openDB<Buffer, Buffer>("log", BINARY);
      this.#configurations = this.#env.openDB<Buffer, Buffer>("configurations", BINARY);
      this.#stable = this.#env.openDB<Buffer, Buffer>("stable", BINARY);
      this.#checkAlone();
      this.#upgrade(upgrades, format);
    } catch (error) {
      void this.#env.close(); // Nobody else should find us in the table of readers.
      throw error;
    }
    this.#first = this.#edge(false);
    this.#last = this.#edge(true);
  }

  get firstIndex(): number {
    return this.#first;
  }

  get lastIndex(): number {
    return this.#last;
  }

  /** A file cut off behind LMDB's back: reading beyond its end would end the process by a signal. */
  #checkSize(): void {
    const fd = openSync(this.path, "r");
    const { size } = fstatSync(fd);
    closeSync(fd);
    const needed = this.usedBytes;
    if (size < needed) throw new DamagedLogError(`${this.path} is damaged: it has ${size} bytes and should have ${needed}`);
  }

  /** Bytes of the file that hold, or held, pages; behind them lies the reserve. */
  get usedBytes(): number {
    const { lastPageNumber, pageSize } = this.#env.getStats() as { readonly lastPageNumber: number; readonly pageSize: number };
    return (lastPageNumber + 1) * pageSize;
  }

  /** A version from before there was a lock, or a tool that reads LMDB files. */
  #checkAlone(): void {
    const others = otherProcesses(this.#env);
    if (others.length > 0) throw new Error(inUseText(this.path, others, ""));
  }

  /** One transaction, and none when the format is there: a slow disk should hold up a start at most once. */
  #upgrade(upgrades: ReadonlyMap<number, Upgrade>, format: number): void {
    const stored = this.#stable.get(FORMAT_KEY);
    const found = stored === undefined ? format : stored.readUInt32BE(0);
    if (found > format) throw new Error(`${this.path} has format ${found}, written by a newer version; this one reads up to ${format}`);
    if (stored !== undefined && found === format) return;
    const steps: Upgrade[] = [];
    for (let from = found; from < format; from += 1) {
      const step = upgrades.get(from);
      if (step === undefined) throw new Error(`${this.path} has format ${found}, which this version cannot read any more`);
      steps.push(step);
    }
    const number = Buffer.alloc(4);
    number.writeUInt32BE(format);
    this.#transact(() => {
      for (const step of steps) step(this);
      this.#stable.putSync(FORMAT_KEY, number);
    });
  }

  /** Runs `work` in one transaction and returns when it is durable. */
  #transact(work: () => void): void {
    this.#env.transactionSync(work);
  }

  #edge(reverse: boolean): number {
    for (const key of this.#log.getKeys({ limit: 1, reverse })) return indexOf(key);
    return 0;
  }

  hardState(): HardState {
    const term = this.#stable.get(TERM_KEY);
    const vote = this.#stable.get(VOTE_KEY);
    return {
      currentTerm: term?.readDoubleBE(0) ?? 0,
      lastVoteTerm: vote?.readDoubleBE(0) ?? 0,
      lastVoteCandidate: vote === undefined ? "" : decodeUtf8(vote, KEY_BYTES),
    };
  }

  /** All appends in one transaction, and with them a slice of compaction if `compactTo` is not 0. Any error: nothing can be said of the file any more. */
  write(appends: readonly AppendWork[], compactTo: number): void {
    this.#transact(() => {
      if (compactTo > 0) this.#removeFirst(compactTo);
      for (const append of appends) this.#writeAppend(append);
    });
  }

  #writeAppend({ truncateFrom, firstIndex, records, hardState }: AppendWork): void {
    if (truncateFrom > 0) this.#truncate(truncateFrom);
    if (records.length > 0) {
      assert(this.#last === 0 || firstIndex === this.#last + 1, `entry ${firstIndex} does not follow ${this.#last}`);
      if (this.#last === 0) this.#first = firstIndex;
      let index = firstIndex;
      for (const record of records) {
        sealRecord(record);
        this.#setKey(index);
        // MDB_APPEND fills pages; without it each split would leave the older page half empty for ever.
        this.#log.putSync(this.#key, record, { append: true });
        if (isConfiguration(record)) this.#configurations.putSync(this.#key, EMPTY);
        index += 1;
      }
      this.#last = index - 1;
    }
    if (hardState !== null) this.#writeHardState(hardState);
  }

  #writeHardState({ currentTerm, lastVoteTerm, lastVoteCandidate }: HardState): void {
    const term = Buffer.alloc(8);
    term.writeDoubleBE(currentTerm);
    const candidate = encodeUtf8(lastVoteCandidate);
    const vote = Buffer.alloc(8 + candidate.length);
    vote.writeDoubleBE(lastVoteTerm);
    vote.set(candidate, 8);
    this.#stable.putSync(TERM_KEY, term);
    this.#stable.putSync(VOTE_KEY, vote);
  }

  #truncate(from: number): void {
    if (this.#last === 0 || from > this.#last) return;
    if (from <= this.#first) {
      this.#log.clearSync();
      this.#configurations.clearSync();
      this.#first = 0;
      this.#last = 0;
      return;
    }
    for (let index = this.#last; index >= from; index -= 1) this.#remove(index);
    this.#last = from - 1;
  }

  /** How much is left to compact up to `upTo`. */
  compactable(upTo: number): number {
    return this.#last === 0 ? 0 : Math.max(0, Math.min(upTo, this.#last) - this.#first + 1);
  }

  #removeFirst(upTo: number): void {
    if (this.#last === 0) return;
    const end = Math.min(upTo, this.#last, this.#first + COMPACT_SLICE_ENTRIES - 1);
    for (let index = this.#first; index <= end; index += 1) this.#remove(index);
    this.#first = end + 1;
    if (this.#first > this.#last) {
      this.#first = 0;
      this.#last = 0;
    }
  }

  #remove(index: number): void {
    this.#setKey(index);
    const record = this.#log.getBinaryFast(this.#key);
    if (record !== undefined && isConfiguration(record)) {
      this.#setKey(index);
      this.#configurations.removeSync(this.#key);
    }
    this.#setKey(index);
    this.#log.removeSync(this.#key);
  }

  /** The record of an index that is there. Throws `DamagedLogError`. */
  #record(index: number): Buffer {
    this.#setKey(index);
    const record = this.#log.getBinary(this.#key);
    if (record === undefined) throw this.#damaged(index, "missing");
    if (!isIntact(record)) throw this.#damaged(index, "not what was written");
    return record;
  }

  #damaged(index: number, how: string): DamagedLogError {
    return new DamagedLogError(`${this.path} is damaged: entry ${index} is ${how}`);
  }

  /** Adds the records `from` … `to` to `batch`: at least one, up to `bytesMax` bytes; none when `from` is not there. Throws `DamagedLogError`. */
  read(from: number, to: number, bytesMax: number, batch: EntriesBatch): void {
    if (this.#last === 0 || from < this.#first) return;
    const end = Math.min(to, this.#last);
    let bytes = 0;
    for (let index = from; index <= end; index += 1) {
      this.#setKey(index);
      // LMDB's own buffer, whose `length` is that of the record and which the next read overwrites: half the cost of a copy for each.
      const record = this.#log.getBinaryFast(this.#key);
      if (record === undefined) throw this.#damaged(index, "missing");
      const { length } = record;
      bytes += length;
      if (index > from && bytes > bytesMax) return;
      if (!isIntact(batch.add(record, length))) throw this.#damaged(index, "not what was written");
    }
  }

  /** Index of the first of the last entries that have at most `bytesMax` bytes together; `lastIndex + 1` when not even one. */
  tailStart(bytesMax: number): number {
    let bytes = 0;
    for (let index = this.#last; index > 0 && index >= this.#first; index -= 1) {
      bytes += this.#record(index).length;
      if (bytes > bytesMax) return index + 1;
    }
    return this.#first;
  }

  /** Terms never fall with the index: the end of each run is found by bisection. */
  termRuns(): TermRun[] {
    const runs: TermRun[] = [];
    let firstIndex = this.#first;
    while (this.#last > 0 && firstIndex <= this.#last) {
      const term = recordTerm(this.#record(firstIndex));
      runs.push({ firstIndex, term });
      let low = firstIndex;
      let high = this.#last + 1; // First index known to be of a later term, or behind the end.
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2);
        if (recordTerm(this.#record(middle)) === term) low = middle;
        else high = middle;
      }
      firstIndex = high;
    }
    return runs;
  }

  configurations(): LogEntry[] {
    const entries: LogEntry[] = [];
    for (const key of this.#configurations.getKeys({})) {
      const index = indexOf(key);
      // Copied: what goes to main must not drag along the memory it lies in.
      const bytes = new Uint8Array(this.#record(index));
      entries.push(readRecord(index, new DataView(bytes.buffer), bytes, 0, bytes.length));
    }
    return entries;
  }

  async close(): Promise<void> {
    await this.#env.close();
  }

  #setKey(index: number): void {
    this.#key.writeUInt32BE(Math.floor(index / TWO_32), 0);
    this.#key.writeUInt32BE(index % TWO_32, 4);
  }
}

const EMPTY = Buffer.alloc(0);
const TWO_32 = 0x1_0000_0000;

function indexOf(key: Buffer): number {
  return key.readUInt32BE(0) * TWO_32 + key.readUInt32BE(4);
}
