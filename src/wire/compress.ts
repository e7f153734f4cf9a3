/** memberlist's compress message: type 9, then {Algo: 0 (LZW), Buf} (reference: serf-protocol §2.2). */
import { fail, type Result } from "../base/result.ts";
import { MessageType } from "./gossip-messages.ts";
import { compressLzwView, decompressLzw } from "./lzw.ts";
import { Reader, Schema, Writer, encodeKey, structLength } from "./msgpack.ts";

const LZW = 0;
const schema = new Schema("Algo", "Buf");
const algoKey = encodeKey("Algo");
const bufKey = encodeKey("Buf");
const writer = new Writer("gossip");
const reader = new Reader();

/** The compress message that holds `message`. It may be larger than the message. */
export function encodeCompress(message: Uint8Array): Uint8Array {
  return wrapCompressed(compressLzwView(message));
}

/** A compress message around bytes that are compressed already. */
export function wrapCompressed(buf: Uint8Array | null): Uint8Array {
  return writer.byte(MessageType.compress).mapHead(2).raw(algoKey).int(LZW).raw(bufKey).bytes(buf).finish();
}

/** The message inside a compress message, at most `plainBytesMax` long. */
export function decodeCompress(message: Uint8Array, plainBytesMax: number): Result<Uint8Array> {
  reader.reset(message, 1);
  const { algo, buf } = readCompress(reader);
  if (reader.failed) return fail(reader.short ? "message ends too early" : "malformed message");
  return inflate(algo, buf, plainBytesMax);
}

export interface Compressed {
  readonly algo: number;
  /** A view of the input; null when nil. */
  readonly buf: Uint8Array | null;
}

/** Reads the body of a compress message, the type byte already consumed. */
export function readCompress(r: Reader): Compressed {
  let algo = 0;
  let buf: Uint8Array | null = null;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(schema, head, i)) {
      case 0:
        algo = r.uint(255);
        break;
      case 1:
        buf = r.bytesView();
        break;
      default:
        r.skip();
    }
  }
  return { algo, buf };
}

/** Decompresses what `readCompress` found. */
export function inflate(algo: number, buf: Uint8Array | null, plainBytesMax: number): Result<Uint8Array> {
  if (algo !== LZW) return fail(`Cannot decompress unknown algorithm ${algo}`);
  if (buf === null) return fail("unexpected EOF");
  return decompressLzw(buf, plainBytesMax);
}
