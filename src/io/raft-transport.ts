/**
 * Raft over TCP (reference: consul-agent §7.1): carries the core's network effects and turns what happens into its inputs. One connection per peer and channel,
 * opened when first needed; a fresh one for each snapshot. The listener is the server port's (`server-port.ts`), which hands connections over.
 *
 * Memory is bounded: requests of peers in pieces by `INPUT_BYTES_MAX` over all connections, their number per connection by `UNANSWERED_MAX`, our own by the
 * core's pipeline and `UNSENT_BYTES_MAX`.
 */
import { connect, type Socket } from "node:net";
import type { Channel, ConnectionId, IncomingCall, OutgoingCall, PeerAddress, RaftEffect, RaftInput, SendEffect } from "../raft/types.ts";
import { splitHostPort } from "../swim/address.ts";
import type { SnapshotStore } from "./lanes/log-store.ts";
import { IncomingConnection, type IncomingHooks } from "./raft-incoming.ts";
import { DIAL_MS_MAX, OutgoingConnection } from "./raft-outgoing.ts";

/** Bytes of incomplete requests of all peers together; beyond it the connection that holds most is closed. */
export const INPUT_BYTES_MAX = 128 << 20;
/** What a connection may hold without anybody adding up: one read. */
const HELD_BYTES_FREE = 64 << 10;
/** A connection for votes is closed when nothing was asked on it for so long. */
export const IDLE_MS_MAX = 60_000;
const LASTING: ReadonlySet<Channel> = new Set(["heartbeat", "replication"]);

type Effect<Kind extends RaftEffect["kind"]> = Extract<RaftEffect, { kind: Kind }>;

export interface RaftTransportOptions {
  /** Address to dial from; "" lets the system choose. */
  readonly localAddress: string;
  readonly snapshots: SnapshotStore;
  /** Takes the core's inputs. Never called from within a call to the transport. */
  readonly input: (input: RaftInput) => void;
  /** In place of `INPUT_BYTES_MAX`, for tests. */
  readonly inputBytesMax?: number;
  /** A counter to add to. */
  readonly count: (name: string, delta: number) => void;
}

interface Outgoing {
  readonly connection: OutgoingConnection;
  readonly to: PeerAddress;
  readonly channel: Channel;
  lastSentMs: number;
}

export class RaftTransport {
  readonly #options: RaftTransportOptions;
  readonly #incoming = new Map<ConnectionId, IncomingConnection>();
  readonly #asked = new Map<IncomingCall, IncomingConnection>();
  readonly #outgoing = new Map<string, Outgoing>();
  readonly #snapshotSends = new Set<Outgoing>();
  readonly #dials = new Set<Socket>();
  readonly #idleTimer: NodeJS.Timeout;
  readonly #hooks: IncomingHooks;
  #receiving: { readonly call: IncomingCall; readonly connection: IncomingConnection } | null = null;
  #lastConnection = 0;
  #lastCall = 0;
  #closed = false;

  constructor(options: RaftTransportOptions) {
    this.#options = options;
    this.#hooks = this.#incomingHooks();
    this.#idleTimer = setInterval(() => this.#closeIdle(), IDLE_MS_MAX / 2).unref();
  }

  /** A connection whose first byte said Raft; `first` is what came behind it. */
  accept(socket: Socket, first: Uint8Array): void {
    if (this.#closed) {
      socket.destroy();
      return;
    }
    this.#lastConnection += 1;
    const connection = new IncomingConnection(this.#lastConnection, socket, this.#hooks);
    this.#incoming.set(connection.id, connection);
    connection.start(first);
  }

  #incomingHooks(): IncomingHooks {
    const { input, count } = this.#options;
    return {
      nextCall: (connection) => {
        this.#lastCall += 1;
        this.#asked.set(this.#lastCall, connection);
        return this.#lastCall;
      },
      request: (connection, call, message) => input({ kind: "request", call, connection: connection.id, message }),
      answered: (call) => this.#asked.delete(call),
      closed: (connection) => {
        this.#incoming.delete(connection.id);
        if (!this.#closed) input({ kind: "connectionClosed", connection: connection.id });
      },
      snapshotReceived: (call, meta, error) => {
        if (this.#receiving?.call === call) this.#receiving = null;
        if (!this.#closed) input({ kind: "snapshotReceived", call, meta, error });
      },
      malformed: () => count("raft.transport.malformed", 1),
      holds: ({ heldBytes }) => {
        if (heldBytes > HELD_BYTES_FREE) this.#checkHeld();
      },
    };
  }

  #checkHeld(): void {
    let held = 0;
    let worst: IncomingConnection | null = null;
    for (const connection of this.#incoming.values()) {
      held += connection.heldBytes;
      if (worst === null || connection.heldBytes > worst.heldBytes) worst = connection;
    }
    if (held <= (this.#options.inputBytesMax ?? INPUT_BYTES_MAX)) return;
    this.#options.count("raft.transport.input_shed", 1);
    worst?.close();
  }

  /** Connections that peers have opened. */
  get incomingConnections(): number {
    return this.#incoming.size;
  }

  send(effect: SendEffect): void {
    const outgoing = this.#closed ? null : this.#connection(effect.to, effect.channel);
    if (outgoing === null) {
      const error = this.#closed ? "the transport is closed" : `no address: ${effect.to.address}`;
      process.nextTick(() => this.#fail(effect.call, error));
      return;
    }
    outgoing.lastSentMs = performance.now();
    outgoing.connection.send(effect, effect.message.kind === "installSnapshot" ? effect.message.size : 0);
  }

  #fail(call: OutgoingCall, error: string): void {
    if (!this.#closed) this.#options.input({ kind: "failed", call, failure: "unreachable", error });
  }

  #connection(to: PeerAddress, channel: Channel): Outgoing | null {
    const name = `${to.address} ${channel}`;
    const known = this.#outgoing.get(name);
    if (known !== undefined) return known;
    const where = endpointOf(to.address);
    if (where === null) return null;
    const { input, snapshots, localAddress } = this.#options;
    const connection = new OutgoingConnection({
      ...where,
      localAddress,
      snapshots,
      hooks: {
        response: (call, message) => {
          if (!this.#closed) input({ kind: "response", call, message });
          if (channel === "snapshot") connection.close(); // The original never uses it again either.
        },
        failed: (call, failure, error) => {
          if (!this.#closed) input({ kind: "failed", call, failure, error });
        },
        closed: (_, broken) => this.#outgoingClosed(name, outgoing, broken),
      },
    });
    const outgoing: Outgoing = { connection, to, channel, lastSentMs: 0 };
    if (channel === "snapshot") this.#snapshotSends.add(outgoing);
    else this.#outgoing.set(name, outgoing);
    return outgoing;
  }

  #outgoingClosed(name: string, outgoing: Outgoing, broken: boolean): void {
    if (this.#outgoing.get(name) === outgoing) this.#outgoing.delete(name);
    this.#snapshotSends.delete(outgoing);
    if (broken && !this.#closed) this.#options.input({ kind: "channelClosed", peer: outgoing.to.id, channel: outgoing.channel });
  }

  #closeIdle(): void {
    const before = performance.now() - IDLE_MS_MAX;
    for (const { connection, channel, lastSentMs } of this.#outgoing.values()) {
      if (!LASTING.has(channel) && connection.idle && lastSentMs < before) connection.close();
    }
  }

  /** Dropped when the connection is gone. */
  answer({ call, message, error }: Effect<"answer">): void {
    this.#asked.get(call)?.answer(call, message, error);
  }

  receiveSnapshot({ call, message }: Effect<"receiveSnapshot">): void {
    const connection = this.#asked.get(call);
    if (connection === undefined) {
      process.nextTick(() => this.#hooks.snapshotReceived(call, null, "the connection is closed"));
      return;
    }
    this.#receiving?.connection.cancelReceiving(this.#receiving.call);
    this.#receiving = { call, connection };
    void connection.receive(call, message, this.#options.snapshots);
  }

  dialCheck({ call, to, timeoutMs }: Effect<"dialCheck">): void {
    const where = endpointOf(to.address);
    const { localAddress, input } = this.#options;
    let told = false;
    const tell = (outcome: "connected" | "refused" | "unknown"): void => {
      if (told || this.#closed) return;
      told = true;
      input({ kind: "dialed", call, outcome });
    };
    if (where === null) {
      process.nextTick(() => tell("unknown"));
      return;
    }
    const socket = connect({ ...where, ...(localAddress === "" ? {} : { localAddress }) });
    this.#dials.add(socket);
    const timer = setTimeout(() => socket.destroy(), Math.min(timeoutMs, DIAL_MS_MAX));
    socket.on("connect", () => {
      tell("connected");
      socket.destroy();
    });
    socket.on("error", (error: NodeJS.ErrnoException) => tell(error.code === "ECONNREFUSED" ? "refused" : "unknown"));
    socket.on("close", () => {
      clearTimeout(timer);
      this.#dials.delete(socket);
      tell("unknown");
    });
  }

  forgetPeer({ peer }: Effect<"forgetPeer">): void {
    // Later: a call on one of them fails, and the core is not to hear of that while it still steps.
    process.nextTick(() => {
      for (const { connection, to } of [...this.#outgoing.values(), ...this.#snapshotSends]) if (to.address === peer.address) connection.close();
    });
  }

  /** Closes everything; no input comes any more. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#idleTimer);
    for (const connection of this.#incoming.values()) connection.close();
    for (const { connection } of [...this.#outgoing.values(), ...this.#snapshotSends]) connection.close();
    for (const socket of this.#dials) socket.destroy();
  }
}

/** Null: the text names nothing that can be dialled. */
function endpointOf(address: string): { readonly host: string; readonly port: number } | null {
  const split = splitHostPort(address);
  if (!split.ok) return null;
  const port = Number(split.value.port);
  return Number.isInteger(port) && port > 0 && port < 65_536 && split.value.host !== "" ? { host: split.value.host, port } : null;
}
