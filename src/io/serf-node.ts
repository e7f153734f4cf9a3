/**
 * A Serf node for embedding: what `startSerf` of the package gives a Node program. A thin, typed face of `SerfAgent`: events as typed
 * listeners, queries as async iterators, plain objects and strings as arguments.
 */
import { EventEmitter } from "node:events";
import { hostname } from "node:os";
import { formatEndpoint, ipFromBytes, ipToBytes, type Endpoint } from "../base/endpoint.ts";
import { decodeBase64 } from "../wire/go-base64.ts";
import type { Member, MemberEventType, SerfEvent } from "../serf/types.ts";
import type { LogLevel } from "../swim/types.ts";
import { loadKeyringFile } from "./keyring-file.ts";
import { LogHub } from "./log-hub.ts";
import { Metrics } from "./metrics.ts";
import { ensurePort, splitHostPort } from "../swim/address.ts";
import { SerfAgent } from "./serf-agent.ts";
import { SerfError, type MetricSink, type QueryRecord, type SerfAgentOptions } from "./serf-agent-api.ts";
import { loadTagsFile } from "./tags-file.ts";

/** Port of Serf's gossip. */
export const SERF_PORT = 7946;
/** Records of one query that wait for a slow reader; later ones are dropped. More than a cluster of this size can answer. */
export const QUERY_RECORDS_MAX = 20_000;

/** An option that cannot be used. `message` names it and says what is accepted; nothing was started. */
export class OptionsError extends Error {
  override readonly name = "OptionsError";
  readonly code = "ERR_MUSTER_OPTIONS";
}

export interface SerfNodeOptions {
  /** Unique in the cluster; default: the host name. */
  readonly name?: string;
  /** `ip` or `ip:port` to listen on; port 0 takes a free one. Default: 0.0.0.0:7946. */
  readonly bind?: string;
  /** `ip` or `ip:port` that others reach us at; default: the bound address, or the first private one when bound to all. */
  readonly advertise?: string;
  /** Members to join at start: `host`, `host:port` or `name/host:port`. The start fails when none can be reached. */
  readonly join?: readonly string[];
  /** Announced to all members; together at most 512 bytes encoded. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Base64 of 16, 24 or 32 bytes; the first one seals. Not together with `keyringFile`. */
  readonly keys?: readonly string[];
  readonly keyringFile?: string;
  /** False accepts plain gossip although there are keys, for a migration: first false and false on all nodes, then outgoing true on all, then both. */
  readonly verifyIncoming?: boolean;
  /** False sends plain gossip although there are keys. */
  readonly verifyOutgoing?: boolean;
  readonly tagsFile?: string;
  readonly snapshotPath?: string;
  readonly rejoinAfterLeave?: boolean;
  readonly profile?: "lan" | "wan" | "local";
  /** Merge member events (and user events that ask for it) over a second or more, as the agent does. Default: each at once. */
  readonly coalesce?: boolean;
  /** Receives log lines from `logLevel` (default "info") up. */
  readonly onLog?: (line: string) => void;
  readonly logLevel?: LogLevel;
  readonly metrics?: MetricSink;
}

/** A query of another member (or our own), to be answered at most once, before its deadline. */
export interface ReceivedQuery {
  readonly name: string;
  readonly payload: Uint8Array;
  readonly sourceNode: string;
  /** Rejects with a `SerfError` when it is too late, too long or repeated. */
  respond(payload: Uint8Array | string): Promise<void>;
}

export interface ReceivedUserEvent {
  readonly name: string;
  readonly payload: Uint8Array;
  readonly lamportTime: number;
  readonly coalesce: boolean;
}

/** Events of a node, by name. */
export interface SerfNodeEvents extends Record<MemberEventType, [members: readonly Member[]]> {
  user: [event: ReceivedUserEvent];
  query: [query: ReceivedQuery];
  /** The node has stopped: we left, were stopped, or lost the vote about our name. */
  stopped: [reason: "leave" | "shutdown" | "conflict"];
}

export interface QueryOptions {
  readonly nodes?: readonly string[];
  /** Tag name to an RE2 expression its value must match. */
  readonly tags?: Readonly<Record<string, string>>;
  readonly ack?: boolean;
  readonly relayFactor?: number;
  /** Default: grows with the cluster. */
  readonly timeoutMs?: number;
}

const NO_BYTES = new Uint8Array(0);

export class SerfNode extends EventEmitter<SerfNodeEvents> {
  readonly #agent: SerfAgent;

  private constructor(agent: SerfAgent) {
    super();
    this.#agent = agent;
    agent.subscribe((event) => this.#emitEvent(event));
    void agent.stopped.then(({ reason }) => this.emit("stopped", reason));
  }

  /** Rejects with an `OptionsError`, or a `SerfError` when sockets, files or the join fail; nothing stays open then. */
  static async start(options: SerfNodeOptions = {}): Promise<SerfNode> {
    const agent = await SerfAgent.start(await agentOptions(options));
    const node = new SerfNode(agent);
    if (options.join !== undefined && options.join.length > 0) {
      try {
        await node.join(options.join);
      } catch (error) {
        await agent.shutdown();
        throw error;
      }
    }
    return node;
  }

  get name(): string {
    return this.#agent.name;
  }

  /** `ip:port` that others reach us at. */
  get address(): string {
    return formatEndpoint(this.#agent.advertise);
  }

  members(): readonly Member[] {
    return this.#agent.members();
  }

  /** Number of members contacted; rejects with a `SerfError` that lists the failures when there was none. */
  async join(addresses: readonly string[], options: { readonly replay?: boolean } = {}): Promise<number> {
    const { nodes, error } = await this.#agent.join(addresses, options.replay ?? false);
    if (nodes === 0) throw new SerfError(error);
    return nodes;
  }

  /** Sends a user event to all members. */
  userEvent(name: string, payload: Uint8Array | string = NO_BYTES, options: { readonly coalesce?: boolean } = {}): Promise<void> {
    return this.#agent.userEvent(name, toBytes(payload), options.coalesce ?? false);
  }

  /** Asks the members; acks and responses as they come, until the deadline. Leaving the loop early cancels the query. */
  async *query(name: string, payload: Uint8Array | string = NO_BYTES, options: QueryOptions = {}): AsyncGenerator<Exclude<QueryRecord, { readonly kind: "done" }>, void> {
    const records: QueryRecord[] = [];
    let wake = (): void => undefined;
    const params = {
      filterNodes: options.nodes ?? [],
      filterTags: new Map(Object.entries(options.tags ?? {})),
      requestAck: options.ack ?? false,
      relayFactor: options.relayFactor ?? 0,
      timeoutMs: options.timeoutMs ?? 0,
    };
    const cancel = await this.#agent.query(name, toBytes(payload), params, (record) => {
      if (records.length < QUERY_RECORDS_MAX || record.kind === "done") records.push(record);
      wake();
    });
    try {
      for (;;) {
        const record = records.shift();
        if (record === undefined) await new Promise<void>((resolve) => (wake = resolve));
        else if (record.kind === "done") return;
        else yield record;
      }
    } finally {
      cancel();
    }
  }

  /** Replaces all our tags. */
  setTags(tags: Readonly<Record<string, string>>): Promise<void> {
    return this.#agent.setTags(new Map(Object.entries(tags)));
  }

  /** Tells the cluster that we leave, then stops. */
  async leave(): Promise<void> {
    await this.#agent.leave();
    await this.#agent.shutdown();
  }

  /** Stops without a word: the others will see us fail. */
  stop(): Promise<void> {
    return this.#agent.shutdown();
  }

  #emitEvent(event: SerfEvent): void {
    switch (event.kind) {
      case "members":
        this.emit(event.type, event.members);
        return;
      case "user": {
        const { name, payload, lamportTime, coalesce } = event;
        this.emit("user", { name, payload: payload ?? NO_BYTES, lamportTime, coalesce });
        return;
      }
      case "query": {
        const { name, payload, sourceNode, token } = event;
        this.emit("query", { name, payload: payload ?? NO_BYTES, sourceNode, respond: (answer) => this.#agent.respond(token, toBytes(answer)) });
      }
    }
  }
}

async function agentOptions(options: SerfNodeOptions): Promise<SerfAgentOptions> {
  const log = new LogHub();
  const { onLog, logLevel = "info", profile = "lan" } = options;
  if (onLog !== undefined) log.subscribe(logLevel, onLog, { replay: false });
  if (!["lan", "wan", "local"].includes(profile)) throw new OptionsError(`profile: unknown profile "${profile}"; accepted are lan, wan and local`);
  return {
    name: options.name ?? hostname(),
    bind: endpointOption("bind", options.bind ?? "0.0.0.0", SERF_PORT),
    advertise: options.advertise === undefined ? { ip: "", port: 0 } : endpointOption("advertise", options.advertise, 0),
    profile,
    protocol: 5,
    tags: await tagsOption(options),
    tagsFile: options.tagsFile ?? "",
    keys: await keysOption(options),
    keyringFile: options.keyringFile ?? "",
    verifyIncoming: options.verifyIncoming ?? true,
    verifyOutgoing: options.verifyOutgoing ?? true,
    snapshotPath: options.snapshotPath ?? "",
    rejoinAfterLeave: options.rejoinAfterLeave ?? false,
    compression: true,
    coordinates: true,
    resolveConflicts: true,
    coalesce: options.coalesce ?? false,
    logLevel,
    broadcastTimeoutMs: 5000,
    reconnectIntervalMs: 30_000,
    reconnectTimeoutMs: 24 * 3_600_000,
    tombstoneTimeoutMs: 24 * 3_600_000,
    querySizeMax: 1024,
    queryResponseSizeMax: 1024,
    userEventSizeMax: 512,
    log,
    metrics: options.metrics ?? new Metrics(),
  };
}

function endpointOption(option: string, text: string, defaultPort: number): Endpoint {
  const split = splitHostPort(ensurePort(text, defaultPort));
  const bytes = split.ok ? ipToBytes(split.value.host) : null;
  const port = split.ok && /^[0-9]{1,5}$/.test(split.value.port) ? Number(split.value.port) : NaN;
  if (bytes === null || !(port <= 0xffff)) throw new OptionsError(`${option}: "${text}" is no address; accepted is IP or IP:PORT, as 10.0.0.1:7946 or [fd00::1]:7946`);
  return { ip: ipFromBytes(bytes), port };
}

async function tagsOption({ tags, tagsFile }: SerfNodeOptions): Promise<ReadonlyMap<string, string>> {
  if (tagsFile === undefined || tagsFile === "") return new Map(Object.entries(tags ?? {}));
  const loaded = await loadTagsFile(tagsFile);
  if (!loaded.ok) throw new OptionsError(`tagsFile: ${loaded.error}`);
  // The file holds what was set at run time; `tags` are what a first start begins with.
  return loaded.value ?? new Map(Object.entries(tags ?? {}));
}

async function keysOption({ keys, keyringFile }: SerfNodeOptions): Promise<readonly Uint8Array[]> {
  if (keyringFile !== undefined && keyringFile !== "") {
    if (keys !== undefined && keys.length > 0) throw new OptionsError("keys: not together with keyringFile; give one of them");
    const loaded = await loadKeyringFile(keyringFile);
    if (!loaded.ok) throw new OptionsError(`keyringFile: ${loaded.error}`);
    return loaded.value;
  }
  return (keys ?? []).map((key) => {
    const decoded = decodeBase64(key);
    if (!decoded.ok) throw new OptionsError(`keys: ${decoded.error}; accepted is base64 of 16, 24 or 32 bytes`);
    return decoded.value;
  });
}

function toBytes(payload: Uint8Array | string): Uint8Array {
  return typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
}
