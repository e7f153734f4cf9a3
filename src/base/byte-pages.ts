/**
 * Bytes that are kept for a while, side by side in pages: a view of its own for each short piece takes 200 bytes and is moved twice by the collector before
 * it rests, which cost a node under events a fifth of its time. Pages are never written again, so views of them stay good; a page is freed when nobody refers to it.
 */
import { EMPTY_BYTES } from "./bytes.ts";

/** A piece keeps its whole page alive. */
export const PAGE_BYTES = 4096;
/** The first page is small: most of the nodes of a simulation keep little. */
const PAGE_BYTES_FIRST = 256;
/** Longer pieces get memory of their own. */
const PIECE_BYTES_MAX = PAGE_BYTES / 4;

export class BytePages {
  #current = EMPTY_BYTES;
  #used = 0;
  /** Where the piece reserved last belongs. */
  page = EMPTY_BYTES;

  /** Makes room for a piece in `page` and returns where it begins there. */
  reserve(length: number): number {
    if (length > PIECE_BYTES_MAX) {
      this.page = new Uint8Array(length);
      return 0;
    }
    if (this.#used + length > this.#current.length) {
      this.#current = new Uint8Array(Math.min(PAGE_BYTES, Math.max(PAGE_BYTES_FIRST, 2 * length, 2 * this.#current.length)));
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += length;
    this.page = this.#current;
    return at;
  }
}
