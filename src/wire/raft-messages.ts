/**
 * Raft's messages and log entries as hashicorp/raft's network transport carries them, protocol version 3 (reference: consul-agent §7.1, §7.2).
 * Plain values: the bytes are the codec's business. Indexes, terms and sizes are safe integers; a decoder refuses larger ones.
 */

/** First byte of a request on the wire. Frozen: only append. */
export const RAFT_RPC = { appendEntries: 0, requestVote: 1, installSnapshot: 2, timeoutNow: 3, requestPreVote: 4 } as const;

/** Type of a log entry on the wire and on disk. Frozen; 2 and 3 (peer lists of protocol 1) are never written, and refused when read. */
export const ENTRY_TYPE = { command: 0, noop: 1, barrier: 4, configuration: 5 } as const;
export type EntryType = (typeof ENTRY_TYPE)[keyof typeof ENTRY_TYPE];

/** The versions of the protocol that we answer. Any other in a header: the error text `PROTOCOL_VERSION_ERROR` and a nil response. */
export const RAFT_PROTOCOL_MIN = 2;
export const RAFT_PROTOCOL_MAX = 3;
export const PROTOCOL_VERSION_ERROR = "operation not supported with current protocol version";

/**
 * What stands at the head of every request and response. `id` and `address` are of newer libraries: "" when the peer did not send
 * them, and left out by the encoder when "". Older peers ignore both.
 */
export interface RaftHeader {
  readonly protocolVersion: number;
  readonly id: string;
  /** "ip:port" of the sender's server port. */
  readonly address: string;
}

export interface LogEntry {
  readonly index: number;
  readonly term: number;
  readonly type: EntryType;
  /** Empty is written as nil. A configuration entry holds `encodeConfiguration`'s bytes. Never written to: entries are shared. */
  readonly data: Uint8Array;
  /** Empty is written as nil; a chunked command carries its protobuf here. */
  readonly extensions: Uint8Array;
}

/** On the wire 0, 1 and 2. Staging (2) counts as non-voter; nobody writes it. */
export type Suffrage = "voter" | "nonvoter" | "staging";

export interface RaftServer {
  readonly id: string;
  /** "ip:port". */
  readonly address: string;
  readonly suffrage: Suffrage;
}

/** The servers of a cluster, in the order of the entry. Ids are unique, and so are addresses. */
export interface RaftConfiguration {
  readonly servers: readonly RaftServer[];
}

export interface AppendEntriesRequest {
  readonly kind: "appendEntries";
  readonly header: RaftHeader;
  readonly term: number;
  /** Address of the leader. */
  readonly leader: string;
  readonly prevLogIndex: number;
  readonly prevLogTerm: number;
  /** Null (nil on the wire) marks a heartbeat, whose other log fields are 0; an empty list is a replication that carries only the commit index. */
  readonly entries: readonly LogEntry[] | null;
  readonly leaderCommit: number;
}

export interface AppendEntriesResponse {
  readonly kind: "appendEntries";
  readonly header: RaftHeader;
  readonly term: number;
  /** Hint for a leader whose request did not match. */
  readonly lastLog: number;
  readonly success: boolean;
  /** The refusal says nothing about the peer's health: try the next probe at once. */
  readonly noRetryBackoff: boolean;
}

export interface RequestVoteRequest {
  readonly kind: "requestVote";
  readonly header: RaftHeader;
  readonly term: number;
  /** Address of the candidate. */
  readonly candidate: string;
  readonly lastLogIndex: number;
  readonly lastLogTerm: number;
  /** The present leader asked for this election: vote although a leader is known. */
  readonly leadershipTransfer: boolean;
}

export interface RequestVoteResponse {
  readonly kind: "requestVote";
  readonly header: RaftHeader;
  readonly term: number;
  readonly granted: boolean;
}

/** RequestPreVote, of libraries from 1.7 on. The candidate is the header's `id` and `address`. */
export interface RequestPreVoteRequest {
  readonly kind: "requestPreVote";
  readonly header: RaftHeader;
  /** The term the candidate would start. */
  readonly term: number;
  readonly lastLogIndex: number;
  readonly lastLogTerm: number;
}

export interface RequestPreVoteResponse {
  readonly kind: "requestPreVote";
  readonly header: RaftHeader;
  readonly term: number;
  readonly granted: boolean;
}

/** Followed on its connection by exactly `size` bytes of state. */
export interface InstallSnapshotRequest {
  readonly kind: "installSnapshot";
  readonly header: RaftHeader;
  readonly term: number;
  readonly leader: string;
  readonly lastLogIndex: number;
  readonly lastLogTerm: number;
  readonly configuration: RaftConfiguration;
  readonly configurationIndex: number;
  /** Bytes of state that follow. */
  readonly size: number;
}

export interface InstallSnapshotResponse {
  readonly kind: "installSnapshot";
  /** The originals leave the protocol version 0 here. */
  readonly header: RaftHeader;
  readonly term: number;
  readonly success: boolean;
}

export interface TimeoutNowRequest {
  readonly kind: "timeoutNow";
  readonly header: RaftHeader;
}

export interface TimeoutNowResponse {
  readonly kind: "timeoutNow";
  readonly header: RaftHeader;
}

export type RaftRequest =
  | AppendEntriesRequest
  | RequestVoteRequest
  | RequestPreVoteRequest
  | InstallSnapshotRequest
  | TimeoutNowRequest;

export type RaftResponse =
  | AppendEntriesResponse
  | RequestVoteResponse
  | RequestPreVoteResponse
  | InstallSnapshotResponse
  | TimeoutNowResponse;
