/**
 * Hands committed entries to the state machine: in order, each once, only when durable here, and never more than it can hold at a time.
 * Entries that have left memory are read back first.
 */
import { assert } from "../base/assert.ts";
import type { LogEntry } from "../wire/raft-messages.ts";
import type { Context } from "./context.ts";
import { entryBytes } from "./log.ts";
import type { SnapshotMeta } from "./types.ts";

/** Entries of one `apply`: keeps one turn of the state machine short. */
export const APPLY_ENTRIES_MAX = 256;
/** Bytes of one `readLog`. */
export const READ_BYTES_MAX = 1_048_576;

export class Applier {
  readonly #context: Context;
  /** Last index handed over, and its term. */
  #handedIndex: number;
  #handedTerm: number;
  #appliedIndex: number;
  /** Handed over and not applied. */
  #applying: { readonly lastIndex: number; readonly bytes: number }[] = [];
  #applyingBytes = 0;
  /** The number of the `readLog` on its way; 0: none. */
  #read = 0;
  /** Index of the snapshot being restored; 0: none. */
  #restoring = 0;

  constructor(context: Context) {
    this.#context = context;
    this.#handedIndex = context.commitIndex;
    this.#handedTerm = context.snapshot?.term ?? 0;
    this.#appliedIndex = context.commitIndex;
  }

  get handedIndex(): number {
    return this.#handedIndex;
  }

  get handedTerm(): number {
    return this.#handedTerm;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  get isRestoring(): boolean {
    return this.#restoring > 0;
  }

  /** Hands over what may be. */
  advance(): void {
    const { limits } = this.#context.config;
    const target = Math.min(this.#context.commitIndex, this.#context.writes.durableIndex);
    while (this.#handedIndex < target && this.#restoring === 0 && this.#read === 0 && this.#applyingBytes < limits.applyingBytesMax) {
      const from = this.#handedIndex + 1;
      if (from < this.#context.log.tailFirstIndex) {
        this.#read = this.#context.nextCall();
        const to = Math.min(target, this.#context.log.tailFirstIndex - 1);
        this.#context.out.push({ kind: "readLog", read: this.#read, from, to, bytesMax: READ_BYTES_MAX });
        return;
      }
      this.#hand(this.#context.log.slice(from, Math.min(APPLY_ENTRIES_MAX, target - this.#handedIndex), READ_BYTES_MAX));
    }
  }

  /** True when the answer was for us. */
  logRead(read: number, entries: readonly LogEntry[]): boolean {
    if (read !== this.#read || read === 0) return false;
    this.#read = 0;
    assert(entries.length > 0 && entries[0]?.index === this.#handedIndex + 1, "committed entries without a snapshot stay readable");
    for (let at = 0; at < entries.length; at += APPLY_ENTRIES_MAX) this.#hand(entries.slice(at, at + APPLY_ENTRIES_MAX));
    return true;
  }

  #hand(entries: readonly LogEntry[]): void {
    let bytes = 0;
    for (const entry of entries) {
      assert(entry.index === this.#handedIndex + 1, "entries are applied in order");
      assert(entry.term >= this.#handedTerm, "terms never fall");
      this.#handedIndex = entry.index;
      this.#handedTerm = entry.term;
      bytes += entryBytes(entry);
    }
    this.#applying.push({ lastIndex: this.#handedIndex, bytes });
    this.#applyingBytes += bytes;
    this.#context.out.push({ kind: "apply", entries });
  }

  applied(index: number): void {
    if (this.#restoring > 0) return;
    assert(index <= this.#handedIndex, "nothing is applied before it is handed over");
    this.#appliedIndex = Math.max(this.#appliedIndex, index);
    while (this.#applying.length > 0 && (this.#applying[0] as { lastIndex: number }).lastIndex <= index) {
      this.#applyingBytes -= (this.#applying.shift() as { bytes: number }).bytes;
    }
  }

  /** The state machine is to become that of a snapshot ahead of it. */
  restore(meta: SnapshotMeta): void {
    assert(meta.index > this.#handedIndex, "a snapshot never takes the state back");
    this.#handedIndex = meta.index;
    this.#handedTerm = meta.term;
    this.#restoring = meta.index;
    this.#read = 0;
    this.#applying = [];
    this.#applyingBytes = 0;
    this.#context.out.push({ kind: "restore", meta });
  }

  restored(index: number): void {
    if (index !== this.#restoring) return;
    this.#restoring = 0;
    this.#appliedIndex = index;
  }
}
