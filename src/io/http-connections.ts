/**
 * The open connections of the HTTP port: how many there are and how many each client has, what waits for an answer on them, what they hold in answers that were not taken, and which
 * have had nothing to do, or have taken nothing, for long.
 */
import type { Server } from "node:http";
import type { Socket } from "node:net";

/** A connection without a request, or one whose client takes nothing of its answer, is closed after this, give or take a look. */
export const IDLE_MS_MAX = 120_000;
const LOOK_MS = 30_000;
const QUIET_LOOKS_MAX = IDLE_MS_MAX / LOOK_MS;
/** Connections of all clients: some hundred megabytes when all are idle, and descriptors are left for gossip and files. */
export const HTTP_CONNECTIONS_MAX = 16_384;
/**
 * Requests of one connection without an answer, before no more are read from it: clients hardly ever send the next before the answer. What came with the last
 * piece that was read, 64 KiB at most, is taken still.
 */
export const UNDER_WAY_MAX = 64;
/** Bytes of large answers that clients have not taken yet, of all of them; above it requests are turned away. */
export const HELD_BYTES_MAX = 256 * 1024 * 1024;
/** Smaller answers are not counted: a connection that does not take them is not read from, so that it holds a few at most. */
export const HELD_FROM_BYTES = 64 * 1024;

/** A request that has no answer yet. */
export interface Waiting {
  /** Its client is gone. */
  abandoned(): void;
}

export interface ConnectionLimits {
  readonly perClient: number;
  readonly total?: number;
}

interface Connection {
  /** Nearly always one. */
  readonly underWay: Waiting[];
  /** No more is read from it. */
  paused: boolean;
  heldBytes: number;
  /** Looks in a row that found it without a request, or with as many bytes to send as before. */
  quietLooks: number;
  unsentBytes: number;
}

/** The part of a socket that is used here beyond its types: what the kernel has not taken of a write. */
interface Writing {
  readonly _handle?: { readonly writeQueueSize?: number } | null;
}

export class HttpConnections {
  readonly #limits: Required<ConnectionLimits>;
  readonly #count: (name: string, delta: number) => void;
  readonly #perClient = new Map<string, number>();
  readonly #open = new Map<Socket, Connection>();
  readonly #timer: NodeJS.Timeout;
  #heldBytes = 0;

  /** Watches the connections of `server`. `count` hears of those that are refused (`rpc.http.refused`) and of those that were closed because they took nothing (`rpc.http.stalled`). */
  constructor(server: Server, limits: ConnectionLimits, count: (name: string, delta: number) => void) {
    this.#limits = { total: HTTP_CONNECTIONS_MAX, ...limits };
    this.#count = count;
    server.on("connection", (socket) => this.#opened(socket));
    // One look for all of them: a timer of its own per connection, as node:http keeps, would be set anew with each request.
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  #opened(socket: Socket): void {
    const ip = socket.remoteAddress ?? "";
    const open = (this.#perClient.get(ip) ?? 0) + 1;
    if (open > this.#limits.perClient || this.#open.size >= this.#limits.total) {
      this.#count("rpc.http.refused", 1);
      socket.destroy();
      return;
    }
    this.#perClient.set(ip, open);
    const connection: Connection = { underWay: [], paused: false, heldBytes: 0, quietLooks: 0, unsentBytes: 0 };
    this.#open.set(socket, connection);
    socket.once("close", () => {
      for (const waiting of connection.underWay.splice(0)) waiting.abandoned();
      this.#open.delete(socket);
      this.#heldBytes -= connection.heldBytes;
      const left = (this.#perClient.get(ip) ?? 1) - 1;
      if (left === 0) this.#perClient.delete(ip);
      else this.#perClient.set(ip, left);
    });
  }

  asked(socket: Socket, waiting: Waiting): void {
    const connection = this.#open.get(socket);
    if (connection === undefined) return;
    connection.underWay.push(waiting);
    connection.quietLooks = 0;
    if (connection.underWay.length < UNDER_WAY_MAX || connection.paused) return;
    connection.paused = true;
    // Behind what was read with this request: node:http reads on by itself at the end of each.
    process.nextTick(() => {
      if (connection.paused) socket.pause();
    });
  }

  answered(socket: Socket, waiting: Waiting): void {
    const connection = this.#open.get(socket);
    if (connection === undefined) return;
    const { underWay } = connection;
    const at = underWay.indexOf(waiting);
    if (at === underWay.length - 1) underWay.pop();
    else if (at >= 0) underWay.splice(at, 1);
    if (!connection.paused || underWay.length >= UNDER_WAY_MAX) return;
    connection.paused = false;
    socket.resume();
  }

  /** So many bytes of a large answer wait for the client. The function returned is to be called when it has taken them; it need not be when it is gone. */
  hold(socket: Socket, bytes: number): () => void {
    const connection = this.#open.get(socket);
    if (connection === undefined) return () => undefined;
    connection.heldBytes += bytes;
    this.#heldBytes += bytes;
    return () => {
      if (!this.#open.has(socket)) return;
      connection.heldBytes -= bytes;
      this.#heldBytes -= bytes;
    };
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Counts the quiet ones, and closes those that were quiet for too long; the timer calls it. */
  look(): void {
    for (const [socket, connection] of this.#open) {
      const unsentBytes = (socket as Socket & Writing)._handle?.writeQueueSize ?? socket.writableLength;
      const moves = unsentBytes > 0 ? unsentBytes !== connection.unsentBytes : connection.underWay.length > 0;
      connection.unsentBytes = unsentBytes;
      if (moves) connection.quietLooks = 0;
      else if (connection.quietLooks < QUIET_LOOKS_MAX) connection.quietLooks += 1;
      else {
        if (unsentBytes > 0) this.#count("rpc.http.stalled", 1);
        socket.destroy();
      }
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
