/**
 * Stream messages to bytes and back (reference: serf-protocol §2.4–2.6, §5). On the way out: compress (always, when it is on), encrypt
 * frame, label header once by the side that dialled. On the way in `StreamReader` takes chunks as they arrive, split anywhere, and
 * gives the whole plain message; it scans just enough to find the message's end, and continues where it stopped.
 */
import { EMPTY_BYTES, concatBytes, equalBytes } from "../base/bytes.ts";
import type { Result } from "../base/result.ts";
import { encodeCompress, inflate, readCompress } from "./compress.ts";
import { USER_MESSAGE_BYTES_MAX, isPushPullHeadValid, readPushPullHead, readUserHead } from "./gossip-codec.ts";
import { MessageType } from "./gossip-messages.ts";
import { LABEL_EMPTY, addLabel } from "./label.ts";
import { LZW_TOO_LARGE } from "./lzw.ts";
import { Reader } from "./msgpack.ts";
import type { Sealer } from "./sealer.ts";

/** Longest encrypted packet on a stream: memberlist's maximum push state. */
export const ENCRYPTED_BYTES_MAX = 20 * 1024 * 1024;
/** What a reader with `inlineBytesMax` inflates itself, per byte of it; a message that grows to more is left over like one that is large at once. */
const INLINE_INFLATED_PER_BYTE = 16;
/** What a compressed stream message may inflate to. */
export const STREAM_INFLATED_BYTES_MAX = 40 * 1024 * 1024;
/** Most bytes of one plain or compressed message that are kept while it is incomplete. */
export const STREAM_BUFFER_BYTES_MAX = 40 * 1024 * 1024;
/**
 * How far into an incomplete ping, ack, err, header, node state or compress message we read: it is read again with each chunk until it
 * is complete, so this bounds that work. A node state with a full 512-byte meta needs less than 1 KiB; the bytes of a compress message
 * are its last field and are not read before they are all there.
 */
export const STREAM_SCAN_BYTES_MAX = 16 * 1024;

const FRAME_HEAD_BYTES = 5;
/** What AES-GCM adds, versions 0 (at least) and 1: version byte, nonce, tag. */
const SEAL_BYTES = 29;
const BLOCK_BYTES = 16;

export interface StreamOptions {
  readonly compress: boolean;
  readonly sealer: Sealer;
  /** The pool's label; empty for none. */
  readonly label: Uint8Array;
  /** This side dialled: it writes the label header. */
  readonly initiator: boolean;
  readonly encryptionVersion: 0 | 1;
  /** False leaves streams in the clear although there are keys: for migrations. */
  readonly verifyOutgoing: boolean;
}

/** The bytes that carry one plain stream message, the first of its direction. */
export function encodeStream(message: Uint8Array, options: StreamOptions): Uint8Array {
  const { compress, sealer, label, initiator, encryptionVersion, verifyOutgoing } = options;
  let bytes = compress ? encodeCompress(message) : message;
  if (sealer.encrypts && verifyOutgoing) bytes = encodeFrame(bytes, sealer, label, encryptionVersion);
  return initiator ? addLabel(label, bytes) : bytes;
}

/** Encrypt frame: type, length of the packet, packet; type, length and label are authenticated. */
function encodeFrame(plain: Uint8Array, sealer: Sealer, label: Uint8Array, version: 0 | 1): Uint8Array {
  const padding = version === 0 ? BLOCK_BYTES - (plain.length % BLOCK_BYTES) : 0;
  const length = SEAL_BYTES + plain.length + padding;
  const head = Uint8Array.of(MessageType.encrypt, length >>> 24, length >>> 16, length >>> 8, length);
  return concatBytes([head, sealer.seal(plain, concatBytes([head, label]), version)]);
}

export interface StreamReaderOptions {
  readonly sealer: Sealer;
  /** The pool's label; empty for none. */
  readonly label: Uint8Array;
  /** This side accepted the connection: a label header is expected when there is a label. Replies carry none. */
  readonly acceptor: boolean;
  /** False accepts plain streams although there are keys: for migrations. */
  readonly verifyIncoming: boolean;
  /** Sealed or compressed messages longer than this are not opened here but left over as `deferred`. Default: none. */
  readonly inlineBytesMax?: number;
}

export interface StreamFailure {
  /** As memberlist 0.2 words it where it answers the peer. */
  readonly error: string;
  /** The acceptor answers with an err message before it closes; otherwise it closes silently. */
  readonly answer: boolean;
}

/** Reads one direction of a connection: it carries one message (one request, one answer), and what follows is ignored. */
export class StreamReader {
  readonly #options: StreamReaderOptions;
  readonly #reader = new Reader();
  #bytes: Uint8Array = EMPTY_BYTES;
  #length = 0; // Bytes of #bytes that hold data.
  #labelDone: boolean;
  #done = false;
  #failure: StreamFailure | null = null;
  #deferred: Uint8Array | null = null;
  readonly #inlineBytesMax: number;
  readonly #inflatedBytesMax: number;
  /** Progress inside a plain push/pull, so that each node state is scanned once; null outside. */
  #pushPull: { at: number; nodesLeft: number; readonly userStateLength: number } | null = null;

  constructor(options: StreamReaderOptions) {
    this.#options = options;
    this.#labelDone = !options.acceptor;
    this.#inlineBytesMax = options.inlineBytesMax ?? Infinity;
    this.#inflatedBytesMax = Math.min(STREAM_INFLATED_BYTES_MAX, this.#inlineBytesMax * INLINE_INFLATED_PER_BYTE);
  }

  /** Set once the stream is unusable; later bytes are ignored. */
  get failure(): StreamFailure | null {
    return this.#failure;
  }

  /**
   * A whole message that is too large to be opened here, without its label: another reader, which accepted nothing (`acceptor` false) and has no
   * such limit, opens it. The caller owns the bytes.
   */
  get deferred(): Uint8Array | null {
    return this.#deferred;
  }

  /** Bytes of an incomplete message kept, and of one left over. */
  get buffered(): number {
    return this.#deferred?.length ?? this.#length;
  }

  /** Takes the next bytes and returns the message they complete, type byte first, or nothing. Look at `failure` afterwards. */
  push(chunk: Uint8Array): Uint8Array[] {
    if (this.#done) return [];
    this.#append(chunk);
    if (!this.#labelDone) this.#takeLabel();
    const message = this.#labelDone && this.#length > 0 ? this.#takeMessage() : null;
    if (message !== null || this.#failure !== null || this.#deferred !== null) {
      this.#done = true;
      this.#bytes = EMPTY_BYTES;
      this.#length = 0;
    }
    return message === null ? [] : [message];
  }

  #append(chunk: Uint8Array): void {
    const length = this.#length + chunk.length;
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#length, 512));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(chunk, this.#length);
    this.#length = length;
  }

  #fail(error: string, answer: boolean): null {
    this.#failure = { error, answer };
    return null;
  }

  /** Leaves the message of the first `length` bytes to somebody else. */
  #defer(length: number): null {
    this.#deferred = this.#bytes.subarray(0, length);
    return null;
  }

  #takeLabel(): void {
    const expected = this.#options.label;
    if (this.#bytes[0] !== MessageType.hasLabel || this.#length === 0) {
      if (this.#length === 0) return;
      if (expected.length > 0) this.#fail("label missing", false);
      this.#labelDone = true;
      return;
    }
    if (this.#length < 2) return;
    const length = this.#bytes[1] as number;
    if (length === 0) this.#fail(LABEL_EMPTY, false);
    else if (this.#length >= 2 + length) {
      if (!equalBytes(this.#bytes.subarray(2, 2 + length), expected)) this.#fail("label differs", false);
      this.#labelDone = true;
      this.#bytes = this.#bytes.slice(2 + length, this.#length);
      this.#length = this.#bytes.length;
    }
  }

  /** The message once it is complete; null while it is not, or after a failure. */
  #takeMessage(): Uint8Array | null {
    if (this.#failure !== null) return null;
    const type = this.#bytes[0] as number;
    const { sealer, verifyIncoming } = this.#options;
    if (type === MessageType.encrypt) {
      if (!sealer.encrypts) return this.#fail("Remote state is encrypted and encryption is not configured", true);
      return this.#takeFrame();
    }
    if (sealer.encrypts && verifyIncoming) return this.#fail("Encryption is configured but remote state is not encrypted", true);
    switch (type) {
      case MessageType.compress:
        return this.#takeCompressed();
      case MessageType.pushPull:
        return this.#takePushPull();
      case MessageType.user:
        return this.#takeUser();
      case MessageType.ping:
      case MessageType.ack:
      case MessageType.err: {
        const reader = this.#readerAt(1);
        reader.skip(0);
        return this.#takeIfRead(reader, 0);
      }
      default:
        return this.#fail(`Received invalid msgType (${type})`, false);
    }
  }

  #readerAt(at: number): Reader {
    this.#reader.reset(this.#bytes.subarray(0, this.#length), at);
    return this.#reader;
  }

  /** The message that ends where the reader stands and `more` bytes later. */
  #takeIfRead(reader: Reader, more: number): Uint8Array | null {
    if (reader.failed) return this.#await(reader, 0, false);
    const end = reader.at + more;
    if (end > STREAM_BUFFER_BYTES_MAX) return this.#fail("message is larger than allowed", false);
    return end <= this.#length ? this.#bytes.subarray(0, end) : null;
  }

  /** After a failed read from `start`: waits for more bytes when that can help and stays within the bounds. */
  #await(reader: Reader, start: number, answer: boolean): null {
    if (reader.short && reader.failedAt - start <= STREAM_SCAN_BYTES_MAX && this.#length <= STREAM_BUFFER_BYTES_MAX) return null;
    return this.#fail(reader.short ? "message is larger than allowed" : "malformed message", answer);
  }

  #takeUser(): Uint8Array | null {
    const reader = this.#readerAt(1);
    const length = readUserHead(reader);
    if (length < 0 || length > USER_MESSAGE_BYTES_MAX) return this.#fail("user message length out of range", false);
    return this.#takeIfRead(reader, length);
  }

  #takePushPull(): Uint8Array | null {
    if (this.#pushPull === null) {
      const reader = this.#readerAt(1);
      const head = readPushPullHead(reader);
      if (reader.failed) return this.#await(reader, 0, false);
      if (!isPushPullHeadValid(head)) return this.#fail("push/pull header out of range", false);
      this.#pushPull = { at: reader.at, nodesLeft: head.nodes, userStateLength: head.userStateLength };
    }
    const progress = this.#pushPull;
    const reader = this.#readerAt(progress.at);
    while (progress.nodesLeft > 0) {
      reader.skip(0);
      if (reader.failed) return this.#await(reader, progress.at, false);
      progress.at = reader.at;
      progress.nodesLeft -= 1;
      if (progress.at > STREAM_BUFFER_BYTES_MAX) return this.#fail("message is larger than allowed", false);
    }
    return this.#takeIfRead(reader, progress.userStateLength);
  }

  #takeCompressed(): Uint8Array | null {
    const reader = this.#readerAt(1);
    const { algo, buf } = readCompress(reader);
    if (reader.failed) return this.#await(reader, 0, true);
    if (reader.at > this.#inlineBytesMax) return this.#defer(reader.at);
    return this.#inflated(algo, buf, reader.at);
  }

  /** What a compress message holds; `length`: of the outermost message around it. */
  #inflated(algo: number, buf: Uint8Array | null, length: number): Uint8Array | null {
    const plain: Result<Uint8Array> = inflate(algo, buf, this.#inflatedBytesMax);
    if (plain.ok) return this.#checkedType(plain.value);
    if (plain.error === LZW_TOO_LARGE && this.#inflatedBytesMax < STREAM_INFLATED_BYTES_MAX) return this.#defer(length);
    return this.#fail(plain.error, true);
  }

  #takeFrame(): Uint8Array | null {
    if (this.#length < FRAME_HEAD_BYTES) return null;
    const bytes = this.#bytes;
    const length = (((bytes[1] as number) << 24) | ((bytes[2] as number) << 16) | ((bytes[3] as number) << 8) | (bytes[4] as number)) >>> 0;
    if (length > ENCRYPTED_BYTES_MAX) return this.#fail(`Remote node state is larger than limit (${length})`, true);
    if (this.#length < FRAME_HEAD_BYTES + length) return null;
    if (length > this.#inlineBytesMax) return this.#defer(FRAME_HEAD_BYTES + length);
    const frame = bytes.subarray(0, FRAME_HEAD_BYTES + length);
    const { sealer, label } = this.#options;
    const plain = sealer.open(frame.subarray(FRAME_HEAD_BYTES), concatBytes([frame.subarray(0, FRAME_HEAD_BYTES), label]));
    if (!plain.ok) return this.#fail(plain.error, true);
    if (plain.value[0] !== MessageType.compress) return this.#checkedType(plain.value);
    this.#reader.reset(plain.value, 1);
    const { algo, buf } = readCompress(this.#reader);
    if (this.#reader.failed) return this.#fail("malformed message", true);
    return this.#inflated(algo, buf, frame.length);
  }

  /** A decrypted or inflated message: its type must be one that streams carry; compression inside compression is not understood. */
  #checkedType(message: Uint8Array): Uint8Array | null {
    switch (message[0]) {
      case MessageType.ping:
      case MessageType.ack:
      case MessageType.err:
      case MessageType.pushPull:
      case MessageType.user:
        return message;
      case undefined:
        return this.#fail("empty message", false);
      default:
        return this.#fail(`Received invalid msgType (${message[0]})`, false);
    }
  }
}
