/**
 * Memory for full states under way between nodes that share records, used again and again: each takes some bytes per member, and thousands of
 * states a second of ten thousand members each would keep the garbage collector busy with nothing else.
 */
export interface StateArrays {
  /** Members that fit. */
  readonly capacity: number;
  readonly order: ArrayBuffer;
  readonly words: ArrayBuffer;
  /** For the layer above. */
  readonly statuses: ArrayBuffer;
  readonly times: ArrayBuffer;
}

/** As wide as a column may be. */
const WIDTH_MAX = 4;

/** Sets kept for later; more than are ever under way at once, save in a storm. */
const KEPT_MAX = 256;

export class StateArraysPool {
  #kept: StateArrays[] = [];

  /** Memory for columns of so many places, of any content. */
  take(capacity: number): StateArrays {
    const kept = this.#kept.pop();
    if (kept !== undefined && kept.capacity >= capacity) return kept;
    const column = (): ArrayBuffer => new ArrayBuffer(WIDTH_MAX * capacity);
    return { capacity, order: column(), words: column(), statuses: column(), times: column() };
  }

  /** Takes memory back that nobody uses any more. */
  give(arrays: StateArrays): void {
    if (this.#kept.length < KEPT_MAX) this.#kept.push(arrays);
  }
}
