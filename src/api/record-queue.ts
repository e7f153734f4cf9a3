import { listOfObjects } from "../base/lists.ts";

/** A bounded first-in-first-out queue that drops what does not fit and counts it: one slow reader must cost neither memory nor others' time. */
export class RecordQueue<T> {
  readonly #itemsMax: number;
  readonly #bytesMax: number;
  // Side by side: an object per record would cost more than the rest.
  #items: T[] = listOfObjects();
  #sizes: number[] = [];
  #head = 0;
  #bytes = 0;
  #dropped = 0;

  /** At most `itemsMax` items of at most `bytesMax` bytes in sum; a single larger item still fits when it is alone. */
  constructor(itemsMax: number, bytesMax: number) {
    this.#itemsMax = itemsMax;
    this.#bytesMax = bytesMax;
  }

  get size(): number {
    return this.#items.length - this.#head;
  }

  /** Items refused since the beginning. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Appends, or drops and counts; true when appended. */
  push(item: T, bytes: number): boolean {
    if (this.size >= this.#itemsMax || (this.size > 0 && this.#bytes + bytes > this.#bytesMax)) {
      this.#dropped += 1;
      return false;
    }
    this.#items.push(item);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
    return true;
  }

  /** Removes and returns the oldest; undefined when empty. */
  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const oldest = this.#items[this.#head] as T;
    this.#bytes -= this.#sizes[this.#head] as number;
    this.#head += 1;
    // Taken items are let go in batches, so that a shift costs the same at any length.
    if (this.#head === this.#items.length) this.#cut(this.#head);
    else if (this.#head > 64 && 2 * this.#head >= this.#items.length) this.#cut(this.#head);
    return oldest;
  }

  #cut(count: number): void {
    this.#items = this.#items.slice(count);
    this.#sizes = this.#sizes.slice(count);
    this.#head = 0;
  }
}
