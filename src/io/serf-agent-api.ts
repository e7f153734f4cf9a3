/**
 * The Serf agent as a running thing inside this process: what the RPC server, the event handlers, the agent command and embedding
 * programs use. Implemented by `serf-agent.ts`; nothing outside `io` sees the cores.
 */
import type { QueryReplyRecord } from "../wire/ipc-messages.ts";
import type { Endpoint } from "../base/endpoint.ts";
import type { KeyOperation, KeyResult, Member, QueryParams, SerfEvent } from "../serf/types.ts";
import type { LogLevel } from "../swim/types.ts";
import type { WireCoordinate } from "../wire/serf-messages.ts";
import type { PoolNetwork } from "./pool-network.ts";

/** Where an agent practises. */
export interface Stage {
  /** In ms; never goes back. */
  readonly now: () => number;
  readonly network: PoolNetwork;
  /** Small enough for its few messages to reach them. */
  readonly bounds: { readonly eventBufferSize: number; readonly queueDepthMax: number };
}

/** Everything needed to start a Serf agent; made by the agent command from flags and files, or by an embedding program. Durations in ms. */
export interface SerfAgentOptions {
  readonly name: string;
  readonly bind: Endpoint;
  readonly advertise: Endpoint;
  readonly profile: "lan" | "wan" | "local";
  readonly protocol: number;
  readonly tags: ReadonlyMap<string, string>;
  /** File that keeps tags changed at run time; "" for none. */
  readonly tagsFile: string;
  /** Gossip keys, primary first; empty: no encryption. */
  readonly keys: readonly Uint8Array[];
  /** File that keeps the keyring; "" for none. */
  readonly keyringFile: string;
  readonly snapshotPath: string;
  readonly rejoinAfterLeave: boolean;
  readonly compression: boolean;
  readonly coordinates: boolean;
  readonly resolveConflicts: boolean;
  readonly coalesce: boolean;
  readonly logLevel: LogLevel;
  readonly broadcastTimeoutMs: number;
  readonly reconnectIntervalMs: number;
  readonly reconnectTimeoutMs: number;
  readonly tombstoneTimeoutMs: number;
  readonly querySizeMax: number;
  readonly queryResponseSizeMax: number;
  readonly userEventSizeMax: number;
  /** Worker threads that open and seal packets; absent or 0: all inline on the main thread. */
  readonly packetWorkers?: number;
  /** Start these threads with the agent instead of when there is work for them. */
  readonly lanesAtOnce?: boolean;
  /** Seal and open large stream messages (push/pulls of some hundred members) in a worker thread that is started for them. */
  readonly streamLane?: boolean;
  /** Show the lanes as a section of `stats()`, and so of `info`; left out by default, where the answer equals the original's. */
  readonly laneStats?: boolean;
  /** Label of the gossip pool (memberlist from 0.3 on); absent or "": none, as the Serf agent. */
  readonly label?: string;
  /** False accepts plain packets and streams although there are keys: for the time of a migration to or from encryption. Default true. */
  readonly verifyIncoming?: boolean;
  /** False sends in the clear although there are keys: the first and last step of such a migration. Default true. */
  readonly verifyOutgoing?: boolean;
  /** Addresses that may talk to us, as CIDR; absent or null: all; empty: none (S-030). */
  readonly allowedCidrs?: readonly string[] | null;
  /** Practise in idle moments after the start what will be asked of it, so that it is quicker then: some 65 ms of processor time. Absent or false: not. */
  readonly rehearse?: boolean;
  /** For an agent that nobody outside this process hears of; absent: the system's clock and network. */
  readonly stage?: Stage;
  /** Where log lines go: `line` is complete ("2006/01/02 15:04:05 [INFO] serf: …"). */
  readonly log: LogSink;
  /** Where counters go (the cores' `count` effects, sockets, RPC); absent: nobody counts. */
  readonly metrics?: MetricSink;
}

/** Receives measurements as they happen; names without prefix, as in lessons §4 ("memberlist.msg.alive"). Must not block or throw. */
export interface MetricSink {
  count(name: string, delta: number): void;
  /** One observation: a duration in ms, a size in bytes. */
  sample(name: string, value: number): void;
}

/** Receives each log record once; levels are filtered by the sink, so that a monitor can listen at a finer level. */
export interface LogSink {
  /** A function is called when somebody reads the line, now or later: what it uses must not change. */
  write(level: LogLevel, text: LogText): void;
}

export type LogText = string | LateText | (() => string);

/** A text that is made when somebody reads it: one object, where a function is two with what it remembers. */
export interface LateText {
  text(): string;
}

export function logText(text: LogText): string {
  if (typeof text === "string") return text;
  return typeof text === "function" ? text() : text.text();
}

/** What a query brings in, in order; `done` comes exactly once. */
export type QueryRecord = QueryReplyRecord;

export type Unsubscribe = () => void;

/** A command that the cluster or the core refused; `message` is the original's text, fit for an RPC `Error` field. */
export class SerfError extends Error {
  override readonly name = "SerfError";
  readonly code = "ERR_MUSTER_SERF";
}

export interface SerfAgentApi {
  readonly name: string;
  readonly bind: Endpoint;
  readonly advertise: Endpoint;
  /** Resolves once the agent has stopped, for whatever reason. */
  readonly stopped: Promise<{ readonly reason: "leave" | "shutdown" | "conflict" }>;
  /** A list that never changes: after a change another one is given. */
  members(): readonly Member[];
  self(): Member;
  /** Number of nodes contacted; `error` is the multi-line list of failures when it is 0, else "". */
  join(addresses: readonly string[], replay: boolean): Promise<{ readonly nodes: number; readonly error: string }>;
  /** Graceful leave; the agent goes on answering until `shutdown`. */
  leave(): Promise<void>;
  /** Closes sockets, flushes files, stops workers. Idempotent. */
  shutdown(): Promise<void>;
  forceLeave(node: string, prune: boolean): Promise<void>;
  userEvent(name: string, payload: Uint8Array | null, coalesce: boolean): Promise<void>;
  /** The same for callers that count microseconds: "" or why not; null when other work comes first and nothing was done. */
  fireUserEvent(name: string, payload: Uint8Array | null, coalesce: boolean): string | null;
  /** Resolves once the query is on its way; records follow until `done`, unless the returned function cancels them. */
  query(name: string, payload: Uint8Array | null, params: QueryParams, onRecord: (record: QueryRecord) => void): Promise<Unsubscribe>;
  /** Answers a received query (`token` of the event). Rejects with the original's text when it is too late, too long or repeated. */
  respond(token: number, payload: Uint8Array): Promise<void>;
  setTags(tags: ReadonlyMap<string, string>): Promise<void>;
  /** `error` is "" on success; the result is there in both cases. */
  keys(operation: KeyOperation, key: string): Promise<{ readonly result: KeyResult; readonly error: string }>;
  /** Sections of `serf info`: agent, runtime, serf, tags (and event_handlers, added by the agent command). */
  stats(): Map<string, Map<string, string>>;
  coordinate(node: string): WireCoordinate | null;
  /** Every Serf event after coalescing. A listener must not block; bounded queues are its own business. */
  subscribe(listener: (event: SerfEvent) => void): Unsubscribe;
}
