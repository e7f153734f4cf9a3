/**
 * Which messages are settled at which nodes of a simulation: a bit per message and node. Ten thousand nodes get the same few hundred messages some ten
 * times each; asking the node means a dozen misses of the processor's caches, while the bits of all that is gossiped at one time fit the caches. Rows
 * are numbered and used again; messages that are judged alike share one. Bits of 32 rows stand in one word per node, so that a packet of messages
 * that came up at about the same time is looked up at a node as two or three words.
 */
import { assert } from "../base/assert.ts";

/** The row of messages that nobody holds any more: never set. */
export const NO_ROW = 0;
const WORD_SHIFT = 5;
const WORD_MASK = 31;
const BLOCKS_FIRST = 2;
const NO_START = -1;

/** A datagram does not have messages of more words. */
const PLACES_MAX = 8192;
/** Of the set that is being made: starts and masks in turn. */
const places = new Int32Array(PLACES_MAX);

/**
 * Some rows, by the words that hold them: pairs of a start and a mask, which is of the bits in the word at the start + the number of the node. Ahead of them is
 * the version of the time it was made: rows may since have been given to other messages.
 */
export type SettledSet = readonly number[];

/** What `missing` says of a set that is out of date. */
export const SET_IS_OLD = -1;

export class SettledBits {
  readonly #nodes: number;
  #words: Int32Array;
  #rowCount = 1;
  readonly #free: number[] = [];
  /** Counts the rows given back. */
  #version = 0;
  // Of the set that is being made: how much of `places` is used, and where the last row was.
  #placesUsed = 0;
  #place = 0;
  #start = NO_START;

  constructor(nodes: number) {
    this.#nodes = nodes;
    this.#words = new Int32Array(BLOCKS_FIRST * nodes);
  }

  /** A row without any bit. */
  take(): number {
    const row = this.#free.pop();
    if (row !== undefined) return row;
    this.#rowCount += 1;
    const blocks = (this.#rowCount + WORD_MASK) >> WORD_SHIFT;
    if (blocks * this.#nodes > this.#words.length) {
      const words = new Int32Array((blocks + (blocks >> 1)) * this.#nodes);
      words.set(this.#words);
      this.#words = words;
    }
    return this.#rowCount - 1;
  }

  give(row: number): void {
    assert(row !== NO_ROW, "this row is nobody's");
    const words = this.#words;
    const start = (row >> WORD_SHIFT) * this.#nodes;
    const kept = ~(1 << (row & WORD_MASK));
    for (let at = start; at < start + this.#nodes; at += 1) words[at] = (words[at] as number) & kept;
    this.#free.push(row);
    this.#version += 1;
  }

  has(row: number, node: number): boolean {
    return (((this.#words[(row >> WORD_SHIFT) * this.#nodes + node] as number) >>> (row & WORD_MASK)) & 1) === 1;
  }

  add(row: number, node: number): void {
    if (row === NO_ROW) return;
    const at = (row >> WORD_SHIFT) * this.#nodes + node;
    this.#words[at] = (this.#words[at] as number) | (1 << (row & WORD_MASK));
  }

  delete(row: number, node: number): void {
    const at = (row >> WORD_SHIFT) * this.#nodes + node;
    this.#words[at] = (this.#words[at] as number) & ~(1 << (row & WORD_MASK));
  }

  /** Takes the node's bit from all rows. */
  deleteNode(node: number): void {
    for (let at = node; at < this.#words.length; at += this.#nodes) this.#words[at] = 0;
  }

  // One set is made at a time: `beginSet`, its rows, `endSet`.

  beginSet(): void {
    this.#placesUsed = 0;
    this.#place = 0;
    this.#start = NO_START;
  }

  include(row: number): void {
    const start = (row >> WORD_SHIFT) * this.#nodes;
    if (start !== this.#start) this.#findPlace(start);
    const at = this.#place + 1;
    places[at] = (places[at] as number) | (1 << (row & WORD_MASK));
  }

  /** Most rows are in the word of the row before. */
  #findPlace(start: number): void {
    const end = this.#placesUsed;
    let at = 0;
    while (at < end && places[at] !== start) at += 2;
    if (at === end) {
      assert(at + 2 <= PLACES_MAX, "too many rows for one set");
      places[at] = start;
      places[at + 1] = 0;
      this.#placesUsed = at + 2;
    }
    this.#place = at;
    this.#start = start;
  }

  endSet(): SettledSet {
    const end = this.#placesUsed;
    const set = new Array<number>(1 + end); // One that grows has room to spare.
    set[0] = this.#version;
    for (let at = 0; at < end; at += 1) set[at + 1] = places[at] as number;
    return set;
  }

  /** No row has been given to another message since the set was made. */
  isCurrent(set: SettledSet): boolean {
    return set[0] === this.#version;
  }

  /** All bits of the set are set at this node; false also when a row of the set may be another message's by now. */
  hasAll(set: SettledSet, node: number): boolean {
    if (set[0] !== this.#version) return false;
    for (let at = 1; at < set.length; at += 2) {
      if (((set[at + 1] as number) & ~(this.#words[(set[at] as number) + node] as number)) !== 0) return false;
    }
    return true;
  }

  /** How many rows of the set are not set at this node; `SET_IS_OLD` when a row of the set may be another message's by now. */
  missing(set: SettledSet, node: number): number {
    if (set[0] !== this.#version) return SET_IS_OLD;
    let count = 0;
    for (let at = 1; at < set.length; at += 2) count += bitCount((set[at + 1] as number) & ~(this.#words[(set[at] as number) + node] as number));
    return count;
  }
}

/** How many of the 32 bits are set: pairs, fours and bytes of them are added up side by side. */
function bitCount(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
