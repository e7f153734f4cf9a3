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
const starts: number[] = [];
const masks: number[] = [];

/** Some rows, by the words that hold them: at `starts[i]` + the number of the node, the bits `masks[i]`. */
export interface SettledSet {
  readonly starts: readonly number[];
  readonly masks: readonly number[];
  /** Of the time it was made: rows may since have been given to other messages. */
  readonly version: number;
}

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
    while (starts.length > 0) starts.pop();
    while (masks.length > 0) masks.pop();
    for (let i = 0; i < held.length; i += 1) {
      const number = held[i] as number;
      if (number < 0) return null;
      const row = rows[number] as number;
      const start = (row >> WORD_SHIFT) * this.#nodes;
      const bit = 1 << (row & WORD_MASK);
      let at = 0;
      while (at < starts.length && starts[at] !== start) at += 1;
      if (at === starts.length) {
        starts.push(start);
        masks.push(bit);
      } else masks[at] = (masks[at] as number) | bit;
    }
    return { starts: starts.slice(), masks: masks.slice(), version: this.#version };
  }

  /** No row has been given back since the set was made. */
  isCurrent({ version }: SettledSet): boolean {
    return version === this.#version;
  }

  /** All bits of the set are set at this node; false also when a row of the set may be another message's by now. */
  hasAll({ starts, masks, version }: SettledSet, node: number): boolean {
    if (version !== this.#version) return false;
    for (let i = 0; i < starts.length; i += 1) {
      if (((masks[i] as number) & ~(this.#words[(starts[i] as number) + node] as number)) !== 0) return false;
    }
    return true;
  }
}
