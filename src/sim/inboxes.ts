/**
 * User events that wait for their nodes. Until its next round of gossip nobody sees what a node makes of them, so it can be given several datagrams
 * then, each with the time at which it came: in a cluster of thousands a node lies outside the processor's caches whenever it is looked at. Here are the
 * numbers of shared messages, which whoever puts them here holds, in cells of one cache line; those of a node are a chain.
 */
const NEXT = 0;
const TIME = 1;
const FROM = 2;
const COUNT = 3;
const NUMBERS = 4;
/** Words of a cell: a line of 64 bytes. */
const STRIDE = 8;
const NUMBERS_MAX = STRIDE - NUMBERS;
/** Cell 0 does not exist. */
const NIL = 0;
const CELLS_FIRST = 1024;

export class Inboxes {
  #cells = new Float64Array(STRIDE * CELLS_FIRST);
  #used = 1;
  #free = NIL;
  // By node.
  readonly #first: Int32Array;
  readonly #last: Int32Array;

  // What `take` has found: the time, the node it came from, and `count` numbers.
  atUs = 0;
  from = 0;
  count = 0;
  #taken = NIL;

  constructor(nodes: number) {
    this.#first = new Int32Array(nodes);
    this.#last = new Int32Array(nodes);
  }

  isEmpty(node: number): boolean {
    return this.#first[node] === NIL;
  }

  /** Reads what `take` will begin with; the sum means nothing. */
  touch(node: number): number {
    return this.#cells[STRIDE * (this.#first[node] as number)] as number;
  }

  /** Appends a message that came at `atUs`. */
  put(node: number, atUs: number, from: number, number: number): void {
    const last = this.#last[node] as number;
    const at = STRIDE * last;
    const isSame = last !== NIL && this.#cells[at + TIME] === atUs && this.#cells[at + FROM] === from && (this.#cells[at + COUNT] as number) < NUMBERS_MAX;
    const start = isSame ? at : STRIDE * this.#append(node, last, atUs, from);
    const count = this.#cells[start + COUNT] as number;
    this.#cells[start + NUMBERS + count] = number;
    this.#cells[start + COUNT] = count + 1;
  }

  #append(node: number, last: number, atUs: number, from: number): number {
    const cell = this.#newCell();
    const start = STRIDE * cell;
    this.#cells[start + NEXT] = NIL;
    this.#cells[start + TIME] = atUs;
    this.#cells[start + FROM] = from;
    this.#cells[start + COUNT] = 0;
    if (last === NIL) this.#first[node] = cell;
    else this.#cells[STRIDE * last + NEXT] = cell;
    this.#last[node] = cell;
    return cell;
  }

  #newCell(): number {
    const free = this.#free;
    if (free !== NIL) {
      this.#free = this.#cells[STRIDE * free + NEXT] as number;
      return free;
    }
    if (STRIDE * this.#used === this.#cells.length) {
      const cells = new Float64Array(2 * this.#cells.length);
      cells.set(this.#cells);
      this.#cells = cells;
    }
    this.#used += 1;
    return this.#used - 1;
  }

  /** Takes the first of the node into the fields of this object, until the next call; false when there is none. */
  take(node: number): boolean {
    const cell = this.#first[node] as number;
    if (cell === NIL) return false;
    const start = STRIDE * cell;
    const next = this.#cells[start + NEXT] as number;
    this.#first[node] = next;
    if (next === NIL) this.#last[node] = NIL;
    this.atUs = this.#cells[start + TIME] as number;
    this.from = this.#cells[start + FROM] as number;
    this.count = this.#cells[start + COUNT] as number;
    this.#taken = cell;
    // Not used again before the next `put`, when what was taken is done with.
    this.#cells[start + NEXT] = this.#free;
    this.#free = cell;
    return true;
  }

  /** One of the `count` numbers that were taken. */
  numberAt(i: number): number {
    return this.#cells[STRIDE * this.#taken + NUMBERS + i] as number;
  }
}
