/**
 * Which messages are settled at which nodes of a simulation: a bit per message and node, message by message. Ten thousand nodes get the same few
 * hundred messages some ten times each; asking the node means a dozen misses of the processor's caches, while the bits of all that is gossiped
 * at one time fit the caches. Rows are numbered and used again; messages that are judged alike share one.
 */
import { assert } from "../base/assert.ts";

/** The row of messages that nobody holds any more: never set. */
export const NO_ROW = 0;
const WORD_SHIFT = 5;
const WORD_MASK = 31;
const ROWS_FIRST = 64;

export class SettledBits {
  readonly #wordsPerRow: number;
  #words: Uint32Array;
  #rowCount = 1;
  readonly #free: number[] = [];

  constructor(nodes: number) {
    this.#wordsPerRow = Math.ceil(nodes / (WORD_MASK + 1));
    this.#words = new Uint32Array(ROWS_FIRST * this.#wordsPerRow);
  }

  /** A row without any bit. */
  take(): number {
    const row = this.#free.pop();
    if (row !== undefined) return row;
    this.#rowCount += 1;
    const needed = this.#rowCount * this.#wordsPerRow;
    if (needed > this.#words.length) {
      const words = new Uint32Array(needed + (needed >> 1));
      words.set(this.#words);
      this.#words = words;
    }
    return this.#rowCount - 1;
  }

  give(row: number): void {
    assert(row !== NO_ROW, "this row is nobody's");
    const start = row * this.#wordsPerRow;
    this.#words.fill(0, start, start + this.#wordsPerRow);
    this.#free.push(row);
  }

  has(row: number, node: number): boolean {
    return (((this.#words[row * this.#wordsPerRow + (node >> WORD_SHIFT)] as number) >>> (node & WORD_MASK)) & 1) === 1;
  }

  add(row: number, node: number): void {
    if (row === NO_ROW) return;
    const at = row * this.#wordsPerRow + (node >> WORD_SHIFT);
    this.#words[at] = (this.#words[at] as number) | (1 << (node & WORD_MASK));
  }

  delete(row: number, node: number): void {
    const at = row * this.#wordsPerRow + (node >> WORD_SHIFT);
    this.#words[at] = (this.#words[at] as number) & ~(1 << (node & WORD_MASK));
  }

  /** Takes the node's bit from all rows. */
  deleteNode(node: number): void {
    for (let row = 1; row < this.#rowCount; row += 1) this.delete(row, node);
  }
}
