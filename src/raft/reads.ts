/**
 * Reads that must see everything acknowledged before them (Raft dissertation, 6.4): the commit index when the read came, a check that we
 * still led then, and the state machine having come that far.
 */
import type { RequestId } from "./types.ts";

/** Reads that may wait at a time. */
export const READS_MAX = 65_536;

export interface Read {
  readonly request: RequestId;
  readonly index: number;
  /** The check of our leadership that has to be confirmed. */
  readonly round: number;
  /** A verification does not wait for the state machine. */
  readonly applied: boolean;
}

export class Reads {
  /** Rounds only grow, so those first in line are confirmed first. */
  #unconfirmed: Read[] = [];
  /** Indexes only grow with the rounds, too. */
  #confirmed: Read[] = [];

  get size(): number {
    return this.#unconfirmed.length + this.#confirmed.length;
  }

  add(read: Read): void {
    this.#unconfirmed.push(read);
  }

  /** Takes the reads that may be answered now. */
  take(confirmedRound: number, handedIndex: number): readonly Read[] {
    const ready: Read[] = [];
    let count = 0;
    for (const read of this.#unconfirmed) {
      if (read.round > confirmedRound) break;
      count += 1;
      if (read.applied) this.#confirmed.push(read);
      else ready.push(read);
    }
    if (count > 0) this.#unconfirmed = this.#unconfirmed.slice(count);
    let done = 0;
    while (done < this.#confirmed.length && (this.#confirmed[done] as Read).index <= handedIndex) done += 1;
    if (done === 0) return ready;
    ready.push(...this.#confirmed.slice(0, done));
    this.#confirmed = this.#confirmed.slice(done);
    return ready;
  }

  takeAll(): readonly Read[] {
    const all = [...this.#confirmed, ...this.#unconfirmed];
    this.#confirmed = [];
    this.#unconfirmed = [];
    return all;
  }
}
