/**
 * memberlist's messages to bytes and back (reference: serf-protocol §3). Every function takes or gives a whole plain message, type
 * byte first. Schemas list the fields in Go's declaration order, which is the order of the array form and of the `case`s below; on
 * the wire the keys are sorted.
 *
 * Byte-string fields are copies. Only the payload of a `user` message and the user state of a push/pull are views of the input.
 */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { fail, ok, type Result } from "../base/result.ts";
import {
  MessageType,
  type Ack,
  type Alive,
  type Dead,
  type ErrorMessage,
  type IndirectPing,
  type Nack,
  type PacketMessage,
  type Ping,
  type PushPull,
  type PushPullNode,
  type Source,
  type StreamMessage,
  type Suspect,
} from "./gossip-messages.ts";
import { Reader, Schema, Writer, encodeKey, intLength, structLength, takeBytes } from "./msgpack.ts";

const U32_MAX = 0xffff_ffff;
const PORT_MAX = 0xffff;

/** Nodes of one push/pull, as memberlist 0.6 limits them. */
export const PUSH_PULL_NODES_MAX = 1_048_576;
/** User state of one push/pull, in bytes, as memberlist 0.6 limits it. */
export const USER_STATE_BYTES_MAX = 20 * 1024 * 1024;
/** One user message on a stream, in bytes. */
export const USER_MESSAGE_BYTES_MAX = 20 * 1024 * 1024;

/** The fields of a message as an encoder takes them: a byte string may be null, which is written as nil. */
export type Fields<T> = { readonly [K in Exclude<keyof T, "kind">]: T[K] extends Uint8Array ? Uint8Array | null : T[K] };

const pingSchema = new Schema("SeqNo", "Node", "SourceAddr", "SourcePort", "SourceNode");
const indirectPingSchema = new Schema("SeqNo", "Target", "Port", "Node", "Nack", "SourceAddr", "SourcePort", "SourceNode");
const ackSchema = new Schema("SeqNo", "Payload");
const nackSchema = new Schema("SeqNo");
const errSchema = new Schema("Error");
const accusationSchema = new Schema("Incarnation", "Node", "From");
const aliveSchema = new Schema("Incarnation", "Node", "Addr", "Port", "Meta", "Vsn");
const pushPullSchema = new Schema("Nodes", "UserStateLen", "Join");
const nodeStateSchema = new Schema("Name", "Addr", "Port", "Meta", "Incarnation", "State", "Vsn");
const userHeaderSchema = new Schema("UserMsgLen");

const reader = new Reader();
const writer = new Writer("gossip");

/** Type byte of a message, -1 of an empty one. */
export function peekType(message: Uint8Array): number {
  return message.length === 0 ? -1 : (message[0] as number);
}

/** Sequence number of a ping, indirect ping, ack or nack without decoding the rest; -1 of anything else. */
export function peekSeq(message: Uint8Array): number {
  const schema = seqSchemaOf(peekType(message));
  if (schema === null) return -1;
  reader.reset(message, 1);
  const head = reader.structHead();
  let seq = 0;
  for (let i = 0; i < structLength(head) && !reader.failed; i += 1) {
    if (reader.field(schema, head, i) === 0) seq = reader.uint(U32_MAX);
    else reader.skip();
  }
  return reader.failed ? -1 : seq;
}

function seqSchemaOf(type: number): Schema | null {
  switch (type) {
    case MessageType.ping:
      return pingSchema;
    case MessageType.indirectPing:
      return indirectPingSchema;
    case MessageType.ack:
      return ackSchema;
    case MessageType.nack:
      return nackSchema;
    default:
      return null;
  }
}

/** Decodes one plain datagram message. Compound, compress, CRC and encryption must be off already: see `openPacket`. */
export function decodePacketMessage(message: Uint8Array): Result<PacketMessage> {
  reader.reset(message, 1);
  switch (peekType(message)) {
    case MessageType.ping:
      return checked(readPing(reader));
    case MessageType.indirectPing:
      return checked(readIndirectPing(reader));
    case MessageType.ack:
      return checked(readAck(reader));
    case MessageType.nack:
      return checked(readNack(reader));
    case MessageType.suspect:
      return checked(readAccusation(reader, "suspect"));
    case MessageType.dead:
      return checked(readAccusation(reader, "dead"));
    case MessageType.alive:
      return checked(readAlive(reader));
    case MessageType.user:
      return ok({ kind: "user", payload: message.subarray(1) });
    case -1:
      return fail("empty message");
    default:
      return fail("unknown message type");
  }
}

function checked<T>(message: T): Result<T> {
  return reader.failed ? fail(reader.short ? "message ends too early" : "malformed message") : ok(message);
}

function readPing(r: Reader): Ping {
  let seq = 0;
  let node = "";
  let sourceAddr: Uint8Array | null = null;
  let sourcePort = 0;
  let sourceNode = "";
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(pingSchema, head, i)) {
      case 0:
        seq = r.uint(U32_MAX);
        break;
      case 1:
        node = r.text();
        break;
      case 2:
        sourceAddr = r.bytes();
        break;
      case 3:
        sourcePort = r.uint(PORT_MAX);
        break;
      case 4:
        sourceNode = r.text();
        break;
      default:
        r.skip();
    }
  }
  return { kind: "ping", seq, node, sourceAddr, sourcePort, sourceNode };
}

function readIndirectPing(r: Reader): IndirectPing {
  let seq = 0;
  let target: Uint8Array = EMPTY_BYTES;
  let port = 0;
  let node = "";
  let nack = false;
  let sourceAddr: Uint8Array | null = null;
  let sourcePort = 0;
  let sourceNode = "";
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(indirectPingSchema, head, i)) {
      case 0:
        seq = r.uint(U32_MAX);
        break;
      case 1:
        target = r.bytes() ?? EMPTY_BYTES;
        break;
      case 2:
        port = r.uint(PORT_MAX);
        break;
      case 3:
        node = r.text();
        break;
      case 4:
        nack = r.bool();
        break;
      case 5:
        sourceAddr = r.bytes();
        break;
      case 6:
        sourcePort = r.uint(PORT_MAX);
        break;
      case 7:
        sourceNode = r.text();
        break;
      default:
        r.skip();
    }
  }
  return { kind: "indirectPing", seq, target, port, node, nack, sourceAddr, sourcePort, sourceNode };
}

function readAck(r: Reader): Ack {
  let seq = 0;
  let payload: Uint8Array | null = null;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(ackSchema, head, i)) {
      case 0:
        seq = r.uint(U32_MAX);
        break;
      case 1:
        payload = r.bytes();
        break;
      default:
        r.skip();
    }
  }
  return { kind: "ack", seq, payload };
}

function readNack(r: Reader): Nack {
  let seq = 0;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    if (r.field(nackSchema, head, i) === 0) seq = r.uint(U32_MAX);
    else r.skip();
  }
  return { kind: "nack", seq };
}

function readAccusation<K extends "suspect" | "dead">(r: Reader, kind: K): { kind: K; incarnation: number; node: string; from: string } {
  let incarnation = 0;
  let node = "";
  let from = "";
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(accusationSchema, head, i)) {
      case 0:
        incarnation = r.uint(U32_MAX);
        break;
      case 1:
        node = r.text();
        break;
      case 2:
        from = r.text();
        break;
      default:
        r.skip();
    }
  }
  return { kind, incarnation, node, from };
}

function readAlive(r: Reader): Alive {
  let incarnation = 0;
  let node = "";
  let addr: Uint8Array = EMPTY_BYTES;
  let port = 0;
  let meta: Uint8Array = EMPTY_BYTES;
  let versions: Uint8Array = EMPTY_BYTES;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(aliveSchema, head, i)) {
      case 0:
        incarnation = r.uint(U32_MAX);
        break;
      case 1:
        node = r.text();
        break;
      case 2:
        addr = r.bytes() ?? EMPTY_BYTES;
        break;
      case 3:
        port = r.uint(PORT_MAX);
        break;
      case 4:
        meta = r.bytes() ?? EMPTY_BYTES;
        break;
      case 5:
        versions = r.bytes() ?? EMPTY_BYTES;
        break;
      default:
        r.skip();
    }
  }
  return { kind: "alive", incarnation, node, addr, port, meta, versions };
}

/** Header of a push/pull on a stream; `nodes` node states and `userStateLength` raw bytes follow it. */
export interface PushPullHead {
  readonly nodes: number;
  readonly userStateLength: number;
  readonly join: boolean;
}

/** Reads a push/pull header, the type byte already consumed. Counts beyond the limits or below zero make the reader fail. */
export function readPushPullHead(r: Reader): PushPullHead {
  let nodes = 0;
  let userStateLength = 0;
  let join = false;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(pushPullSchema, head, i)) {
      case 0:
        nodes = r.int();
        break;
      case 1:
        userStateLength = r.int();
        break;
      case 2:
        join = r.bool();
        break;
      default:
        r.skip();
    }
  }
  return { nodes, userStateLength, join };
}

/** The header's counts are within the limits. */
export function isPushPullHeadValid({ nodes, userStateLength }: PushPullHead): boolean {
  return nodes >= 0 && nodes <= PUSH_PULL_NODES_MAX && userStateLength >= 0 && userStateLength <= USER_STATE_BYTES_MAX;
}

/** Reads one node state of a push/pull. */
export function readNodeState(r: Reader): PushPullNode {
  let name = "";
  let addr: Uint8Array = EMPTY_BYTES;
  let port = 0;
  let meta: Uint8Array = EMPTY_BYTES;
  let incarnation = 0;
  let state = 0;
  let versions: Uint8Array = EMPTY_BYTES;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(nodeStateSchema, head, i)) {
      case 0:
        name = r.text();
        break;
      case 1:
        addr = r.bytes() ?? EMPTY_BYTES;
        break;
      case 2:
        port = r.uint(PORT_MAX);
        break;
      case 3:
        meta = r.bytes() ?? EMPTY_BYTES;
        break;
      case 4:
        incarnation = r.uint(U32_MAX);
        break;
      case 5:
        state = r.int();
        break;
      case 6:
        versions = r.bytes() ?? EMPTY_BYTES;
        break;
      default:
        r.skip();
    }
  }
  return { name, addr, port, meta, incarnation, state, versions };
}

/** Reads the header of a user message on a stream, the type byte already consumed: the number of bytes behind it. */
export function readUserHead(r: Reader): number {
  let length = 0;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    if (r.field(userHeaderSchema, head, i) === 0) length = r.int();
    else r.skip();
  }
  return length;
}

function readError(r: Reader): ErrorMessage {
  let error = "";
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    if (r.field(errSchema, head, i) === 0) error = r.text();
    else r.skip();
  }
  return { kind: "err", error };
}

/** Decodes one whole plain stream message. For bytes that arrive in pieces see `StreamReader`. */
export function decodeStreamMessage(message: Uint8Array): Result<StreamMessage> {
  reader.reset(message, 1);
  switch (peekType(message)) {
    case MessageType.ping:
      return checked(readPing(reader));
    case MessageType.ack:
      return checked(readAck(reader));
    case MessageType.err:
      return checked(readError(reader));
    case MessageType.pushPull:
      return decodePushPull();
    case MessageType.user: {
      const length = readUserHead(reader);
      if (length < 0 || length > USER_MESSAGE_BYTES_MAX) return fail("user message length out of range");
      return checked({ kind: "user", payload: reader.raw(length) ?? EMPTY_BYTES });
    }
    case -1:
      return fail("empty message");
    default:
      return fail("unknown message type");
  }
}

function decodePushPull(): Result<PushPull> {
  const head = readPushPullHead(reader);
  if (!isPushPullHeadValid(head)) return fail("push/pull header out of range");
  const nodes: PushPullNode[] = [];
  for (let i = 0; i < head.nodes && !reader.failed; i += 1) nodes.push(readNodeState(reader));
  const userState = head.userStateLength === 0 ? null : reader.raw(head.userStateLength);
  return checked({ kind: "pushPull", join: head.join, nodes, userState });
}

const key = {
  addr: encodeKey("Addr"),
  error: encodeKey("Error"),
  from: encodeKey("From"),
  incarnation: encodeKey("Incarnation"),
  join: encodeKey("Join"),
  meta: encodeKey("Meta"),
  nack: encodeKey("Nack"),
  name: encodeKey("Name"),
  node: encodeKey("Node"),
  nodes: encodeKey("Nodes"),
  payload: encodeKey("Payload"),
  port: encodeKey("Port"),
  seqNo: encodeKey("SeqNo"),
  sourceAddr: encodeKey("SourceAddr"),
  sourceNode: encodeKey("SourceNode"),
  sourcePort: encodeKey("SourcePort"),
  state: encodeKey("State"),
  target: encodeKey("Target"),
  userMsgLen: encodeKey("UserMsgLen"),
  userStateLen: encodeKey("UserStateLen"),
  vsn: encodeKey("Vsn"),
};

export function encodePing(ping: Fields<Ping>): Uint8Array {
  writer.byte(MessageType.ping).mapHead(2 + sourceFields(ping));
  writer.raw(key.node).text(ping.node);
  writer.raw(key.seqNo).int(ping.seq);
  writeSource(ping);
  return writer.finish();
}

export function encodeIndirectPing(ping: Fields<IndirectPing>): Uint8Array {
  writer.byte(MessageType.indirectPing).mapHead(5 + sourceFields(ping));
  writer.raw(key.nack).bool(ping.nack);
  writer.raw(key.node).text(ping.node);
  writer.raw(key.port).int(ping.port);
  writer.raw(key.seqNo).int(ping.seq);
  writeSource(ping);
  writer.raw(key.target).bytes(ping.target);
  return writer.finish();
}

/** The three source fields are left out one by one when empty. */
function sourceFields({ sourceAddr, sourceNode, sourcePort }: Source): number {
  return (hasBytes(sourceAddr) ? 1 : 0) + (sourceNode !== "" ? 1 : 0) + (sourcePort !== 0 ? 1 : 0);
}

function writeSource({ sourceAddr, sourceNode, sourcePort }: Source): void {
  if (hasBytes(sourceAddr)) writer.raw(key.sourceAddr).bytes(sourceAddr);
  if (sourceNode !== "") writer.raw(key.sourceNode).text(sourceNode);
  if (sourcePort !== 0) writer.raw(key.sourcePort).int(sourcePort);
}

function hasBytes(bytes: Uint8Array | null): boolean {
  return bytes !== null && bytes.length > 0;
}

export function encodeAck(ack: Fields<Ack>): Uint8Array {
  writer.byte(MessageType.ack).mapHead(2);
  writer.raw(key.payload).bytes(ack.payload);
  writer.raw(key.seqNo).int(ack.seq);
  return writer.finish();
}

export function encodeNack(nack: Fields<Nack>): Uint8Array {
  return writer.byte(MessageType.nack).mapHead(1).raw(key.seqNo).int(nack.seq).finish();
}

export function encodeSuspect(suspect: Fields<Suspect>): Uint8Array {
  return encodeAccusation(MessageType.suspect, suspect);
}

export function encodeDead(dead: Fields<Dead>): Uint8Array {
  return encodeAccusation(MessageType.dead, dead);
}

function encodeAccusation(type: number, { from, incarnation, node }: Fields<Suspect>): Uint8Array {
  writer.byte(type).mapHead(3);
  writer.raw(key.from).text(from);
  writer.raw(key.incarnation).int(incarnation);
  writer.raw(key.node).text(node);
  return writer.finish();
}

export function encodeAlive(alive: Fields<Alive>): Uint8Array {
  writer.byte(MessageType.alive).mapHead(6);
  writer.raw(key.addr).bytes(alive.addr);
  writer.raw(key.incarnation).int(alive.incarnation);
  writer.raw(key.meta).bytes(alive.meta);
  writer.raw(key.node).text(alive.node);
  writer.raw(key.port).int(alive.port);
  writer.raw(key.vsn).bytes(alive.versions);
  return writer.finish();
}

/** A datagram's user message: the payload behind the type byte. */
export function encodeUser(payload: Uint8Array): Uint8Array {
  const message = takeBytes(payload.length + 1);
  message[0] = MessageType.user;
  message.set(payload, 1);
  return message;
}

/** A stream's user message: a length stands before the payload. */
export function encodeStreamUser(payload: Uint8Array): Uint8Array {
  return writer.byte(MessageType.user).mapHead(1).raw(key.userMsgLen).int(payload.length).raw(payload).finish();
}

export function encodeErr(error: string): Uint8Array {
  return writer.byte(MessageType.err).mapHead(1).raw(key.error).text(error).finish();
}

export function encodePushPull({ join, nodes, userState }: Omit<PushPull, "kind">): Uint8Array {
  writePushPullHead(join, nodes.length, userState);
  for (const node of nodes) writeNodeState(node);
  if (userState !== null) writer.raw(userState);
  return writer.finish();
}

/** What stands before the nodes of a push/pull, its type included. */
export function encodePushPullHead(join: boolean, nodes: number, userState: Uint8Array | null): Uint8Array {
  writePushPullHead(join, nodes, userState);
  return writer.finish();
}

function writePushPullHead(join: boolean, nodes: number, userState: Uint8Array | null): void {
  writer.byte(MessageType.pushPull).mapHead(3);
  writer.raw(key.join).bool(join);
  writer.raw(key.nodes).int(nodes);
  writer.raw(key.userStateLen).int(userState === null ? 0 : userState.length);
}

/** Bytes of a push/pull whose nodes take `nodeBytes` together and its user state `userBytes`. */
export function pushPullLength(nodes: number, nodeBytes: number, userBytes: number): number {
  const head = 2 + key.join.length + 1 + key.nodes.length + intLength(nodes) + key.userStateLen.length + intLength(userBytes);
  return head + nodeBytes + userBytes;
}

function writeNodeState(node: Fields<PushPullNode>): void {
  writer.mapHead(7);
  writer.raw(key.addr).bytes(node.addr);
  writer.raw(key.incarnation).int(node.incarnation);
  writer.raw(key.meta).bytes(node.meta);
  writer.raw(key.name).text(node.name);
  writer.raw(key.port).int(node.port);
  writer.raw(key.state).int(node.state);
  writer.raw(key.vsn).bytes(node.versions);
}

/** One node state as it stands inside a push/pull. */
export function encodeNodeState(node: Fields<PushPullNode>): Uint8Array {
  writeNodeState(node);
  return writer.finish();
}

/** Several of them, one after the other. */
export function encodeNodeStates(nodes: readonly Fields<PushPullNode>[]): Uint8Array {
  for (const node of nodes) writeNodeState(node);
  return writer.finish();
}
