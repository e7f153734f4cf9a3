/**
 * A request of `node:http` whose body is gathered as it comes from the parser instead of being streamed: every handler wants it whole, bodies are bounded, and a
 * stream costs more than all the rest of a small request (its buffer, the turns of its events, its destruction).
 */
import { IncomingMessage } from "node:http";

/** Gets the body, or why there is none: it is larger than it may be, or those of all clients are. */
export type WholeBody = (body: Uint8Array | "large" | "busy") => void;

/** Bodies that are under way, of all clients: many that trickle in must not fill memory together. */
export class Bodies {
  readonly bytesMax: number;
  bytes = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }
}

export class WholeRequest extends IncomingMessage {
  #pieces: Uint8Array[] = [];
  #length = 0;
  #bytesMax = 0;
  #bodies: Bodies | null = null;
  #done: WholeBody | null = null;

  /** To be called as soon as the head is here. `done` comes once, or never when the client goes away; what comes after it is dropped. */
  gather(bytesMax: number, bodies: Bodies, done: WholeBody): void {
    if (Number(this.headers["content-length"] ?? 0) > bytesMax) {
      done("large");
      return;
    }
    this.#bytesMax = bytesMax;
    this.#bodies = bodies;
    this.#done = done;
  }

  /** The client is gone: what came of the body is let go. */
  giveUp(): void {
    this.#done = null;
    this.#letGo();
  }

  /** What the parser calls with each piece and, at the end, with null. True: it need not wait. */
  override push(piece: Uint8Array | null): boolean {
    const done = this.#done;
    const bodies = this.#bodies;
    if (done === null || bodies === null) return true;
    if (piece === null) this.#finish(done, this.#pieces.length === 1 ? (this.#pieces[0] as Uint8Array) : Buffer.concat(this.#pieces));
    else if (this.#length + piece.length > this.#bytesMax) this.#finish(done, "large");
    else if (bodies.bytes + piece.length > bodies.bytesMax) this.#finish(done, "busy");
    else {
      this.#length += piece.length;
      bodies.bytes += piece.length;
      this.#pieces.push(piece);
    }
    return true;
  }

  #finish(done: WholeBody, body: Parameters<WholeBody>[0]): void {
    this.#done = null;
    this.#letGo();
    done(body);
  }

  #letGo(): void {
    if (this.#bodies !== null) this.#bodies.bytes -= this.#length;
    this.#length = 0;
    this.#pieces = [];
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
