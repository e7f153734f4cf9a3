/**
 * A table of named deadlines: one slot per key, earliest first. A machine names its next wake-up with `nextAtMs` and takes
 * what is due with `popDue`. Ties are broken by insertion, so that runs are reproducible.
 */
export class Deadlines<Key> {
  #heap: { readonly key: Key; readonly atMs: number; readonly order: number }[] = [];
  readonly #current = new Map<Key, number>(); // key -> order of its valid heap entry; others are stale.
  #order = 0;
  /** What `nextAtMs` last answered; NaN when something has changed since. */
  #nextAtMs = Infinity;

  get size(): number {
    return this.#current.size;
  }

  /** Sets or moves the deadline of `key`. */
  set(key: Key, atMs: number): void {
    this.#order += 1;
    this.#nextAtMs = NaN;
    this.#current.set(key, this.#order);
    this.#push({ key, atMs, order: this.#order });
    if (this.#heap.length > 64 && this.#heap.length > 4 * this.#current.size) this.#dropStale();
  }

  delete(key: Key): void {
    if (this.#current.delete(key)) this.#nextAtMs = NaN;
  }

  has(key: Key): boolean {
    return this.#current.has(key);
  }

  /** When the earliest deadline is due, in ms; Infinity when there is none. */
  get nextAtMs(): number {
    if (Number.isNaN(this.#nextAtMs)) this.#nextAtMs = this.#findNext();
    return this.#nextAtMs;
  }

  #findNext(): number {
    for (;;) {
      const top = this.#heap[0];
      if (top === undefined) return Infinity;
      if (this.#current.get(top.key) === top.order) return top.atMs;
      this.#pop();
    }
  }

  /** Removes and returns one key whose deadline is at or before `nowMs`, earliest first; undefined when none is due. */
  popDue(nowMs: number): Key | undefined {
    if (this.nextAtMs > nowMs) return undefined;
    const top = this.#pop();
    if (top === undefined) return undefined;
    this.#current.delete(top.key);
    this.#nextAtMs = NaN;
    return top.key;
  }

  #dropStale(): void {
    const valid = this.#heap.filter((entry) => this.#current.get(entry.key) === entry.order);
    this.#heap = [];
    for (const entry of valid) this.#push(entry);
  }

  #push(entry: { readonly key: Key; readonly atMs: number; readonly order: number }): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(entry);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent] as typeof entry;
      if (!before(entry, above)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = entry;
  }

  #pop(): { readonly key: Key; readonly atMs: number; readonly order: number } | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as typeof last, heap[child] as typeof last)) child += 1;
      const below = heap[child] as typeof last;
      if (!before(below, last)) break;
      heap[i] = below;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}

function before(a: { readonly atMs: number; readonly order: number }, b: { readonly atMs: number; readonly order: number }): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
