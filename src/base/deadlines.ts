/**
 * A table of named deadlines: one slot per key, earliest first. A machine names its next wake-up with `nextAtMs` and takes
 * what is due with `popDue`. Ties are broken by insertion, so that runs are reproducible.
 *
 * A binary heap whose entries know their places: a deadline that moves or goes takes no other entry along and leaves nothing behind.
 */
interface Entry<Key> {
  readonly key: Key;
  atMs: number;
  order: number;
  /** Index in the heap. */
  place: number;
}

export class Deadlines<Key> {
  readonly #heap: Entry<Key>[] = [];
  readonly #entries = new Map<Key, Entry<Key>>();
  #order = 0;
  /** Kept here: asked for far more often than it changes, by machines that lie cold in a process of thousands. */
  #nextAtMs = Infinity;

  get size(): number {
    return this.#heap.length;
  }

  /** Sets or moves the deadline of `key`. */
  set(key: Key, atMs: number): void {
    this.#order += 1;
    const known = this.#entries.get(key);
    if (known === undefined) {
      const entry = { key, atMs, order: this.#order, place: this.#heap.length };
      this.#entries.set(key, entry);
      this.#heap.push(entry);
      this.#rise(entry);
    } else {
      known.atMs = atMs;
      known.order = this.#order;
      this.#rise(known);
      this.#sink(known);
    }
    this.#noteNext();
  }

  delete(key: Key): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#remove(entry);
  }

  has(key: Key): boolean {
    return this.#entries.has(key);
  }

  /** When the earliest deadline is due, in ms; Infinity when there is none. */
  get nextAtMs(): number {
    return this.#nextAtMs;
  }

  /** Removes and returns one key whose deadline is at or before `nowMs`, earliest first; undefined when none is due. */
  popDue(nowMs: number): Key | undefined {
    if (this.#nextAtMs > nowMs) return undefined;
    const top = this.#heap[0];
    if (top === undefined) return undefined;
    this.#remove(top);
    return top.key;
  }

  #remove(entry: Entry<Key>): void {
    this.#entries.delete(entry.key);
    const last = this.#heap.pop();
    if (last !== undefined && last !== entry) {
      this.#put(last, entry.place);
      this.#rise(last);
      this.#sink(last);
    }
    this.#noteNext();
  }

  #noteNext(): void {
    this.#nextAtMs = this.#heap[0]?.atMs ?? Infinity;
  }

  #put(entry: Entry<Key>, place: number): void {
    this.#heap[place] = entry;
    entry.place = place;
  }

  #rise(entry: Entry<Key>): void {
    let { place } = entry;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.#heap[parent] as Entry<Key>;
      if (!before(entry, above)) break;
      this.#put(above, place);
      place = parent;
    }
    this.#put(entry, place);
  }

  #sink(entry: Entry<Key>): void {
    const heap = this.#heap;
    let { place } = entry;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Entry<Key>, heap[child] as Entry<Key>)) child += 1;
      const below = heap[child] as Entry<Key>;
      if (!before(below, entry)) break;
      this.#put(below, place);
      place = child;
    }
    this.#put(entry, place);
  }
}

function before(a: Entry<unknown>, b: Entry<unknown>): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
