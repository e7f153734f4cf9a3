/** Cuts the two directions of a Raft connection into messages. Memory is bounded by the largest message allowed and one read. */
import { ObjectBuffer } from "./object-buffer.ts";
import { decodeRaftRequest, decodeRaftResponse, requestKind } from "./raft-codec.ts";
import type { RaftRequest, RaftResponse } from "./raft-messages.ts";

/** An AppendEntries of the original: 64 entries of at most 512 KiB of value each, and what stands around them. */
export const APPEND_BYTES_MAX = 40 << 20;
/** Any other request or response; the longest is InstallSnapshot with 1,024 servers. */
export const MESSAGE_BYTES_MAX = 1 << 20;
/** An error text. */
export const ERROR_BYTES_MAX = 64 << 10;

/** "short": more bytes are needed. "malformed": nothing that follows can be read, close. */
export type Unread = "short" | "malformed";

/** What a peer sends on a connection that it opened. */
export class RaftRequestStream {
  readonly #buffer = new ObjectBuffer();
  #kind: RaftRequest["kind"] | null = null;
  #bodyLeft = 0;

  /** Bytes held. */
  get size(): number {
    return this.#buffer.size;
  }

  /** Bytes of state still to come behind the last request. */
  get bodyLeft(): number {
    return this.#bodyLeft;
  }

  /** The chunk is kept until it is used up and must not change. */
  append(chunk: Uint8Array): void {
    this.#buffer.append(chunk);
  }

  /** The next request. Only once `bodyLeft` is 0. */
  next(): RaftRequest | Unread {
    if (this.#kind === null) {
      const type = this.#buffer.take(1)[0];
      if (type === undefined) return "short";
      this.#kind = requestKind(type);
    }
    if (this.#kind === null) return "malformed";
    const r = this.#buffer.next(this.#kind === "appendEntries" ? APPEND_BYTES_MAX : MESSAGE_BYTES_MAX);
    if (typeof r === "string") return r === "short" ? r : "malformed";
    const request = decodeRaftRequest(this.#kind, r);
    this.#kind = null;
    if (request === null) return "malformed";
    if (request.kind === "installSnapshot") this.#bodyLeft = request.size;
    return request;
  }

  /** Bytes of the state that have arrived, at most `max`: a view, valid until the next `append`. */
  takeBody(max: number): Uint8Array {
    const bytes = this.#buffer.take(Math.min(max, this.#bodyLeft));
    this.#bodyLeft -= bytes.length;
    return bytes;
  }
}

export interface RaftAnswer {
  readonly error: string;
  /** Null: nil, or behind an error something that does not matter. */
  readonly message: RaftResponse | null;
}

/** What a peer answers on a connection of ours: in the order of the requests. */
export class RaftResponseStream {
  readonly #buffer = new ObjectBuffer();
  #error: string | null = null;

  get size(): number {
    return this.#buffer.size;
  }

  append(chunk: Uint8Array): void {
    this.#buffer.append(chunk);
  }

  /** The answer to the oldest request not answered, which was of this kind. */
  next(kind: RaftRequest["kind"]): RaftAnswer | Unread {
    if (this.#error === null) {
      const r = this.#buffer.next(ERROR_BYTES_MAX);
      if (typeof r === "string") return r === "short" ? r : "malformed";
      const text = r.text();
      if (r.failed) return "malformed";
      this.#error = text;
    }
    const r = this.#buffer.next(MESSAGE_BYTES_MAX);
    if (typeof r === "string") return r === "short" ? r : "malformed";
    const error = this.#error;
    this.#error = null;
    if (error !== "") return { error, message: null };
    if (r.nil()) return "malformed"; // Neither an error nor an answer.
    const message = decodeRaftResponse(kind, r);
    return message === null ? "malformed" : { error, message };
  }
}
