/**
 * What each member that we probed told of its coordinate last, and how long the last probes of it took. Numbers in one array: a member of a large cluster probes
 * thousands of others, and would keep five objects of each.
 */
import { VIVALDI_DIMENSIONS, type Coordinate } from "./vivaldi.ts";

/** Round trips kept of each member. */
const SAMPLES_MAX = 3;

// Places of a member's numbers, behind the vector.
const ERROR = VIVALDI_DIMENSIONS;
const ADJUSTMENT = ERROR + 1;
const HEIGHT = ERROR + 2;
const SAMPLE_COUNT = ERROR + 3;
const SAMPLES = ERROR + 4;
const STRIDE = SAMPLES + SAMPLES_MAX;
const ROWS_FIRST = 4;

export class PeerCoordinates {
  readonly #startOf = new Map<string, number>();
  #values = new Float64Array(0);
  #used = 0;
  /** Starts of what has been forgotten. */
  readonly #free: number[] = [];

  get(node: string): Coordinate | null {
    const start = this.#startOf.get(node);
    if (start === undefined) return null;
    const values = this.#values;
    const vec = Array.from(values.subarray(start, start + VIVALDI_DIMENSIONS));
    return { vec, error: values[start + ERROR] as number, adjustment: values[start + ADJUSTMENT] as number, height: values[start + HEIGHT] as number };
  }

  /** Keeps what an answered probe brought; the median of the member's last round trips, since one late ack must not move us. */
  note(node: string, { vec, error, adjustment, height }: Coordinate, rttSeconds: number): number {
    const start = this.#startOf.get(node) ?? this.#add(node);
    const values = this.#values;
    for (let i = 0; i < VIVALDI_DIMENSIONS; i += 1) values[start + i] = vec[i] as number;
    values[start + ERROR] = error;
    values[start + ADJUSTMENT] = adjustment;
    values[start + HEIGHT] = height;
    const first = start + SAMPLES;
    const count = values[start + SAMPLE_COUNT] as number;
    if (count === SAMPLES_MAX) values.copyWithin(first, first + 1, first + SAMPLES_MAX);
    const kept = Math.min(count + 1, SAMPLES_MAX);
    values[start + SAMPLE_COUNT] = kept;
    values[first + kept - 1] = rttSeconds;
    return kept === 1 ? rttSeconds : (values.slice(first, first + kept).sort()[kept >> 1] as number);
  }

  forget(node: string): void {
    const start = this.#startOf.get(node);
    if (start === undefined) return;
    this.#startOf.delete(node);
    this.#values[start + SAMPLE_COUNT] = 0;
    this.#free.push(start);
  }

  #add(node: string): number {
    let start = this.#free.pop();
    if (start === undefined) {
      start = this.#used;
      this.#used += STRIDE;
      if (this.#used > this.#values.length) this.#grow(ROWS_FIRST + this.#startOf.size + (this.#startOf.size >> 1));
    }
    this.#startOf.set(node, start);
    return start;
  }

  #grow(rows: number): void {
    const values = new Float64Array(STRIDE * rows);
    values.set(this.#values);
    this.#values = values;
  }
}
