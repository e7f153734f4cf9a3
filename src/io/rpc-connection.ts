/**
 * One multiplexed RPC connection to or from another server or client agent: a yamux session on a socket (reference: consul-agent §6.2, §6.3). Each call of
 * ours takes a stream of its own that is used again for the next; each stream of the peer is a conversation of calls, answered one after the other.
 */
import type { Socket } from "node:net";
import type { RpcArgs, RpcMethod, RpcOutcome } from "../api/rpc/types.ts";
import { decodeArgs, decodeReply, encodeArgs, encodeReply, isRpcMethod, replyPieces } from "../api/rpc/codec.ts";
import { EMPTY_BODY, encodeRpcReply, encodeRpcReplyHead, encodeRpcRequest, RpcReplyStream, RpcRequestStream, type RpcRequest } from "../wire/server-rpc.ts";
import { YamuxSession, type StreamId, type YamuxEvent } from "../wire/yamux.ts";
import { monotonicMs } from "./clock.ts";
import { TurnShare } from "./turn-share.ts";

/** Streams kept open for further calls. */
const IDLE_STREAMS_MAX = 64;
/** Answers that the peer does not take are waited for up to so many bytes in the socket; then its calls are no longer read. */
const UNREAD_BYTES_MAX = 1 << 20;

/** Bytes of requests that are not complete, or wait behind a running call, on all connections together; beyond it the one that holds most is closed. */
export const INPUT_BYTES_MAX = 64 << 20;
/** Bytes of replies that the windows of one connection do not let through; beyond it no further request of it is begun. */
export const QUEUED_BYTES_MAX = 16 << 20;
/** Bytes of replies that one peer has not taken; beyond it what else is ready for it waits as a reference to the state, not as bytes. One change can wake thousands of its watchers. */
export const UNTAKEN_BYTES_MAX = 64 << 20;

/** Bytes of long replies that all connections together encode in one turn: some tenths of a ms. */
const LONG_REPLY_BYTES_PER_TURN = 128 << 10;
const longReplies = new TurnShare(LONG_REPLY_BYTES_PER_TURN);

/** All that are open, and what they hold of requests together. */
const open = new Set<RpcConnection>();
let allHeldBytes = 0;

export interface RpcConnectionHooks {
  /** A call of the peer; exactly one outcome, unless cancelled. */
  call(method: RpcMethod, args: RpcArgs, done: (outcome: RpcOutcome) => void): { cancel(): void };
  /** It is gone; all our calls on it have failed. */
  closed(): void;
  count(name: string, delta: number): void;
}

interface OutgoingCall {
  readonly method: RpcMethod;
  readonly args: RpcArgs;
  readonly done: (outcome: RpcOutcome) => void;
}

/** A stream of ours: at most one call at a time. */
interface OutgoingStream {
  readonly replies: RpcReplyStream;
  call: OutgoingCall | null;
}

/** A stream of the peer. */
interface IncomingStream {
  readonly requests: RpcRequestStream;
  running: { cancel(): void } | null;
  /** The peer sends nothing more on it: it is ended once the last call is answered. */
  ended: boolean;
  /** Bytes that came while a call was running; the peer may send more of them only once they are read. */
  unread: number;
  /** Bytes of its requests that stand in the books. */
  held: number;
}

/** A call whose outcome is known. */
const BUSY = { cancel: (): void => undefined };

export class RpcConnection {
  readonly #socket: Socket;
  readonly #session: YamuxSession;
  readonly #hooks: RpcConnectionHooks;
  readonly #outgoing = new Map<StreamId, OutgoingStream>();
  readonly #incoming = new Map<StreamId, IncomingStream>();
  readonly #idle: StreamId[] = [];
  readonly #waiting: OutgoingCall[] = [];
  readonly #events: YamuxEvent[] = [];
  /** Replies that wait until the peer has taken others. */
  readonly #ready: (() => void)[] = [];
  /** Of replies that were not handed to the socket yet. */
  #unwrittenBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #writeArmed = false;
  #seq = 0;
  #heldBytes = 0;
  #closed = false;

  /** `client`: we dialled. The socket is connected, its first byte sent or taken. */
  constructor(socket: Socket, client: boolean, hooks: RpcConnectionHooks) {
    this.#socket = socket;
    this.#hooks = hooks;
    this.#session = new YamuxSession(client, monotonicMs());
    open.add(this);
    socket.on("data", (chunk: Buffer) => this.#received(chunk));
    socket.on("drain", () => {
      socket.resume();
      this.#replyReady();
    });
    socket.on("error", () => undefined); // "close" follows.
    socket.on("close", () => this.#end("EOF"));
    this.#armTimer();
  }

  /** Bytes that came with the first one. */
  start(first: Uint8Array): void {
    if (first.length > 0) this.#received(first);
    this.#socket.resume();
  }

  /** Bytes of our replies that the peer has not taken. */
  get untakenBytes(): number {
    return this.#unwrittenBytes + this.#session.allQueuedBytes + this.#socket.writableLength;
  }

  /** Calls of ours without an answer. */
  get pendingCalls(): number {
    return this.#waiting.length + [...this.#outgoing.values()].filter(({ call }) => call !== null).length;
  }

  call(method: RpcMethod, args: RpcArgs, done: (outcome: RpcOutcome) => void): { cancel(): void } {
    const call: OutgoingCall = { method, args, done };
    if (this.#closed) {
      done({ ok: false, error: "EOF" });
      return { cancel: () => undefined };
    }
    this.#send(call);
    return { cancel: () => this.#cancel(call) };
  }

  #send(call: OutgoingCall): void {
    const stream = this.#idle.pop() ?? this.#open();
    if (stream === null) {
      this.#waiting.push(call);
      return;
    }
    (this.#outgoing.get(stream) as OutgoingStream).call = call;
    this.#seq += 1;
    const body = encodeArgs(call.method, call.args);
    for (const piece of encodeRpcRequest({ seq: this.#seq, method: call.method, body })) this.#session.send(stream, piece);
    this.#armWrite();
  }

  #open(): StreamId | null {
    const stream = this.#session.open();
    if (stream !== null) this.#outgoing.set(stream, { replies: new RpcReplyStream(), call: null });
    return stream;
  }

  /** The peer may be working on it: only the stream's end tells it to stop. */
  #cancel(call: OutgoingCall): void {
    const waiting = this.#waiting.indexOf(call);
    if (waiting >= 0) this.#waiting.splice(waiting, 1);
    for (const [stream, held] of this.#outgoing) {
      if (held.call !== call) continue;
      this.#outgoing.delete(stream);
      this.#session.reset(stream);
      this.#armWrite();
    }
  }

  #received(chunk: Uint8Array): void {
    if (this.#closed) return;
    this.#session.feed(chunk, monotonicMs(), this.#events);
    this.#takeEvents();
    this.#armWrite();
  }

  #takeEvents(): void {
    for (const event of this.#events.splice(0)) this.#event(event);
  }

  #event(event: YamuxEvent): void {
    switch (event.kind) {
      case "opened":
        this.#incoming.set(event.stream, { requests: new RpcRequestStream(), running: null, ended: false, unread: 0, held: 0 });
        return;
      case "data":
        this.#data(event.stream, event.bytes);
        return;
      case "ended":
        this.#ended(event.stream);
        return;
      case "reset":
        this.#endStream(event.stream);
        this.#replyReady();
        return;
      case "room":
        for (let left = this.#waiting.length; left > 0; left -= 1) this.#send(this.#waiting.shift() as OutgoingCall);
        return;
      case "closed":
        this.#flush();
        this.close();
        return;
      case "drained":
        this.#replyReady();
        for (const [stream, incoming] of this.#incoming) this.#takeRequests(stream, incoming);
        return;
      case "goAway":
        return;
    }
  }

  /** The original ends its side behind the last request and still waits for the answer. */
  #ended(stream: StreamId): void {
    const incoming = this.#incoming.get(stream);
    if (incoming !== undefined && (incoming.running !== null || incoming.requests.size > 0)) {
      incoming.ended = true;
      return;
    }
    this.#endStream(stream);
    this.#session.finish(stream);
  }

  #endStream(stream: StreamId): void {
    const incoming = this.#incoming.get(stream);
    this.#incoming.delete(stream);
    incoming?.running?.cancel();
    if (incoming !== undefined) this.#account(incoming, 0);
    const outgoing = this.#outgoing.get(stream);
    this.#outgoing.delete(stream);
    const idle = this.#idle.indexOf(stream);
    if (idle >= 0) this.#idle.splice(idle, 1);
    outgoing?.call?.done({ ok: false, error: "EOF" });
  }

  #data(stream: StreamId, bytes: Uint8Array): void {
    const outgoing = this.#outgoing.get(stream);
    if (outgoing !== undefined) {
      this.#session.consume(stream, bytes.length);
      outgoing.replies.append(bytes);
      this.#takeReply(stream, outgoing);
      return;
    }
    const incoming = this.#incoming.get(stream);
    if (incoming === undefined) return;
    incoming.requests.append(bytes);
    incoming.unread += bytes.length;
    this.#account(incoming, incoming.requests.size);
    this.#takeRequests(stream, incoming);
    if (allHeldBytes <= INPUT_BYTES_MAX) return;
    this.#hooks.count("rpc.input_shed", 1);
    [...open].reduce((worst, connection) => (connection.#heldBytes > worst.#heldBytes ? connection : worst)).close();
  }

  /** Keeps the books when the bytes held of a stream may have changed. */
  #account(incoming: IncomingStream, held: number): void {
    this.#heldBytes += held - incoming.held;
    allHeldBytes += held - incoming.held;
    incoming.held = held;
  }

  #takeReply(stream: StreamId, outgoing: OutgoingStream): void {
    const reply = outgoing.replies.next();
    if (reply === "short") return;
    const call = outgoing.call;
    outgoing.call = null;
    if (typeof reply === "string" || call === null) {
      this.#hooks.count("rpc.malformed_reply", 1);
      this.#outgoing.delete(stream);
      this.#session.reset(stream);
      call?.done({ ok: false, error: "malformed reply" });
      return;
    }
    if (this.#idle.length < IDLE_STREAMS_MAX) this.#idle.push(stream);
    else {
      this.#outgoing.delete(stream);
      this.#session.reset(stream);
    }
    if (reply.error !== "") call.done({ ok: false, error: reply.error });
    else {
      const decoded = decodeReply(call.method, reply.body.slice(), call.args);
      call.done(decoded.ok ? { ok: true, value: decoded.value } : { ok: false, error: decoded.error });
    }
  }

  /** One call of a stream at a time; the next is read once it is answered. */
  #takeRequests(stream: StreamId, incoming: IncomingStream): void {
    if (this.#closed || incoming.running !== null || this.#session.allQueuedBytes > QUEUED_BYTES_MAX) return;
    if (incoming.unread > 0) {
      this.#session.consume(stream, incoming.unread);
      incoming.unread = 0;
    }
    const request = incoming.requests.next();
    this.#account(incoming, incoming.requests.size);
    if (request === "short") {
      if (incoming.ended) {
        this.#endStream(stream);
        this.#session.finish(stream);
        this.#armWrite();
      }
      return;
    }
    if (typeof request === "string") {
      this.#hooks.count("rpc.malformed_request", 1);
      this.close();
      return;
    }
    this.#serve(stream, incoming, request);
  }

  #serve(stream: StreamId, incoming: IncomingStream, { seq, method, body }: RpcRequest): void {
    this.#hooks.count("rpc.request", 1);
    if (!isRpcMethod(method)) {
      this.#reply(stream, seq, method, { ok: false, error: unknownMethod(method) });
      // As the original ends it. What the peer has sent behind it is not looked at: no answer can follow our end.
      this.#endStream(stream);
      this.#session.finish(stream);
      return;
    }
    const args = decodeArgs(method, body.slice());
    if (!args.ok) {
      this.#hooks.count("rpc.malformed_request", 1);
      this.#reply(stream, seq, method, { ok: false, error: args.error });
      this.close();
      return;
    }
    // Until its reply is on its way the stream is busy: nothing else may be answered on it, and it must not end.
    let answered = false;
    incoming.running = BUSY;
    const running = this.#hooks.call(method, args.value, (outcome) => {
      incoming.running = BUSY;
      this.#ready.push(() => {
        if (this.#incoming.get(stream) !== incoming) return;
        const pieces = outcome.ok ? replyPieces(method, outcome.value) : null;
        if (pieces === null) {
          this.#reply(stream, seq, method, outcome);
          this.#replied(stream, incoming);
        } else {
          this.#sendReply(stream, encodeRpcReplyHead({ seq, method, error: "" }));
          this.#replyInPieces(stream, incoming, pieces);
        }
      });
      answered = true;
      this.#replyReady();
    });
    if (!answered) incoming.running = running;
  }

  #replied(stream: StreamId, incoming: IncomingStream): void {
    incoming.running = null;
    setImmediate(() => {
      if (this.#incoming.get(stream) === incoming) this.#takeRequests(stream, incoming);
    });
  }

  /** A piece in a turn that has time for it, and none while the peer does not take what there is; the stream stays busy until the last one. */
  #replyInPieces(stream: StreamId, incoming: IncomingStream, pieces: Iterator<Uint8Array, void>): void {
    const next = (): number => {
      if (this.#incoming.get(stream) !== incoming) return 0;
      const piece = pieces.next();
      if (piece.done === true) {
        this.#replied(stream, incoming);
        return 0;
      }
      this.#sendReply(stream, piece.value);
      setImmediate(() => {
        if (this.untakenBytes <= UNTAKEN_BYTES_MAX) longReplies.run(next);
        else this.#ready.push(() => void next());
      });
      return piece.value.length;
    };
    longReplies.run(next);
  }

  /** As many as the peer takes, in the order in which they became ready. */
  #replyReady(): void {
    let sent = 0;
    while (sent < this.#ready.length && this.untakenBytes <= UNTAKEN_BYTES_MAX) (this.#ready[sent++] as () => void)();
    this.#ready.splice(0, sent);
  }

  #reply(stream: StreamId, seq: number, method: string, outcome: RpcOutcome): void {
    if (this.#closed) return;
    const body = outcome.ok && isRpcMethod(method) ? encodeReply(method, outcome.value) : EMPTY_BODY;
    for (const piece of encodeRpcReply({ seq, method, error: outcome.ok ? "" : outcome.error, body })) this.#sendReply(stream, piece);
  }

  #sendReply(stream: StreamId, bytes: Uint8Array): void {
    this.#unwrittenBytes += bytes.length;
    this.#session.send(stream, bytes);
    this.#armWrite();
  }

  /** Frames of one turn go out together. */
  #armWrite(): void {
    if (this.#writeArmed || this.#closed) return;
    this.#writeArmed = true;
    setImmediate(() => {
      this.#writeArmed = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#closed) return;
    const pieces = this.#session.takeOutput();
    this.#unwrittenBytes = 0;
    if (pieces.length > 0) {
      this.#socket.cork();
      for (const piece of pieces) this.#socket.write(piece);
      this.#socket.uncork();
      // A peer that asks and does not read what it gets is not asked for more.
      if (this.#socket.writableLength > UNREAD_BYTES_MAX) this.#socket.pause();
    }
    this.#replyReady();
  }

  #armTimer(): void {
    if (this.#closed) return;
    const delayMs = Math.max(0, this.#session.wakeAtMs - monotonicMs());
    this.#timer = setTimeout(() => {
      this.#session.wake(monotonicMs(), this.#events);
      this.#takeEvents();
      this.#flush();
      this.#armTimer();
    }, delayMs).unref();
  }

  close(): void {
    this.#socket.destroySoon();
    this.#end("EOF");
  }

  /** Closes it so that nothing leaves any more, whatever the system still holds of what we wrote. */
  reset(): void {
    this.#socket.resetAndDestroy();
    this.#end("EOF");
  }

  #end(error: string): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    open.delete(this);
    for (const incoming of this.#incoming.values()) {
      incoming.running?.cancel();
      this.#account(incoming, 0);
    }
    this.#incoming.clear();
    this.#ready.length = 0;
    const failed = [...this.#waiting.splice(0), ...[...this.#outgoing.values()].flatMap(({ call }) => (call === null ? [] : [call]))];
    this.#outgoing.clear();
    for (const call of failed) call.done({ ok: false, error });
    this.#hooks.closed();
  }
}

function unknownMethod(method: string): string {
  const dot = method.lastIndexOf(".");
  if (dot < 0) return `rpc: service/method request ill-formed: ${method}`;
  return `rpc: can't find method ${method}`;
}
