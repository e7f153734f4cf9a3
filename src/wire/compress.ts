/** memberlist's compress message: type 9, then {Algo: 0 (LZW), Buf} (reference: serf-protocol §2.2). */
import { fail, type Result } from "../base/result.ts";
import { MessageType } from "./gossip-messages.ts";
import { compressLzwView, decompressLzw, inflateLzw } from "./lzw.ts";
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
  if (buf !== null && buf.length >= LARGE_BYTES) return wrapLarge(buf);
  return writer.byte(MessageType.compress).mapHead(2).raw(algoKey).int(LZW).raw(bufKey).bytes(buf).finish();
}

/** From here on a message gets memory of its very size: the writer's would be several times as large, and garbage at once. */
const LARGE_BYTES = 16 * 1024;

/** As `writer` would write it. */
function wrapLarge(buf: Uint8Array): Uint8Array {
  const { length } = buf;
  const lengthBytes = length > 0xffff ? [0xdb, length >>> 24, length >>> 16, length >>> 8, length] : [0xda, length >>> 8, length];
  const head = [MessageType.compress, 0x82, ...algoKey, LZW, ...bufKey, ...lengthBytes];
  const message = new Uint8Array(head.length + length);
  message.set(head);
  message.set(buf, head.length);
  return message;
}

/** The message inside a compress message, at most `plainBytesMax` long. */
export function decodeCompress(message: Uint8Array, plainBytesMax: number): Result<Uint8Array> {
  reader.reset(message, 1);
  const { algo, buf } = readCompress(reader);
  if (reader.failed) return fail(reader.short ? "message ends too early" : "malformed message");
  return inflate(algo, buf, plainBytesMax);
}

/** What `inflateCompress` gives for a message that cannot be read. */
const MALFORMED = ~99;

/**
 * As `decodeCompress` of the message at `bytes[start, end)`, into memory that is used again (`inflatedBytes` of `lzw.ts`): the length, or negative
 * (`INFLATED_TOO_LARGE` of `lzw.ts`, or any other number).
 */
export function inflateCompress(bytes: Uint8Array, start: number, end: number, plainBytesMax: number): number {
  const at = start + STANDARD_HEAD.length;
  if (at + 2 <= end && startsStandard(bytes, start)) {
    const length = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
    if (at + 2 + length <= end) return inflateLzw(bytes, at + 2, at + 2 + length, plainBytesMax);
  }
  reader.reset(bytes, start + 1, end);
  const { algo, buf } = readCompress(reader);
  if (reader.failed || algo !== LZW || buf === null) return MALFORMED;
  return inflateLzw(buf, 0, buf.length, plainBytesMax);
}

/** How all originals and we begin a compress message of 32 to 65,535 bytes; the length follows. */
const STANDARD_HEAD = Uint8Array.of(MessageType.compress, 0x82, ...algoKey, LZW, ...bufKey, 0xda);

function startsStandard(bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < STANDARD_HEAD.length; i += 1) if (bytes[start + i] !== STANDARD_HEAD[i]) return false;
  return true;
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
