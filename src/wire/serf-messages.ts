/**
 * Serf's own messages, decoded; they travel as the payload of memberlist `user` messages (reference: serf-protocol §7).
 * Lamport times are JS numbers: the decoder refuses values above 2^53 - 1.
 */

/** First byte of each Serf message. Frozen: only append. */
export const SerfMessageType = {
  leave: 0,
  join: 1,
  pushPull: 2,
  userEvent: 3,
  query: 4,
  queryResponse: 5,
  conflictResponse: 6,
  keyRequest: 7,
  keyResponse: 8,
  relay: 9,
} as const;

export interface LeaveIntent {
  readonly kind: "leave";
  readonly lamportTime: number;
  readonly node: string;
  readonly prune: boolean;
}

export interface JoinIntent {
  readonly kind: "join";
  readonly lamportTime: number;
  readonly node: string;
}

export interface UserEventMessage {
  readonly kind: "userEvent";
  readonly lamportTime: number;
  readonly name: string;
  readonly payload: Uint8Array | null;
  readonly coalesce: boolean;
}

/** All events of one Lamport time: a slot of the event ring. */
export interface EventSlot {
  readonly lamportTime: number;
  readonly events: readonly { readonly name: string; readonly payload: Uint8Array | null }[];
}

export interface SerfPushPull {
  readonly kind: "pushPull";
  readonly lamportTime: number;
  readonly statusTimes: ReadonlyMap<string, number>;
  readonly leftMembers: readonly string[];
  readonly eventTime: number;
  /** The event ring, slot index = Lamport time mod ring size; null is an empty slot. Receivers accept any length. */
  readonly events: readonly (EventSlot | null)[];
  readonly queryTime: number;
}

export const QueryFlag = { ack: 1, noBroadcast: 2 } as const;

export interface QueryMessage {
  readonly kind: "query";
  readonly lamportTime: number;
  readonly id: number;
  readonly addr: Uint8Array;
  readonly port: number;
  readonly sourceNode: string;
  /** Encoded filters (type byte + body), see `decodeFilter`; null when there are none. */
  readonly filters: readonly Uint8Array[] | null;
  readonly flags: number;
  readonly relayFactor: number;
  /** Nanoseconds on the wire; here ms, fractional part kept. */
  readonly timeoutMs: number;
  readonly name: string;
  readonly payload: Uint8Array | null;
}

export interface QueryResponseMessage {
  readonly kind: "queryResponse";
  readonly lamportTime: number;
  readonly id: number;
  readonly from: string;
  readonly flags: number;
  readonly payload: Uint8Array | null;
}

export interface Relay {
  readonly kind: "relay";
  readonly destAddr: Uint8Array;
  readonly destPort: number;
  readonly destName: string;
  /** A complete Serf message, type byte first, to be passed on unchanged. */
  readonly message: Uint8Array;
}

/** Serf messages that travel as gossip or as direct user messages. */
export type SerfMessage = LeaveIntent | JoinIntent | UserEventMessage | QueryMessage | QueryResponseMessage | Relay;

/** Filter of a query (type 0: node names; type 1: a tag's value must match an RE2 expression, unanchored). */
export type QueryFilter =
  | { readonly kind: "nodes"; readonly nodes: readonly string[] }
  | { readonly kind: "tag"; readonly tag: string; readonly expr: string };

/** Member status as numbered inside a conflict response. Frozen. */
export const MemberStatusCode = { none: 0, alive: 1, leaving: 2, left: 3, failed: 4 } as const;

/** Body of a conflict response; `null` on the wire (nil) when the node is unknown. */
export interface ConflictMember {
  readonly name: string;
  readonly addr: Uint8Array;
  readonly port: number;
  readonly tags: ReadonlyMap<string, string>;
  readonly status: number;
  readonly protocolMin: number;
  readonly protocolMax: number;
  readonly protocolCur: number;
  readonly delegateMin: number;
  readonly delegateMax: number;
  readonly delegateCur: number;
}

export interface KeyResponse {
  readonly result: boolean;
  readonly message: string;
  /** Base64 keys in ring order, or null. */
  readonly keys: readonly string[] | null;
  readonly primaryKey: string;
}

/** A Vivaldi coordinate (all in seconds), payload of probe acks: version byte 1, then msgpack. */
export interface WireCoordinate {
  readonly vec: readonly number[];
  readonly error: number;
  readonly adjustment: number;
  readonly height: number;
}
