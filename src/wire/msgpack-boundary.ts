/**
 * Finds where a msgpack object ends in bytes that arrive bit by bit. RPC has no framing, and decoding an unfinished request again with
 * each read would cost quadratic time; the scanner resumes where it stopped.
 */

/** "short": more bytes are needed. "malformed": no such object exists. "large": it would be longer than allowed. */
export type Boundary = { readonly kind: "end"; readonly at: number } | { readonly kind: "short" | "malformed" | "large" };

const SHORT: Boundary = { kind: "short" };
const MALFORMED: Boundary = { kind: "malformed" };
const LARGE: Boundary = { kind: "large" };

/** Bytes after the descriptors c0 … df: of fixed size, or -1, -2, -4 for a length of so many bytes; extension types carry one byte more. */
const FOLLOWING = [0, NaN, 0, 0, -1, -2, -4, -1, -2, -4, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17, -1, -2, -4];

export class BoundaryScanner {
  #at = 0; // Offset behind what was scanned, from the start of the object.
  #values = 1; // Values still to come; nesting needs no stack, since a container only adds to this count.

  /** Starts over with a new object. */
  reset(): void {
    this.#at = 0;
    this.#values = 1;
  }

  /** Part of an object has been scanned. */
  get begun(): boolean {
    return this.#at > 0;
  }

  /** Scans on. The object began at `start` and all bytes since then are in `bytes[start, end)`; at most `limit` bytes may be its length. */
  scan(bytes: Uint8Array, start: number, end: number, limit: number): Boundary {
    while (this.#values > 0) {
      const at = start + this.#at;
      // Every value still to come takes a byte at least, so that a declared count cannot ask for more than the limit.
      if (this.#at + this.#values > limit) return LARGE;
      if (at >= end) return SHORT;
      const first = bytes[at] as number;
      if (first < 0x80 || first >= 0xe0) this.#take(1, 0);
      else if (first < 0x90) this.#take(1, 2 * (first & 0x0f));
      else if (first < 0xa0) this.#take(1, first & 0x0f);
      else if (first < 0xc0) this.#take(1 + (first & 0x1f), 0);
      else {
        const width = first >= 0xdc ? 2 << (first & 1) : Math.max(0, -(FOLLOWING[first - 0xc0] as number));
        if (Number.isNaN(width)) return MALFORMED;
        if (at + 1 + width > end) return SHORT;
        this.#takeWide(first, width, bigEndian(bytes, at + 1, width));
      }
    }
    return this.#at > limit ? LARGE : start + this.#at > end ? SHORT : { kind: "end", at: start + this.#at };
  }

  #takeWide(first: number, width: number, declared: number): void {
    if (first >= 0xde) this.#take(1 + width, 2 * declared);
    else if (first >= 0xdc) this.#take(1 + width, declared);
    else if (width === 0) this.#take(1 + (FOLLOWING[first - 0xc0] as number), 0);
    else this.#take(1 + width + declared + (first >= 0xc7 && first <= 0xc9 ? 1 : 0), 0);
  }

  #take(length: number, values: number): void {
    this.#at += length;
    this.#values += values - 1;
  }
}

function bigEndian(bytes: Uint8Array, at: number, width: number): number {
  let value = 0;
  for (let i = 0; i < width; i += 1) value = value * 256 + (bytes[at + i] as number);
  return value;
}
