/**
 * User events that wait for their nodes. Until its next round of gossip nobody sees what a node makes of them, so it can be given several datagrams
 * then, each with the time at which it came: in a cluster of thousands a node lies outside the processor's caches whenever it is looked at. Here are the
 * numbers of shared messages, which whoever puts them here holds, in blocks of two cache lines; those of a node are a chain.
 */
import { assert } from "../base/assert.ts";

const NEXT = 0;
const COUNT = 1;
const ENTRIES = 2;
/** Two words for each: the time, and the node it came from with the number below it. */
const ENTRY = 2;
const ENTRIES_MAX = 7;
/** Words of a block: 128 bytes. */
const STRIDE = ENTRIES + ENTRY * ENTRIES_MAX;
/** The second line begins with its word. */
const SECOND_LINE = 8;
const NUMBERS_LIMIT = 2 ** 24;
/** Block 0 does not exist. */
const NIL = 0;
const BLOCKS_FIRST = 1024;

export class Inboxes {
  #blocks = new Float64Array(STRIDE * BLOCKS_FIRST);
  #used = 1;
  #free = NIL;
  // By node.
  readonly #first: Int32Array;
  readonly #last: Int32Array;
  /** So many of its first block have been taken. */
  readonly #done: Uint8Array;

  // What `take` has found: the time, the node it came from, and `count` numbers.
  atUs = 0;
  from = 0;
  count = 0;
  readonly #numbers = new Int32Array(ENTRIES_MAX);

  constructor(nodes: number) {
    this.#first = new Int32Array(nodes);
    this.#last = new Int32Array(nodes);
    this.#done = new Uint8Array(nodes);
  }

  isEmpty(node: number): boolean {
    return this.#first[node] === NIL;
  }

  /** Reads what `take` will begin with; the sum means nothing. */
  touch(node: number): number {
    const start = STRIDE * (this.#first[node] as number);
    return (this.#blocks[start] as number) + (this.#blocks[start + SECOND_LINE] as number);
  }

  /** Appends a message that came at `atUs`. */
  put(node: number, atUs: number, from: number, number: number): void {
    assert(number < NUMBERS_LIMIT, "more messages than a simulation can hold");
    let block = this.#last[node] as number;
    if (block === NIL || this.#blocks[STRIDE * block + COUNT] === ENTRIES_MAX) block = this.#append(node, block);
    const start = STRIDE * block;
    const count = this.#blocks[start + COUNT] as number;
    const at = start + ENTRIES + ENTRY * count;
    this.#blocks[at] = atUs;
    this.#blocks[at + 1] = from * NUMBERS_LIMIT + number;
    this.#blocks[start + COUNT] = count + 1;
  }

  #append(node: number, last: number): number {
    const block = this.#newBlock();
    this.#blocks[STRIDE * block + NEXT] = NIL;
    this.#blocks[STRIDE * block + COUNT] = 0;
    if (last === NIL) this.#first[node] = block;
    else this.#blocks[STRIDE * last + NEXT] = block;
    this.#last[node] = block;
    return block;
  }

  #newBlock(): number {
    const free = this.#free;
    if (free !== NIL) {
      this.#free = this.#blocks[STRIDE * free + NEXT] as number;
      return free;
    }
    if (STRIDE * this.#used === this.#blocks.length) {
      const blocks = new Float64Array(2 * this.#blocks.length);
      blocks.set(this.#blocks);
      this.#blocks = blocks;
    }
    this.#used += 1;
    return this.#used - 1;
  }

  /** Takes the first of the node that came at one time from one node into the fields of this object; false when there is none. */
  take(node: number): boolean {
    const block = this.#first[node] as number;
    if (block === NIL) return false;
    const blocks = this.#blocks;
    const start = STRIDE * block;
    const end = blocks[start + COUNT] as number;
    const done = this.#done[node] as number;
    const first = start + ENTRIES + ENTRY * done;
    this.atUs = blocks[first] as number;
    this.from = Math.floor((blocks[first + 1] as number) / NUMBERS_LIMIT);
    const base = this.from * NUMBERS_LIMIT;
    let count = 0;
    for (let at = first; done + count < end && blocks[at] === this.atUs; at += ENTRY) {
      const number = (blocks[at + 1] as number) - base;
      if (number < 0 || number >= NUMBERS_LIMIT) break; // From somebody else.
      this.#numbers[count] = number;
      count += 1;
    }
    this.count = count;
    if (done + count < end) this.#done[node] = done + count;
    else this.#drop(node, block);
    return true;
  }

  /** The first block of the node is empty. */
  #drop(node: number, block: number): void {
    const start = STRIDE * block;
    const next = this.#blocks[start + NEXT] as number;
    this.#first[node] = next;
    if (next === NIL) this.#last[node] = NIL;
    this.#done[node] = 0;
    this.#blocks[start + NEXT] = this.#free;
    this.#free = block;
  }

  /** One of the `count` numbers that were taken. */
  numberAt(i: number): number {
    return this.#numbers[i] as number;
  }
}
