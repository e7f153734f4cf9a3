/**
 * net/rpc over msgpack as servers and agents speak it (reference: consul-agent §6.3): on a stream a header and a body follow each other, both ways, with
 * nothing between. Bodies are the methods' business: here they are bytes of exactly one msgpack value.
 */
import { ObjectBuffer } from "./object-buffer.ts";
import { Schema, Writer, encodeKey, structLength, type Reader } from "./msgpack.ts";

/** Arguments of a call: the largest are transactions and values of 512 KiB, which a configuration may raise. */
export const ARGUMENTS_BYTES_MAX = 16 << 20;
/** A reply: whole lists. */
export const REPLY_BYTES_MAX = 256 << 20;
/** A header: a method's name, or an error text. */
const HEADER_BYTES_MAX = 64 << 10;

/** The body of an error reply: an empty map. */
export const EMPTY_BODY: Uint8Array = Uint8Array.of(0x80);

export interface RpcRequest {
  readonly seq: number;
  readonly method: string;
  /** One msgpack value; a view, valid until the next `append`. */
  readonly body: Uint8Array;
}

export interface RpcReply {
  readonly seq: number;
  readonly method: string;
  /** "" for success. */
  readonly error: string;
  readonly body: Uint8Array;
}

export type RpcUnread = "short" | "malformed" | "large";

const requestSchema = new Schema("ServiceMethod", "Seq");
const replySchema = new Schema("ServiceMethod", "Seq", "Error");
const methodKey = encodeKey("ServiceMethod");
const seqKey = encodeKey("Seq");
const errorKey = encodeKey("Error");
const writer = new Writer("gossip");

/** Header and body of a call; the body is kept as it is. */
export function encodeRpcRequest({ seq, method, body }: RpcRequest): readonly Uint8Array[] {
  return [writer.mapHead(2).raw(seqKey).int(seq).raw(methodKey).text(method).finish(), body];
}

export function encodeRpcReply(reply: RpcReply): readonly Uint8Array[] {
  return [encodeRpcReplyHead(reply), reply.body];
}

/** What stands before the body of a reply. */
export function encodeRpcReplyHead({ seq, method, error }: Omit<RpcReply, "body">): Uint8Array {
  return writer.mapHead(3).raw(errorKey).text(error).raw(seqKey).int(seq).raw(methodKey).text(method).finish();
}

interface Header {
  readonly seq: number;
  readonly method: string;
  readonly error: string;
}

function readHeader(r: Reader, schema: Schema): Header | null {
  let seq = 0;
  let method = "";
  let error = "";
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(schema, head, i)) {
      case 0:
        method = r.text();
        break;
      case 1:
        seq = r.uint(Number.MAX_SAFE_INTEGER);
        break;
      case 2:
        error = r.text();
        break;
      default:
        r.skip();
    }
  }
  return r.failed ? null : { seq, method, error };
}

/** Headers and bodies of one direction, cut from its bytes. */
class HalfStream {
  readonly #buffer = new ObjectBuffer();
  readonly #schema: Schema;
  readonly #bodyMax: number;
  #header: Header | null = null;

  constructor(schema: Schema, bodyMax: number) {
    this.#schema = schema;
    this.#bodyMax = bodyMax;
  }

  /** Bytes held. */
  get size(): number {
    return this.#buffer.size;
  }

  /** The chunk is kept until it is used up and must not change. */
  append(chunk: Uint8Array): void {
    this.#buffer.append(chunk);
  }

  protected take(): (Header & { readonly body: Uint8Array }) | RpcUnread {
    if (this.#header === null) {
      const r = this.#buffer.next(HEADER_BYTES_MAX);
      if (typeof r === "string") return r;
      this.#header = readHeader(r, this.#schema);
      if (this.#header === null) return "malformed";
    }
    const body = this.#buffer.next(this.#bodyMax);
    if (typeof body === "string") return body;
    const message = { ...this.#header, body: this.#buffer.object };
    this.#header = null;
    return message;
  }
}

/** What a caller sends. */
export class RpcRequestStream extends HalfStream {
  constructor() {
    super(requestSchema, ARGUMENTS_BYTES_MAX);
  }

  next(): RpcRequest | RpcUnread {
    const message = this.take();
    return typeof message === "string" ? message : { seq: message.seq, method: message.method, body: message.body };
  }
}

/** What a server answers. */
export class RpcReplyStream extends HalfStream {
  constructor() {
    super(replySchema, REPLY_BYTES_MAX);
  }

  next(): RpcReply | RpcUnread {
    return this.take();
  }
}
