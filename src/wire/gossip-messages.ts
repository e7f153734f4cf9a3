/**
 * The messages memberlist exchanges, decoded. Field names are ours; the wire names, their order and their types stand in the
 * codec beside this file. Byte strings stay as received: an address of 16 bytes is written back as 16 bytes.
 * Source: memberlist 0.2–0.6 (`net.go`), protocol versions 1–5.
 */

/** First byte of each message. Frozen: peers of every version know these numbers; only append. */
export const MessageType = {
  ping: 0,
  indirectPing: 1,
  ack: 2,
  suspect: 3,
  alive: 4,
  dead: 5,
  pushPull: 6,
  compound: 7,
  user: 8,
  compress: 9,
  encrypt: 10,
  nack: 11,
  hasCrc: 12,
  err: 13,
  hasLabel: 244,
} as const;

/** Where an answer to a ping should go. Absent on the wire when empty: `addr` null, `port` 0, `node` "". */
export interface Source {
  readonly sourceAddr: Uint8Array | null;
  readonly sourcePort: number;
  readonly sourceNode: string;
}

export interface Ping extends Source {
  readonly kind: "ping";
  readonly seq: number;
  /** Name of the node meant; a node of another name does not answer. "" means anybody. */
  readonly node: string;
}

export interface IndirectPing extends Source {
  readonly kind: "indirectPing";
  readonly seq: number;
  readonly target: Uint8Array;
  readonly port: number;
  readonly node: string;
  /** The asker understands `nack`. */
  readonly nack: boolean;
}

export interface Ack {
  readonly kind: "ack";
  readonly seq: number;
  /** Coordinate of the answering node (Serf), or null. */
  readonly payload: Uint8Array | null;
}

export interface Nack {
  readonly kind: "nack";
  readonly seq: number;
}

export interface Suspect {
  readonly kind: "suspect";
  readonly incarnation: number;
  readonly node: string;
  readonly from: string;
}

export interface Dead {
  readonly kind: "dead";
  readonly incarnation: number;
  readonly node: string;
  /** Equal to `node` when the node left on its own. */
  readonly from: string;
}

export interface Alive {
  readonly kind: "alive";
  readonly incarnation: number;
  readonly node: string;
  readonly addr: Uint8Array;
  readonly port: number;
  readonly meta: Uint8Array;
  /** [PMin, PMax, PCur, DMin, DMax, DCur]; shorter or empty when the sender is old. */
  readonly versions: Uint8Array;
}

/** An opaque message of the layer above: Serf. */
export interface User {
  readonly kind: "user";
  readonly payload: Uint8Array;
}

export interface ErrorMessage {
  readonly kind: "err";
  readonly error: string;
}

/** State of a node in a push/pull, as numbered on the wire. Frozen. */
export const NodeStateCode = { alive: 0, suspect: 1, dead: 2, left: 3 } as const;

export interface PushPullNode {
  readonly name: string;
  readonly addr: Uint8Array;
  readonly port: number;
  readonly meta: Uint8Array;
  readonly incarnation: number;
  readonly state: number;
  readonly versions: Uint8Array;
}

export interface PushPull {
  readonly kind: "pushPull";
  readonly join: boolean;
  readonly nodes: readonly PushPullNode[];
  /** Serf's push/pull state; null when none was sent. */
  readonly userState: Uint8Array | null;
}

/** What one plain datagram message can be (compound, compress, CRC and encryption are already taken off). */
export type PacketMessage = Ping | IndirectPing | Ack | Nack | Suspect | Alive | Dead | User;

/** What one plain stream message can be. */
export type StreamMessage = Ping | Ack | PushPull | User | ErrorMessage;
