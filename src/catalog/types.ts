/**
 * The replicated state machine as its users see it. It is a machine without clock and I/O: committed commands go in through `apply`, results come out,
 * and the same commands give the same state on every server. Reads are synchronous and never change anything.
 *
 * Guarantees:
 *  1. `apply` is deterministic in (index, data, extensions). The time it is given feeds only the lock delays, which are this server's own and not replicated.
 *  2. What a snapshot shows never changes. Taking one is O(1); while it is held, a write copies the tree nodes on its path.
 *  3. A watch set in the same turn as the read it belongs to misses no change.
 */
import type { CatalogNode, DirEntry, HealthCheck, NodeService, Session, TxnOp } from "../wire/fsm-commands.ts";
import type { NodeCoordinate } from "../wire/coordinate-command.ts";
import type { MsgpackValue } from "../wire/msgpack.ts";

/** A read's answer with its index: what `X-Consul-Index` shows (which is at least 1) and what a blocking query compares. 0 when nothing was ever written. */
export interface Indexed<T> {
  readonly index: number;
  readonly value: T;
}

export interface ServiceInstance {
  readonly node: CatalogNode;
  readonly service: NodeService;
}

/** With the checks that decide whether it is healthy: its node's and its own. */
export interface CheckedInstance extends ServiceInstance {
  readonly checks: readonly HealthCheck[];
}

/** Rows that may be read one by one, later, and as often as wanted. */
export interface Rows<Row> extends Iterable<Row> {
  readonly length: number;
}

/** The reads that the live state and a snapshot offer alike. Node names, service names and check ids match in any case. */
export interface CatalogReads {
  /** The key's own index; of a missing key the maximum of the tables. */
  kvGet(key: string): Indexed<DirEntry | null>;
  /** All keys that start with `prefix`, bytewise order, as they are now: they may be read later. */
  kvList(prefix: string): Indexed<Rows<DirEntry>>;
  /** Keys below `prefix`, each cut after the first `separator` past the prefix and told once; `separator` "" cuts nothing. As they are now, like `kvList`. */
  kvKeys(prefix: string, separator: string): Indexed<Rows<string>>;
  /** Number of keys. */
  readonly kvCount: number;
  /** A transaction that only reads; what writes in it is an error. Nothing is changed. */
  txnRead(ops: readonly TxnOp[]): TxnOutcome;

  session(id: string): Indexed<Session | null>;
  sessions(): Indexed<readonly Session[]>;
  nodeSessions(node: string): Indexed<readonly Session[]>;

  /** By name, in any case. */
  node(name: string): Indexed<CatalogNode | null>;
  nodeById(id: string): CatalogNode | null;
  /** The only node whose id begins so. */
  nodeByIdPrefix(prefix: string): CatalogNode | null;
  /** Sorted by name. */
  nodes(): Indexed<readonly CatalogNode[]>;
  nodeServices(node: string): Indexed<readonly NodeService[]>;
  nodeChecks(node: string): Indexed<readonly HealthCheck[]>;
  check(node: string, checkId: string): HealthCheck | null;
  /** All checks with this status, or every one for "any". */
  checksInState(state: string): Indexed<readonly HealthCheck[]>;
  serviceInstances(service: string): Indexed<readonly ServiceInstance[]>;
  serviceChecks(service: string): Indexed<readonly HealthCheck[]>;
  /** Instances with their checks: those of the node first. */
  checkedInstances(service: string): Indexed<readonly CheckedInstance[]>;
  /** Of all nodes that told one, by node and segment. */
  coordinates(): Indexed<readonly NodeCoordinate[]>;
  nodeCoordinates(node: string): Indexed<readonly NodeCoordinate[]>;
  /** Names of all services with the union of their tags, sorted. */
  services(): Indexed<ReadonlyMap<string, readonly string[]>>;

  /** Rows of a table that is kept as on the wire, by its snapshot record type (`FSM_TYPE.autopilot`, `.preparedQuery`, `.coordinateBatchUpdate` …). */
  rows(type: number): readonly MsgpackValue[];

  /** Maximum of the indexes of these tables (`kvs`, `tombstones`, `nodes`, `services`, `checks`, `sessions`, `service.NAME` …), 0 when absent. */
  tableIndex(...tables: readonly string[]): number;
}

/** What a blocked reader waits for. */
export type Interest =
  | { readonly kind: "key"; readonly key: string }
  | { readonly kind: "prefix"; readonly prefix: string }
  | { readonly kind: "session"; readonly id: string }
  /** A node with its services and checks. */
  | { readonly kind: "node"; readonly node: string }
  /** Instances and checks of one service, and the nodes they are on. */
  | { readonly kind: "service"; readonly service: string }
  /** Any row of a table: `nodes`, `services`, `checks`, `sessions`, `kvs`, `coordinates`, `prepared-queries`, `config-entries` … */
  | { readonly kind: "table"; readonly table: string };

/** "restored": the whole state was replaced, the reader answers at once whatever its index. */
export type WakeReason = "changed" | "restored";

/** A registered interest; it ends with its one wake-up or with `cancel`. */
export interface Watch {
  cancel(): void;
}

export interface TxnError {
  readonly opIndex: number;
  readonly what: string;
}

export type TxnResult =
  /** `value` is null except for get and get-tree. */
  | { readonly kind: "kv"; readonly entry: DirEntry }
  | { readonly kind: "node"; readonly node: CatalogNode }
  | { readonly kind: "service"; readonly service: NodeService }
  | { readonly kind: "check"; readonly check: HealthCheck };

/** Either results or errors; with errors nothing was changed. */
export interface TxnOutcome {
  readonly results: readonly TxnResult[];
  readonly errors: readonly TxnError[];
}

/** What Consul's state machine returns for a command. All but `fatal` are normal: an error means that nothing changed. */
export type ApplyResult =
  | { readonly kind: "nil" }
  | { readonly kind: "bool"; readonly value: boolean }
  /** A session's id. */
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "error"; readonly text: string }
  | { readonly kind: "txn"; readonly outcome: TxnOutcome }
  /** The command cannot be applied by this program (unknown type, malformed bytes): the server must stop, or its state would differ from the others'. */
  | { readonly kind: "fatal"; readonly reason: string };

/** A held point in time. Dropping the last reference frees it. */
export interface CatalogSnapshot extends CatalogReads {
  /** The index of the last command in it. */
  readonly appliedIndex: number;
  /** Consul's snapshot bytes (agent reference §7.3) in pieces of about 64 KiB; each `next` takes well under 2 ms. A piece is the caller's. */
  encode(): Iterator<Uint8Array, void>;
}

/** Builds a new state beside the current one, piece by piece, so that the caller decides how much happens in a turn. */
export interface Restorer {
  /** Pieces may be cut anywhere. An error text says that the bytes are no snapshot: drop the restorer, the current state is untouched. */
  push(piece: Uint8Array): string | null;
  /** Replaces the state at once and wakes every watch. `appliedIndex` is the snapshot's Raft index. */
  finish(appliedIndex: number): string | null;
}

export interface StateMachine extends CatalogReads {
  /** Index of the last applied command or restored snapshot. */
  readonly appliedIndex: number;

  /**
   * Applies the Data of a committed entry of type Command. `nowMs`: this server's clock, for lock delays only. `extensions`: the entry's Extensions; not empty
   * they say that the command was cut into several entries, which only a foreign leader does and is fatal here. Watches of what changed are woken before this
   * returns; a wake callback may read and watch, not apply.
   */
  apply(index: number, data: Uint8Array, nowMs: number, extensions?: Uint8Array | null): ApplyResult;

  /** Calls `wake` once, at the end of the next `apply` that changes any of `interests`. */
  watch(interests: readonly Interest[], wake: (reason: WakeReason) => void): Watch;

  snapshot(): CatalogSnapshot;
  beginRestore(): Restorer;

  /** Until when (same clock as `apply`) this server refuses locks of `key`, 0 when it does not: the leader asks before it appends a lock. */
  lockDelayUntilMs(key: string): number;
  /** Gives back memory of removed rows, a fraction of a millisecond's worth; true while there is more. Every command does a little of it; call it when idle. */
  tidy(): boolean;
  /** Forgets lock delays that have passed; cheap, for a timer of the host. */
  expireLockDelays(nowMs: number): void;
}
