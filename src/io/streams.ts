/**
 * TCP streams of one pool: dials for the core, connections of peers, whole plain messages in both directions. One request per connection
 * (serf-protocol §5), so every stream has one absolute deadline: a peer that dribbles bytes cannot hold it longer.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { formatEndpoint, type Endpoint } from "../base/endpoint.ts";
import type { StreamId } from "../swim/types.ts";
import { encodeErr } from "../wire/gossip-codec.ts";
import { MessageType } from "../wire/gossip-messages.ts";
import { dialErrorText, errnoText } from "./go-errors.ts";
import { ACCEPT_BACKLOG, canonicalIp, type AllowList } from "./network.ts";

/** Push/pulls of peers served at the same time; more are closed, as the original does. */
export const PUSH_PULLS_MAX = 128;
/**
 * Connections of peers open at the same time, whatever they do. Probes and user messages need some besides the push/pulls. Beyond it the
 * oldest one that has not said anything complete makes room: silent connections must not keep members out.
 */
export const ACCEPTED_STREAMS_MAX = 512;
/**
 * Bytes of incomplete messages of all peers together: one push/pull may be 40 MiB long, but 512 of them at once must not be. Beyond it the
 * stream that holds most is closed.
 */
export const STREAM_INPUT_BYTES_MAX = 48 * 1024 * 1024;
/** After the last byte was given to the system, a peer that does not close has this long. */
const LINGER_MS = 1000;

/** Takes the layers off a stream as its bytes arrive: wire's `StreamReader`. */
export interface StreamDecoder {
  /** The plain messages that `chunk` completes. Look at `failure` afterwards. */
  push(chunk: Uint8Array): readonly Uint8Array[];
  /** What is wrong with the bytes, in the original's words; `answer`: the peer is told. */
  readonly failure: { readonly error: string; readonly answer: boolean } | null;
  /** A whole message that is too large to be opened here: `StreamCodec.open` does it. */
  readonly deferred?: Uint8Array | null;
  /** Bytes of an incomplete message that it keeps, and of a deferred one. */
  readonly buffered: number;
}

/** What became of a deferred message. */
export type OpenedStream = Uint8Array | { readonly error: string; readonly answer: boolean };

/** How this pool frames streams. */
export interface StreamCodec {
  /** `initiated`: we dialled, so what comes is an answer. */
  decoder(initiated: boolean): StreamDecoder;
  /** Large messages are encoded elsewhere; rejects when that fails. */
  encode(message: Uint8Array, initiated: boolean): Uint8Array | Promise<Uint8Array>;
  /** Opens elsewhere what a decoder left over; rejects when that fails. Needed when decoders defer. */
  open?(bytes: Uint8Array): Promise<OpenedStream>;
}

export interface StreamHooks {
  readonly opened: (stream: StreamId) => void;
  readonly message: (stream: StreamId, from: Endpoint, bytes: Uint8Array) => void;
  readonly failed: (stream: StreamId, error: string) => void;
  readonly log: (level: "debug" | "warn" | "err", text: string) => void;
  readonly count: (name: string, delta: number) => void;
}

interface Stream {
  readonly id: StreamId;
  readonly socket: Socket;
  readonly peer: Endpoint;
  readonly initiated: boolean;
  readonly decoder: StreamDecoder;
  /** When the exchange has taken too long; later, how long a peer may keep a closed stream half open. */
  deadline: NodeJS.Timeout;
  /** The core has been told everything it will hear of this stream's incoming side. */
  received: boolean;
  pushPull: boolean;
  closing: boolean;
  /** Its message is whole and being opened elsewhere: from now on a connection that ends is no failure of ours. */
  opening: boolean;
  /** Our message is being encoded elsewhere; `closeLater`: close once it has been written. */
  sending: boolean;
  closeLater: boolean;
  /** The connection is closed, but work for the stream is still under way elsewhere. */
  gone: boolean;
  /** Share in the sum of buffered bytes. */
  buffered: number;
}

export class Streams {
  readonly #codec: StreamCodec;
  readonly #hooks: StreamHooks;
  readonly #allow: AllowList;
  readonly #timeoutMs: number;
  readonly #streams = new Map<StreamId, Stream>();
  #server: Server | null = null;
  #nextAccepted = -1;
  #accepted = 0;
  #pushPulls = 0;
  #buffered = 0;
  #stopped = false;

  /** `timeoutMs`: deadline of a whole exchange with a peer that dialled us. */
  constructor(codec: StreamCodec, options: { readonly timeoutMs: number; readonly allow: AllowList }, hooks: StreamHooks) {
    this.#codec = codec;
    this.#hooks = hooks;
    this.#allow = options.allow;
    this.#timeoutMs = options.timeoutMs;
  }

  /** Listens; rejects with the system's error. Resolves with the bound port. */
  async listen(at: Endpoint): Promise<number> {
    // A peer may close its sending side after its request and still wait for the answer.
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: at.ip, port: at.port, backlog: ACCEPT_BACKLOG, exclusive: true, ipv6Only: at.ip !== "::" }, () => {
        server.off("error", reject);
        resolve();
      });
    });
    server.on("error", (error) => this.#hooks.log("err", `memberlist: Error accepting TCP connection: ${errnoText(error)}`));
    this.#server = server;
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : at.port;
  }

  get open(): number {
    return this.#streams.size;
  }

  dial(id: StreamId, to: Endpoint, timeoutMs: number): void {
    if (this.#stopped) return;
    const address = formatEndpoint(to);
    // A failure is told in a later turn, as a real refusal is: the core never hears of a stream inside the step that dialled it.
    if (to.ip === "" || to.port <= 0 || to.port > 0xffff) {
      setImmediate(() => this.#hooks.failed(id, `dial tcp ${address}: connect: invalid argument`));
      return;
    }
    const socket = connect({ host: to.ip, port: to.port, allowHalfOpen: true, noDelay: true });
    const stream = this.#add(id, socket, to, true, timeoutMs);
    socket.once("connect", () => {
      if (!stream.closing) this.#hooks.opened(id);
    });
    socket.once("error", (error) => this.#broken(stream, socket.pending ? dialErrorText(address, error) : errnoText(error)));
  }

  send(id: StreamId, message: Uint8Array): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.closing) return;
    const encoded = this.#codec.encode(message, stream.initiated);
    if (encoded instanceof Uint8Array) {
      this.#write(stream, encoded);
      return;
    }
    stream.sending = true;
    encoded.then(
      (bytes) => {
        stream.sending = false;
        this.#write(stream, bytes);
        if (stream.closeLater) this.close(stream.id);
        if (stream.gone) this.#remove(stream);
      },
      (error: unknown) => this.#laneFailed(stream, error),
    );
  }

  #write(stream: Stream, bytes: Uint8Array): void {
    if (this.#stopped || stream.gone || stream.closing) return;
    this.#hooks.count("memberlist.tcp.sent", bytes.length);
    stream.socket.write(bytes);
  }

  /** Closes once everything sent is flushed. The core has forgotten the stream. */
  close(id: StreamId): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.closing) return;
    if (stream.sending && !stream.gone) {
      stream.closeLater = true;
      return;
    }
    stream.closing = true;
    stream.received = true;
    if (stream.gone) return;
    stream.socket.resume(); // What may still come is read and thrown away: unread bytes would turn the close into a reset.
    stream.socket.end(() => {
      clearTimeout(stream.deadline);
      stream.deadline = setTimeout(() => stream.socket.destroy(), LINGER_MS);
    });
  }

  /** Stops listening and breaks every stream. */
  async shutdown(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    const server = this.#server;
    const closed = server === null ? Promise.resolve() : new Promise<void>((resolve) => server.close(() => resolve()));
    for (const stream of this.#streams.values()) {
      stream.received = true;
      // What was said is still delivered: the answer to a push/pull may be on its way.
      if (stream.closing) stream.socket.destroySoon();
      else stream.socket.destroy();
    }
    await closed;
  }

  #accept(socket: Socket): void {
    const ip = canonicalIp(socket.remoteAddress ?? "");
    const refuse = (counter: string): void => {
      this.#hooks.count(counter, 1);
      socket.on("error", () => undefined);
      socket.destroy();
    };
    if (this.#stopped) return refuse("memberlist.tcp.refused_stopped");
    if (!this.#allow.allows(ip)) return refuse("memberlist.tcp.refused_address");
    if (this.#accepted >= ACCEPTED_STREAMS_MAX && !this.#makeRoom()) return refuse("memberlist.tcp.refused_busy");
    this.#accepted += 1;
    this.#hooks.count("memberlist.tcp.accept", 1);
    const peer = { ip, port: socket.remotePort ?? 0 };
    this.#hooks.log("debug", `memberlist: Stream connection from=${formatEndpoint(peer)}`);
    const stream = this.#add(this.#nextAccepted, socket, peer, false, this.#timeoutMs);
    this.#nextAccepted -= 1;
    socket.once("error", (error) => this.#broken(stream, errnoText(error)));
    socket.once("close", () => {
      this.#accepted -= 1;
    });
  }

  /** Closes the oldest accepted stream that has not brought its message yet; false when there is none. */
  #makeRoom(): boolean {
    for (const stream of this.#streams.values()) {
      if (stream.initiated || stream.received || stream.closing) continue;
      this.#hooks.count("memberlist.tcp.evicted", 1);
      this.#fail(stream, "too many connections");
      return true;
    }
    return false;
  }

  #add(id: StreamId, socket: Socket, peer: Endpoint, initiated: boolean, timeoutMs: number): Stream {
    const stream: Stream = {
      id,
      socket,
      peer,
      initiated,
      decoder: this.#codec.decoder(initiated),
      deadline: setTimeout(() => this.#fail(stream, socket.pending ? `dial tcp ${formatEndpoint(peer)}: i/o timeout` : "i/o timeout"), timeoutMs),
      received: false,
      pushPull: false,
      closing: false,
      opening: false,
      sending: false,
      closeLater: false,
      gone: false,
      buffered: 0,
    };
    this.#streams.set(id, stream);
    socket.on("data", (chunk: Uint8Array) => this.#receive(stream, chunk));
    socket.once("end", () => this.#ended(stream));
    socket.once("close", () => this.#remove(stream));
    return stream;
  }

  #receive(stream: Stream, chunk: Uint8Array): void {
    if (stream.received) return; // One message per direction; what follows means nothing.
    this.#hooks.count("memberlist.tcp.received", chunk.length);
    const message = stream.decoder.push(chunk)[0];
    const { failure } = stream.decoder;
    this.#account(stream, stream.decoder.buffered);
    if (message !== undefined) {
      stream.received = true;
      if (this.#admit(stream, message)) this.#hooks.message(stream.id, stream.peer, message);
    } else if (failure !== null) {
      stream.received = true;
      this.#undecodable(stream, failure.error, failure.answer);
    } else if (stream.decoder.deferred instanceof Uint8Array && this.#codec.open !== undefined) {
      stream.received = true;
      stream.opening = true;
      this.#codec.open(stream.decoder.deferred).then(
        (opened) => this.#opened(stream, opened),
        (error: unknown) => this.#laneFailed(stream, error),
      );
    }
  }

  /** A large message has been opened elsewhere. A peer that dialled us and is gone needs no answer, and is not listened to either. */
  #opened(stream: Stream, opened: OpenedStream): void {
    stream.opening = false;
    this.#account(stream, 0);
    if (!this.#stopped && !stream.closing && (stream.initiated || !stream.gone)) {
      if (!(opened instanceof Uint8Array)) this.#undecodable(stream, opened.error, opened.answer);
      else if (this.#admit(stream, opened)) this.#hooks.message(stream.id, stream.peer, opened);
    }
    if (stream.gone) this.#remove(stream);
  }

  /** What was to be done elsewhere was not: as when the connection breaks. */
  #laneFailed(stream: Stream, error: unknown): void {
    stream.opening = false;
    stream.sending = false;
    this.#hooks.count("memberlist.tcp.lane_failed", 1);
    if (!this.#stopped) this.#hooks.log("err", `agent: a large stream message is lost: ${error instanceof Error ? error.message : String(error)}`);
    this.#fail(stream, "internal error");
    if (stream.gone) this.#remove(stream);
  }

  #account(stream: Stream, buffered: number): void {
    this.#buffered += buffered - stream.buffered;
    stream.buffered = buffered;
    if (this.#buffered <= STREAM_INPUT_BYTES_MAX) return;
    let largest = stream;
    for (const other of this.#streams.values()) if (other.buffered > largest.buffered) largest = other;
    this.#hooks.count("memberlist.tcp.evicted", 1);
    this.#account(largest, 0);
    this.#fail(largest, "too much stream input at once");
  }

  /** Counts the push/pulls of peers and closes those beyond the limit. */
  #admit(stream: Stream, message: Uint8Array): boolean {
    if (stream.initiated || message[0] !== MessageType.pushPull) return true;
    if (this.#pushPulls >= PUSH_PULLS_MAX) {
      this.#hooks.log("err", "memberlist: Too many pending push/pull requests");
      this.#hooks.count("memberlist.tcp.refused_push_pull", 1);
      stream.socket.destroy();
      return false;
    }
    this.#pushPulls += 1;
    stream.pushPull = true;
    return true;
  }

  /** A peer that dialled us is told what was wrong with its first message, as the original does. The core never heard of the stream. */
  #undecodable(stream: Stream, error: string, answer: boolean): void {
    this.#hooks.count("memberlist.tcp.undecodable", 1);
    if (stream.initiated) {
      this.#hooks.failed(stream.id, error);
      stream.socket.destroy();
      return;
    }
    this.#hooks.log("err", `memberlist: failed to receive: ${error} from=${formatEndpoint(stream.peer)}`);
    const reply = answer ? this.#codec.encode(encodeErr(error), false) : null;
    if (reply instanceof Uint8Array) stream.socket.write(reply); // Always: it is short.
    this.close(stream.id);
  }

  /** The peer has sent its last byte. */
  #ended(stream: Stream): void {
    if (stream.closing) return;
    if (!stream.received) this.#fail(stream, "EOF");
  }

  /** The connection broke. A message that is whole already is not affected. */
  #broken(stream: Stream, error: string): void {
    if (!stream.opening) this.#fail(stream, error);
  }

  #fail(stream: Stream, error: string): void {
    stream.socket.destroy();
    // After its only message the core waits for nothing more from an accepted stream, but may still be about to answer.
    if (stream.closing || this.#stopped || (stream.received && !stream.initiated)) return;
    const known = stream.initiated || stream.received;
    stream.received = true;
    stream.closing = true;
    if (known) this.#hooks.failed(stream.id, error);
    else if (error !== "EOF") this.#hooks.log("err", `memberlist: failed to receive: ${error} from=${formatEndpoint(stream.peer)}`);
  }

  #remove(stream: Stream): void {
    if (stream.opening || stream.sending) {
      stream.gone = true; // Until that work is done; the deadline goes on.
      return;
    }
    clearTimeout(stream.deadline);
    this.#account(stream, 0);
    if (stream.pushPull) this.#pushPulls -= 1;
    this.#streams.delete(stream.id);
    // Closed without an error and without an answer.
    if (!stream.received && stream.initiated) this.#fail(stream, "EOF");
  }
}
