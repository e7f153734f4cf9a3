/**
 * Results of reads that many ask for, kept until something they depend on changes: the next caller gets the same object, and what was made of it (its encoded
 * form) comes with it. A result is dropped by the same watch that would wake a blocked reader, so it is never older than the state.
 */
import type { Indexed, Interest, StateMachine, Watch } from "../../catalog/types.ts";

/** Results kept, and rows of all of them together: some 500 bytes each when encoded. */
export const KEPT_RESULTS_MAX = 256;
export const KEPT_ROWS_MAX = 20_000;

interface Kept {
  readonly found: Indexed<unknown>;
  readonly rows: number;
  readonly watch: Watch;
}

export class KeptReads {
  readonly #state: StateMachine;
  /** The first is the one not asked for the longest. */
  readonly #kept = new Map<string, Kept>();
  #rows = 0;

  constructor(state: StateMachine) {
    this.#state = state;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** `interests`: all that the result depends on. A text (an error) and what is empty is not kept. */
  read(key: string, interests: readonly Interest[], run: () => Indexed<unknown> | string): Indexed<unknown> | string {
    const known = this.#kept.get(key);
    if (known !== undefined) {
      this.#kept.delete(key);
      this.#kept.set(key, known);
      return known.found;
    }
    const found = run();
    const rows = typeof found === "string" ? 0 : rowsOf(found.value);
    if (typeof found === "string" || rows === 0 || rows > KEPT_ROWS_MAX) return found;
    this.#kept.set(key, { found, rows, watch: this.#state.watch(interests, () => this.#drop(key)) });
    this.#rows += rows;
    this.#shrink();
    return found;
  }

  #shrink(): void {
    for (const [oldest, { watch }] of this.#kept) {
      if (this.#kept.size <= KEPT_RESULTS_MAX && this.#rows <= KEPT_ROWS_MAX) return;
      watch.cancel();
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    this.#rows -= this.#kept.get(key)?.rows ?? 0;
    this.#kept.delete(key);
  }
}

/** What is neither a list nor a map counts as one row; nothing as none. */
function rowsOf(value: unknown): number {
  if (value === null || value === undefined) return 0;
  if (Array.isArray(value)) return value.length;
  return value instanceof Map ? value.size : 1;
}
