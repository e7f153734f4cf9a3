/**
 * One RPC connection of the agent as a machine: no socket, no clock, no promise (reference: serf-protocol §9). Requests are taken strictly one
 * after another: while a call is under way, or the client does not read, the next request waits in the buffer. What a client sends
 * wrong ends in an error answer or in `close`, never in a throw.
 */
import { EMPTY_BYTES, equalBytesConstantTime } from "../base/bytes.ts";
import { encodeUtf8 } from "../base/utf8.ts";
import { AnswerFrame } from "./answer-frame.ts";
import { isValidFilter, parseEventFilters } from "./event-filter.ts";
import type { MembersAnswer } from "./ipc-members.ts";
import { IpcOutput } from "./ipc-output.ts";
import { IpcStreams, QUERIES_MAX, STREAMS_MAX } from "./ipc-streams.ts";
import type { IpcAnswer, IpcCall, IpcConfig, IpcInput, IpcRecordInput, IpcView } from "./ipc-types.ts";
import { IPC_VERSION, IpcError, type IpcSeq, type QueryRequest, type RequestHeader, type TagsRequest } from "../wire/ipc-messages.ts";
import { decodeEvent, decodeRequestBody, decodeRequestHeader, hasBody, isCommand, knownHead, readSeq, type CommandWithBody, type IpcRequest, type KnownHead } from "../wire/ipc-requests.ts";
import { encodeCoordinate, encodeJoin, encodeKeys, encodeStats } from "../wire/ipc-responses.ts";
import type { Reader } from "../wire/msgpack.ts";
import { ObjectBuffer } from "../wire/object-buffer.ts";

/** Longest header or body taken. */
export const REQUEST_BYTES_MAX = 1_048_576;
/** The same before handshake and authentication are done: strangers get little memory. */
export const UNTRUSTED_REQUEST_BYTES_MAX = 4096;
/** Requests of one connection served in one turn, so that a client that pipelines thousands cannot hold up gossip. */
export const STEP_REQUESTS_MAX = 64;
/** Bytes sent in one step before the driver has its say. */
export const STEP_BYTES_MAX = 262_144;
/** The driver stops reading the socket above this much input that waits. */
export const READ_AHEAD_BYTES = 65_536;

const LOG_LEVELS: readonly string[] = ["TRACE", "DEBUG", "INFO", "WARN", "ERR"];
const INTERNAL_PREFIX = "_serf_";
/** In place of a call that is being made. */
const FIRING: IpcCall = { kind: "leave" };

/** Of the step that is running, in whatever session. */
let output = new IpcOutput();

export class IpcSession {
  readonly #config: IpcConfig;
  readonly #view: IpcView;
  readonly #members: MembersAnswer;
  readonly #buffer = new ObjectBuffer();
  readonly #streams = new IpcStreams();
  /** Never cleared between requests: what a header leaves out keeps its last value, as with the original. */
  readonly #header: RequestHeader = { command: "", seq: 0 };
  /** As it would be written with the last command. */
  #known: KnownHead | null = null;
  /** The command whose body comes next. */
  #awaited: CommandWithBody | null = null;
  #shookHands = false;
  #authenticated: boolean;
  /** The call under way, and the number of its request. */
  #pending: IpcCall | null = null;
  #pendingSeq: IpcSeq = 0;
  #queryCount = 0;
  #blocked = false;
  #closed = false;
  #more = false;

  /** `members` is shared by all sessions of an agent. */
  constructor(config: IpcConfig, view: IpcView, members: MembersAnswer) {
    this.#config = config;
    this.#view = view;
    this.#members = members;
    this.#authenticated = config.authKey === "";
  }

  /** There is work left that was cut off to keep the step short: step with `resume` in a later turn. */
  get more(): boolean {
    return this.#more && !this.#blocked && !this.#closed;
  }

  /** False while input should stay in the socket. */
  get reading(): boolean {
    return this.#buffer.size < READ_AHEAD_BYTES || (this.#awaitsInput() && !this.#closed);
  }

  /** Nothing but more input can bring it forward. */
  #awaitsInput(): boolean {
    return this.#pending === null && !this.#blocked && !this.#more;
  }

  /** Handshake and authentication are done. */
  get trusted(): boolean {
    return this.#shookHands && this.#authenticated;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Queues a record without sending it, so that the many records of one turn leave in one write. True when a `flush` should not wait for
   * the end of the turn, because a queue could overflow.
   */
  offer(input: IpcRecordInput): boolean {
    if (this.#closed) return false;
    this.#streams.add(input);
    return this.#streams.crowded && !this.#blocked;
  }

  /** Applies one input; what it sends and its effects are appended to `out`. `nowMs` is the clock of query deadlines. */
  step(input: IpcInput, nowMs: number, out: IpcOutput): void {
    if (this.#closed) return;
    output = out;
    output.begin();
    this.#take(input);
    if (!this.#blocked) this.#goOn(nowMs);
    if (input.kind === "data") this.#buffer.keep();
  }

  #goOn(nowMs: number): void {
    this.#streams.flush(STEP_BYTES_MAX, output);
    this.#serve(nowMs);
    this.#more = !this.#closed && (this.#more || this.#streams.waiting);
  }

  #take(input: IpcInput): void {
    switch (input.kind) {
      case "data":
        this.#buffer.append(input.bytes);
        break;
      case "answer":
        this.#answer(input.answer);
        break;
      case "event":
      case "log":
      case "queryRecord":
        this.#streams.add(input);
        break;
      case "flush":
        break;
      case "blocked":
        this.#blocked = true;
        break;
      case "resume":
        this.#blocked = false;
    }
  }

  /** Takes requests until one needs the agent, the input is used up, or this step has done enough. */
  #serve(nowMs: number): void {
    this.#more = false;
    for (let count = 0; this.#pending === null && !this.#closed; count += 1) {
      // A header and a body count as one each.
      if (count >= 2 * STEP_REQUESTS_MAX || output.sent >= STEP_BYTES_MAX) {
        this.#more = this.#buffer.size > 0;
        return;
      }
      const limit = this.trusted ? REQUEST_BYTES_MAX : UNTRUSTED_REQUEST_BYTES_MAX;
      if (this.#takeAhead(limit, nowMs)) continue;
      const reader = this.#buffer.next(limit);
      if (reader === "short") return;
      if (typeof reader === "string") return this.#close(this.#awaited !== null ? `decode failed: ${reader} request` : "", reader);
      if (this.#awaited !== null) this.#takeBody(this.#awaited, reader, nowMs);
      else this.#takeHeader(reader, nowMs);
    }
  }

  /** Takes a header, or the body of an event, that is there as a whole. False, and nothing has changed, when it is not, or is not right: `next` tells which. */
  #takeAhead(limit: number, nowMs: number): boolean {
    if (this.#awaited !== null && this.#awaited !== "event") return false;
    const reader = this.#buffer.ahead(limit);
    if (reader === null) return false;
    if (this.#awaited === null) {
      if (this.#takeAgain(reader, nowMs)) return true;
      const { command, seq } = this.#header;
      decodeRequestHeader(reader, this.#header);
      if (reader.failed) {
        this.#header.command = command;
        this.#header.seq = seq;
        return false;
      }
      this.#buffer.took();
      this.#known = knownHead(this.#header.command);
      this.#begin(nowMs);
      return true;
    }
    const request = decodeEvent(reader);
    if (reader.failed) return false;
    this.#buffer.took();
    this.#awaited = null;
    this.#run(request, nowMs);
    return true;
  }

  /** Takes a header that is the last one with another number, as most are. */
  #takeAgain(reader: Reader, nowMs: number): boolean {
    const known = this.#known;
    if (known === null || !reader.same(known.bytes)) return false;
    const seq = readSeq(reader);
    if (reader.failed) return false;
    this.#header.command = known.command;
    this.#header.seq = seq;
    this.#buffer.took();
    this.#begin(nowMs);
    return true;
  }

  #takeHeader(reader: Reader, nowMs: number): void {
    decodeRequestHeader(reader, this.#header);
    if (reader.failed) return this.#close("", "malformed");
    this.#begin(nowMs);
  }

  /** Begins with the request of the header that was read. */
  #begin(nowMs: number): void {
    const { command } = this.#header;
    if (command !== "handshake" && !this.#shookHands) return this.#refuse(IpcError.handshakeRequired, IpcError.handshakeRequired);
    if (command !== "handshake" && command !== "auth" && !this.#authenticated) {
      output.effect({ kind: "logLine", level: "warn", text: "agent.ipc: Client sending commands before auth" });
      // The body, if there is one, stays where it is and is read as the next header: clients know the original by this.
      return this.#respond(IpcError.authRequired, null);
    }
    if (!isCommand(command)) return this.#refuse(IpcError.unsupportedCommand, `command '${command}' not recognized`);
    if (hasBody(command)) this.#awaited = command;
    else this.#run({ command }, nowMs);
  }

  #takeBody(command: CommandWithBody, reader: Reader, nowMs: number): void {
    this.#awaited = null;
    const body = decodeRequestBody(command, reader);
    if (body === null) return this.#close("decode failed: malformed request body", "malformed");
    this.#run(body, nowMs);
  }

  #run(request: IpcRequest, nowMs: number): void {
    switch (request.command) {
      case "handshake":
        return this.#handshake(request.version);
      case "auth":
        return this.#authenticate(request.authKey);
      case "members":
        return output.answer(this.#header.seq, this.#members.all(this.#view.members()));
      case "members-filtered": {
        const answer = this.#members.filtered(this.#view, request);
        if (answer instanceof AnswerFrame) return output.answer(this.#header.seq, answer);
        if (answer instanceof Uint8Array) return this.#respond("", answer);
        return this.#close(`Failed to compile regex: ${answer.error}`, "malformed");
      }
      case "stats":
        return this.#respond("", encodeStats(this.#view.stats()));
      case "get-coordinate":
        return this.#respond("", encodeCoordinate(this.#view.coordinate(request.node)));
      case "event":
        return this.#fire(request.name, request.payload, request.coalesce);
      case "force-leave":
        return this.#call({ kind: "forceLeave", node: request.node, prune: request.prune });
      case "join":
        return this.#call({ kind: "join", addresses: request.existing ?? [], replay: request.replay });
      case "tags":
        return this.#call({ kind: "setTags", tags: mergeTags(this.#view.tags(), request) });
      case "install-key":
        return this.#call({ kind: "keys", operation: "install", key: request.key });
      case "use-key":
        return this.#call({ kind: "keys", operation: "use", key: request.key });
      case "remove-key":
        return this.#call({ kind: "keys", operation: "remove", key: request.key });
      case "list-keys":
        return this.#call({ kind: "keys", operation: "list", key: "" });
      case "stream":
        return this.#startStream(request.type);
      case "monitor":
        return this.#startMonitor(request.logLevel.toUpperCase());
      case "stop":
        this.#streams.stop(request.stop, output);
        return this.#respond("", null);
      case "query":
        return this.#startQuery(request);
      case "respond": {
        const token = this.#streams.pendingToken(request.id, nowMs);
        if (token === null) return this.#respond(IpcError.invalidQueryId, null);
        return this.#call({ kind: "respond", token, payload: request.payload ?? EMPTY_BYTES });
      }
      case "leave":
        output.effect({ kind: "logLine", level: "info", text: "agent.ipc: Graceful leave triggered" });
        return this.#call({ kind: "leave" });
    }
  }

  #handshake(version: number): void {
    if (this.#shookHands) return this.#respond(IpcError.duplicateHandshake, null);
    if (version !== IPC_VERSION) return this.#respond(IpcError.unsupportedVersion, null);
    this.#shookHands = true;
    this.#respond("", null);
  }

  #authenticate(key: string): void {
    if (!equalBytesConstantTime(encodeUtf8(key), encodeUtf8(this.#config.authKey))) return this.#respond(IpcError.invalidAuthToken, null);
    this.#authenticated = true;
    this.#respond("", null);
  }

  #startStream(type: string): void {
    const { seq } = this.#header;
    const filters = parseEventFilters(type);
    if (this.#streams.hasStream(seq)) return this.#respond(IpcError.streamExists, null);
    if (!filters.every(isValidFilter)) return this.#respond(IpcError.invalidFilter, null);
    if (this.#streams.streamCount >= STREAMS_MAX) return this.#respond(`Too many streams: at most ${STREAMS_MAX} per connection`, null);
    this.#respond("", null);
    this.#streams.addStream(seq, filters, output);
  }

  #startMonitor(level: string): void {
    if (!LOG_LEVELS.includes(level)) return this.#respond(`Unknown log level: ${level}`, null);
    if (this.#streams.monitoring) return this.#respond(IpcError.monitorExists, null);
    this.#respond("", null);
    this.#streams.addMonitor(this.#header.seq, level, output);
  }

  #startQuery(request: QueryRequest): void {
    const { filterNodes, filterTags, requestAck, relayFactor, timeoutMs, name, payload } = request;
    const isPing = name === `${INTERNAL_PREFIX}ping` && payload === null;
    if (name.startsWith(INTERNAL_PREFIX) && !isPing) return this.#respond(`Queries cannot contain the '${INTERNAL_PREFIX}' prefix`, null);
    if (this.#streams.queryCount >= QUERIES_MAX) return this.#respond(`Too many queries: at most ${QUERIES_MAX} at once per connection`, null);
    this.#queryCount += 1;
    this.#streams.addQuery(this.#queryCount, this.#header.seq);
    const filters = { filterNodes: filterNodes ?? [], filterTags: filterTags ?? new Map<string, string>() };
    this.#call({ kind: "query", query: this.#queryCount, name, payload, ...filters, requestAck, relayFactor, timeoutMs });
  }

  #fire(name: string, payload: Uint8Array | null, coalesce: boolean): void {
    const ours = output;
    // Who starts a stream and fires behind it, all in one, must hear of it: the stream is begun once this step is over.
    if (ours.effects.length > 0) return this.#call({ kind: "event", name, payload, coalesce });
    // Whoever hears of the event may step us, or others, while it is being fired.
    this.#pending = FIRING;
    const error = this.#view.fire(name, payload, coalesce);
    output = ours;
    this.#pending = null;
    if (error === null) this.#call({ kind: "event", name, payload, coalesce });
    else this.#respond(error, null);
  }

  #call(call: IpcCall): void {
    this.#pending = call;
    this.#pendingSeq = this.#header.seq;
    output.effect({ kind: "call", call });
  }

  #answer({ error, nodes, result }: IpcAnswer): void {
    const call = this.#pending;
    if (call === null) return;
    const seq = this.#pendingSeq;
    this.#pending = null;
    switch (call.kind) {
      case "join":
        return this.#send(seq, error, encodeJoin(nodes ?? 0));
      case "keys":
        return this.#send(seq, error, encodeKeys(result ?? NO_KEYS, call.operation === "list"));
      case "query":
        this.#send(seq, error, null);
        return this.#streams.openQuery(call.query, error === "");
      case "leave":
        this.#send(seq, error, null);
        output.effect({ kind: "shutdown" });
        return;
      case "event":
      case "forceLeave":
      case "setTags":
      case "respond":
        return this.#send(seq, error, null);
    }
  }

  /** Answers the request whose header is the current one. */
  #respond(error: string, body: Uint8Array | null): void {
    this.#send(this.#header.seq, error, body);
  }

  #send(seq: IpcSeq, error: string, body: Uint8Array | null): void {
    output.header(seq, error);
    if (body !== null) output.bytes(body);
  }

  /** Answers with an error that ends the connection. */
  #refuse(error: string, reason: string): void {
    this.#respond(error, null);
    this.#close(reason, "malformed");
  }

  /** `reason` "": a header could not be read. */
  #close(reason: string, problem: "malformed" | "large"): void {
    const text = reason === "" ? `failed to decode request header: ${problem === "large" ? "too long" : "malformed"}` : `Failed to evaluate request: ${reason}`;
    output.effect({ kind: "logLine", level: "err", text: `agent.ipc: ${text}` });
    output.effect({ kind: "close" });
    this.#closed = true;
  }
}

const NO_KEYS = { nodes: 0, responses: 0, failures: 0, messages: new Map<string, string>(), keys: new Map<string, number>() };

/** Removal comes first, so that a tag named in both lists stays. */
function mergeTags(present: ReadonlyMap<string, string>, { tags, deleteTags }: TagsRequest): ReadonlyMap<string, string> {
  const merged = new Map(present);
  for (const tag of deleteTags ?? []) merged.delete(tag);
  for (const [tag, value] of tags ?? []) merged.set(tag, value);
  return merged;
}
