/**
 * A request of `node:http` whose body is gathered as it comes from the parser instead of being streamed: every handler wants it whole, bodies are bounded, and a
 * stream costs more than all the rest of a small request (its buffer, the turns of its events, its destruction).
 */
import { IncomingMessage } from "node:http";

/** Gets the body, or null when it is larger than it may be. */
export type WholeBody = (body: Uint8Array | null) => void;

export class WholeRequest extends IncomingMessage {
  #pieces: Uint8Array[] = [];
  #length = 0;
  #bytesMax = 0;
  #done: WholeBody | null = null;

  /** To be called as soon as the head is here. `done` comes once, or never when the client goes away; what comes after it is dropped. */
  gather(bytesMax: number, done: WholeBody): void {
    if (Number(this.headers["content-length"] ?? 0) > bytesMax) {
      done(null);
      return;
    }
    this.#bytesMax = bytesMax;
    this.#done = done;
  }

  /** What the parser calls with each piece and, at the end, with null. True: it need not wait. */
  override push(piece: Uint8Array | null): boolean {
    const done = this.#done;
    if (done === null) return true;
    if (piece === null) this.#finish(done, this.#pieces.length === 1 ? (this.#pieces[0] as Uint8Array) : Buffer.concat(this.#pieces));
    else {
      this.#length += piece.length;
      if (this.#length > this.#bytesMax) this.#finish(done, null);
      else this.#pieces.push(piece);
    }
    return true;
  }

  #finish(done: WholeBody, body: Uint8Array | null): void {
    this.#done = null;
    this.#pieces = [];
    done(body);
  }

  /** The server calls this for a request whose body nobody has read, to get it off the wire: that is done. */
  _dump(): void {}
}

// The server asks this before it lets go of an answered request: nothing of ours waits to be read. (In the types it is a plain property.)
Object.defineProperty(WholeRequest.prototype, "readableEnded", {
  get(this: WholeRequest): boolean {
    return this.complete;
  },
});
