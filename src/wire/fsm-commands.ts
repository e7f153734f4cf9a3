/**
 * What a committed log entry of type Command carries (agent reference §6.4, §7.2): the request structs of Consul's server RPC, one type byte in front.
 * The same structs are the records of a state machine snapshot (§7.3). Numbers of the 64-bit fields are exact: see `Wide`.
 */
import type { MsgpackValue } from "./msgpack.ts";

/** A 64-bit integer of the wire: a number when that is exact, else a bigint. `decode` gives a bigint only outside ±(2^53 - 1). */
export type Wide = number | bigint;

/** A Go `map[string]string`: its order on the wire is arbitrary, and kept. */
export type TextMap = ReadonlyMap<string, string>;

/** Frozen: the first byte of a command and of a snapshot record. */
export const FSM_TYPE = {
  register: 0,
  deregister: 1,
  kvs: 2,
  session: 3,
  acl: 4,
  tombstone: 5,
  coordinateBatchUpdate: 6,
  preparedQuery: 7,
  txn: 8,
  autopilot: 9,
  area: 10,
  aclBootstrap: 11,
  intention: 12,
  connectCa: 13,
  connectCaProviderState: 14,
  connectCaConfig: 15,
  index: 16,
  aclTokenSet: 17,
  aclTokenDelete: 18,
  aclPolicySet: 19,
  aclPolicyDelete: 20,
  connectCaLeaf: 21,
  configEntry: 22,
  aclRoleSet: 23,
  aclRoleDelete: 24,
  aclBindingRuleSet: 25,
  aclBindingRuleDelete: 26,
  aclAuthMethodSet: 27,
  aclAuthMethodDelete: 28,
  chunkingState: 29,
  federationState: 30,
} as const;

/** Added to a type: a server that does not know it skips the command instead of stopping. */
export const IGNORE_UNKNOWN_FLAG = 128;

/** When a row was made and last changed: indexes of the Raft log. */
export interface RaftIndex {
  readonly createIndex: number;
  readonly modifyIndex: number;
}

/** One key. `value` and `session` may be views and texts of the state's own memory: never write to them, never transfer their buffer. */
export interface DirEntry extends RaftIndex {
  /** Bytes that are no UTF-8 are kept as base/utf8 says. */
  readonly key: string;
  /** null and empty are different on the wire; the state machine stores null for both. */
  readonly value: Uint8Array | null;
  readonly flags: Wide;
  readonly lockIndex: number;
  /** Id of the session that holds the lock, "" when none. */
  readonly session: string;
}

export type KvOp = "set" | "delete" | "delete-cas" | "delete-tree" | "cas" | "lock" | "unlock";

export interface KvRequest {
  readonly datacenter: string;
  readonly op: KvOp;
  /** `modifyIndex` is the index to compare with (cas, delete-cas). */
  readonly entry: DirEntry;
  readonly token: string;
}

export interface ServiceCheckRef {
  readonly id: string;
  readonly namespace: string;
}

export type SessionBehavior = "release" | "delete";

export interface Session extends RaftIndex {
  readonly id: string;
  readonly name: string;
  readonly node: string;
  /** Nanoseconds, as given: `lockDelayMs` in the catalog caps it. */
  readonly lockDelay: Wide;
  /** "release", "delete", or what a peer wrote; "" becomes "release" on create. */
  readonly behavior: string;
  /** A Go duration, "" for none. */
  readonly ttl: string;
  readonly nodeChecks: readonly string[] | null;
  readonly serviceChecks: readonly ServiceCheckRef[] | null;
  /** The deprecated list of check ids. */
  readonly checks: readonly string[] | null;
}

export interface SessionRequest {
  readonly datacenter: string;
  readonly op: "create" | "destroy";
  /** For `destroy` only the id counts. */
  readonly session: Session;
  readonly token: string;
}

export interface TombstoneRequest {
  readonly datacenter: string;
  /** Tombstones up to this index are dropped. */
  readonly reapIndex: number;
  readonly token: string;
}

export interface CatalogNode extends RaftIndex {
  /** UUID, "" for nodes registered without. */
  readonly id: string;
  readonly node: string;
  readonly address: string;
  readonly datacenter: string;
  readonly taggedAddresses: TextMap | null;
  readonly meta: TextMap | null;
}

export interface Weights {
  readonly passing: number;
  readonly warning: number;
}

/** A service as registered on a node. */
export interface NodeService extends RaftIndex {
  readonly kind: string;
  readonly id: string;
  readonly service: string;
  readonly tags: readonly string[] | null;
  readonly address: string;
  readonly taggedAddresses: ReadonlyMap<string, { readonly address: string; readonly port: number }> | null;
  readonly meta: TextMap | null;
  readonly port: number;
  readonly weights: Weights | null;
  readonly enableTagOverride: boolean;
  readonly locallyRegisteredAsSidecar: boolean;
  /** Struct ConnectProxyConfig and ServiceConnect as on the wire; `undefined` writes Go's zero value. */
  readonly proxy: MsgpackValue | undefined;
  readonly connect: MsgpackValue | undefined;
}

export interface HealthCheck extends RaftIndex {
  readonly node: string;
  readonly checkId: string;
  readonly name: string;
  /** "passing", "warning", "critical", or any other text. */
  readonly status: string;
  readonly notes: string;
  readonly output: string;
  /** "" for a check of the node. */
  readonly serviceId: string;
  readonly serviceName: string;
  readonly serviceTags: readonly string[] | null;
  readonly type: string;
  /** Struct HealthCheckDefinition as on the wire; `undefined` writes Go's zero value. */
  readonly definition: MsgpackValue | undefined;
}

export interface RegisterRequest extends RaftIndex {
  readonly datacenter: string;
  readonly id: string;
  readonly node: string;
  readonly address: string;
  readonly taggedAddresses: TextMap | null;
  readonly nodeMeta: TextMap | null;
  readonly service: NodeService | null;
  readonly check: HealthCheck | null;
  readonly checks: readonly HealthCheck[] | null;
  readonly skipNodeUpdate: boolean;
  readonly token: string;
}

export interface DeregisterRequest {
  readonly datacenter: string;
  readonly node: string;
  /** Wins over `checkId`; both "" removes the node. */
  readonly serviceId: string;
  readonly checkId: string;
  readonly token: string;
}

export type KvVerb =
  | "set"
  | "cas"
  | "lock"
  | "unlock"
  | "get"
  | "get-tree"
  | "check-index"
  | "check-session"
  | "check-not-exists"
  | "delete"
  | "delete-tree"
  | "delete-cas";

/** One operation of a transaction; verbs are texts, since an unknown one is answered with an error. */
export type TxnOp =
  | { readonly kind: "kv"; readonly verb: string; readonly entry: DirEntry }
  | { readonly kind: "node"; readonly verb: string; readonly node: CatalogNode }
  | { readonly kind: "service"; readonly verb: string; readonly node: string; readonly service: NodeService }
  | { readonly kind: "check"; readonly verb: string; readonly check: HealthCheck }
  | { readonly kind: "session"; readonly verb: string; readonly session: Session }
  /** An intention, kept as on the wire; or an operation without content. */
  | { readonly kind: "intention"; readonly value: MsgpackValue }
  | { readonly kind: "none" };

export interface TxnRequest {
  readonly datacenter: string;
  readonly ops: readonly TxnOp[];
  readonly token: string;
}
