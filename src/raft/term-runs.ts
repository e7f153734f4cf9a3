/**
 * The terms of a whole log as runs of equal terms. A log has few terms, so this stays tiny however small the part of the log is that is
 * kept in memory, and the check of a previous entry never waits for the disk.
 */
import { assert } from "../base/assert.ts";
import type { TermRun } from "./types.ts";

export class TermRuns {
  #runs: TermRun[];
  /** Last index covered; 0 when nothing is. */
  #last: number;

  constructor(runs: readonly TermRun[], lastIndex: number) {
    for (let i = 1; i < runs.length; i += 1) {
      const [before, after] = [runs[i - 1] as TermRun, runs[i] as TermRun];
      assert(before.firstIndex < after.firstIndex && before.term < after.term, "runs of terms ascend");
    }
    this.#runs = [...runs];
    this.#last = runs.length === 0 ? 0 : lastIndex;
  }

  /** The term at `index`, or null when this index is not covered. */
  termAt(index: number): number | null {
    const run = this.#find(index);
    return run < 0 || index > this.#last ? null : (this.#runs[run] as TermRun).term;
  }

  /** First covered index of the run that holds `index`, which must be covered. */
  runStart(index: number): number {
    const run = this.#runs[this.#find(index)];
    assert(run !== undefined && index <= this.#last, "a covered index");
    return run.firstIndex;
  }

  push(index: number, term: number): void {
    const newest = this.#runs.at(-1);
    assert(newest === undefined || (index === this.#last + 1 && newest.term <= term), "entries follow each other and terms never fall");
    if (newest === undefined || newest.term < term) this.#runs.push({ firstIndex: index, term });
    this.#last = index;
  }

  /** Forgets `index` and everything behind it. */
  truncateFrom(index: number): void {
    if (index > this.#last) return;
    while (this.#runs.length > 0 && (this.#runs.at(-1) as TermRun).firstIndex >= index) this.#runs.pop();
    this.#last = this.#runs.length === 0 ? 0 : index - 1;
  }

  /** Forgets everything before `index`, which must be covered. */
  startAt(index: number): void {
    const run = this.#find(index);
    assert(run >= 0 && index <= this.#last, "a covered index");
    this.#runs = [{ firstIndex: index, term: (this.#runs[run] as TermRun).term }, ...this.#runs.slice(run + 1)];
  }

  /** Covers `index` alone. */
  reset(index: number, term: number): void {
    this.#runs = [{ firstIndex: index, term }];
    this.#last = index;
  }

  copy(): TermRuns {
    return new TermRuns(this.#runs, this.#last);
  }

  /** Number of the run that holds `index`, ignoring the end; -1 when it lies before the first. */
  #find(index: number): number {
    // Nearly every question is about the newest run.
    for (let i = this.#runs.length - 1; i >= 0; i -= 1) if ((this.#runs[i] as TermRun).firstIndex <= index) return i;
    return -1;
  }
}
