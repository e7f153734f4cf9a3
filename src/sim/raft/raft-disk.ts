/**
 * A server's disk under the simulation: what is synced survives a kill, what is queued does not, and of what is being written when the
 * process dies any prefix may. It checks that the core writes what a log can take.
 */
import { assert } from "../../base/assert.ts";
import type { Random } from "../../base/random.ts";
import type { AppendSeq, HardState, RaftEffect, RaftStart, SnapshotMeta, TermRun } from "../../raft/types.ts";
import { ENTRY_TYPE, type LogEntry } from "../../wire/raft-messages.ts";
import type { KvState } from "./kv.ts";

export type AppendEffect = Extract<RaftEffect, { readonly kind: "append" }>;

export interface StoredSnapshot {
  readonly meta: SnapshotMeta;
  readonly state: KvState;
  /** The log need not go back to the one before it: it came from a leader in the place of the log, or took a damaged one's place. */
  readonly alone: boolean;
}

/** One more than the real store: a received one that the core had no use for any more must not push out what it will restore. */
const SNAPSHOTS_KEPT = 3;

export class RaftDisk {
  #hardState: HardState = { currentTerm: 0, lastVoteTerm: 0, lastVoteCandidate: "" };
  #firstIndex = 1;
  #entries: LogEntry[] = [];
  #snapshots: StoredSnapshot[] = [];
  #queue: AppendEffect[] = [];
  /** The refusal that the core has to name before anything is taken again; 0: none. */
  #refused: AppendSeq = 0;
  /** Appends are refused while set. */
  full = false;
  /** Written by the commit that is under way. */
  writing: AppendEffect[] = [];
  /** Injected mistake: term and vote are not written. */
  forgetsVotes = false;

  get lastIndex(): number {
    return this.#firstIndex - 1 + this.#entries.length;
  }

  get hasQueued(): boolean {
    return this.#queue.length > 0;
  }

  get newestSnapshot(): StoredSnapshot | null {
    return this.#snapshots.at(-1) ?? null;
  }

  snapshot(id: string): StoredSnapshot | null {
    return this.#snapshots.find(({ meta }) => meta.id === id) ?? null;
  }

  /** The synced entry at `index`, if it is still in the log. */
  entry(index: number): LogEntry | undefined {
    return this.#entries[index - this.#firstIndex];
  }

  /** It survives the loss of this server's memory, in the log or in a snapshot. */
  holds(index: number, term: number): boolean {
    const entry = this.entry(index);
    return entry === undefined ? index <= (this.newestSnapshot?.meta.index ?? 0) : entry.term === term;
  }

  /** False when the append belongs to a refusal that the core does not know yet. */
  enqueue(append: AppendEffect): boolean {
    if (this.#refused !== 0 && append.afterRefusal !== this.#refused) return false;
    this.#refused = 0;
    this.#queue.push(append);
    return true;
  }

  /** Begins to write everything queued; the first refused `seq` when there is no space, else 0. */
  beginCommit(): AppendSeq {
    const first = this.#queue[0];
    assert(this.writing.length === 0 && first !== undefined, "one commit at a time");
    if (!this.full) {
      this.writing = this.#queue;
      this.#queue = [];
      return 0;
    }
    this.#queue = [];
    this.#refused = first.seq;
    return first.seq;
  }

  /** What was being written is synced. */
  endCommit(): readonly AppendEffect[] {
    const done = this.writing;
    this.writing = [];
    for (const append of done) this.#write(append);
    return done;
  }

  /** The process dies: any prefix of what was being written may have reached the disk. */
  crash(random: Random): void {
    const count = random.below(this.writing.length + 1);
    for (const append of this.writing.slice(0, count)) this.#write(append);
    this.writing = [];
    this.#queue = [];
    this.#refused = 0;
  }

  #write({ truncateFrom, entries, hardState }: AppendEffect): void {
    if (truncateFrom > 0 && truncateFrom <= this.#firstIndex) this.#entries = [];
    else if (truncateFrom > 0) this.#entries.length = Math.min(this.#entries.length, truncateFrom - this.#firstIndex);
    for (const entry of entries) {
      if (this.#entries.length === 0) this.#firstIndex = entry.index;
      assert(entry.index === this.lastIndex + 1, "a log takes consecutive entries only");
      this.#entries.push(entry);
    }
    if (hardState !== null && !this.forgetsVotes) this.#hardState = hardState;
  }

  compact(upTo: number): void {
    const count = Math.min(this.#entries.length, upTo + 1 - this.#firstIndex);
    if (count <= 0) return;
    this.#entries = this.#entries.slice(count);
    this.#firstIndex += count;
  }

  store(snapshot: StoredSnapshot): void {
    this.#snapshots = [...this.#snapshots.filter(({ meta }) => meta.index !== snapshot.meta.index), snapshot];
    this.#snapshots.sort((a, b) => a.meta.index - b.meta.index);
    if (this.#snapshots.length > SNAPSHOTS_KEPT) this.#snapshots.shift();
  }

  /** The newest snapshot turns out to be damaged at the start, so the one before it is used, if there is one that the log goes on from: behind our own there always is. */
  damageNewestSnapshot(): void {
    const [older, newest] = this.#snapshots.slice(-2);
    if (older === undefined || newest === undefined || newest.alone) return;
    assert(this.#firstIndex <= older.meta.index + 1, "the log goes on from the older snapshot, too");
    this.#snapshots.splice(-2, 2, { ...older, alone: true });
  }

  read(from: number, to: number, bytesMax: number): readonly LogEntry[] {
    const entries: LogEntry[] = [];
    let bytes = 0;
    for (let index = from; index <= to && bytes < bytesMax; index += 1) {
      const entry = this.entry(index);
      if (entry === undefined) break;
      entries.push(entry);
      bytes += entry.data.length;
    }
    return entries;
  }

  /** What a process finds when it starts. */
  start(tailEntries: number): RaftStart {
    const termRuns: TermRun[] = [];
    for (const { index, term } of this.#entries) if (termRuns.at(-1)?.term !== term) termRuns.push({ firstIndex: index, term });
    const empty = this.#entries.length === 0;
    return {
      hardState: this.#hardState,
      snapshot: this.newestSnapshot?.meta ?? null,
      firstIndex: empty ? 0 : this.#firstIndex,
      lastIndex: empty ? 0 : this.lastIndex,
      termRuns,
      configurations: this.#entries.filter((entry) => entry.type === ENTRY_TYPE.configuration),
      tail: tailEntries === 0 ? [] : this.#entries.slice(-tailEntries),
    };
  }
}
