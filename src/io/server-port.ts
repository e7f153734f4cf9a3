/**
 * The server port (8300): one listener for several protocols, told apart by the first byte of a connection (reference: consul-agent §6.1). What is not
 * offered is closed; a connection that says nothing is closed after a while; one address cannot take all connections.
 */
import { createServer, type Server, type Socket } from "node:net";
import type { Endpoint } from "../base/endpoint.ts";
import { ACCEPT_BACKLOG } from "./network.ts";

/** First byte of a connection. Frozen. */
export const CONNECTION_KIND = { rpc: 0, raft: 1, multiplexedRpc: 4, snapshot: 5 } as const;
export type ConnectionKind = (typeof CONNECTION_KIND)[keyof typeof CONNECTION_KIND];

/** From accepting a connection to its first byte. */
export const HANDSHAKE_MS_MAX = 5_000;
/** Connections of one address at a time: Consul's `rpc_max_conns_per_client`. */
export const CONNECTIONS_PER_ADDRESS_MAX = 100;
/** Connections of all addresses. */
export const CONNECTIONS_MAX = 4_096;

/** Takes a connection over; `first` is what came behind the first byte, possibly nothing. The socket is paused. */
export type ConnectionHandler = (socket: Socket, first: Uint8Array) => void;

/** Why a connection was closed before anybody took it over. */
export type ConnectionRefusal = "perAddress" | "total" | "silent" | "unknownKind";

export interface ServerPortOptions {
  readonly handlers: ReadonlyMap<ConnectionKind, ConnectionHandler>;
  readonly refused: (reason: ConnectionRefusal, address: string) => void;
  readonly handshakeMs?: number;
  readonly perAddressMax?: number;
  readonly totalMax?: number;
}

export class ServerPort {
  readonly #options: ServerPortOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #perAddress = new Map<string, number>();

  constructor(options: ServerPortOptions) {
    this.#options = options;
    this.#server = createServer({ noDelay: true, keepAlive: true, pauseOnConnect: false }, (socket) => this.#accept(socket));
  }

  /** Rejects with the system's error when the address cannot be had. Returns where it listens: port 0 takes any. */
  listen({ ip, port }: Endpoint): Promise<Endpoint> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: ip, port, backlog: ACCEPT_BACKLOG }, () => {
        this.#server.off("error", reject);
        // Running out of descriptors is no reason to end: those that are open go on.
        this.#server.on("error", () => undefined);
        const address = this.#server.address();
        resolve({ ip, port: typeof address === "object" && address !== null ? address.port : port });
      });
    });
  }

  /** Connections open now. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Closes the listener and every connection that it has accepted. */
  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    const { refused, perAddressMax = CONNECTIONS_PER_ADDRESS_MAX, totalMax = CONNECTIONS_MAX } = this.#options;
    const address = socket.remoteAddress ?? "";
    const open = this.#perAddress.get(address) ?? 0;
    if (open >= perAddressMax || this.#sockets.size >= totalMax) {
      socket.destroy();
      refused(open >= perAddressMax ? "perAddress" : "total", address);
      return;
    }
    this.#sockets.add(socket);
    this.#perAddress.set(address, open + 1);
    socket.on("error", () => undefined); // "close" follows.
    socket.on("close", () => this.#forget(socket, address));
    this.#awaitFirstByte(socket, address);
  }

  #forget(socket: Socket, address: string): void {
    this.#sockets.delete(socket);
    const left = (this.#perAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#perAddress.delete(address);
    else this.#perAddress.set(address, left);
  }

  #awaitFirstByte(socket: Socket, address: string): void {
    const { handlers, refused, handshakeMs = HANDSHAKE_MS_MAX } = this.#options;
    const timer = setTimeout(() => {
      socket.destroy();
      refused("silent", address);
    }, handshakeMs);
    socket.once("close", () => clearTimeout(timer));
    socket.once("data", (chunk: Buffer) => {
      clearTimeout(timer);
      const handler = handlers.get(chunk[0] as ConnectionKind);
      if (handler === undefined) {
        socket.resetAndDestroy();
        refused("unknownKind", address);
        return;
      }
      socket.pause();
      handler(socket, chunk.subarray(1));
    });
  }
}
