/**
 * The contract of the SWIM core (`swim.ts`): what goes in, what comes out, and what the layer above must offer.
 *
 * The core is a machine: `step(input, nowMs, out)` applies one input and appends effects; `wakeAtMs` names the next deadline.
 * It knows no clock, no socket and no randomness of its own. Inputs from peers never make it throw.
 * Messages are plain: whoever drives the core takes compound, compression, CRC, encryption and label off (and puts them on).
 */
import type { Endpoint } from "../base/endpoint.ts";
import type { Cidr } from "./cidr.ts";
import type { MemberRecord } from "./member-records.ts";
import type { KnownMessage, Repeat } from "./messages.ts";
import type { StateArrays } from "./state-arrays.ts";
import type { SharedState } from "./shared-state.ts";

export interface SwimConfig {
  readonly name: string;
  /** Advertised address. */
  readonly advertise: Endpoint;
  /** Port that stands in for a received port 0. */
  readonly bindPort: number;
  /** [PMin, PMax, PCur, DMin, DMax, DCur] announced with our alive; Serf: 1 5 2 2 5 protocol. */
  readonly versions: Uint8Array;
  readonly meta: Uint8Array;
  readonly profile: SwimProfile;
  /** Bytes that encryption and label add to each datagram; taken off the packet budget (29 for AES-GCM version 1). */
  readonly packetOverheadBytes: () => number;
  /** Members of a peer's state that are merged in one step; the rest follow with the next wakes. Absent: all at once. */
  readonly mergeSliceNodes?: number | undefined;
  /** Lines below this level need not be built. */
  readonly logLevel: LogLevel;
  /** Networks that members may come from; absent: any, an empty list: none. */
  readonly allowedNetworks?: readonly Cidr[];
  /** Refuse to join an address without a node name (`name/host:port`). */
  readonly requireNodeNames?: boolean;
}

/** Timing and fan-out; `lan`, `wan` and `local` stand in `profiles.ts`. All times in ms. */
export interface SwimProfile {
  readonly tcpTimeoutMs: number;
  readonly indirectChecks: number;
  readonly retransmitMult: number;
  /** Ours: broadcasts are sent at least ln(nodes) + this many times while packets have room (see `retransmitFloor`); e^−margin of them miss somebody. */
  readonly retransmitMargin: number;
  readonly suspicionMult: number;
  readonly suspicionMaxTimeoutMult: number;
  readonly pushPullIntervalMs: number;
  /** Ours: mean delay of the extra push/pull after one that taught us much; doubles while each teaches more. */
  readonly earlySyncMs: number;
  readonly probeTimeoutMs: number;
  readonly probeIntervalMs: number;
  readonly gossipNodes: number;
  readonly gossipIntervalMs: number;
  readonly gossipToTheDeadMs: number;
  readonly awarenessMaxMultiplier: number;
  /** Largest datagram we send. */
  readonly packetSizeBytes: number;
  readonly deadNodeReclaimMs: number;
  readonly tcpPings: boolean;
  /** Lifeguard's Buddy System: a suspect is told of the suspicion with the next ping. Off only in studies of plain SWIM. */
  readonly tellsSuspects: boolean;
  /** Ours: after a pause of our own process, whoever we judge gets the lost time back. Off only where the original is studied. */
  readonly forgivesPauses: boolean;
}

export type LogLevel = "trace" | "debug" | "info" | "warn" | "err";

/** A stream's number is chosen by whoever starts it: the core counts its own dials up from 1, drivers count accepted ones down from -1. */
export type StreamId = number;
/** Chosen by the caller of a command; comes back in its `reply`. */
export type RequestId = number;

export interface JoinTarget {
  /** Node name of `name/host:port`, or "". */
  readonly name: string;
  readonly to: Endpoint;
}

export type SwimInput =
  | { readonly kind: "wake" }
  /** One plain datagram message, type byte first. `bytes` may be kept by the core: the driver must not reuse the memory. */
  | {
      readonly kind: "message";
      readonly from: Endpoint;
      readonly bytes: Uint8Array;
      /** What the bytes say, where the nodes of one process share what they decode (a simulation). */
      readonly known?: KnownMessage | null;
    }
  | { readonly kind: "streamOpened"; readonly stream: StreamId }
  /** One complete plain stream message (a push/pull with all its nodes and user state), type byte first. */
  | {
      readonly kind: "streamMessage";
      readonly stream: StreamId;
      readonly from: Endpoint;
      readonly bytes: Uint8Array;
      /** A full state by reference, in place of bytes, where the nodes of one process share records (a simulation). */
      readonly state?: SharedState | null;
    }
  /** Dial refused or timed out, connection broken, undecodable data, closed by the peer before an answer. */
  | { readonly kind: "streamFailed"; readonly stream: StreamId; readonly error: string }
  | { readonly kind: "join"; readonly request: RequestId; readonly targets: readonly JoinTarget[] }
  | { readonly kind: "leave"; readonly request: RequestId; readonly timeoutMs: number }
  | { readonly kind: "updateMeta"; readonly request: RequestId; readonly meta: Uint8Array; readonly timeoutMs: number };

export type SwimEffect =
  /**
   * Send these plain messages as one datagram to each target (compound when more than one). Encoded and sealed by the driver:
   * compressed once, sealed once per target. `crc`: the targets understand the CRC header. `slots`: where nodes share records, the slot of each target
   * that is the first variant of it, else -1. `survey`: what `Sharing.survey` has said of the messages.
   */
  | {
      readonly kind: "packet";
      readonly to: readonly Endpoint[];
      readonly messages: readonly Uint8Array[];
      readonly crc: boolean;
      readonly slots?: readonly number[];
      readonly survey?: unknown;
    }
  | { readonly kind: "dial"; readonly stream: StreamId; readonly to: Endpoint; readonly timeoutMs: number }
  | {
      readonly kind: "streamSend";
      readonly stream: StreamId;
      readonly bytes: Uint8Array;
      /** A full state by reference, in place of bytes; only where nodes share records. */
      readonly state?: SharedState | null;
    }
  /** Close once everything sent is flushed. The core forgets the stream: no further input for it is expected. */
  | { readonly kind: "streamClose"; readonly stream: StreamId }
  | { readonly kind: "log"; readonly level: LogLevel; readonly text: string }
  /** A counter to add to; names as in lessons §4 (`memberlist.msg.suspect`, …). */
  | { readonly kind: "count"; readonly name: string; readonly delta: number }
  /** Answer to a command. `errors` lists what failed, in the wording of the originals; empty means success. */
  | { readonly kind: "reply"; readonly request: RequestId; readonly value: ReplyValue; readonly errors: readonly string[] };

/** Result of a command: a join's number of contacted nodes, or nothing. Serf adds its own (see `serf/types.ts`). */
export type ReplyValue = { readonly kind: "none" } | { readonly kind: "joined"; readonly nodes: number };

export type SwimState = "alive" | "suspect" | "dead" | "left";

/** A view of one member; a fresh object per call, safe to keep. */
export interface SwimMember {
  readonly name: string;
  readonly addr: Uint8Array;
  readonly ip: string;
  readonly port: number;
  readonly meta: Uint8Array;
  readonly versions: Uint8Array;
  readonly incarnation: number;
  readonly state: SwimState;
}

/** What the layer above tells in a push/pull, by reference. */
export interface UpperState {
  /** Bytes of the encoded state. */
  readonly size: number;
  encode(): Uint8Array;
}

/**
 * What the layer above (Serf) offers to SWIM; all calls are synchronous, inside `step`, and append to the same `out`.
 * The counterpart of memberlist's delegates.
 */
export interface SwimDelegate<Out> {
  /** A member appeared or came back. `slot` and `variant` are its place in the records that both layers share. */
  memberJoined(member: MemberRecord, nowMs: number, out: Out[], slot: number, variant: number): void;
  /** A member left (`state` left) or was declared dead (`state` dead). */
  memberLeft(member: SwimMember, nowMs: number, out: Out[]): void;
  /** A member's meta changed. */
  memberUpdated(member: SwimMember, nowMs: number, out: Out[]): void;
  /** Somebody announces an alive member's name from another address. */
  memberConflict(existing: SwimMember, other: SwimMember, nowMs: number, out: Out[]): void;
  /**
   * A user message arrived; `message` from `start` on is a Serf message, behind the type byte of a packet's message when `start` is 1. True when it is
   * settled: whatever comes, a further copy of the very same bytes would change nothing.
   */
  userMessage(message: Uint8Array, start: 0 | 1, from: Endpoint | null, nowMs: number, out: Out[], known?: KnownMessage | null): boolean;
  /** As `userMessage`, of a user event that nodes of this process share. */
  knownEvent(known: KnownMessage, nowMs: number, out: Out[]): void;
  /** Whether `userMessage` of this would change anything. */
  judgeRepeat(known: KnownMessage): Repeat;
  /** Appends to `into` queued messages (of type `user`) for a packet: each costs `overhead + length`, together at most `limit` bytes; returns the bytes used. `targets`: how many nodes will receive them. */
  takeBroadcasts(overhead: number, limit: number, targets: number, into: Uint8Array[]): number;
  /** Something waits in those queues. While nothing does anywhere, the gossip timer sleeps. */
  hasBroadcasts(): boolean;
  /** As `localState`, by reference, for a node of this process. Asked only where nodes share records. */
  sharedState(join: boolean, arrays: StateArrays): UpperState | null;
  mergeSharedState(state: UpperState, join: boolean, nowMs: number, out: Out[]): void;
  /** User state for a push/pull; null sends none. */
  localState(join: boolean): Uint8Array | null;
  mergeRemoteState(state: Uint8Array, join: boolean, nowMs: number, out: Out[]): void;
  /** Veto of a push/pull merge (Serf's merge delegate): the reason, or null to accept. Called on joins only. */
  vetoMerge(members: () => readonly SwimMember[]): string | null;
  /** Payload of our acks: the coordinate; null sends none. */
  ackPayload(): Uint8Array | null;
  /** A direct probe was answered. */
  pingCompleted(member: MemberRecord, rttMs: number, payload: Uint8Array | null, nowMs: number, out: Out[]): void;
}

/**
 * Reads of the member table without allocation: `swim.table`, for the simulation's checkers (a look after each step) and for statistics.
 * A row is valid until the next step: rows may move when a member is removed.
 */
export interface MemberTableView {
  /** Grows with each change of any record, so that a reader can skip an unchanged table. */
  readonly revision: number;
  readonly size: number;
  nameAt(row: number): string;
  incarnationAt(row: number): number;
  stateAt(row: number): SwimState;
  /** Null for a member that the table does not have. */
  stateOf(name: string): SwimState | null;
}
