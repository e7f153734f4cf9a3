/** The open connections of the HTTP port: how many each client has, what waits for an answer on them, and which have had nothing to do for long. */
import type { Server } from "node:http";
import type { Socket } from "node:net";

/** A connection without a request is closed after this, give or take a look. */
export const IDLE_MS_MAX = 120_000;
const LOOK_MS = 30_000;
const QUIET_LOOKS_MAX = IDLE_MS_MAX / LOOK_MS;

/** A request that has no answer yet. */
export interface Waiting {
  /** Its client is gone. */
  abandoned(): void;
}

interface Connection {
  /** Nearly always one: clients hardly ever send the next request before the answer. */
  readonly underWay: Waiting[];
  /** Looks in a row that found it without a request. */
  quietLooks: number;
}

export class HttpConnections {
  readonly #perClient = new Map<string, number>();
  readonly #open = new Map<Socket, Connection>();
  readonly #timer: NodeJS.Timeout;

  /** Watches the connections of `server`. A client that has `perClientMax` gets no further one: `refused` counts them. */
  constructor(server: Server, perClientMax: number, refused: () => void) {
    server.on("connection", (socket) => this.#opened(socket, perClientMax, refused));
    // One look for all of them: a timer of its own per connection, as node:http keeps, would be set anew with each request.
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  #opened(socket: Socket, perClientMax: number, refused: () => void): void {
    const ip = socket.remoteAddress ?? "";
    const open = (this.#perClient.get(ip) ?? 0) + 1;
    if (open > perClientMax) {
      refused();
      socket.destroy();
      return;
    }
    this.#perClient.set(ip, open);
    const connection: Connection = { underWay: [], quietLooks: 0 };
    this.#open.set(socket, connection);
    socket.once("close", () => {
      for (const waiting of connection.underWay.splice(0)) waiting.abandoned();
      this.#open.delete(socket);
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
  }

  answered(socket: Socket, waiting: Waiting): void {
    const underWay = this.#open.get(socket)?.underWay ?? [];
    const at = underWay.indexOf(waiting);
    if (at === underWay.length - 1) underWay.pop();
    else if (at >= 0) underWay.splice(at, 1);
  }

  /** Counts the quiet ones, and closes those that were quiet for too long; the timer calls it. */
  look(): void {
    for (const [socket, connection] of this.#open) {
      if (connection.underWay.length > 0 || socket.writableLength > 0) connection.quietLooks = 0;
      else if (connection.quietLooks >= QUIET_LOOKS_MAX) socket.destroy();
      else connection.quietLooks += 1;
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
