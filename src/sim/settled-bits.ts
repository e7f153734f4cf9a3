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

/** For one call of `setOf`: what an array has spare while it grows, the set does not keep. */
const places: number[] = [];

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

  /** The rows of the messages of these numbers; null when one of them has none. */
  setOf(held: readonly number[], rows: Uint32Array): SettledSet | null {
    while (places.length > 0) places.pop();
    places.push(this.#version);
    for (let i = 0; i < held.length; i += 1) {
      const number = held[i] as number;
      if (number < 0) return null;
      const row = rows[number] as number;
      const start = (row >> WORD_SHIFT) * this.#nodes;
      const bit = 1 << (row & WORD_MASK);
      let at = 1;
      while (at < places.length && places[at] !== start) at += 2;
      if (at === places.length) places.push(start, bit);
      else places[at + 1] = (places[at + 1] as number) | bit;
    }
    return places.slice();
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
