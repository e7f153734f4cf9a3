/**
 * The contract of one gossip pool (`pool.ts`): SWIM below, Serf on top, as one machine with `step(input, nowMs, out)` and `wakeAtMs`.
 * Extends the SWIM contract; reads (`members()`, `stats()`, `coordinate(name)`) are plain methods without effects.
 */
import type { Endpoint } from "../base/endpoint.ts";
import type { Matcher } from "../wire/matcher.ts";
import type { RequestId, SwimEffect, SwimInput, SwimProfile, LogLevel, ReplyValue } from "../swim/types.ts";

export type { Matcher };

export interface PoolConfig {
  readonly name: string;
  readonly advertise: Endpoint;
  readonly bindPort: number;
  /** Serf protocol version we speak, 2…5. */
  readonly protocol: number;
  readonly tags: ReadonlyMap<string, string>;
  readonly profile: SwimProfile;
  readonly packetOverheadBytes: () => number;
  /** Keys can be managed (the ring is not empty). */
  readonly encrypted: () => boolean;
  /** See `SwimConfig`. */
  readonly mergeSliceNodes?: number;
  readonly logLevel: LogLevel;
  readonly broadcastTimeoutMs: number;
  readonly leavePropagateDelayMs: number;
  readonly reapIntervalMs: number;
  readonly reconnectIntervalMs: number;
  readonly reconnectTimeoutMs: number;
  readonly tombstoneTimeoutMs: number;
  readonly recentIntentTimeoutMs: number;
  readonly queueCheckIntervalMs: number;
  readonly queueDepthWarning: number;
  readonly queueDepthMax: number;
  readonly eventBufferSize: number;
  readonly queryBufferSize: number;
  readonly queryTimeoutMult: number;
  readonly queryResponseSizeMax: number;
  readonly querySizeMax: number;
  readonly userEventSizeMax: number;
  readonly coordinates: boolean;
  readonly resolveConflicts: boolean;
  /** Coalescing of member events; null delivers each at once. */
  readonly coalesceMembers: Coalescing | null;
  /** Coalescing of user events with the coalesce flag; null delivers each at once. */
  readonly coalesceUserEvents: Coalescing | null;
  /** What a snapshot file said, replayed by `replaySnapshot`; null without one. */
  readonly restored: RestoredSnapshot | null;
  /** Lines for a snapshot file are wanted (`snapshot` effects). */
  readonly snapshot: boolean;
  readonly rejoinAfterLeave: boolean;
}

export interface Coalescing {
  readonly periodMs: number;
  readonly quiescentMs: number;
}

export interface RestoredSnapshot {
  readonly alive: readonly { readonly name: string; readonly addr: string }[];
  readonly clock: number;
  readonly eventClock: number;
  readonly queryClock: number;
  /** Size of the file, from which the next compaction is reckoned. */
  readonly fileBytes: number;
  /** Some of the lines that were not understood; the pool warns about them. */
  readonly unknownLines: readonly string[];
}

export type MemberStatus = "none" | "alive" | "leaving" | "left" | "failed";

/** A Serf member; immutable, shared between readers. */
export interface Member {
  readonly name: string;
  readonly addr: Uint8Array;
  readonly ip: string;
  readonly port: number;
  readonly tags: ReadonlyMap<string, string>;
  readonly status: MemberStatus;
  readonly protocolMin: number;
  readonly protocolMax: number;
  readonly protocolCur: number;
  readonly delegateMin: number;
  readonly delegateMax: number;
  readonly delegateCur: number;
}

export type MemberEventType = "member-join" | "member-leave" | "member-failed" | "member-update" | "member-reap";

/** What the agent's handlers, RPC streams and embedding programs see. */
export type SerfEvent =
  | { readonly kind: "members"; readonly type: MemberEventType; readonly members: readonly Member[] }
  | { readonly kind: "user"; readonly lamportTime: number; readonly name: string; readonly payload: Uint8Array | null; readonly coalesce: boolean }
  /** `token` answers it: input `respond`, until `deadlineMs` (of the clock given to `step`), once. */
  | {
      readonly kind: "query";
      readonly token: number;
      readonly lamportTime: number;
      readonly name: string;
      readonly payload: Uint8Array | null;
      readonly sourceNode: string;
      readonly deadlineMs: number;
    };

export interface QueryParams {
  readonly filterNodes: readonly string[];
  readonly filterTags: ReadonlyMap<string, string>;
  readonly requestAck: boolean;
  readonly relayFactor: number;
  /** 0: the default timeout. */
  readonly timeoutMs: number;
}

export type KeyOperation = "install" | "use" | "remove" | "list";

/**
 * `request` is the caller's, not negative (the pool numbers its own requests to SWIM downwards from -1). A command that is refused as a
 * whole (a join after a leave, an event that is too long) is answered with value `none` and one error.
 */
export type PoolInput =
  | Exclude<SwimInput, { readonly kind: "join" | "leave" | "updateMeta" }>
  /** `errors`: failures met while resolving the addresses; they are listed with those of the core. */
  | {
      readonly kind: "join";
      readonly request: RequestId;
      readonly targets: readonly { readonly name: string; readonly to: Endpoint }[];
      readonly ignoreOld: boolean;
      readonly errors: readonly string[];
    }
  | { readonly kind: "leave"; readonly request: RequestId }
  | { readonly kind: "forceLeave"; readonly request: RequestId; readonly node: string; readonly prune: boolean }
  | { readonly kind: "userEvent"; readonly request: RequestId; readonly name: string; readonly payload: Uint8Array | null; readonly coalesce: boolean }
  | { readonly kind: "query"; readonly request: RequestId; readonly name: string; readonly payload: Uint8Array | null; readonly params: QueryParams }
  | { readonly kind: "respond"; readonly request: RequestId; readonly token: number; readonly payload: Uint8Array }
  | { readonly kind: "setTags"; readonly request: RequestId; readonly tags: ReadonlyMap<string, string> }
  | { readonly kind: "keys"; readonly request: RequestId; readonly operation: KeyOperation; readonly key: string }
  /** Answer to a `keyring` effect: the ring of every lane and the keyring file are as asked, or `error` says why not. */
  | { readonly kind: "keyringDone"; readonly token: number; readonly error: string; readonly keys: readonly string[] }
  /** The driver is about to stop this pool: what is held back comes out, snapshot lines with `flush`. Later commands are refused. */
  | { readonly kind: "shutdown" };

export type PoolEffect =
  | Exclude<SwimEffect, { readonly kind: "reply" }>
  | { readonly kind: "reply"; readonly request: RequestId; readonly value: PoolReplyValue; readonly errors: readonly string[] }
  | { readonly kind: "event"; readonly event: SerfEvent }
  /** Progress of our own query `request`, after its `reply`; exactly one `done` closes it. */
  | { readonly kind: "queryAck"; readonly request: RequestId; readonly from: string }
  | { readonly kind: "queryResponse"; readonly request: RequestId; readonly from: string; readonly payload: Uint8Array | null }
  | { readonly kind: "queryDone"; readonly request: RequestId }
  /** Lines for the snapshot file, each without its LF; `flush` asks for an fsync now. */
  | { readonly kind: "snapshot"; readonly lines: readonly string[]; readonly flush: boolean }
  /** Replace the whole snapshot file by these lines (compaction), atomically. */
  | { readonly kind: "snapshotCompact"; readonly lines: readonly string[] }
  /** Change or read the ring everywhere, persist it, then answer with `keyringDone`. `key` is raw; empty for `list`. */
  | { readonly kind: "keyring"; readonly token: number; readonly operation: KeyOperation; readonly key: Uint8Array }
  /** The node must stop: it lost the vote about its name. */
  | { readonly kind: "stop"; readonly reason: string };

export type PoolReplyValue =
  | ReplyValue
  | { readonly kind: "query"; readonly lamportTime: number; readonly id: number; readonly timeoutMs: number }
  | { readonly kind: "keys"; readonly result: KeyResult };

export interface KeyResult {
  readonly nodes: number;
  readonly responses: number;
  readonly failures: number;
  /** Node name to message, for nodes that had something to say. */
  readonly messages: ReadonlyMap<string, string>;
  /** Base64 key to the number of nodes that have it. */
  readonly keys: ReadonlyMap<string, number>;
  /** What each node that agreed listed, its primary key first. */
  readonly keysOf: ReadonlyMap<string, readonly string[]>;
}
