/**
 * What one RPC connection is sent without asking again: event streams, one log monitor, and the records of its queries. Each has a bounded
 * queue of its own that fills only while the client does not read.
 */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { passesFilter, type EventFilter } from "./event-filter.ts";
import type { IpcEffect, IpcEvent, IpcRecordInput } from "./ipc-types.ts";
import { RecordQueue } from "./record-queue.ts";
import type { IpcSeq, QueryReplyRecord } from "../wire/ipc-messages.ts";
import { encodeLog, encodeMemberEvent, encodeQueryEvent, encodeQueryReply, encodeResponseHeader, encodeUserEvent } from "../wire/ipc-responses.ts";

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

type SendEffect = Extract<IpcEffect, { readonly kind: "send" }>;

/** The same in front of every record of a stream. */
function headerOf(seq: IpcSeq): SendEffect {
  return { kind: "send", bytes: encodeResponseHeader(seq, "") };
}

type QueryEvent = Extract<IpcEvent, { readonly kind: "query" }>;

interface EventStream {
  readonly kind: "stream";
  readonly seq: IpcSeq;
  readonly header: SendEffect;
  readonly filters: readonly EventFilter[];
  /** Bodies, ready to be sent; a query is encoded when it is sent, since it gets its id then. */
  readonly queue: RecordQueue<Uint8Array | QueryEvent>;
}
interface Monitor {
  readonly kind: "monitor";
  readonly seq: IpcSeq;
  readonly header: SendEffect;
  readonly queue: RecordQueue<string>;
}
interface QueryStream {
  readonly kind: "query";
  readonly seq: IpcSeq;
  readonly header: SendEffect;
  readonly queue: RecordQueue<QueryReplyRecord>;
  /** The request was answered, records may follow. */
  open: boolean;
  /** Nothing more will come; kept out of the queue so that it is never dropped. */
  done: boolean;
}
type Stream = EventStream | Monitor | QueryStream;

/** An event goes to all connections before the next one comes, so its body is made once. (A map from events to bodies cost 1 µs an event.) */
let lastEvent: IpcEvent | null = null;
let lastBody: Uint8Array = EMPTY_BYTES;

function eventBody(event: Exclude<IpcEvent, QueryEvent>): Uint8Array {
  if (event !== lastEvent) {
    lastBody = event.kind === "user" ? encodeUserEvent(event) : encodeMemberEvent(event.type, event.members);
    lastEvent = event;
  }
  return lastBody;
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

  /** Something waits to be sent. */
  get waiting(): boolean {
    if ((this.#monitor?.queue.size ?? 0) > 0) return true;
    for (const stream of this.#streams.values()) if (stream.queue.size > 0) return true;
    for (const query of this.#queries.values()) if (query.open && (query.queue.size > 0 || query.done)) return true;
    return false;
  }

  addStream(seq: IpcSeq, filters: readonly EventFilter[], out: IpcEffect[]): void {
    this.#streams.set(seq, { kind: "stream", seq, header: headerOf(seq), filters, queue: new RecordQueue(STREAM_QUEUE_MAX, STREAM_QUEUE_BYTES_MAX) });
    if (this.#streams.size === 1) out.push({ kind: "watchEvents", on: true });
  }

  addMonitor(seq: IpcSeq, level: string, out: IpcEffect[]): void {
    this.#monitor = { kind: "monitor", seq, header: headerOf(seq), queue: new RecordQueue(STREAM_QUEUE_MAX, STREAM_QUEUE_BYTES_MAX) };
    out.push({ kind: "watchLogs", level });
  }

  /** Before the agent has accepted the query: records may come at once. */
  addQuery(query: number, seq: IpcSeq): void {
    const queue = new RecordQueue<QueryReplyRecord>(QUERY_QUEUE_MAX, STREAM_QUEUE_BYTES_MAX);
    this.#queries.set(query, { kind: "query", seq, header: headerOf(seq), queue, open: false, done: false });
  }

  /** The query was answered to the client; when the agent refused it, no record will follow. */
  openQuery(query: number, accepted: boolean): void {
    const stream = this.#queries.get(query);
    if (stream === undefined) return;
    if (accepted) stream.open = true;
    else this.#queries.delete(query);
  }

  /** Ends the stream or the monitor that was started with `seq`; unknown ones are fine. */
  stop(seq: IpcSeq, out: IpcEffect[]): void {
    if (this.#streams.delete(seq) && this.#streams.size === 0) out.push({ kind: "watchEvents", on: false });
    if (this.#monitor?.seq === seq) {
      this.#monitor = null;
      out.push({ kind: "watchLogs", level: null });
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
    for (const stream of this.#streams.values()) {
      if (!stream.filters.some((filter) => passesFilter(filter, word, name))) continue;
      if (event.kind === "query") stream.queue.push(event, event.payload?.length ?? 0);
      else {
        const body = eventBody(event);
        stream.queue.push(body, body.length);
      }
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

  /** Sends what waits, at most about `bytesMax`, taking turns between the streams. Returns the bytes sent. */
  flush(bytesMax: number, out: IpcEffect[]): number {
    this.#added = 0;
    let sent = 0;
    let before = -1;
    while (sent < bytesMax && sent !== before) {
      before = sent;
      for (const stream of this.#streams.values()) sent += this.#sendEvent(stream, out);
      if (this.#monitor !== null) sent += this.#sendLog(this.#monitor, out);
      for (const [query, stream] of this.#queries) sent += this.#sendReply(query, stream, out);
    }
    return sent;
  }

  #sendEvent(stream: EventStream, out: IpcEffect[]): number {
    const record = stream.queue.shift();
    if (record === undefined) return 0;
    return this.#send(stream, record instanceof Uint8Array ? record : this.#queryBody(record), out);
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

  #sendLog(monitor: Monitor, out: IpcEffect[]): number {
    const line = monitor.queue.shift();
    return line === undefined ? 0 : this.#send(monitor, encodeLog(line), out);
  }

  #sendReply(query: number, stream: QueryStream, out: IpcEffect[]): number {
    if (!stream.open) return 0;
    const record = stream.queue.shift();
    if (record !== undefined) return this.#send(stream, encodeQueryReply(record), out);
    if (!stream.done) return 0;
    this.#queries.delete(query);
    return this.#send(stream, encodeQueryReply({ kind: "done" }), out);
  }

  #send(stream: Stream, body: Uint8Array, out: IpcEffect[]): number {
    out.push(stream.header, { kind: "send", bytes: body });
    const count = stream.queue.dropped - (this.#reported.get(stream) ?? 0);
    // Told when the client reads again: one report for a whole pause.
    if (count > 0 && stream.queue.size === 0) {
      this.#reported.set(stream, stream.queue.dropped);
      out.push({ kind: "dropped", stream: stream.kind, seq: stream.seq, count });
    }
    return stream.header.bytes.length + body.length;
  }
}
