/**
 * What travels over Serf's RPC, decoded (reference: serf-protocol §9). Both directions are msgpack objects one after another: a request
 * is a header and, for most commands, a body; so is a response. Wire names stand in the codecs beside this file.
 */
import type { WireCoordinate } from "./serf-messages.ts";

/** The only version of the protocol there has been. */
export const IPC_VERSION = 1;

/** Number by which a client tells its requests apart: any unsigned 64-bit integer; a bigint when a number cannot hold it. */
export type IpcSeq = number | bigint;

/** Error texts of the header. Frozen: clients compare them. */
export const IpcError = {
  unsupportedCommand: "Unsupported command",
  unsupportedVersion: "Unsupported IPC version",
  duplicateHandshake: "Handshake already performed",
  handshakeRequired: "Handshake required",
  authRequired: "Authentication required",
  invalidAuthToken: "Invalid authentication token",
  invalidFilter: "Invalid event filter",
  streamExists: "Stream with given sequence exists",
  monitorExists: "Monitor already exists",
  invalidQueryId: "No pending queries matching ID",
} as const;

export interface RequestHeader {
  command: string;
  seq: IpcSeq;
}

export interface EventRequest {
  readonly name: string;
  readonly payload: Uint8Array | null;
  readonly coalesce: boolean;
}

export interface ForceLeaveRequest {
  readonly node: string;
  readonly prune: boolean;
}

export interface JoinRequest {
  readonly existing: readonly string[] | null;
  readonly replay: boolean;
}

/** Expressions with RE2 rules; "" for `name` and `status`: any. */
export interface MembersFilteredRequest {
  readonly tags: ReadonlyMap<string, string> | null;
  readonly status: string;
  readonly name: string;
}

export interface TagsRequest {
  readonly tags: ReadonlyMap<string, string> | null;
  readonly deleteTags: readonly string[] | null;
}

export interface QueryRequest {
  readonly filterNodes: readonly string[] | null;
  readonly filterTags: ReadonlyMap<string, string> | null;
  readonly requestAck: boolean;
  /** 0 … 255. */
  readonly relayFactor: number;
  /** Nanoseconds on the wire; 0: the agent chooses. */
  readonly timeoutMs: number;
  readonly name: string;
  readonly payload: Uint8Array | null;
}

export interface RespondRequest {
  readonly id: number;
  readonly payload: Uint8Array | null;
}

export interface ResponseHeader {
  readonly seq: IpcSeq;
  /** "" is success. */
  readonly error: string;
}

export interface IpcMember {
  readonly name: string;
  readonly addr: Uint8Array;
  readonly port: number;
  readonly tags: ReadonlyMap<string, string>;
  /** "none", "alive", "leaving", "left", "failed". */
  readonly status: string;
  readonly protocolMin: number;
  readonly protocolMax: number;
  readonly protocolCur: number;
  readonly delegateMin: number;
  readonly delegateMax: number;
  readonly delegateCur: number;
}

export interface IpcKeyResult {
  readonly nodes: number;
  readonly responses: number;
  readonly failures: number;
  /** Node name to what it had to say. */
  readonly messages: ReadonlyMap<string, string>;
  /** Base64 key to the number of nodes that hold it. */
  readonly keys: ReadonlyMap<string, number>;
}

/** Record of a `stream`. */
export type StreamRecord =
  | { readonly kind: "members"; readonly type: string; readonly members: readonly IpcMember[] }
  | { readonly kind: "user"; readonly lamportTime: number; readonly name: string; readonly payload: Uint8Array | null; readonly coalesce: boolean }
  /** `id` answers it with `respond`, on the same connection. */
  | { readonly kind: "query"; readonly id: number; readonly lamportTime: number; readonly name: string; readonly payload: Uint8Array | null };

/** Record of a `query`. */
export type QueryReplyRecord =
  | { readonly kind: "ack"; readonly from: string }
  | { readonly kind: "response"; readonly from: string; readonly payload: Uint8Array | null }
  | { readonly kind: "done" };

export type IpcStats = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** null: the node has no known coordinate. */
export type IpcCoordinate = WireCoordinate | null;
