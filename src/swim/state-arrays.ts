/**
 * Arrays for full states under way between nodes that share records, used again and again: each holds a row per member, and thousands of
 * states a second of ten thousand rows each would keep the garbage collector busy with nothing else.
 */
export interface StateArrays {
  /** Rows that fit. */
  readonly capacity: number;
  readonly slots: Uint32Array;
  readonly words: Uint32Array;
  /** For the layer above. */
  readonly rows: Uint32Array;
  readonly times: Float64Array;
}

/** Sets kept for later; more than are ever under way at once, save in a storm. */
const KEPT_MAX = 256;

export class StateArraysPool {
  #kept: StateArrays[] = [];

  /** Arrays of at least `rows` places, of any content. */
  take(rows: number, capacity: number): StateArrays {
    const kept = this.#kept.pop();
    if (kept !== undefined && kept.capacity >= rows) return kept;
    const places = Math.max(rows, capacity);
    return { capacity: places, slots: new Uint32Array(places), words: new Uint32Array(places), rows: new Uint32Array(places), times: new Float64Array(places) };
  }

  /** Takes arrays back that nobody uses any more. */
  give(arrays: StateArrays): void {
    if (this.#kept.length < KEPT_MAX) this.#kept.push(arrays);
  }
}
