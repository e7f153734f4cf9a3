/**
 * What one RPC connection is sent without asking again: event streams, one log monitor, and the records of its queries. Each has a bounded
 * queue of its own that fills only while the client does not read.
 */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { passesFilter, type EventFilter } from "./event-filter.ts";
import type { IpcOutput } from "./ipc-output.ts";
import type { IpcEvent, IpcRecordInput } from "./ipc-types.ts";
import { RecordQueue } from "./record-queue.ts";
import type { IpcSeq, QueryReplyRecord } from "../wire/ipc-messages.ts";
import { encodeLog, encodeMemberEvent, encodeQueryEvent, encodeQueryReply, encodeResponseHeader } from "../wire/ipc-responses.ts";

/** Records waiting per stream or monitor; the original's number. */
export const STREAM_QUEUE_MAX = 512;
/** Records waiting per query: acks and answers of 2,000 nodes while the client does not read. */
export const QUERY_QUEUE_MAX = 4096;
/** Bytes waiting per stream, monitor or query; a member event of a large cluster is a large record. */
export const STREAM_QUEUE_BYTES_MAX = 1_048_576;
/** Event streams, and queries under way, of one connection. */
export const STREAMS_MAX = 64;
export const QUERIES_MAX = 128;
/** Received queries that a client may still answer; the oldest is forgotten. */
export const PENDING_QUERIES_MAX = 1024;

type QueryEvent = Extract<IpcEvent, { readonly kind: "query" }>;

interface EventStream {
  readonly kind: "stream";
  readonly seq: IpcSeq;
  /** The same in front of every record. */
  readonly header: Uint8Array;
  readonly filters: readonly EventFilter[];
  /** Encoded when they are sent: most events have one reader, and a body of its own for each would cost more than writing it. */
  readonly queue: RecordQueue<IpcEvent>;
}
interface Monitor {
  readonly kind: "monitor";
  readonly seq: IpcSeq;
  /** The same in front of every record. */
  readonly header: Uint8Array;
  readonly queue: RecordQueue<string>;
}
interface QueryStream {
  readonly kind: "query";
  readonly seq: IpcSeq;
  /** The same in front of every record. */
  readonly header: Uint8Array;
  readonly queue: RecordQueue<QueryReplyRecord>;
  /** The request was answered, records may follow. */
  open: boolean;
  /** Nothing more will come; kept out of the queue so that it is never dropped. */
  done: boolean;
}
type Stream = EventStream | Monitor | QueryStream;

/** What an event takes in a queue besides its texts and payload. */
const EVENT_BYTES = 64;
/** The same for each member of a member event. */
const MEMBER_BYTES = 256;

function queuedBytes(event: IpcEvent): number {
  if (event.kind === "members") return EVENT_BYTES + MEMBER_BYTES * event.members.length;
  return EVENT_BYTES + event.name.length + (event.payload?.length ?? 0);
}

export class IpcStreams {
  readonly #streams = new Map<IpcSeq, EventStream>();
  readonly #queries = new Map<number, QueryStream>();
  #monitor: Monitor | null = null;
  /** Queries shown to this client, by the id it knows them by. */
  readonly #pending = new Map<number, { readonly token: number; readonly deadlineMs: number }>();
  #lastId = 0;
  #added = 0; // Records since the last flush.
  readonly #reported = new WeakMap<Stream, number>(); // Drops already told.

  hasStream(seq: IpcSeq): boolean {
    return this.#streams.has(seq);
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  get queryCount(): number {
    return this.#queries.size;
  }

  get monitoring(): boolean {
    return this.#monitor !== null;
  }

  /** No stream, monitor or query is open. */
  #idle(): boolean {
    return this.#streams.size === 0 && this.#queries.size === 0 && this.#monitor === null;
  }

  /** Something waits to be sent. */
  get waiting(): boolean {
    if (this.#idle()) return false;
    if ((this.#monitor?.queue.size ?? 0) > 0) return true;
    for (const stream of this.#streams.values()) if (stream.queue.size > 0) return true;
    for (const query of this.#queries.values()) if (query.open && (query.queue.size > 0 || query.done)) return true;
    return false;
  }

  addStream(seq: IpcSeq, filters: readonly EventFilter[], out: IpcOutput): void {
    this.#streams.set(seq, { kind: "stream", seq, header: encodeResponseHeader(seq, ""), filters, queue: new RecordQueue(STREAM_QUEUE_MAX, STREAM_QUEUE_BYTES_MAX) });
    if (this.#streams.size === 1) out.effect({ kind: "watchEvents", on: true });
  }

  addMonitor(seq: IpcSeq, level: string, out: IpcOutput): void {
    this.#monitor = { kind: "monitor", seq, header: encodeResponseHeader(seq, ""), queue: new RecordQueue(STREAM_QUEUE_MAX, STREAM_QUEUE_BYTES_MAX) };
    out.effect({ kind: "watchLogs", level });
  }

  /** Before the agent has accepted the query: records may come at once. */
  addQuery(query: number, seq: IpcSeq): void {
    const queue = new RecordQueue<QueryReplyRecord>(QUERY_QUEUE_MAX, STREAM_QUEUE_BYTES_MAX);
    this.#queries.set(query, { kind: "query", seq, header: encodeResponseHeader(seq, ""), queue, open: false, done: false });
  }

  /** The query was answered to the client; when the agent refused it, no record will follow. */
  openQuery(query: number, accepted: boolean): void {
    const stream = this.#queries.get(query);
    if (stream === undefined) return;
    if (accepted) stream.open = true;
    else this.#queries.delete(query);
  }

  /** Ends the stream or the monitor that was started with `seq`; unknown ones are fine. */
  stop(seq: IpcSeq, out: IpcOutput): void {
    if (this.#streams.delete(seq) && this.#streams.size === 0) out.effect({ kind: "watchEvents", on: false });
    if (this.#monitor?.seq === seq) {
      this.#monitor = null;
      out.effect({ kind: "watchLogs", level: null });
    }
  }

  add(input: IpcRecordInput): void {
    this.#added += 1;
    if (input.kind === "event") this.#event(input.event);
    else if (input.kind === "log") this.#monitor?.queue.push(input.line, input.line.length);
    else this.#queryRecord(input.query, input.record);
  }

  /** So much was added since the last `flush` that some queue may be half full. */
  get crowded(): boolean {
    return this.#added >= STREAM_QUEUE_MAX / 2;
  }

  #event(event: IpcEvent): void {
    const word = event.kind === "members" ? event.type : event.kind;
    const name = event.kind === "members" ? "" : event.name;
    const bytes = queuedBytes(event);
    for (const stream of this.#streams.values()) {
      if (passes(stream.filters, word, name)) stream.queue.push(event, bytes);
    }
  }

  #queryRecord(query: number, record: QueryReplyRecord): void {
    const stream = this.#queries.get(query);
    if (stream === undefined || stream.done) return;
    if (record.kind === "done") stream.done = true;
    // An empty name would mean the end to clients written for the original.
    else if (record.from !== "") stream.queue.push(record, record.kind === "response" ? (record.payload?.length ?? 0) : 0);
  }

  /** The token of a query that may still be answered, or null. */
  pendingToken(id: number, nowMs: number): number | null {
    const pending = this.#pending.get(id);
    if (pending === undefined) return null;
    if (nowMs <= pending.deadlineMs) return pending.token;
    this.#pending.delete(id);
    return null;
  }

  /** Sends what waits, at most about `bytesMax`, taking turns between the streams. */
  flush(bytesMax: number, out: IpcOutput): void {
    this.#added = 0;
    if (this.#idle()) return;
    const start = out.sent;
    for (let before = -1; out.sent !== before && out.sent - start < bytesMax; ) {
      before = out.sent;
      for (const stream of this.#streams.values()) this.#sendEvent(stream, out);
      if (this.#monitor !== null) this.#sendLog(this.#monitor, out);
      for (const [query, stream] of this.#queries) this.#sendReply(query, stream, out);
    }
  }

  #sendEvent(stream: EventStream, out: IpcOutput): void {
    const event = stream.queue.shift();
    if (event === undefined) return;
    if (event.kind === "user") {
      out.bytes(stream.header);
      out.userEvent(event);
      this.#reportDrops(stream, out);
    } else this.#send(stream, event.kind === "query" ? this.#queryBody(event) : memberBody(event), out);
  }

  #queryBody(event: QueryEvent): Uint8Array {
    this.#lastId += 1;
    this.#pending.set(this.#lastId, { token: event.token, deadlineMs: event.deadlineMs });
    if (this.#pending.size > PENDING_QUERIES_MAX) {
      for (const oldest of this.#pending.keys()) {
        this.#pending.delete(oldest);
        break;
      }
    }
    return encodeQueryEvent({ id: this.#lastId, lamportTime: event.lamportTime, name: event.name, payload: event.payload });
  }

  #sendLog(monitor: Monitor, out: IpcOutput): void {
    const line = monitor.queue.shift();
    if (line !== undefined) this.#send(monitor, encodeLog(line), out);
  }

  #sendReply(query: number, stream: QueryStream, out: IpcOutput): void {
    if (!stream.open) return;
    const record = stream.queue.shift();
    if (record !== undefined) this.#send(stream, encodeQueryReply(record), out);
    else if (stream.done) {
      this.#queries.delete(query);
      this.#send(stream, encodeQueryReply({ kind: "done" }), out);
    }
  }

  #send(stream: Stream, body: Uint8Array, out: IpcOutput): void {
    out.bytes(stream.header);
    out.bytes(body);
    this.#reportDrops(stream, out);
  }

  /** Told when the client reads again: one report for a whole pause. */
  #reportDrops(stream: Stream, out: IpcOutput): void {
    if (stream.queue.dropped === 0 || stream.queue.size > 0) return;
    const count = stream.queue.dropped - (this.#reported.get(stream) ?? 0);
    if (count === 0) return;
    this.#reported.set(stream, stream.queue.dropped);
    out.effect({ kind: "dropped", stream: stream.kind, seq: stream.seq, count });
  }
}

function passes(filters: readonly EventFilter[], word: string, name: string): boolean {
  for (const filter of filters) if (passesFilter(filter, word, name)) return true;
  return false;
}

/** A member event is large and goes to all connections before the next one comes, so its body is made once. */
let lastEvent: IpcEvent | null = null;
let lastBody: Uint8Array = EMPTY_BYTES;

function memberBody(event: Extract<IpcEvent, { readonly kind: "members" }>): Uint8Array {
  if (event !== lastEvent) {
    lastBody = encodeMemberEvent(event.type, event.members);
    lastEvent = event;
  }
  return lastBody;
}
