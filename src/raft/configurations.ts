/**
 * The configurations a log has gone through: the latest is in force as soon as it is appended, and leaves with its entry when that is
 * truncated. The oldest kept is the committed one.
 */
import { assert } from "../base/assert.ts";
import type { RaftConfiguration } from "../wire/raft-messages.ts";

export interface Placed {
  readonly index: number;
  readonly configuration: RaftConfiguration;
}

export class Configurations {
  /** In order of index; never empty. The first is committed, save that index 0 stands for "none yet". */
  #history: Placed[];

  constructor(base: Placed) {
    this.#history = [base];
  }

  get latest(): Placed {
    return this.#history.at(-1) as Placed;
  }

  get committed(): Placed {
    return this.#history[0] as Placed;
  }

  /** A change is under way: appended and not known to be committed. */
  get isChanging(): boolean {
    return this.#history.length > 1;
  }

  push(index: number, configuration: RaftConfiguration): void {
    assert(index > this.latest.index, "configurations come in the order of the log");
    this.#history.push({ index, configuration });
  }

  /** True when the latest one is another now. */
  truncateFrom(index: number): boolean {
    const before = this.#history.length;
    while (this.#history.length > 1 && this.latest.index >= index) this.#history.pop();
    assert(this.latest.index < index, "a committed configuration is never truncated");
    return this.#history.length < before;
  }

  /** Everything up to `index` is committed. True when another configuration became the committed one. */
  commit(index: number): boolean {
    const before = this.#history.length;
    while (this.#history.length > 1 && (this.#history[1] as Placed).index <= index) this.#history.shift();
    return this.#history.length < before;
  }

  /** A snapshot brought `base`; entries behind `snapshotIndex` stay in force when the log kept them. */
  rebase(base: Placed, snapshotIndex: number): void {
    this.#history = [base, ...this.#history.filter((placed) => placed.index > snapshotIndex)];
  }

  copy(): readonly Placed[] {
    return [...this.#history];
  }

  restore(history: readonly Placed[]): void {
    this.#history = [...history];
  }
}
