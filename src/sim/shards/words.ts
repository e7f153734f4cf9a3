/** Records of 32-bit words, as shards hand them to each other: written one after the other, read in the same order. */
import { assert } from "../../base/assert.ts";
import { bytesOf, columnIn, type Column } from "../../base/column.ts";
import { decodeUtf8, encodeUtf8 } from "../../base/utf8.ts";

const WORDS_FIRST = 1024;
/** A record begins with a word of its length in words, this one included, and its kind in the lowest bits. */
const KIND_BITS = 3;
const KIND_MASK = (1 << KIND_BITS) - 1;

/** A number of 64 bits as two words. */
const scratch = new Float64Array(1);
const scratchWords = new Int32Array(scratch.buffer);

export class WordWriter {
  #words = new Int32Array(WORDS_FIRST);
  #bytes = new Uint8Array(this.#words.buffer);
  #start = 0;
  length = 0;

  get words(): Int32Array {
    return this.#words;
  }

  clear(): void {
    this.length = 0;
  }

  begin(): void {
    this.#start = this.length;
    this.put(0);
  }

  end(kind: number): void {
    this.#words[this.#start] = ((this.length - this.#start) << KIND_BITS) | kind;
  }

  put(word: number): void {
    this.#reserve(1);
    this.#words[this.length] = word;
    this.length += 1;
  }

  putNumber(value: number): void {
    this.#reserve(2);
    scratch[0] = value;
    this.#words[this.length] = scratchWords[0] as number;
    this.#words[this.length + 1] = scratchWords[1] as number;
    this.length += 2;
  }

  /** A column that has its memory for itself: the width of its places, and the bytes. */
  putColumn(column: Column): void {
    this.put(column.BYTES_PER_ELEMENT);
    this.putBytes(bytesOf(column));
  }

  /** Their number, and the bytes. */
  putBytes(bytes: Uint8Array): void {
    const count = (bytes.length + 3) >> 2;
    this.#reserve(1 + count);
    this.#words[this.length] = bytes.length;
    this.#bytes.set(bytes, 4 * (this.length + 1));
    this.length += 1 + count;
  }

  putText(text: string): void {
    this.putBytes(encodeUtf8(text));
  }

  #reserve(count: number): void {
    const wanted = this.length + count;
    if (wanted <= this.#words.length) return;
    const words = new Int32Array(Math.max(wanted, 2 * this.#words.length));
    words.set(this.#words);
    this.#words = words;
    this.#bytes = new Uint8Array(words.buffer);
  }
}

export class WordReader {
  #words = new Int32Array(WORDS_FIRST);
  #bytes = new Uint8Array(this.#words.buffer);
  #at = 0;
  #length = 0;
  #end = 0;

  /** Room for `count` more words at the end of what has come; they count once `arrived` says so. */
  room(count: number): Int32Array {
    if (this.#at === this.#length) {
      this.#at = 0;
      this.#length = 0;
    }
    if (this.#length + count > this.#words.length) {
      const words = new Int32Array(Math.max(this.#length + count, 2 * this.#words.length));
      words.set(this.#words.subarray(0, this.#length));
      this.#words = words;
      this.#bytes = new Uint8Array(words.buffer);
    }
    return this.#words.subarray(this.#length, this.#length + count);
  }

  arrived(count: number): void {
    this.#length += count;
  }

  /** Begins the next record: its kind, or -1 when it is not here as a whole yet. */
  next(): number {
    if (this.#at === this.#length) return -1;
    const head = this.#words[this.#at] as number;
    const end = this.#at + (head >>> KIND_BITS);
    if (end > this.#length) return -1;
    this.#at += 1;
    this.#end = end;
    return head & KIND_MASK;
  }

  /** The record has been read to its end. */
  done(): void {
    assert(this.#at === this.#end, "a record is longer than what was read of it");
  }

  word(): number {
    this.#at += 1;
    return this.#words[this.#at - 1] as number;
  }

  number(): number {
    scratchWords[0] = this.word();
    scratchWords[1] = this.word();
    return scratch[0] as number;
  }

  /** A copy of a column in `memory`, which has room for it. */
  columnIn(memory: ArrayBuffer): Column {
    const width = this.word();
    const bytes = this.#view();
    new Uint8Array(memory).set(bytes);
    return columnIn(memory, width, bytes.length / width);
  }

  bytes(): Uint8Array {
    return this.#view().slice();
  }

  /** The next bytes where they lie. */
  #view(): Uint8Array {
    const length = this.word();
    const start = 4 * this.#at;
    this.#at += (length + 3) >> 2;
    return this.#bytes.subarray(start, start + length);
  }

  text(): string {
    const bytes = this.bytes();
    return decodeUtf8(bytes, 0, bytes.length);
  }
}
