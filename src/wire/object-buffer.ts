/** Bytes of a connection, cut into whole msgpack objects. Memory is bounded by the limit the caller gives and one read. */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { BoundaryScanner } from "./msgpack-boundary.ts";
import { Reader } from "./msgpack.ts";

export class ObjectBuffer {
  readonly #scanner = new BoundaryScanner();
  readonly #reader = new Reader();
  #bytes: Uint8Array = EMPTY_BYTES;
  #objectStart = 0;
  #start = 0;
  #end = 0;
  #owned = false; // We may write behind `#end`; a chunk of the caller is only read.

  /** Bytes not yet taken. */
  get size(): number {
    return this.#end - this.#start;
  }

  /** Adds what was read. The chunk is kept until it is used up and must not change before, unless `keep` is called. */
  append(chunk: Uint8Array): void {
    if (this.size === 0) {
      this.#bytes = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      this.#owned = false;
      return;
    }
    const needed = this.size + chunk.length;
    if (!this.#owned || this.#start + needed > this.#bytes.length) this.#own(needed);
    this.#bytes.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** Moves what is left to memory of ours with room for `needed` bytes. Doubling keeps the cost linear when an object trickles in. */
  #own(needed: number): void {
    const grown = new Uint8Array(Math.max(2 * needed, 4096));
    grown.set(this.#bytes.subarray(this.#start, this.#end));
    this.#bytes = grown;
    this.#end -= this.#start;
    this.#start = 0;
    this.#owned = true;
  }

  /** Copies what is left of the last chunk, whose memory its owner will use again. */
  keep(): void {
    if (this.#owned) return;
    if (this.size > 0) this.#own(this.size);
    else this.#bytes = EMPTY_BYTES;
    this.#objectStart = this.#start;
  }

  /** Bytes of the object last taken; a view, valid until the next `append` or `keep`. */
  get object(): Uint8Array {
    return this.#bytes.subarray(this.#objectStart, this.#start);
  }

  /**
   * A reader over the next whole object, which counts as taken; it is valid until the next call. Otherwise why there is none: "short"
   * means wait for more bytes, "malformed" and "large" (longer than `limit`) that nothing good can follow.
   */
  next(limit: number): Reader | "short" | "malformed" | "large" {
    const boundary = this.#scanner.scan(this.#bytes, this.#start, this.#end, limit);
    if (boundary.kind !== "end") return boundary.kind;
    this.#scanner.reset();
    this.#objectStart = this.#start;
    this.#reader.reset(this.#bytes, this.#start, boundary.at);
    this.#start = boundary.at;
    return this.#reader;
  }

  /**
   * A reader from the next object to the end of all bytes, for who knows how to read that object and then calls `took`: most come whole, and need not be looked through for
   * their end first. Null when it has been looked for already, there is nothing, or there is more than `limit`. `next` gives whatever was not taken.
   */
  ahead(limit: number): Reader | null {
    const size = this.#end - this.#start;
    if (size === 0 || size > limit || this.#scanner.begun) return null;
    this.#reader.reset(this.#bytes, this.#start, this.#end);
    return this.#reader;
  }

  /** The reader of `ahead` has read one whole object, without failing. */
  took(): void {
    this.#objectStart = this.#start;
    this.#start = this.#reader.at;
  }

  /** Up to `count` bytes that are no object, such as a type byte or a body; a view, valid until the next `append`. Only between two objects. */
  take(count: number): Uint8Array {
    const end = Math.min(this.#start + count, this.#end);
    const bytes = this.#bytes.subarray(this.#start, end);
    this.#start = end;
    return bytes;
  }
}
