/**
 * A push/pull some nodes at a time: one of ten thousand members takes 10 ms to decode and as long to encode, and a node that runs in real time sees to
 * others in between. The bytes are those of `decodeStreamMessage` and `encodePushPull`.
 */
import { concatBytes } from "../base/bytes.ts";
import { fail, ok, type Result } from "../base/result.ts";
import { encodeNodeStates, encodePushPullHead, isPushPullHeadValid, readNodeState, readPushPullHead } from "./gossip-codec.ts";
import type { PushPull, PushPullNode } from "./gossip-messages.ts";
import { Reader } from "./msgpack.ts";

export class PushPullDecoder {
  readonly #reader: Reader;
  readonly #head: ReturnType<typeof readPushPullHead>;
  readonly #nodes: PushPullNode[] = [];

  /** `message` with its type byte. It must not change until all is decoded. */
  constructor(message: Uint8Array) {
    this.#reader = new Reader(message, 1);
    this.#head = readPushPullHead(this.#reader);
  }

  /** How many nodes it claims to have; they may not be there. */
  get nodes(): number {
    return this.#head.nodes;
  }

  /** Decodes up to `count` nodes more; null while some are left. What comes last is the whole message or what is wrong with it. */
  next(count: number): Result<PushPull> | null {
    const reader = this.#reader;
    const nodes = this.#nodes;
    if (!isPushPullHeadValid(this.#head)) return fail("push/pull header out of range");
    const end = Math.min(this.#head.nodes, nodes.length + count);
    while (nodes.length < end && !reader.failed) nodes.push(readNodeState(reader));
    if (!reader.failed && end < this.#head.nodes) return null;
    const userState = this.#head.userStateLength === 0 ? null : reader.raw(this.#head.userStateLength);
    if (reader.failed) return fail(reader.short ? "message ends too early" : "malformed message");
    return ok({ kind: "pushPull", join: this.#head.join, nodes, userState });
  }
}

export class PushPullEncoder {
  readonly #nodes: readonly PushPullNode[];
  readonly #userState: Uint8Array | null;
  readonly #pieces: Uint8Array[];
  #at = 0;

  constructor({ join, nodes, userState }: Omit<PushPull, "kind">) {
    this.#nodes = nodes;
    this.#userState = userState;
    this.#pieces = [encodePushPullHead(join, nodes.length, userState)];
  }

  /** Encodes up to `count` nodes more; null while some are left, then the whole message. */
  next(count: number): Uint8Array | null {
    const end = Math.min(this.#nodes.length, this.#at + count);
    this.#pieces.push(encodeNodeStates(this.#nodes.slice(this.#at, end)));
    this.#at = end;
    if (end < this.#nodes.length) return null;
    return concatBytes(this.#userState === null ? this.#pieces : [...this.#pieces, this.#userState]);
  }
}
