/**
 * What travels between main and a lane: one ArrayBuffer, transferred, never cloned.
 *
 *   u32 word count · u32 part count · words · part offsets (one more than parts, from the first part's byte) · bytes of all parts
 *
 * in the machine's own byte order: both ends are threads of one process. The words' meaning belongs to the kind of batch
 * (`open-batch.ts`, `pack-batch.ts`). A ring in shared memory could carry the same layout.
 */
import { assert } from "../../base/assert.ts";

const HEADER_WORDS = 2;

export function encodeBatch(words: readonly number[], parts: readonly Uint8Array[]): ArrayBuffer {
  let byteLength = 0;
  for (const part of parts) byteLength += part.length;
  const tableWords = HEADER_WORDS + words.length + parts.length + 1;
  const buffer = new ArrayBuffer(4 * tableWords + byteLength);
  const table = new Uint32Array(buffer, 0, tableWords);
  const bytes = new Uint8Array(buffer, 4 * tableWords);
  table[0] = words.length;
  table[1] = parts.length;
  for (let i = 0; i < words.length; i += 1) table[HEADER_WORDS + i] = words[i] as number;
  let offset = 0;
  let slot = HEADER_WORDS + words.length;
  for (const part of parts) {
    table[slot++] = offset;
    bytes.set(part, offset);
    offset += part.length;
  }
  table[slot] = offset;
  return buffer;
}

/** A batch as received; parts are views into its buffer. */
export class Batch {
  readonly wordCount: number;
  readonly partCount: number;
  readonly #table: Uint32Array;
  readonly #bytes: Uint8Array;

  constructor(buffer: ArrayBuffer) {
    const header = new Uint32Array(buffer, 0, HEADER_WORDS);
    this.wordCount = header[0] as number;
    this.partCount = header[1] as number;
    const tableWords = HEADER_WORDS + this.wordCount + this.partCount + 1;
    this.#table = new Uint32Array(buffer, 0, tableWords);
    this.#bytes = new Uint8Array(buffer, 4 * tableWords);
  }

  word(i: number): number {
    assert(i < this.wordCount, "batch word out of range");
    return this.#table[HEADER_WORDS + i] as number;
  }

  part(i: number): Uint8Array {
    assert(i < this.partCount, "batch part out of range");
    const slot = HEADER_WORDS + this.wordCount + i;
    return this.#bytes.subarray(this.#table[slot] as number, this.#table[slot + 1] as number);
  }
}
