/** The network of a server: Raft and RPC with its peers, both ways, over the server port. */
import { connect, type Socket } from "node:net";
import type { RpcArgs, RpcMethod, RpcOutcome } from "../api/rpc/types.ts";
import type { Endpoint } from "../base/endpoint.ts";
import type { CallId, PassedEffect, ServerMember } from "../node/server/types.ts";
import type { PeerAddress, RaftInput } from "../raft/types.ts";
import { splitHostPort } from "../swim/address.ts";
import type { SnapshotStore } from "./lanes/log-store.ts";
import { RaftTransport } from "./raft-transport.ts";
import { RpcConnection } from "./rpc-connection.ts";
import type { ServerNetwork } from "./server-driver.ts";
import { CONNECTION_KIND, ServerPort } from "./server-port.ts";

const DIAL_MS_MAX = 10_000;
/** How long a server may take to say who its peers are. */
const ASK_MS_MAX = 2000;

export interface ServerNetworkOptions {
  readonly listen: Endpoint;
  /** Address to dial from; "" lets the system choose. */
  readonly localAddress: string;
  readonly datacenter: string;
  readonly connectionsPerClientMax: number;
  readonly snapshots: SnapshotStore;
  readonly input: (input: RaftInput) => void;
  /** Calls of peers and clients. */
  readonly call: (method: RpcMethod, args: RpcArgs, done: (outcome: RpcOutcome) => void) => { cancel(): void };
  readonly count: (name: string, delta: number) => void;
  readonly log: (level: "debug" | "warn", text: string) => void;
}

/** A connection on its way, or there; callers wait in line. */
interface Route {
  connection: RpcConnection | null;
  waiting: ((connection: RpcConnection | null, error: string) => void)[];
}

export class TcpServerNetwork implements ServerNetwork {
  readonly #options: ServerNetworkOptions;
  readonly #transport: RaftTransport;
  readonly #port: ServerPort;
  readonly #routes = new Map<string, Route>();
  readonly #accepted = new Set<RpcConnection>();
  readonly #calls = new Map<CallId, { cancel(): void; readonly address: string }>();
  #closed = false;

  private constructor(options: ServerNetworkOptions) {
    this.#options = options;
    this.#transport = new RaftTransport({ localAddress: options.localAddress, snapshots: options.snapshots, input: options.input, count: options.count });
    this.#port = new ServerPort({
      handlers: new Map([
        [CONNECTION_KIND.raft, (socket: Socket, first: Uint8Array) => this.#transport.accept(socket, first)],
        [CONNECTION_KIND.multiplexedRpc, (socket: Socket, first: Uint8Array) => this.#accept(socket, first)],
      ]),
      refused: (reason, address) => {
        options.count(`rpc.refused.${reason}`, 1);
        options.log("debug", `agent.server.rpc: connection refused: reason=${reason} from=${address}`);
      },
      perAddressMax: options.connectionsPerClientMax,
    });
  }

  /** Rejects with the system's error when the port cannot be had. */
  static async listen(options: ServerNetworkOptions): Promise<TcpServerNetwork> {
    const network = new TcpServerNetwork(options);
    try {
      await network.#port.listen(options.listen);
    } catch (error) {
      network.#transport.close();
      throw error;
    }
    return network;
  }

  raft(effect: Extract<PassedEffect, { readonly kind: "send" | "answer" | "receiveSnapshot" | "dialCheck" | "forgetPeer" }>): void {
    switch (effect.kind) {
      case "send":
        this.#transport.send(effect);
        return;
      case "answer":
        this.#transport.answer(effect);
        return;
      case "receiveSnapshot":
        this.#transport.receiveSnapshot(effect);
        return;
      case "dialCheck":
        this.#transport.dialCheck(effect);
        return;
      case "forgetPeer":
        this.#transport.forgetPeer(effect);
    }
  }

  #accept(socket: Socket, first: Uint8Array): void {
    const connection: RpcConnection = new RpcConnection(socket, false, {
      call: this.#options.call,
      count: this.#options.count,
      closed: () => this.#accepted.delete(connection),
    });
    this.#accepted.add(connection);
    connection.start(first);
  }

  call(call: CallId, to: PeerAddress, method: RpcMethod, args: RpcArgs, done: (outcome: RpcOutcome) => void): void {
    let over = false;
    const running = this.#callAt(to.address, method, args, (outcome) => {
      over = true;
      this.#calls.delete(call);
      done(outcome);
    });
    if (!over) this.#calls.set(call, { ...running, address: to.address });
  }

  #callAt(address: string, method: RpcMethod, args: RpcArgs, done: (outcome: RpcOutcome) => void): { cancel(): void } {
    let cancelled = false;
    let running: { cancel(): void } | null = null;
    this.#connection(address, (connection, error) => {
      if (cancelled) return;
      if (connection === null) setImmediate(() => done({ ok: false, error: `failed to get conn: ${error}` }));
      else running = connection.call(method, args, done);
    });
    return {
      cancel: () => {
        cancelled = true;
        running?.cancel();
      },
    };
  }

  forget(call: CallId): void {
    this.#calls.get(call)?.cancel();
    this.#calls.delete(call);
  }

  abandon(call: CallId): void {
    const running = this.#calls.get(call);
    this.forget(call);
    if (running !== undefined) this.#routes.get(running.address)?.connection?.reset();
  }

  askPeers(member: ServerMember, done: (peers: readonly string[] | null) => void): void {
    let told = false;
    const tell = (peers: readonly string[] | null): void => {
      if (told) return;
      told = true;
      clearTimeout(late);
      done(peers);
    };
    const late = setTimeout(() => tell(null), ASK_MS_MAX);
    const address = `${member.ip.includes(":") ? `[${member.ip}]` : member.ip}:${member.server?.port ?? 0}`;
    this.#callAt(address, "Status.Peers", { datacenter: this.#options.datacenter }, (outcome) => tell(outcome.ok ? (outcome.value as readonly string[]) : null));
  }

  #connection(address: string, ready: (connection: RpcConnection | null, error: string) => void): void {
    const known = this.#routes.get(address);
    if (known?.connection) {
      ready(known.connection, "");
      return;
    }
    if (known !== undefined) {
      known.waiting.push(ready);
      return;
    }
    const route: Route = { connection: null, waiting: [ready] };
    this.#routes.set(address, route);
    this.#dial(address, route);
  }

  #dial(address: string, route: Route): void {
    const where = splitHostPort(address);
    const settle = (connection: RpcConnection | null, error: string): void => {
      route.connection = connection;
      if (connection === null && this.#routes.get(address) === route) this.#routes.delete(address);
      for (const ready of route.waiting.splice(0)) ready(connection, error);
    };
    if (this.#closed || !where.ok) {
      settle(null, this.#closed ? "agent is shutting down" : `no address: ${address}`);
      return;
    }
    const { localAddress } = this.#options;
    const socket = connect({ host: where.value.host, port: Number(where.value.port), noDelay: true, keepAlive: true, ...(localAddress === "" ? {} : { localAddress }) });
    const late = setTimeout(() => socket.destroy(new Error("i/o timeout")), DIAL_MS_MAX);
    const failed = (error: Error): void => settle(null, `dial tcp ${address}: ${error.message}`);
    socket.once("error", failed);
    socket.once("close", () => clearTimeout(late));
    socket.once("connect", () => {
      clearTimeout(late);
      socket.off("error", failed);
      socket.write(Uint8Array.of(CONNECTION_KIND.multiplexedRpc));
      settle(new RpcConnection(socket, true, {
        call: this.#options.call,
        count: this.#options.count,
        closed: () => {
          if (this.#routes.get(address) === route) this.#routes.delete(address);
        },
      }), "");
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#transport.close();
    for (const connection of this.#accepted) connection.close();
    for (const { connection } of this.#routes.values()) connection?.close();
    await this.#port.close();
  }
}
