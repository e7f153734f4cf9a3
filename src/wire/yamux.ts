/**
 * yamux, the stream multiplexer of the server port (reference: consul-agent §6.2, rpc-stack §2, §3), as a machine: bytes of the connection go in, events come
 * out, and `takeOutput` has the bytes to write. It knows no socket and no clock.
 *
 * Different from the original on purpose: the number of streams of a peer is bounded (`STREAMS_MAX`, then RST, which means "not executed"); our own opens wait
 * while 256 of them are not acknowledged, because the original resets what is beyond its backlog; a peer that lets our answers to its pings pile up is closed.
 */
import { assert } from "../base/assert.ts";

/** Frozen. */
const VERSION = 0;
const FRAME = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const;
const FLAG = { syn: 1, ack: 2, fin: 4, rst: 8 } as const;
const HEADER_BYTES = 12;

/** Bytes of one stream that may be under way and not consumed. */
export const WINDOW_BYTES = 256 << 10;
/** Streams that we opened and the peer has not acknowledged: its backlog. */
export const BACKLOG_MAX = 256;
/** Streams open at a time, of both sides together. */
export const STREAMS_MAX = 4096;
/** With its header exactly one Noise message; and no stream holds up the others for long. */
export const FRAME_BYTES_MAX = 65_507;
/** A payload up to this is copied behind its header, so that a frame is one write. */
const JOIN_BYTES_MAX = 4096;
/** Frames of our own (acknowledgements, pongs) not taken by the connection; a peer that reads nothing gets no further. */
export const CONTROL_BYTES_MAX = 1 << 20;
export const KEEPALIVE_MS = 30_000;
/** From a ping to its answer. */
export const PING_MS_MAX = 10_000;

export type StreamId = number;

/** Why a session ended. */
export type YamuxError =
  /** The peer broke the protocol: version, frame type, window, a stream id in use. */
  | "protocol"
  /** A ping was not answered. */
  | "keepalive"
  /** The peer does not read. */
  | "stuck"
  /** The peer said so, with a code that is not 0. */
  | "goAway";

export type YamuxEvent =
  /** The peer opened a stream. */
  | { readonly kind: "opened"; readonly stream: StreamId }
  /** A view of what was fed. Tell `consume` when it is used, else the peer may not send more than the window. */
  | { readonly kind: "data"; readonly stream: StreamId; readonly bytes: Uint8Array }
  /** Nothing more will come on it. */
  | { readonly kind: "ended"; readonly stream: StreamId }
  /** It is gone, both ways; what was queued on it is lost. */
  | { readonly kind: "reset"; readonly stream: StreamId }
  /** All that was given to `send` has been handed to the connection. */
  | { readonly kind: "drained"; readonly stream: StreamId }
  /** `open` would succeed again. */
  | { readonly kind: "room" }
  /** The peer takes no new streams; old ones go on. */
  | { readonly kind: "goAway" }
  /** Nothing more is possible: close the connection once the output is written. All streams are gone without further events. */
  | { readonly kind: "closed"; readonly error: YamuxError };

interface Stream {
  readonly id: StreamId;
  acknowledged: boolean;
  /** Bytes the peer may still send. */
  receiveWindow: number;
  /** Of those received: used, but not told to the peer. */
  consumed: number;
  sendWindow: number;
  queued: Uint8Array[];
  queuedBytes: number;
  finAfterQueue: boolean;
  sentFin: boolean;
  gotFin: boolean;
}

export class YamuxSession {
  readonly #streams = new Map<StreamId, Stream>();
  #nextId: number;
  #unacknowledged = 0;
  #wantsRoom = false;
  #allQueued = 0;
  #output: Uint8Array[] = [];
  #controlBytes = 0;
  readonly #head = new Uint8Array(HEADER_BYTES);
  #headLength = 0;
  /** The stream of the data frame that is being received, 0: ignored; and how much of it is left. */
  #dataStream: StreamId = 0;
  #dataLeft = 0;
  #dataFlags = 0;
  #closed = false;
  #peerGoneAway = false;
  #pings = 0;
  /** The ping not answered yet, or null; and when to ping, or to give up. */
  #ping: number | null = null;
  #dueMs: number;

  /** `client`: we dialled. */
  constructor(client: boolean, nowMs: number) {
    this.#nextId = client ? 1 : 2;
    this.#dueMs = nowMs + KEEPALIVE_MS;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** When `wake` is due, in ms of the clock given to it. */
  get wakeAtMs(): number {
    return this.#closed ? Number.POSITIVE_INFINITY : this.#dueMs;
  }

  /** Frames to write, in order; they will not change any more. To be called after everything else. */
  takeOutput(): readonly Uint8Array[] {
    const output = this.#output;
    this.#output = [];
    this.#controlBytes = 0;
    return output;
  }

  /** A new stream; null while too many wait for their acknowledgement (`room` follows) or for good after a `goAway`. */
  open(): StreamId | null {
    if (this.#closed || this.#peerGoneAway) return null;
    if (this.#unacknowledged >= BACKLOG_MAX || this.#streams.size >= STREAMS_MAX) {
      this.#wantsRoom = true;
      return null;
    }
    const id = this.#nextId;
    this.#nextId += 2;
    this.#add(id, false);
    this.#unacknowledged += 1;
    this.#frame(FRAME.windowUpdate, FLAG.syn, id, 0);
    return id;
  }

  #add(id: StreamId, acknowledged: boolean): Stream {
    const stream: Stream = {
      id, acknowledged, receiveWindow: WINDOW_BYTES, consumed: 0, sendWindow: WINDOW_BYTES, queued: [], queuedBytes: 0, finAfterQueue: false, sentFin: false, gotFin: false,
    };
    this.#streams.set(id, stream);
    return stream;
  }

  /** Sends as far as the peer's window goes and keeps the rest; the bytes must not change. Ignored on a stream that is gone. */
  send(id: StreamId, bytes: Uint8Array): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || bytes.length === 0) return;
    assert(!stream.finAfterQueue && !stream.sentFin, "data after the end of a stream");
    stream.queued.push(bytes);
    stream.queuedBytes += bytes.length;
    this.#allQueued += bytes.length;
    this.#pump(stream);
  }

  /** Bytes given to `send` that the windows have not let through, of all streams. */
  get allQueuedBytes(): number {
    return this.#allQueued;
  }

  /** Of one stream. */
  queuedBytes(id: StreamId): number {
    return this.#streams.get(id)?.queuedBytes ?? 0;
  }

  #pump(stream: Stream): void {
    while (stream.queuedBytes > 0 && stream.sendWindow > 0) {
      const first = stream.queued[0] as Uint8Array;
      const length = Math.min(first.length, stream.sendWindow, FRAME_BYTES_MAX);
      this.#dataFrame(stream.id, first.subarray(0, length));
      if (length === first.length) stream.queued.shift();
      else stream.queued[0] = first.subarray(length);
      stream.queuedBytes -= length;
      this.#allQueued -= length;
      stream.sendWindow -= length;
    }
    if (stream.queuedBytes === 0 && stream.finAfterQueue) this.#sendFin(stream);
  }

  /** Nothing more will be sent on it; what is queued still goes. */
  finish(id: StreamId): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.sentFin) return;
    stream.finAfterQueue = true;
    if (stream.queuedBytes === 0) this.#sendFin(stream);
  }

  #sendFin(stream: Stream): void {
    stream.finAfterQueue = false;
    stream.sentFin = true;
    this.#frame(FRAME.windowUpdate, FLAG.fin, stream.id, 0);
    if (stream.gotFin) this.#remove(stream);
  }

  /** Gives it up at once, both ways. */
  reset(id: StreamId): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#frame(FRAME.windowUpdate, FLAG.rst, id, 0);
    this.#remove(stream);
  }

  #remove(stream: Stream): void {
    this.#streams.delete(stream.id);
    this.#allQueued -= stream.queuedBytes;
    if (!stream.acknowledged) this.#unacknowledged -= 1;
  }

  /** So many bytes of its data events are used. The peer is told when half the window is. */
  consume(id: StreamId, byteLength: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    stream.consumed += byteLength;
    if (stream.consumed < WINDOW_BYTES / 2 || stream.gotFin) return;
    this.#frame(FRAME.windowUpdate, 0, id, stream.consumed);
    stream.receiveWindow += stream.consumed;
    stream.consumed = 0;
  }

  /** We take no new streams any more. Old ones go on. Only between our own nodes: the original just closes. */
  goAway(): void {
    this.#frame(FRAME.goAway, 0, 0, 0);
  }

  wake(nowMs: number, out: YamuxEvent[]): void {
    if (this.#closed || nowMs < this.#dueMs) return;
    if (this.#ping !== null) {
      this.#close("keepalive", out);
      return;
    }
    this.#ping = this.#pings;
    this.#pings = (this.#pings + 1) >>> 0;
    this.#frame(FRAME.ping, FLAG.syn, 0, this.#ping);
    this.#dueMs = nowMs + PING_MS_MAX;
  }

  /** Bytes of the connection. */
  feed(chunk: Uint8Array, nowMs: number, out: YamuxEvent[]): void {
    let at = 0;
    while (!this.#closed && at < chunk.length) {
      if (this.#dataLeft > 0) {
        const bytes = chunk.subarray(at, at + this.#dataLeft);
        at += bytes.length;
        this.#takeData(bytes, out);
      } else {
        const missing = Math.min(HEADER_BYTES - this.#headLength, chunk.length - at);
        this.#head.set(chunk.subarray(at, at + missing), this.#headLength);
        this.#headLength += missing;
        at += missing;
        if (this.#headLength < HEADER_BYTES) return;
        this.#headLength = 0;
        this.#takeFrame(nowMs, out);
      }
    }
    if (this.#controlBytes > CONTROL_BYTES_MAX) this.#close("stuck", out);
    if (this.#wantsRoom && this.#unacknowledged < BACKLOG_MAX && this.#streams.size < STREAMS_MAX && !this.#closed) {
      this.#wantsRoom = false;
      out.push({ kind: "room" });
    }
  }

  #takeFrame(nowMs: number, out: YamuxEvent[]): void {
    const head = this.#head;
    const flags = ((head[2] as number) << 8) | (head[3] as number);
    const id = word(head, 4);
    const length = word(head, 8);
    if (head[0] !== VERSION) this.#close("protocol", out);
    else if (head[1] === FRAME.data || head[1] === FRAME.windowUpdate) this.#takeStreamFrame(head[1] === FRAME.data, flags, id, length, out);
    else if (head[1] === FRAME.ping) this.#takePing(flags, length, nowMs);
    else if (head[1] === FRAME.goAway) this.#takeGoAway(length, out);
    else this.#close("protocol", out);
  }

  #takeStreamFrame(isData: boolean, flags: number, id: StreamId, length: number, out: YamuxEvent[]): void {
    if ((flags & FLAG.syn) !== 0 && !this.#takeSyn(id, out)) return;
    const stream = this.#streams.get(id);
    if (stream !== undefined && (flags & FLAG.ack) !== 0 && !stream.acknowledged) {
      stream.acknowledged = true;
      this.#unacknowledged -= 1;
    }
    if (!isData) {
      if (stream !== undefined && length > 0) this.#widen(stream, length, out);
      this.#takeEnd(id, flags, out);
      return;
    }
    if (stream !== undefined) {
      if (length > stream.receiveWindow || (length > 0 && stream.gotFin)) {
        this.#close("protocol", out);
        return;
      }
      stream.receiveWindow -= length;
    }
    this.#dataStream = stream === undefined ? 0 : id;
    this.#dataLeft = length;
    this.#dataFlags = flags;
    if (length === 0) this.#takeEnd(id, flags, out);
  }

  #takeSyn(id: StreamId, out: YamuxEvent[]): boolean {
    if (this.#streams.has(id)) {
      this.#close("protocol", out);
      return false;
    }
    if (this.#streams.size >= STREAMS_MAX) {
      this.#frame(FRAME.windowUpdate, FLAG.rst, id, 0);
      return true; // Its data is passed over.
    }
    this.#add(id, true);
    // At once, not with the first answer: an opener stalls at 256 streams without one.
    this.#frame(FRAME.windowUpdate, FLAG.ack, id, 0);
    out.push({ kind: "opened", stream: id });
    return true;
  }

  #widen(stream: Stream, byteLength: number, out: YamuxEvent[]): void {
    const waited = stream.queuedBytes > 0;
    stream.sendWindow += byteLength;
    this.#pump(stream);
    if (waited && stream.queuedBytes === 0) out.push({ kind: "drained", stream: stream.id });
  }

  #takeData(bytes: Uint8Array, out: YamuxEvent[]): void {
    this.#dataLeft -= bytes.length;
    // It may have been reset here since its header came.
    if (this.#dataStream !== 0 && this.#streams.has(this.#dataStream)) out.push({ kind: "data", stream: this.#dataStream, bytes });
    if (this.#dataLeft === 0) this.#takeEnd(this.#dataStream, this.#dataFlags, out);
  }

  /** FIN and RST come behind the data of their frame. */
  #takeEnd(id: StreamId, flags: number, out: YamuxEvent[]): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    if ((flags & FLAG.rst) !== 0) {
      this.#remove(stream);
      out.push({ kind: "reset", stream: id });
    } else if ((flags & FLAG.fin) !== 0 && !stream.gotFin) {
      stream.gotFin = true;
      out.push({ kind: "ended", stream: id });
      if (stream.sentFin) this.#remove(stream);
    }
  }

  #takePing(flags: number, value: number, nowMs: number): void {
    if ((flags & FLAG.syn) !== 0) this.#frame(FRAME.ping, FLAG.ack, 0, value);
    else if (this.#ping === value) {
      this.#ping = null; // Others are late or were never asked for: ignored.
      this.#dueMs = nowMs + KEEPALIVE_MS;
    }
  }

  #takeGoAway(code: number, out: YamuxEvent[]): void {
    if (code !== 0) this.#close("goAway", out);
    else if (!this.#peerGoneAway) {
      this.#peerGoneAway = true;
      out.push({ kind: "goAway" });
    }
  }

  #close(error: YamuxError, out: YamuxEvent[]): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#streams.clear();
    this.#allQueued = 0;
    out.push({ kind: "closed", error });
  }

  #frame(type: number, flags: number, id: StreamId, length: number): void {
    const frame = new Uint8Array(HEADER_BYTES);
    writeHeader(frame, type, flags, id, length);
    this.#output.push(frame);
    this.#controlBytes += HEADER_BYTES;
  }

  #dataFrame(id: StreamId, bytes: Uint8Array): void {
    const joined = bytes.length <= JOIN_BYTES_MAX;
    const frame = new Uint8Array(joined ? HEADER_BYTES + bytes.length : HEADER_BYTES);
    writeHeader(frame, FRAME.data, 0, id, bytes.length);
    if (joined) frame.set(bytes, HEADER_BYTES);
    this.#output.push(frame);
    if (!joined) this.#output.push(bytes);
  }
}

function writeHeader(frame: Uint8Array, type: number, flags: number, id: StreamId, length: number): void {
  frame[0] = VERSION;
  frame[1] = type;
  frame[2] = flags >>> 8;
  frame[3] = flags;
  putWord(frame, 4, id);
  putWord(frame, 8, length);
}

function putWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

function word(bytes: Uint8Array, at: number): number {
  return (((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0;
}
