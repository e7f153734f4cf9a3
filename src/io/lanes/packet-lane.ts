/**
 * The packet work of a pool: received datagrams to plain messages, plain messages to sealed datagrams. A lane takes batches and answers by
 * callback, in order, so that the same seam serves inline work and, later, worker threads (DESIGN.md §2).
 */
import type { Endpoint } from "../../base/endpoint.ts";
import type { PacketDrop } from "../../wire/packet.ts";
import type { KeyList } from "../keyring.ts";
import type { PlainMessage } from "../node-runtime.ts";
import type { ReceivedPacket } from "../udp-socket.ts";

export interface OutgoingPacket {
  readonly to: readonly Endpoint[];
  /** One datagram's messages; a compound when more than one. */
  readonly messages: readonly Uint8Array[];
  /** The targets understand the CRC header. */
  readonly crc: boolean;
}

export interface SealedPacket {
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
}

export interface OpenedBatch {
  /** In the order of their packets, and within a packet in its order. */
  readonly messages: readonly PlainMessage[];
  /** Repeats of settled messages, left out. */
  readonly repeats: number;
  /** Gossip left out because we do not keep up. */
  readonly shed: number;
  /** What was dropped, and how often. */
  readonly drops: ReadonlyMap<PacketDrop, number>;
}

/** How a pool's datagrams are made; fixed for the life of the lane, except the keys. */
export interface PacketFormat {
  readonly compress: boolean;
  readonly label: Uint8Array;
  readonly verifyIncoming: boolean;
  readonly verifyOutgoing: boolean;
}

export interface PacketLane {
  /** Packets given to `open` whose work has not begun. */
  readonly waiting: number;
  /** May call `done` several times, each with the next part of the batch; before or after returning. */
  open(batch: readonly ReceivedPacket[], done: (opened: OpenedBatch) => void): void;
  pack(batch: readonly OutgoingPacket[], done: (sealed: readonly SealedPacket[]) => void): void;
  /** Main reports that the message of this hash is settled: its repeats are left out from now on. */
  settle(low: number, high: number): void;
  /** Main knows of this hash that it is settled, whatever the workers know yet. */
  isSettled(low: number, high: number): boolean;
  /** Resolves once the new ring is in force for every packet opened or sealed from now on. */
  setKeys(keys: KeyList): Promise<void>;
  stop(): Promise<void>;
}
