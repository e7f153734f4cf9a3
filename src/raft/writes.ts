/**
 * Everything that must be durable: gathers what one step writes into one `append`, knows what is on disk and what is on its way, keeps
 * back what may not leave before, and takes refused writes back.
 */
import { assert } from "../base/assert.ts";
import type { LogEntry, RaftConfiguration } from "../wire/raft-messages.ts";
import type { Configurations, Placed } from "./configurations.ts";
import type { LogPoint, RaftLog } from "./log.ts";
import type { AfterDurable, AppendSeq, HardState, IncomingCall, RaftEffect } from "./types.ts";

/** Answers that wait for a write of an earlier step; more (a stuck disk, a peer that repeats itself) are refused at once. */
export const HELD_MAX = 4096;

interface Batch {
  point: LogPoint;
  readonly configurations: readonly Placed[];
  truncateFrom: number;
  /** The log was replaced by a snapshot: not to be taken back, since the state machine is replaced too. */
  resets: boolean;
  readonly entries: LogEntry[];
  readonly afterDurable: AfterDurable[];
}

interface Pending extends Batch {
  readonly seq: AppendSeq;
  /** Where the log ends once this is on disk. */
  lastIndex: number;
  readonly sinceMs: number;
}

export interface Refusal {
  /** Requests from peers whose answers will not come. */
  readonly calls: readonly IncomingCall[];
  /** Entries behind this one are not what they were before the refusal. */
  readonly keptIndex: number;
  /** The configuration in force changed back. */
  readonly configurationChanged: boolean;
}

export class Writes {
  readonly #log: RaftLog;
  readonly #configurations: Configurations;
  #hardState: HardState;
  #hardStateDirty = false;
  #batch: Batch | null = null;
  #pending: Pending[] = [];
  #held: { readonly seq: AppendSeq; readonly effect: AfterDurable }[] = [];
  #lastSeq: AppendSeq = 0;
  /** Index up to which acknowledged writes reach. */
  #diskIndex: number;
  #refusal: AppendSeq = 0;
  /** A refused replacement of the log still has to remove the entries from here on. */
  #owedTruncation = 0;

  constructor(log: RaftLog, configurations: Configurations, hardState: HardState) {
    this.#log = log;
    this.#configurations = configurations;
    this.#hardState = hardState;
    this.#diskIndex = log.lastIndex;
    // A snapshot may have reached the disk when the term it came with had not.
    if (log.lastTerm <= hardState.currentTerm) return;
    this.#hardState = { ...hardState, currentTerm: log.lastTerm };
    this.#hardStateDirty = true;
  }

  get hardState(): HardState {
    return this.#hardState;
  }

  get term(): number {
    return this.#hardState.currentTerm;
  }

  /** Entries of the log as it is now are on disk up to here. */
  get durableIndex(): number {
    let index = this.#diskIndex;
    for (const write of this.#pending) index = Math.min(index, survivorOf(write));
    if (this.#batch !== null) index = Math.min(index, survivorOf(this.#batch));
    return Math.min(index, this.#log.lastIndex);
  }

  /** The number that the write of this step has or will have; what is on disk when it is acknowledged includes all changes made so far. */
  get currentSeq(): AppendSeq {
    return this.#batch === null && !this.#hardStateDirty ? this.#lastSeq : this.#lastSeq + 1;
  }

  /** Since when the oldest write is on its way, in ms; Infinity when none is. */
  get waitingSinceMs(): number {
    return this.#pending[0]?.sinceMs ?? Infinity;
  }

  get lastRefusal(): AppendSeq {
    return this.#refusal;
  }

  /** The log has to be emptied before anything else: what the disk held contradicts the snapshot. */
  oweTruncation(): void {
    this.#owedTruncation = 1;
  }

  setHardState(next: HardState): void {
    assert(next.currentTerm >= this.#hardState.currentTerm, "terms never fall");
    assert(next.lastVoteTerm <= next.currentTerm, "no vote in a future term");
    const { lastVoteTerm, lastVoteCandidate } = this.#hardState;
    assert(next.lastVoteTerm !== lastVoteTerm || next.lastVoteCandidate === lastVoteCandidate, "one vote a term");
    this.#hardState = next;
    this.#hardStateDirty = true;
    this.#open();
  }

  append(entry: LogEntry, configuration: RaftConfiguration | null): void {
    this.#open().entries.push(entry);
    this.#log.append(entry);
    if (configuration !== null) this.#configurations.push(entry.index, configuration);
  }

  /** Before any append of the same step. True when the configuration in force changed. */
  truncateFrom(index: number): boolean {
    const batch = this.#openFirst();
    batch.point = this.#log.point(true);
    batch.truncateFrom = index;
    this.#log.truncateFrom(index);
    return this.#configurations.truncateFrom(index);
  }

  /** A snapshot of this index and term replaces the log; the caller replaces the configuration. */
  reset(index: number, term: number): void {
    const batch = this.#openFirst();
    batch.truncateFrom = 1; // Also what is compacted here and perhaps not yet on disk: nothing may be left before a gap.
    batch.resets = true;
    this.#log.reset(index, term);
    // The snapshot is durable, and nothing written before matters any more.
    this.#diskIndex = index;
    for (const write of this.#pending) write.lastIndex = index;
  }

  /** `effect` leaves once everything written so far is durable: at once when it is. */
  whenDurable(effect: AfterDurable, out: RaftEffect[]): void {
    if (this.#batch !== null) this.#batch.afterDurable.push(effect);
    else if (this.#hardStateDirty) this.#open().afterDurable.push(effect);
    else if (this.#pending.length === 0) out.push(effect);
    else if (this.#held.length < HELD_MAX) this.#held.push({ seq: this.#lastSeq, effect });
    else if (effect.kind === "answer") out.push({ kind: "answer", call: effect.call, message: null, error: "too many requests wait for the disk" });
  }

  /** At the end of each step. */
  flush(nowMs: number, out: RaftEffect[]): void {
    const batch = this.#batch;
    if (batch === null) return;
    this.#batch = null;
    this.#lastSeq += 1;
    const truncateFrom = this.#takeTruncation(batch);
    const hardState = this.#hardStateDirty ? this.#hardState : null;
    this.#hardStateDirty = false;
    this.#pending.push({ ...batch, truncateFrom, seq: this.#lastSeq, lastIndex: this.#log.lastIndex, sinceMs: nowMs });
    const { entries, afterDurable } = batch;
    out.push({ kind: "append", seq: this.#lastSeq, afterRefusal: this.#refusal, truncateFrom, entries, hardState, afterDurable });
    this.#refusal = 0;
  }

  #takeTruncation(batch: Batch): number {
    const owed = this.#owedTruncation;
    if (owed === 0) return batch.truncateFrom;
    this.#owedTruncation = 0;
    batch.resets = true;
    return batch.truncateFrom === 0 ? owed : Math.min(owed, batch.truncateFrom);
  }

  /** Appends up to `seq` are on disk. Gives how long the newest of them took, in ms; null when none was waiting. */
  durable(seq: AppendSeq, nowMs: number, out: RaftEffect[]): number | null {
    let tookMs: number | null = null;
    while (this.#pending.length > 0 && (this.#pending[0] as Pending).seq <= seq) {
      const write = this.#pending.shift() as Pending;
      this.#diskIndex = write.lastIndex;
      tookMs = nowMs - write.sinceMs;
    }
    let released = 0;
    while (released < this.#held.length && (this.#held[released] as { seq: number }).seq <= seq) {
      out.push((this.#held[released] as { effect: AfterDurable }).effect);
      released += 1;
    }
    if (released > 0) this.#held = this.#held.slice(released);
    return tookMs;
  }

  /**
   * Appends from `seq` on will never be on disk: takes them back, newest first. Terms and votes stay in memory (they may grow only) and
   * go with the next write.
   */
  refused(seq: AppendSeq): Refusal {
    assert(this.#batch === null, "a refusal comes as an input of its own");
    const calls: IncomingCall[] = [];
    const configuration = this.#configurations.latest.index;
    let keptIndex = Infinity;
    let reset = false; // What was written before a replacement of the log has no meaning any more.
    while ((this.#pending.at(-1)?.seq ?? 0) >= seq) {
      const write = this.#pending.pop() as Pending;
      if (!reset) {
        this.#takeBack(write);
        keptIndex = Math.min(keptIndex, survivorOf(write), (write.entries[0]?.index ?? Infinity) - 1);
      }
      reset ||= write.resets;
      for (const effect of write.afterDurable) if (effect.kind === "answer") calls.push(effect.call);
    }
    for (const { seq: waitsFor, effect } of this.#held) if (waitsFor >= seq && effect.kind === "answer") calls.push(effect.call);
    this.#held = this.#held.filter((held) => held.seq < seq);
    this.#refusal = seq;
    this.#hardStateDirty = true;
    return { calls, keptIndex, configurationChanged: configuration !== this.#configurations.latest.index };
  }

  #takeBack(write: Pending): void {
    if (write.resets) {
      this.#owedTruncation = write.truncateFrom;
      const first = write.entries[0]?.index;
      if (first === undefined) return;
      this.#log.truncateFrom(first);
    } else this.#log.restore(write.point);
    this.#configurations.restore(write.configurations);
  }

  #open(): Batch {
    if (this.#batch !== null) return this.#batch;
    const configurations = this.#configurations.copy();
    this.#batch = { point: this.#log.point(false), configurations, truncateFrom: 0, resets: false, entries: [], afterDurable: [] };
    return this.#batch;
  }

  #openFirst(): Batch {
    const batch = this.#open();
    assert(batch.entries.length === 0 && batch.truncateFrom === 0, "truncation comes first");
    return batch;
  }
}

/** The last index that a write leaves alone. */
function survivorOf({ truncateFrom, resets }: Batch): number {
  return truncateFrom === 0 || resets ? Infinity : truncateFrom - 1;
}
