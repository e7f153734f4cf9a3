/**
 * The contract of a Consul server (`server.ts`): Raft core, replicated catalog, procedures, blocking queries and the leader's duties as one machine without I/O.
 * `step(input, nowMs, out)` applies one input; `flush` sends what the turn gathered to the log; `wakeAtMs` names the next deadline.
 */
import type { CompileExpression } from "../../api/filter/evaluate.ts";
import type { RpcArgs, RpcMethod, RpcOutcome } from "../../api/rpc/types.ts";
import type { CatalogSnapshot } from "../../catalog/types.ts";
import type { LogLevel, PeerAddress, RaftEffect, RaftInput, Role, SnapshotMeta } from "../../raft/types.ts";
import type { RaftConfiguration } from "../../wire/raft-messages.ts";

export interface ServerConfig {
  readonly nodeName: string;
  /** UUID; the Raft id. */
  readonly nodeId: string;
  readonly datacenter: string;
  /** "ip:port" of our server port. */
  readonly address: string;
  /** Servers that must be seen before the first election; 0: wait to be added. */
  readonly bootstrapExpect: number;
  /** How long a call waits for a leader. */
  readonly rpcHoldTimeoutMs: number;
  /** What the first leader of a datacenter writes; from then on the replicated settings count. */
  readonly autopilot: AutopilotConfig;
  readonly logLevel: LogLevel;
  /** Coordinates that agents told are written this often. */
  readonly coordinatePeriodMs: number;
  /** Added to the clock of `step` gives ms since 1970: for times that are shown. */
  readonly epochOffsetMs: number;
  readonly compileExpression: CompileExpression;
}

export interface AutopilotConfig {
  readonly cleanupDeadServers: boolean;
  readonly lastContactThresholdMs: number;
  readonly maxTrailingLogs: number;
  readonly minQuorum: number;
  readonly serverStabilizationMs: number;
}

/** A member of the LAN pool as the leader sees it. */
export interface ServerMember {
  readonly name: string;
  /** UUID of its `id` tag. */
  readonly id: string;
  readonly ip: string;
  readonly status: "alive" | "failed" | "left";
  /** Null for a client agent. */
  readonly server: ServerInfo | null;
}

/** From the tags of a server (reference: consul-agent §5.4). */
export interface ServerInfo {
  readonly port: number;
  readonly expect: number;
  readonly nonVoter: boolean;
  readonly raftVersion: string;
  readonly version: string;
  readonly protocolCur: number;
  readonly protocolMin: number;
  readonly protocolMax: number;
}

/** Chosen by the driver, unique while unanswered. */
export type CallId = number;

export type ServerInput =
  | { readonly kind: "wake" }
  | { readonly kind: "raft"; readonly input: RaftInput }
  /** Gets exactly one `reply`, or none after a `cancel`. */
  | { readonly kind: "call"; readonly call: CallId; readonly method: RpcMethod; readonly args: RpcArgs }
  /** Whoever asked is gone. */
  | { readonly kind: "cancel"; readonly call: CallId }
  /** What the leader answered to a `forward`; a broken connection is an error outcome. */
  | { readonly kind: "forwarded"; readonly call: CallId; readonly outcome: RpcOutcome }
  /** A member joined, changed, failed or left. */
  | { readonly kind: "member"; readonly member: ServerMember }
  /** The pool has forgotten it. */
  | { readonly kind: "reaped"; readonly name: string }
  /** Peers of another server, asked by `askPeers`; null when it did not answer. */
  | { readonly kind: "peers"; readonly name: string; readonly peers: readonly string[] | null }
  /** Bytes of the snapshot named by `loadSnapshot`, in order; null after the last. */
  | { readonly kind: "snapshotPiece"; readonly piece: Uint8Array | null }
  /** Give leadership away and leave the configuration, as far as that is possible; `left` follows. */
  | { readonly kind: "leave" };

/** What Raft asks of log and network goes through unchanged. */
export type PassedEffect = Extract<
  RaftEffect,
  { readonly kind: "append" | "compact" | "readLog" | "send" | "answer" | "receiveSnapshot" | "dialCheck" | "forgetPeer" | "log" | "count" | "sample" }
>;

export type ServerEffect =
  | PassedEffect
  | { readonly kind: "reply"; readonly call: CallId; readonly outcome: RpcOutcome }
  | { readonly kind: "forward"; readonly call: CallId; readonly to: PeerAddress; readonly method: RpcMethod; readonly args: RpcArgs }
  /** Nobody waits for this forwarded call any more. */
  | { readonly kind: "forgetForward"; readonly call: CallId }
  /** The same for a call that must not be carried out any more, should it not have arrived yet: its connection is of no more use. */
  | { readonly kind: "abandonForward"; readonly call: CallId }
  /** Write this state to the snapshot store, then give `snapshotTaken` or `snapshotFailed` to Raft. */
  | {
      readonly kind: "saveSnapshot";
      readonly snapshot: CatalogSnapshot;
      readonly index: number;
      readonly term: number;
      readonly configuration: RaftConfiguration;
      readonly configurationIndex: number;
    }
  /** Read this snapshot from the store and give it as `snapshotPiece` inputs. */
  | { readonly kind: "loadSnapshot"; readonly meta: SnapshotMeta }
  /** Ask these servers for their peers (`Status.Peers`). */
  | { readonly kind: "askPeers"; readonly servers: readonly ServerMember[] }
  | { readonly kind: "userEvent"; readonly name: string; readonly payload: string }
  | { readonly kind: "roleChanged"; readonly role: Role; readonly term: number; readonly leader: PeerAddress | null }
  /** The request to leave is done. */
  | { readonly kind: "left" }
  /** The state would differ from the other servers': stop. */
  | { readonly kind: "fatal"; readonly reason: string };
