/**
 * The remote procedures of a Consul server (reference: consul-agent §6.4): what HTTP handlers, peers and client agents call. Names, arguments and replies are
 * Consul's; only units differ (ms instead of ns), and the codec (`wire/rpc-codec.ts`) converts them.
 */
import type { CheckedInstance, Rows, ServiceInstance, TxnOutcome } from "../../catalog/types.ts";
import type { AutopilotRequest, AutopilotSettings } from "../../wire/autopilot-command.ts";
import type { NodeCoordinate } from "../../wire/coordinate-command.ts";
import type {
  CatalogNode, DeregisterRequest, DirEntry, HealthCheck, KvRequest, NodeService, RegisterRequest, Session, SessionRequest, TxnOp, TxnRequest,
} from "../../wire/fsm-commands.ts";
import type { WireCoordinate } from "../../wire/serf-messages.ts";

/** How a read is to be answered. */
export interface QueryOptions {
  /** 0: answer at once; else only when the result's index is larger, or at the deadline. */
  readonly minQueryIndex: number;
  /** At most this long, before jitter; 0: the server's default of 5 minutes. */
  readonly maxQueryTimeMs: number;
  /** Any server may answer from its own state. */
  readonly allowStale: boolean;
  /** The leader asks a quorum first. */
  readonly requireConsistent: boolean;
  readonly maxStaleMs: number;
  /** `?filter=` expression, "" for none. */
  readonly filter: string;
}

export interface QueryMeta {
  readonly index: number;
  /** ms since the answering server heard of its leader; 0 on the leader. */
  readonly lastContactMs: number;
  readonly knownLeader: boolean;
  readonly consistency: "leader" | "stale" | "consistent";
}

export interface Queried<T> {
  readonly meta: QueryMeta;
  readonly value: T;
}

interface ReadArgs {
  readonly datacenter: string;
  readonly options: QueryOptions;
}

export interface KeyArgs extends ReadArgs {
  /** A key, or the prefix of a list. */
  readonly key: string;
}

export interface KeysArgs extends ReadArgs {
  readonly prefix: string;
  readonly separator: string;
}

export interface SessionArgs extends ReadArgs {
  /** "" for a list. */
  readonly sessionId: string;
}

export interface NodeArgs extends ReadArgs {
  readonly node: string;
}

/** An agent tells where it is. */
export interface CoordinateArgs {
  readonly datacenter: string;
  readonly node: string;
  readonly segment: string;
  /** Null when none was given, which is an error. */
  readonly coord: WireCoordinate | null;
}

export interface NodesArgs extends ReadArgs {
  /** Meta data that a node must have, all of them. */
  readonly nodeMeta: ReadonlyMap<string, string>;
  /** Sort by the round trip from this node, nearest first; "" leaves the order. */
  readonly near: string;
}

export interface ServiceArgs extends NodesArgs {
  readonly service: string;
  /** All of these, in any case; empty: whatever tags. */
  readonly tags: readonly string[];
  /** Only instances with this address, the service's own or its node's; "" for any. */
  readonly address: string;
}

export interface StateArgs extends NodesArgs {
  readonly state: string;
}

export interface TxnReadArgs extends ReadArgs {
  readonly ops: readonly TxnOp[];
}

export interface DatacenterArgs {
  readonly datacenter: string;
}

export interface RaftServerInfo {
  readonly id: string;
  readonly node: string;
  readonly address: string;
  readonly leader: boolean;
  readonly protocolVersion: string;
  readonly voter: boolean;
}

export interface RaftStats {
  /** As Go prints a duration; "0" on the leader, "never" without contact. */
  readonly lastContact: string;
  readonly lastTerm: number;
  readonly lastIndex: number;
}

export interface NodeWithServices {
  readonly node: CatalogNode;
  readonly services: readonly NodeService[];
}

/** All that is known of a node. */
export interface NodeInfo extends NodeWithServices {
  readonly checks: readonly HealthCheck[];
}

export interface DatacenterCoordinates {
  readonly datacenter: string;
  readonly areaId: string;
  readonly coordinates: readonly NodeCoordinate[];
}

export interface ServerHealth {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly status: "none" | "alive" | "leaving" | "left" | "failed";
  readonly version: string;
  readonly leader: boolean;
  /** null: never heard of. */
  readonly lastContactMs: number | null;
  readonly lastTerm: number;
  readonly lastIndex: number;
  readonly healthy: boolean;
  readonly voter: boolean;
  /** Since when it has been as healthy as it is, in ns since 1970. */
  readonly stableSinceNs: bigint;
}

export interface ClusterHealth {
  readonly healthy: boolean;
  /** Voters that may fail without loss of the quorum. */
  readonly failureTolerance: number;
  readonly servers: readonly ServerHealth[];
}

/** Arguments and reply of each procedure. */
export interface RpcMethods {
  "Status.Ping": { readonly args: DatacenterArgs; readonly reply: null };
  "Status.Leader": { readonly args: DatacenterArgs; readonly reply: string };
  "Status.Peers": { readonly args: DatacenterArgs; readonly reply: readonly string[] };
  "Status.RaftStats": { readonly args: DatacenterArgs; readonly reply: RaftStats };
  "KVS.Apply": { readonly args: KvRequest; readonly reply: boolean };
  "KVS.Get": { readonly args: KeyArgs; readonly reply: Queried<readonly DirEntry[]> };
  "KVS.List": { readonly args: KeyArgs; readonly reply: Queried<Rows<DirEntry>> };
  "KVS.ListKeys": { readonly args: KeysArgs; readonly reply: Queried<Rows<string>> };
  "Session.Apply": { readonly args: SessionRequest; readonly reply: string };
  "Session.Get": { readonly args: SessionArgs; readonly reply: Queried<readonly Session[]> };
  "Session.List": { readonly args: SessionArgs; readonly reply: Queried<readonly Session[]> };
  "Session.NodeSessions": { readonly args: NodeArgs; readonly reply: Queried<readonly Session[]> };
  "Session.Renew": { readonly args: SessionArgs; readonly reply: Queried<readonly Session[]> };
  "Txn.Apply": { readonly args: TxnRequest; readonly reply: TxnOutcome };
  "Txn.Read": { readonly args: TxnReadArgs; readonly reply: Queried<TxnOutcome> };
  "Catalog.Register": { readonly args: RegisterRequest; readonly reply: null };
  "Catalog.Deregister": { readonly args: DeregisterRequest; readonly reply: null };
  "Catalog.ListDatacenters": { readonly args: DatacenterArgs; readonly reply: readonly string[] };
  "Catalog.ListNodes": { readonly args: NodesArgs; readonly reply: Queried<readonly CatalogNode[]> };
  "Catalog.ListServices": { readonly args: NodesArgs; readonly reply: Queried<ReadonlyMap<string, readonly string[]>> };
  "Catalog.NodeServices": { readonly args: NodeArgs; readonly reply: Queried<NodeWithServices | null> };
  "Catalog.NodeServiceList": { readonly args: NodeArgs; readonly reply: Queried<NodeWithServices | null> };
  "Health.NodeChecks": { readonly args: NodeArgs; readonly reply: Queried<readonly HealthCheck[]> };
  "Health.ChecksInState": { readonly args: StateArgs; readonly reply: Queried<readonly HealthCheck[]> };
  "Catalog.ServiceNodes": { readonly args: ServiceArgs; readonly reply: Queried<readonly ServiceInstance[]> };
  "Health.ServiceNodes": { readonly args: ServiceArgs; readonly reply: Queried<readonly CheckedInstance[]> };
  "Health.ServiceChecks": { readonly args: ServiceArgs; readonly reply: Queried<readonly HealthCheck[]> };
  "Internal.NodeInfo": { readonly args: NodeArgs; readonly reply: Queried<readonly NodeInfo[]> };
  "Internal.NodeDump": { readonly args: NodesArgs; readonly reply: Queried<readonly NodeInfo[]> };
  "Internal.ServiceDump": { readonly args: NodesArgs; readonly reply: Queried<readonly CheckedInstance[]> };
  "Coordinate.ListDatacenters": { readonly args: DatacenterArgs; readonly reply: readonly DatacenterCoordinates[] };
  "Coordinate.ListNodes": { readonly args: NodesArgs; readonly reply: Queried<readonly NodeCoordinate[]> };
  "Coordinate.Node": { readonly args: NodeArgs; readonly reply: Queried<readonly NodeCoordinate[]> };
  "Operator.AutopilotGetConfiguration": { readonly args: ReadArgs; readonly reply: AutopilotSettings };
  "Operator.AutopilotSetConfiguration": { readonly args: AutopilotRequest; readonly reply: boolean };
  "Operator.ServerHealth": { readonly args: ReadArgs; readonly reply: ClusterHealth };
  "Coordinate.Update": { readonly args: CoordinateArgs; readonly reply: null };
  "Operator.RaftGetConfiguration": { readonly args: ReadArgs; readonly reply: { readonly servers: readonly RaftServerInfo[]; readonly index: number } };
  "Operator.RaftRemovePeerByID": { readonly args: { readonly datacenter: string; readonly id: string }; readonly reply: null };
  "Operator.RaftRemovePeerByAddress": { readonly args: { readonly datacenter: string; readonly address: string }; readonly reply: null };
}

export type RpcMethod = keyof RpcMethods;
export type RpcArgs = RpcMethods[RpcMethod]["args"];
export type RpcReply = RpcMethods[RpcMethod]["reply"];

/** The error text is what the client sees; a hop in between prefixes it with "rpc error making call: ". */
export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string };
export type RpcOutcome = Outcome<RpcReply>;

