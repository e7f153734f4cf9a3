/**
 * Codecs of RPC responses and stream records. The encoders are on the agent's hot path: a member's bytes are made once and kept while
 * the member lives, so an answer that lists members is a concatenation.
 */
import { concatBytes } from "../base/bytes.ts";
import type { IpcCoordinate, IpcKeyResult, IpcMember, IpcSeq, IpcStats, QueryReplyRecord, ResponseHeader, StreamRecord } from "./ipc-messages.ts";
import { readSeq } from "./ipc-requests.ts";
import { encodeKey, encodeValue, intLength, Schema, structLength, Writer, type Encodable, type Reader } from "./msgpack.ts";
import type { WireCoordinate } from "./serf-messages.ts";

const writer = new Writer("rpc");
const ERROR_KEY = encodeKey("Error");
const SEQ_KEY = encodeKey("Seq");
const MEMBERS_KEY = encodeKey("Members");
const COALESCE_KEY = encodeKey("Coalesce");
const EVENT_KEY = encodeKey("Event");
const LAMPORT_TIME_KEY = encodeKey("LTime");
const NAME_KEY = encodeKey("Name");
const PAYLOAD_KEY = encodeKey("Payload");
// The constant parts of a user event, around `Coalesce` and in front of `LTime`.
const USER_EVENT_HEAD = writer.mapHead(5).raw(COALESCE_KEY).finish();
const USER_EVENT_MIDDLE = writer.raw(EVENT_KEY).text("user").raw(LAMPORT_TIME_KEY).finish();

const rpc = (value: Encodable): Uint8Array => encodeValue(value, "rpc");

/** `{Error, Seq}` without an error, up to the number: nearly all headers. */
const HEADER_OF_SUCCESS = writer.mapHead(2).raw(ERROR_KEY).text("").raw(SEQ_KEY).finish();

/** `{Error, Seq}`. */
export function writeResponseHeader(into: Writer, seq: IpcSeq, error: string): void {
  if (error === "") into.raw(HEADER_OF_SUCCESS).int(seq);
  else into.mapHead(2).raw(ERROR_KEY).text(error).raw(SEQ_KEY).int(seq);
}

/** Longest header without an error. */
export const SUCCESS_HEADER_BYTES_MAX = HEADER_OF_SUCCESS.length + 9;

/** Writes a header without an error into `bytes` so that it ends before `end`; returns where it begins. */
export function writeSuccessHeader(bytes: Uint8Array, end: number, seq: IpcSeq): number {
  const length = typeof seq === "number" ? intLength(seq) : 9;
  const start = end - length - HEADER_OF_SUCCESS.length;
  for (let i = 0; i < HEADER_OF_SUCCESS.length; i += 1) bytes[start + i] = HEADER_OF_SUCCESS[i] as number;
  if (length === 9) bytes.set(writer.int(seq).finish(), end - length);
  else {
    const value = Number(seq);
    if (length > 1) bytes[end - length] = length === 2 ? 0xcc : length === 3 ? 0xcd : 0xce;
    if (length === 5) {
      bytes[end - 4] = value >>> 24;
      bytes[end - 3] = value >>> 16;
    }
    if (length >= 3) bytes[end - 2] = value >>> 8;
    bytes[end - 1] = value;
  }
  return start;
}

export function encodeResponseHeader(seq: IpcSeq, error: string): Uint8Array {
  writeResponseHeader(writer, seq, error);
  return writer.finish();
}

/** Members are immutable and shared between readers, so their identity stands for their value. */
const memberBytes = new WeakMap<IpcMember, Uint8Array>();

function encodeMember(member: IpcMember): Uint8Array {
  const known = memberBytes.get(member);
  if (known !== undefined) return known;
  const bytes = rpc({
    Addr: member.addr,
    DelegateCur: member.delegateCur,
    DelegateMax: member.delegateMax,
    DelegateMin: member.delegateMin,
    Name: member.name,
    Port: member.port,
    ProtocolCur: member.protocolCur,
    ProtocolMax: member.protocolMax,
    ProtocolMin: member.protocolMin,
    Status: member.status,
    Tags: member.tags,
  });
  memberBytes.set(member, bytes);
  return bytes;
}

/** `{Members}`, behind `room` bytes that are left to the caller. */
export function encodeMembers(members: readonly IpcMember[], room = 0): Uint8Array {
  return concatBytes([new Uint8Array(room), writer.mapHead(1).raw(MEMBERS_KEY).arrayHead(members.length).finish(), ...members.map(encodeMember)]);
}

/** The record of a member event. */
export function encodeMemberEvent(type: string, members: readonly IpcMember[]): Uint8Array {
  const head = writer.mapHead(2).raw(encodeKey("Event")).text(type).raw(MEMBERS_KEY).arrayHead(members.length).finish();
  return concatBytes([head, ...members.map(encodeMember)]);
}

export function writeUserEvent(into: Writer, event: Extract<StreamRecord, { readonly kind: "user" }>): void {
  into.raw(USER_EVENT_HEAD).bool(event.coalesce).raw(USER_EVENT_MIDDLE).int(event.lamportTime);
  into.raw(NAME_KEY).text(event.name).raw(PAYLOAD_KEY).bytes(event.payload);
}

export function encodeUserEvent(event: Extract<StreamRecord, { readonly kind: "user" }>): Uint8Array {
  writeUserEvent(writer, event);
  return writer.finish();
}

export function encodeQueryEvent(event: Omit<Extract<StreamRecord, { readonly kind: "query" }>, "kind">): Uint8Array {
  return rpc({ Event: "query", ID: event.id, LTime: event.lamportTime, Name: event.name, Payload: event.payload });
}

export const encodeLog = (line: string): Uint8Array => rpc({ Log: line });

export const encodeJoin = (nodes: number): Uint8Array => rpc({ Num: nodes });

/** `listed`: the answer of `list-keys`; the other commands give no keys (nil). */
export function encodeKeys(result: IpcKeyResult, listed: boolean): Uint8Array {
  return rpc({
    Keys: listed ? result.keys : null,
    Messages: result.messages,
    NumErr: result.failures,
    NumNodes: result.nodes,
    NumResp: result.responses,
  });
}

export const encodeStats = (stats: IpcStats): Uint8Array => rpc(stats);

export function encodeQueryReply(record: QueryReplyRecord): Uint8Array {
  const from = record.kind === "done" ? "" : record.from;
  return rpc({ From: from, Payload: record.kind === "response" ? record.payload : null, Type: record.kind });
}

export function encodeCoordinate(coordinate: IpcCoordinate): Uint8Array {
  writer.mapHead(2).text("Coord").mapHead(4);
  writer.text("Adjustment").float(coordinate?.adjustment ?? 0);
  writer.text("Error").float(coordinate?.error ?? 0);
  writer.text("Height").float(coordinate?.height ?? 0);
  writer.text("Vec");
  if (coordinate === null) writer.nil();
  else {
    writer.arrayHead(coordinate.vec.length);
    for (const part of coordinate.vec) writer.float(part);
  }
  return writer.text("Ok").bool(coordinate !== null).finish();
}

// --- Decoders, for clients. Field names in Go's declaration order.

const HEADER = new Schema("Seq", "Error");
const MEMBER = new Schema("Name", "Addr", "Port", "Tags", "Status", "ProtocolMin", "ProtocolMax", "ProtocolCur", "DelegateMin", "DelegateMax", "DelegateCur");
const MEMBERS = new Schema("Members");
const JOIN = new Schema("Num");
const KEYS = new Schema("Messages", "Keys", "NumNodes", "NumErr", "NumResp");
const LOG = new Schema("Log");
// The records of a stream are three structs; one schema with the fields of all reads each of them.
const RECORD = new Schema("Event", "ID", "LTime", "Name", "Payload", "Coalesce", "Members");
const QUERY_REPLY = new Schema("Type", "From", "Payload");
const COORDINATE_ANSWER = new Schema("Coord", "Ok");
const COORDINATE = new Schema("Vec", "Error", "Adjustment", "Height");

function readFields(reader: Reader, schema: Schema, read: (field: number) => void): void {
  const head = reader.structHead();
  const length = structLength(head);
  for (let i = 0; i < length && !reader.failed; i += 1) {
    const field = reader.field(schema, head, i);
    if (field < 0) reader.skip();
    else read(field);
  }
}

function readMap<T>(reader: Reader, read: () => T): Map<string, T> {
  const map = new Map<string, T>();
  const count = reader.mapHead();
  for (let i = 0; i < count && !reader.failed; i += 1) {
    const key = reader.text();
    map.set(key, read());
  }
  return map;
}

function readList<T>(reader: Reader, read: () => T): T[] {
  const items: T[] = [];
  const count = reader.arrayHead();
  for (let i = 0; i < count && !reader.failed; i += 1) items.push(read());
  return items;
}

export function decodeResponseHeader(reader: Reader): ResponseHeader {
  let seq: IpcSeq = 0;
  let error = "";
  readFields(reader, HEADER, (field) => {
    if (field === 0) seq = readSeq(reader);
    else error = reader.text();
  });
  return { seq, error };
}

function readMember(reader: Reader): IpcMember {
  let name = "";
  let status = "";
  let addr: Uint8Array | null = null;
  let tags: ReadonlyMap<string, string> = new Map();
  const numbers = new Map<number, number>();
  readFields(reader, MEMBER, (field) => {
    if (field === 0) name = reader.text();
    else if (field === 1) addr = reader.bytes();
    else if (field === 3) tags = readMap(reader, () => reader.text());
    else if (field === 4) status = reader.text();
    else numbers.set(field, reader.uint(65_535));
  });
  const number = (field: number): number => numbers.get(field) ?? 0;
  return {
    name,
    addr: addr ?? new Uint8Array(0),
    port: number(2),
    tags,
    status,
    protocolMin: number(5),
    protocolMax: number(6),
    protocolCur: number(7),
    delegateMin: number(8),
    delegateMax: number(9),
    delegateCur: number(10),
  };
}

export function decodeMembers(reader: Reader): readonly IpcMember[] {
  let members: readonly IpcMember[] = [];
  readFields(reader, MEMBERS, () => {
    members = readList(reader, () => readMember(reader));
  });
  return members;
}

export function decodeStreamRecord(reader: Reader): StreamRecord {
  let event = "";
  let id = 0;
  let lamportTime = 0;
  let name = "";
  let payload: Uint8Array | null = null;
  let coalesce = false;
  let members: readonly IpcMember[] = [];
  readFields(reader, RECORD, (field) => {
    if (field === 0) event = reader.text();
    else if (field === 1) id = reader.uint(Number.MAX_SAFE_INTEGER);
    else if (field === 2) lamportTime = reader.uint(Number.MAX_SAFE_INTEGER);
    else if (field === 3) name = reader.text();
    else if (field === 4) payload = reader.bytes();
    else if (field === 5) coalesce = reader.bool();
    else members = readList(reader, () => readMember(reader));
  });
  if (event === "user") return { kind: "user", lamportTime, name, payload, coalesce };
  if (event === "query") return { kind: "query", id, lamportTime, name, payload };
  return { kind: "members", type: event, members };
}

export function decodeLog(reader: Reader): string {
  let line = "";
  readFields(reader, LOG, () => {
    line = reader.text();
  });
  return line;
}

export function decodeJoinAnswer(reader: Reader): number {
  let nodes = 0;
  readFields(reader, JOIN, () => {
    nodes = reader.int();
  });
  return nodes;
}

export function decodeKeys(reader: Reader): IpcKeyResult {
  let messages: ReadonlyMap<string, string> = new Map();
  let keys: ReadonlyMap<string, number> = new Map();
  const counts = [0, 0, 0];
  readFields(reader, KEYS, (field) => {
    if (field === 0) messages = readMap(reader, () => reader.text());
    else if (field === 1) keys = readMap(reader, () => reader.int());
    else counts[field - 2] = reader.int();
  });
  const [nodes = 0, failures = 0, responses = 0] = counts;
  return { nodes, responses, failures, messages, keys };
}

export function decodeStats(reader: Reader): IpcStats {
  return readMap(reader, () => readMap(reader, () => reader.text()));
}

export function decodeQueryReply(reader: Reader): QueryReplyRecord {
  let type = "";
  let from = "";
  let payload: Uint8Array | null = null;
  readFields(reader, QUERY_REPLY, (field) => {
    if (field === 0) type = reader.text();
    else if (field === 1) from = reader.text();
    else payload = reader.bytes();
  });
  if (type === "ack") return { kind: "ack", from };
  if (type === "response") return { kind: "response", from, payload };
  if (type !== "done") reader.fail();
  return { kind: "done" };
}

export function decodeCoordinate(reader: Reader): IpcCoordinate {
  let coordinate: WireCoordinate | null = null;
  let known = false;
  readFields(reader, COORDINATE_ANSWER, (field) => {
    if (field === 0) coordinate = readCoordinate(reader);
    else known = reader.bool();
  });
  return known ? coordinate : null;
}

function readCoordinate(reader: Reader): WireCoordinate {
  let vec: readonly number[] = [];
  const numbers = [0, 0, 0];
  readFields(reader, COORDINATE, (field) => {
    if (field === 0) vec = readList(reader, () => reader.float());
    else numbers[field - 1] = reader.float();
  });
  const [error = 0, adjustment = 0, height = 0] = numbers;
  return { vec, error, adjustment, height };
}
