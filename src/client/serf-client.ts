/**
 * Client of a Serf agent's RPC port, ours or the original's (reference: serf-protocol §9).
 *
 *     const client = await SerfClient.connect({ address: "127.0.0.1:7373" });
 *     for (const member of await client.members()) console.log(member.name, member.status);
 *     for await (const event of await client.stream("user:deploy")) console.log(event);
 *
 * Errors: `DialError` (no connection), `RpcError` (the agent refused; its text), `KeyError`, `RpcTimeoutError`, `ClientClosedError`.
 */
import { ipFromBytes } from "../base/endpoint.ts";
import { IPC_VERSION, type IpcCoordinate, type IpcKeyResult, type IpcMember, type IpcStats, type QueryReplyRecord, type StreamRecord } from "../wire/ipc-messages.ts";
import type { IpcRequest } from "../wire/ipc-requests.ts";
import {
  decodeCoordinate,
  decodeJoinAnswer,
  decodeKeys,
  decodeLog,
  decodeMembers,
  decodeQueryReply,
  decodeStats,
  decodeStreamRecord,
} from "../wire/ipc-responses.ts";
import { dial } from "./dial.ts";
import { ClientClosedError, KeyError, RpcError } from "./errors.ts";
import { RpcConnection } from "./rpc-connection.ts";
import { RpcStream } from "./rpc-stream.ts";
import type { Reader } from "../wire/msgpack.ts";

export { ClientClosedError, DialError, KeyError, RpcError, RpcTimeoutError } from "./errors.ts";
export { RpcStream } from "./rpc-stream.ts";
export type { IpcCoordinate, IpcKeyResult, IpcStats, QueryReplyRecord } from "../wire/ipc-messages.ts";

/** Where an agent listens when nothing else is said. */
export const DEFAULT_RPC_ADDRESS = "127.0.0.1:7373";
/** The original client's time-out. */
export const DEFAULT_TIMEOUT_MS = 10_000;
/** Pause before connecting again: doubles from the first to the second of these. */
const RECONNECT_FIRST_MS = 100;
const RECONNECT_LAST_MS = 5000;

export interface SerfClientOptions {
  /** "host:port", "[v6]:port". Default `DEFAULT_RPC_ADDRESS`. */
  readonly address?: string;
  /** The agent's `rpc_auth`; "" (default) for none. */
  readonly authKey?: string;
  /** For connecting and for each answer that needs no other node, in ms. Default `DEFAULT_TIMEOUT_MS`; 0: none. */
  readonly timeoutMs?: number;
  /**
   * For answers that wait for the cluster (join, leave, force-leave, tags, keys), in ms. Default 0, none, as with the original client: a join
   * of many unreachable addresses takes minutes and still tells how it ended.
   */
  readonly clusterTimeoutMs?: number;
  /**
   * After the connection is lost: false (default), everything fails with `ClientClosedError`; true, the next request connects again, and
   * streams and monitors continue by themselves (what happened in between is lost; a monitor repeats the agent's kept lines).
   */
  readonly reconnect?: boolean;
}

export interface SerfMember extends IpcMember {
  /** The address as text. */
  readonly ip: string;
}

/** `raw`: the record as it came, in msgpack. */
export type SerfStreamEvent =
  | { readonly kind: "members"; readonly type: string; readonly members: readonly SerfMember[]; readonly raw: Uint8Array }
  | {
      readonly kind: "user";
      readonly lamportTime: number;
      readonly name: string;
      readonly payload: Uint8Array | null;
      readonly coalesce: boolean;
      readonly raw: Uint8Array;
    }
  | {
      readonly kind: "query";
      /** Counts up from 1 on each connection. */
      readonly id: number;
      readonly lamportTime: number;
      readonly name: string;
      readonly payload: Uint8Array | null;
      readonly raw: Uint8Array;
      /** Answers on the connection the query came by. `RpcError` when it is too late, too long or was answered. */
      respond(payload: Uint8Array): Promise<void>;
    };

/** Expressions have RE2 rules and are put between `^` and `$` by the agent; absent: any. */
export interface MemberFilter {
  readonly name?: string;
  readonly status?: string;
  readonly tags?: ReadonlyMap<string, string>;
}

export interface QueryOptions {
  /** Only these nodes; null (default): all. */
  readonly filterNodes?: readonly string[] | null;
  /** Tag to expression, not anchored. */
  readonly filterTags?: ReadonlyMap<string, string> | null;
  readonly requestAck?: boolean;
  /** Nodes through which answers are sent once more, 0 … 255. */
  readonly relayFactor?: number;
  /** 0 (default): the agent chooses. */
  readonly timeoutMs?: number;
}

export class SerfClient {
  readonly #options: Required<SerfClientOptions>;
  readonly #streams = new Set<{ end(error: Error | null): void }>();
  #connection: RpcConnection | null = null;
  #connecting: Promise<RpcConnection> | null = null;
  #closed = false;

  private constructor(options: SerfClientOptions) {
    this.#options = {
      address: options.address ?? DEFAULT_RPC_ADDRESS,
      authKey: options.authKey ?? "",
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      clusterTimeoutMs: options.clusterTimeoutMs ?? 0,
      reconnect: options.reconnect ?? false,
    };
  }

  /** Connects, shakes hands and authenticates. Rejects with `DialError`, `RpcError`, `RpcTimeoutError` or `ClientClosedError`. */
  static async connect(options: SerfClientOptions = {}): Promise<SerfClient> {
    const client = new SerfClient(options);
    client.#connection = await client.#open();
    return client;
  }

  /** True once `close` was called, or the connection was lost and `reconnect` is off. */
  get closed(): boolean {
    return this.#closed || (!this.#options.reconnect && (this.#connection?.closed ?? false));
  }

  /** Ends the connection: requests and streams under way fail with `ClientClosedError`. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#connection?.close();
    for (const stream of this.#streams) stream.end(new ClientClosedError());
  }

  /** All members, failed and left ones included, in no particular order. */
  async members(): Promise<readonly SerfMember[]> {
    return (await this.#body({ command: "members" }, decodeMembers)).map(withIp);
  }

  /** Members that match. A bad expression makes the original agent close the connection: `ClientClosedError`. */
  async membersFiltered({ name = "", status = "", tags = new Map() }: MemberFilter): Promise<readonly SerfMember[]> {
    return (await this.#body({ command: "members-filtered", name, status, tags }, decodeMembers)).map(withIp);
  }

  /** Number of nodes contacted. `RpcError` when there was none: its message lists why. */
  async join(addresses: readonly string[], { replay = false }: { readonly replay?: boolean } = {}): Promise<number> {
    const request: IpcRequest = { command: "join", existing: addresses, replay };
    const { error, body } = await this.#request(request, decodeJoinAnswer, { bodyOnError: true, timeoutMs: this.#options.clusterTimeoutMs });
    if (error !== "") throw new RpcError(error);
    return body ?? 0;
  }

  /** Makes the agent leave the cluster and stop. */
  leave(): Promise<void> {
    return this.#command({ command: "leave" }, this.#options.clusterTimeoutMs);
  }

  /** Moves a failed member to `left`; with `prune` it is forgotten at once. Unknown names are fine. */
  forceLeave(node: string, { prune = false }: { readonly prune?: boolean } = {}): Promise<void> {
    return this.#command({ command: "force-leave", node, prune }, this.#options.clusterTimeoutMs);
  }

  /** Sends a user event. `coalesce`: receivers may merge it with others of its name. */
  userEvent(name: string, payload: Uint8Array | null = null, { coalesce = true }: { readonly coalesce?: boolean } = {}): Promise<void> {
    return this.#command({ command: "event", name, payload, coalesce });
  }

  /** Changes the agent's tags: first `remove`, then `set`. */
  updateTags({ set = null, remove = null }: { readonly set?: ReadonlyMap<string, string> | null; readonly remove?: readonly string[] | null }): Promise<void> {
    return this.#command({ command: "tags", tags: set, deleteTags: remove }, this.#options.clusterTimeoutMs);
  }

  /** Sections of figures about the agent, all as text. */
  stats(): Promise<IpcStats> {
    return this.#body({ command: "stats" }, decodeStats);
  }

  /** The network coordinate of a node; null when the agent has none. */
  async coordinate(node: string): Promise<IpcCoordinate> {
    const { error, body } = await this.#request({ command: "get-coordinate", node }, decodeCoordinate, {});
    if (error !== "") throw new RpcError(error);
    return body;
  }

  /** Adds a gossip key (base64) everywhere. `KeyError` when a node failed or kept silent. */
  installKey(key: string): Promise<IpcKeyResult> {
    return this.#keys({ command: "install-key", key });
  }

  /** Makes an installed key the one that encrypts. */
  useKey(key: string): Promise<IpcKeyResult> {
    return this.#keys({ command: "use-key", key });
  }

  removeKey(key: string): Promise<IpcKeyResult> {
    return this.#keys({ command: "remove-key", key });
  }

  listKeys(): Promise<IpcKeyResult> {
    return this.#keys({ command: "list-keys" });
  }

  /** Answers a query by its id. Prefer `respond` of the event: ids start over on a new connection. */
  respond(id: number, payload: Uint8Array): Promise<void> {
    return this.#command({ command: "respond", id, payload });
  }

  /** Sends a query. The stream ends by itself, without an error, when the agent says that the query is over. */
  query(name: string, payload: Uint8Array | null = null, options: QueryOptions = {}): Promise<RpcStream<Exclude<QueryReplyRecord, { readonly kind: "done" }>>> {
    const { filterNodes = null, filterTags = null, requestAck = false, relayFactor = 0, timeoutMs = 0 } = options;
    const request: IpcRequest = { command: "query", name, payload, filterNodes, filterTags, requestAck, relayFactor, timeoutMs };
    return this.#subscribe(request, false, (stream, reader) => {
      const record = decodeQueryReply(reader);
      // The original may send records without a name after the deadline, when its channels are closed: they mean the end.
      if (record.kind === "done" || record.from === "") stream.end(null);
      else stream.push(record);
    });
  }

  /** Events from now on. `filter`: "*" or a comma list of member-join, …, user, user:NAME, query, query:NAME. */
  stream(filter = "*"): Promise<RpcStream<SerfStreamEvent>> {
    return this.#subscribe({ command: "stream", type: filter }, true, (stream, reader, raw, connection) => {
      stream.push(toEvent(decodeStreamRecord(reader), raw.slice(), connection));
    });
  }

  /** The agent's log from a level (TRACE, DEBUG, INFO, WARN, ERR) up: first up to 512 past lines. */
  monitor(logLevel: string): Promise<RpcStream<string>> {
    return this.#subscribe({ command: "monitor", logLevel }, true, (stream, reader) => stream.push(decodeLog(reader)));
  }

  async #open(): Promise<RpcConnection> {
    const { address, authKey, timeoutMs } = this.#options;
    const socket = await dial(address, timeoutMs);
    const connection = new RpcConnection(socket, timeoutMs, () => undefined);
    try {
      await expectSuccess(connection, { command: "handshake", version: IPC_VERSION });
      if (authKey !== "") await expectSuccess(connection, { command: "auth", authKey });
    } catch (error) {
      connection.close();
      throw error;
    }
    if (!this.#closed) return connection;
    connection.close();
    throw new ClientClosedError();
  }

  /** The connection, made again when it was lost and that is wanted. */
  async #use(): Promise<RpcConnection> {
    if (this.#closed) throw new ClientClosedError();
    const connection = this.#connection;
    if (connection !== null && (!connection.closed || !this.#options.reconnect)) return connection;
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = null;
    });
    this.#connection = await this.#connecting;
    return this.#connection;
  }

  async #request<T>(request: IpcRequest, decode: ((reader: Reader) => T) | null, options: { readonly bodyOnError?: boolean; readonly timeoutMs?: number }) {
    return (await this.#use()).request(request, decode, options);
  }

  async #command(request: IpcRequest, timeoutMs = this.#options.timeoutMs): Promise<void> {
    const { error } = await this.#request(request, null, { timeoutMs });
    if (error !== "") throw new RpcError(error);
  }

  async #body<T>(request: IpcRequest, decode: (reader: Reader) => T): Promise<T> {
    const { error, body } = await this.#request(request, decode, {});
    if (error !== "" || body === null) throw new RpcError(error);
    return body;
  }

  async #keys(request: IpcRequest): Promise<IpcKeyResult> {
    const { error, body } = await this.#request(request, decodeKeys, { bodyOnError: true, timeoutMs: this.#options.clusterTimeoutMs });
    if (body === null) throw new RpcError(error);
    if (error !== "") throw new KeyError(error, body);
    return body;
  }

  async #subscribe<T>(
    request: IpcRequest,
    resumes: boolean,
    onRecord: (stream: RpcStream<T>, reader: Reader, raw: Uint8Array, connection: RpcConnection) => void,
  ): Promise<RpcStream<T>> {
    let connection = await this.#use();
    let seq = 0;
    const stop = async (): Promise<void> => {
      connection.forget(seq);
      // A query cannot be stopped at the agent; its records are dropped here.
      if (request.command === "query" || connection.closed) return;
      await connection.request({ command: "stop", stop: seq }, null).catch(() => undefined); // Lost meanwhile: stopped all the same.
    };
    const stream = new RpcStream<T>({ onStop: stop, onEnd: () => this.#streams.delete(stream) });
    const start = async (): Promise<void> => {
      const used = connection;
      seq = await used.open(
        request,
        (reader, raw, own) => {
          onRecord(stream, reader, raw, used);
          if (stream.ended) used.forget(own);
        },
        (error) => {
          if (resumes && this.#options.reconnect && !this.#closed) void this.#resume(stream, restart);
          else stream.end(error);
        },
      );
    };
    const restart = async (): Promise<void> => {
      connection = await this.#use();
      await start();
      if (stream.ended) await stop(); // The consumer went away while we connected.
    };
    await start();
    this.#streams.add(stream);
    return stream;
  }

  /** Tries until the stream runs again, the consumer stops, the client is closed, or the agent refuses it. */
  async #resume<T>(stream: RpcStream<T>, start: () => Promise<void>): Promise<void> {
    let pauseMs = RECONNECT_FIRST_MS;
    while (!this.#closed && !stream.ended) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      pauseMs = Math.min(2 * pauseMs, RECONNECT_LAST_MS);
      try {
        if (stream.ended) return;
        return await start();
      } catch (error) {
        if (error instanceof RpcError) return stream.end(error);
      }
    }
  }
}

async function expectSuccess(connection: RpcConnection, request: IpcRequest): Promise<void> {
  const { error } = await connection.request(request, null);
  if (error !== "") throw new RpcError(error);
}

function withIp(member: IpcMember): SerfMember {
  return { ...member, ip: ipFromBytes(member.addr) };
}

function toEvent(record: StreamRecord, raw: Uint8Array, connection: RpcConnection): SerfStreamEvent {
  if (record.kind === "members") return { ...record, members: record.members.map(withIp), raw };
  if (record.kind === "user") return { ...record, raw };
  return { ...record, raw, respond: (payload) => expectSuccess(connection, { command: "respond", id: record.id, payload }) };
}
