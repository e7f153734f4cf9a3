/**
 * Serf's messages, tags and coordinates to bytes and back (reference: serf-protocol §7, §8.12). Messages have their type byte first.
 * Schemas list the fields in Go's declaration order, which is the order of the array form and of the `case`s below.
 * Byte-string fields are copies; only the message inside a relay is a view of the input.
 */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { fail, ok, type Result } from "../base/result.ts";
import { utf8Length } from "../base/utf8.ts";
import { MessageType } from "./gossip-messages.ts";
import type { Matcher } from "./matcher.ts";
import { Reader, Schema, Writer, encodeKey, headLength, intLength, stringLength, structLength } from "./msgpack.ts";
import { readTags, writeTags } from "./serf-tags.ts";
import {
  SerfMessageType,
  type ConflictMember,
  type EventSlot,
  type JoinIntent,
  type KeyResponse,
  type LeaveIntent,
  type QueryFilter,
  type QueryMessage,
  type QueryResponseMessage,
  type Relay,
  type SerfMessage,
  type SerfPushPull,
  type UserEventMessage,
} from "./serf-messages.ts";

const U32_MAX = 0xffff_ffff;
const PORT_MAX = 0xffff;
const LAMPORT_MAX = Number.MAX_SAFE_INTEGER;
const INT64_LIMIT = 2 ** 63;
const NS_PER_MS = 1e6;

/** Members named in one push/pull state; more is refused. As many as memberlist allows nodes. */
const MEMBERS_MAX = 1_048_576;
/** Slots of the event ring in one push/pull state. The originals send 512. */
export const EVENT_SLOTS_MAX = 65_536;
/** User events in all slots of one push/pull state together: one byte on the wire can claim to be an event, so memory needs a bound. */
export const EVENTS_MAX = 65_536;

const leaveSchema = new Schema("LTime", "Node", "Prune");
const joinSchema = new Schema("LTime", "Node");
const pushPullSchema = new Schema("LTime", "StatusLTimes", "LeftMembers", "EventLTime", "Events", "QueryLTime");
const slotSchema = new Schema("LTime", "Events");
const eventSchema = new Schema("Name", "Payload");
const userEventSchema = new Schema("LTime", "Name", "Payload", "CC");
const querySchema = new Schema("LTime", "ID", "Addr", "Port", "SourceNode", "Filters", "Flags", "RelayFactor", "Timeout", "Name", "Payload");
const responseSchema = new Schema("LTime", "ID", "From", "Flags", "Payload");
const relaySchema = new Schema("DestAddr", "DestName");
const addressSchema = new Schema("IP", "Port", "Zone");
const tagFilterSchema = new Schema("Tag", "Expr");
// The six versions are the last fields: `decodeConflictMember` counts on it.
const memberVersions = ["ProtocolMin", "ProtocolMax", "ProtocolCur", "DelegateMin", "DelegateMax", "DelegateCur"];
const memberSchema = new Schema("Name", "Addr", "Port", "Tags", "Status", ...memberVersions);
const keyRequestSchema = new Schema("Key");
const keyResponseSchema = new Schema("Result", "Message", "Keys", "PrimaryKey");

const reader = new Reader();
const writer = new Writer("gossip");

/** Decodes a message, from `start` on, that travels as gossip or as a direct user message. Others belong inside queries or push/pulls and fail here. */
export function decodeSerfMessage(message: Uint8Array, start = 0): Result<SerfMessage> {
  reader.reset(message, start + 1);
  switch (message[start]) {
    case SerfMessageType.leave:
      return checked(readLeave(reader));
    case SerfMessageType.join:
      return checked(readJoin(reader));
    case SerfMessageType.userEvent:
      return checked(readUserEvent(reader));
    case SerfMessageType.query:
      return checked(readQuery(reader));
    case SerfMessageType.queryResponse:
      return checked(readResponse(reader));
    case SerfMessageType.relay:
      return checked(readRelay(reader));
    case undefined:
      return fail("empty message");
    default:
      return fail("unknown message type");
  }
}

function checked<T>(value: T): Result<T> {
  return reader.failed ? fail(reader.short ? "message ends too early" : "malformed message") : ok(value);
}

function readLeave(r: Reader): LeaveIntent {
  let lamportTime = 0;
  let node = "";
  let prune = false;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(leaveSchema, head, i)) {
      case 0:
        lamportTime = r.uint(LAMPORT_MAX);
        break;
      case 1:
        node = r.text();
        break;
      case 2:
        prune = r.bool();
        break;
      default:
        r.skip();
    }
  }
  return { kind: "leave", lamportTime, node, prune };
}

function readJoin(r: Reader): JoinIntent {
  let lamportTime = 0;
  let node = "";
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(joinSchema, head, i)) {
      case 0:
        lamportTime = r.uint(LAMPORT_MAX);
        break;
      case 1:
        node = r.text();
        break;
      default:
        r.skip();
    }
  }
  return { kind: "join", lamportTime, node };
}

function readUserEvent(r: Reader): UserEventMessage {
  let lamportTime = 0;
  let name = "";
  let payload: Uint8Array | null = null;
  let coalesce = false;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(userEventSchema, head, i)) {
      case 0:
        lamportTime = r.uint(LAMPORT_MAX);
        break;
      case 1:
        name = r.text();
        break;
      case 2:
        payload = r.bytes();
        break;
      case 3:
        coalesce = r.bool();
        break;
      default:
        r.skip();
    }
  }
  return { kind: "userEvent", lamportTime, name, payload, coalesce };
}

function readQuery(r: Reader): QueryMessage {
  let lamportTime = 0;
  let id = 0;
  let addr: Uint8Array = EMPTY_BYTES;
  let port = 0;
  let sourceNode = "";
  let filters: readonly Uint8Array[] | null = null;
  let flags = 0;
  let relayFactor = 0;
  let timeoutMs = 0;
  let name = "";
  let payload: Uint8Array | null = null;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(querySchema, head, i)) {
      case 0:
        lamportTime = r.uint(LAMPORT_MAX);
        break;
      case 1:
        id = r.uint(U32_MAX);
        break;
      case 2:
        addr = r.bytes() ?? EMPTY_BYTES;
        break;
      case 3:
        port = r.uint(PORT_MAX);
        break;
      case 4:
        sourceNode = r.text();
        break;
      case 5:
        filters = r.nil() ? null : readList(r, readFilterBytes);
        break;
      case 6:
        flags = r.uint(U32_MAX);
        break;
      case 7:
        relayFactor = r.uint(255);
        break;
      case 8:
        timeoutMs = readDurationMs(r);
        break;
      case 9:
        name = r.text();
        break;
      case 10:
        payload = r.bytes();
        break;
      default:
        r.skip();
    }
  }
  return { kind: "query", lamportTime, id, addr, port, sourceNode, filters, flags, relayFactor, timeoutMs, name, payload };
}

function readFilterBytes(r: Reader): Uint8Array {
  return r.bytes() ?? EMPTY_BYTES;
}

function readText(r: Reader): string {
  return r.text();
}

/** An array; more than `countMax` elements make the reader fail. */
function readList<T>(r: Reader, readItem: (r: Reader) => T, countMax = MEMBERS_MAX): T[] {
  const count = r.arrayHead();
  if (count > countMax) r.fail();
  const items: T[] = [];
  for (let i = 0; i < count && !r.failed; i += 1) items.push(readItem(r));
  return items;
}

/** A Go duration (int64 nanoseconds) in ms. Beyond 2^53 ns (104 days) it is rounded. */
function readDurationMs(r: Reader): number {
  const ns = r.integer();
  if (ns >= INT64_LIMIT) r.fail();
  return ns / NS_PER_MS;
}

function readResponse(r: Reader): QueryResponseMessage {
  let lamportTime = 0;
  let id = 0;
  let from = "";
  let flags = 0;
  let payload: Uint8Array | null = null;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(responseSchema, head, i)) {
      case 0:
        lamportTime = r.uint(LAMPORT_MAX);
        break;
      case 1:
        id = r.uint(U32_MAX);
        break;
      case 2:
        from = r.text();
        break;
      case 3:
        flags = r.uint(U32_MAX);
        break;
      case 4:
        payload = r.bytes();
        break;
      default:
        r.skip();
    }
  }
  return { kind: "queryResponse", lamportTime, id, from, flags, payload };
}

function readRelay(r: Reader): Relay {
  let address: { addr: Uint8Array; port: number } = { addr: EMPTY_BYTES, port: 0 };
  let destName = "";
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(relaySchema, head, i)) {
      case 0:
        address = readAddress(r);
        break;
      case 1:
        destName = r.text();
        break;
      default:
        r.skip();
    }
  }
  const message = r.raw(r.left) ?? EMPTY_BYTES;
  return { kind: "relay", destAddr: address.addr, destPort: address.port, destName, message };
}

function readAddress(r: Reader): { addr: Uint8Array; port: number } {
  let addr: Uint8Array = EMPTY_BYTES;
  let port = 0;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(addressSchema, head, i)) {
      case 0:
        addr = r.bytes() ?? EMPTY_BYTES;
        break;
      case 1:
        port = r.uint(PORT_MAX);
        break;
      default:
        r.skip(); // The zone of an IPv6 address means nothing on another machine.
    }
  }
  return { addr, port };
}

/**
 * Decodes the user state of a push/pull, type byte first. `held`: the slot of events at an index that the receiver has already, encoded; the
 * state's own is null where it has the same bytes. Two members under events have hundreds of slots in common, and differ in a few.
 */
export function decodeSerfPushPull(state: Uint8Array, held: (index: number) => Uint8Array | null = holdsNothing): Result<SerfPushPull> {
  if (state[0] !== SerfMessageType.pushPull) return fail("not a push/pull state");
  const r = reader;
  r.reset(state, 1);
  let lamportTime = 0;
  let statusTimes: ReadonlyMap<string, number> = new Map();
  let leftMembers: readonly string[] = [];
  let eventTime = 0;
  let events: readonly (EventSlot | null)[] = [];
  let queryTime = 0;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(pushPullSchema, head, i)) {
      case 0:
        lamportTime = r.uint(LAMPORT_MAX);
        break;
      case 1:
        statusTimes = readStatusTimes(r);
        break;
      case 2:
        leftMembers = readList(r, readText);
        break;
      case 3:
        eventTime = r.uint(LAMPORT_MAX);
        break;
      case 4:
        events = readSlots(r, held);
        break;
      case 5:
        queryTime = r.uint(LAMPORT_MAX);
        break;
      default:
        r.skip();
    }
  }
  return checked({ kind: "pushPull", lamportTime, statusTimes, leftMembers, eventTime, events, queryTime });
}

function readStatusTimes(r: Reader): Map<string, number> {
  const count = r.mapHead();
  if (count > MEMBERS_MAX) r.fail();
  const times = new Map<string, number>();
  for (let i = 0; i < count && !r.failed; i += 1) {
    const name = r.text();
    times.set(name, r.uint(LAMPORT_MAX));
  }
  return times;
}

function holdsNothing(): null {
  return null;
}

function readSlots(r: Reader, held: (index: number) => Uint8Array | null): (EventSlot | null)[] {
  let eventsLeft = EVENTS_MAX;
  let index = 0;
  return readList(
    r,
    () => {
      index += 1;
      if (r.nil()) return null;
      const same = held(index - 1);
      if (same !== null && r.same(same)) return null;
      const slot = readSlot(r, eventsLeft);
      eventsLeft -= slot.events.length;
      return slot;
    },
    EVENT_SLOTS_MAX,
  );
}

function readSlot(r: Reader, eventsMax: number): EventSlot {
  let lamportTime = 0;
  let events: EventSlot["events"] = [];
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(slotSchema, head, i)) {
      case 0:
        lamportTime = r.uint(LAMPORT_MAX);
        break;
      case 1:
        events = readList(r, readEvent, eventsMax);
        break;
      default:
        r.skip();
    }
  }
  return { lamportTime, events };
}

function readEvent(r: Reader): EventSlot["events"][number] {
  let name = "";
  let payload: Uint8Array | null = null;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(eventSchema, head, i)) {
      case 0:
        name = r.text();
        break;
      case 1:
        payload = r.bytes();
        break;
      default:
        r.skip();
    }
  }
  return { name, payload };
}

/** Decodes a conflict response, type byte first; null when the answering node does not know the name. */
export function decodeConflictMember(message: Uint8Array): Result<ConflictMember | null> {
  if (message[0] !== SerfMessageType.conflictResponse) return fail("not a conflict response");
  const r = reader;
  r.reset(message, 1);
  if (r.nil()) return ok(null);
  let name = "";
  let addr: Uint8Array = EMPTY_BYTES;
  let port = 0;
  let tags: ReadonlyMap<string, string> = new Map();
  let status = 0;
  const versions = [0, 0, 0, 0, 0, 0];
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    const field = r.field(memberSchema, head, i);
    switch (field) {
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
        tags = readTags(r, r.mapHead());
        break;
      case 4:
        status = r.int();
        break;
      case -1:
        r.skip();
        break;
      default:
        versions[field - 5] = r.uint(255);
    }
  }
  const [protocolMin = 0, protocolMax = 0, protocolCur = 0, delegateMin = 0, delegateMax = 0, delegateCur = 0] = versions;
  return checked({ name, addr, port, tags, status, protocolMin, protocolMax, protocolCur, delegateMin, delegateMax, delegateCur });
}

/** Decodes the payload of a key query, type byte first: the raw key, empty when none is named. */
export function decodeKeyRequest(message: Uint8Array): Result<Uint8Array> {
  if (message[0] !== SerfMessageType.keyRequest) return fail("not a key request");
  reader.reset(message, 1);
  let key: Uint8Array = EMPTY_BYTES;
  const head = reader.structHead();
  for (let i = 0; i < structLength(head) && !reader.failed; i += 1) {
    if (reader.field(keyRequestSchema, head, i) === 0) key = reader.bytes() ?? EMPTY_BYTES;
    else reader.skip();
  }
  return checked(key);
}

/** Decodes the answer to a key query, type byte first. */
export function decodeKeyResponse(message: Uint8Array): Result<KeyResponse> {
  if (message[0] !== SerfMessageType.keyResponse) return fail("not a key response");
  const r = reader;
  r.reset(message, 1);
  let result = false;
  let text = "";
  let keys: readonly string[] | null = null;
  let primaryKey = "";
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(keyResponseSchema, head, i)) {
      case 0:
        result = r.bool();
        break;
      case 1:
        text = r.text();
        break;
      case 2:
        keys = r.nil() ? null : readList(r, readText);
        break;
      case 3:
        primaryKey = r.text();
        break;
      default:
        r.skip();
    }
  }
  return checked({ result, message: text, keys, primaryKey });
}

const key = {
  addr: encodeKey("Addr"),
  cc: encodeKey("CC"),
  delegateCur: encodeKey("DelegateCur"),
  delegateMax: encodeKey("DelegateMax"),
  delegateMin: encodeKey("DelegateMin"),
  destAddr: encodeKey("DestAddr"),
  destName: encodeKey("DestName"),
  error: encodeKey("Error"),
  eventLTime: encodeKey("EventLTime"),
  events: encodeKey("Events"),
  expr: encodeKey("Expr"),
  filters: encodeKey("Filters"),
  flags: encodeKey("Flags"),
  from: encodeKey("From"),
  id: encodeKey("ID"),
  ip: encodeKey("IP"),
  key: encodeKey("Key"),
  keys: encodeKey("Keys"),
  leftMembers: encodeKey("LeftMembers"),
  lTime: encodeKey("LTime"),
  message: encodeKey("Message"),
  name: encodeKey("Name"),
  node: encodeKey("Node"),
  payload: encodeKey("Payload"),
  port: encodeKey("Port"),
  primaryKey: encodeKey("PrimaryKey"),
  protocolCur: encodeKey("ProtocolCur"),
  protocolMax: encodeKey("ProtocolMax"),
  protocolMin: encodeKey("ProtocolMin"),
  prune: encodeKey("Prune"),
  queryLTime: encodeKey("QueryLTime"),
  relayFactor: encodeKey("RelayFactor"),
  result: encodeKey("Result"),
  sourceNode: encodeKey("SourceNode"),
  status: encodeKey("Status"),
  statusLTimes: encodeKey("StatusLTimes"),
  tag: encodeKey("Tag"),
  tags: encodeKey("Tags"),
  timeout: encodeKey("Timeout"),
  zone: encodeKey("Zone"),
};

export function encodeLeave({ lamportTime, node, prune }: Omit<LeaveIntent, "kind">): Uint8Array {
  writer.byte(SerfMessageType.leave).mapHead(3);
  writer.raw(key.lTime).int(lamportTime);
  writer.raw(key.node).text(node);
  writer.raw(key.prune).bool(prune);
  return writer.finish();
}

export function encodeJoin({ lamportTime, node }: Omit<JoinIntent, "kind">): Uint8Array {
  writer.byte(SerfMessageType.join).mapHead(2);
  writer.raw(key.lTime).int(lamportTime);
  writer.raw(key.node).text(node);
  return writer.finish();
}

/** All that stands in front of the Lamport time. */
function eventHead(coalesce: boolean): Uint8Array {
  return writer.byte(SerfMessageType.userEvent).mapHead(4).raw(key.cc).bool(coalesce).raw(key.lTime).finish().slice();
}

const EVENT_HEAD = eventHead(false);
const COALESCED_HEAD = eventHead(true);

export function encodeUserEvent(event: Omit<UserEventMessage, "kind">): Uint8Array {
  return writeUserEvent(event).finish();
}

/** The same as the packet message that carries it (`encodeUser`), without a copy. */
export function encodeUserEventPacket(event: Omit<UserEventMessage, "kind">): Uint8Array {
  writer.byte(MessageType.user);
  return writeUserEvent(event).finish();
}

/** As `encodeUserEventPacket`, for who copies it: the bytes are good until this module encodes the next message. */
export function viewUserEventPacket(event: Omit<UserEventMessage, "kind">): Uint8Array {
  writer.byte(MessageType.user);
  const bytes = writeUserEvent(event).written;
  writer.clear();
  return bytes;
}

function writeUserEvent({ lamportTime, name, payload, coalesce }: Omit<UserEventMessage, "kind">): Writer {
  writer.raw(coalesce ? COALESCED_HEAD : EVENT_HEAD).int(lamportTime);
  writer.raw(key.name).text(name);
  writer.raw(key.payload).bytes(payload);
  return writer;
}

export function encodeQuery(query: Omit<QueryMessage, "kind">): Uint8Array {
  writer.byte(SerfMessageType.query).mapHead(11);
  writer.raw(key.addr).bytes(query.addr);
  writer.raw(key.filters);
  if (query.filters === null) writer.nil();
  else {
    writer.arrayHead(query.filters.length);
    for (const filter of query.filters) writer.bytes(filter);
  }
  writer.raw(key.flags).int(query.flags);
  writer.raw(key.id).int(query.id);
  writer.raw(key.lTime).int(query.lamportTime);
  writer.raw(key.name).text(query.name);
  writer.raw(key.payload).bytes(query.payload);
  writer.raw(key.port).int(query.port);
  writer.raw(key.relayFactor).int(query.relayFactor);
  writer.raw(key.sourceNode).text(query.sourceNode);
  writer.raw(key.timeout).int(durationNs(query.timeoutMs));
  return writer.finish();
}

function durationNs(ms: number): number | bigint {
  const ns = Math.round(ms * NS_PER_MS);
  return Math.abs(ns) < INT64_LIMIT ? ns : BigInt(Math.sign(ns)) * (2n ** 63n - 1n);
}

export function encodeQueryResponse(response: Omit<QueryResponseMessage, "kind">): Uint8Array {
  writer.byte(SerfMessageType.queryResponse).mapHead(5);
  writer.raw(key.flags).int(response.flags);
  writer.raw(key.from).text(response.from);
  writer.raw(key.id).int(response.id);
  writer.raw(key.lTime).int(response.lamportTime);
  writer.raw(key.payload).bytes(response.payload);
  return writer.finish();
}

/** Wraps a complete Serf message for a relay node. */
export function encodeRelay({ destAddr, destPort, destName, message }: Omit<Relay, "kind">): Uint8Array {
  writer.byte(SerfMessageType.relay).mapHead(2);
  writer.raw(key.destAddr).mapHead(3);
  writer.raw(key.ip).bytes(destAddr);
  writer.raw(key.port).int(destPort);
  writer.raw(key.zone).text("");
  writer.raw(key.destName).text(destName);
  return writer.raw(message).finish();
}

/** The parts of a push/pull state as the encoder takes them: a container may be null, which is written as nil, and a slot encoded already. */
export interface SerfPushPullFields extends Omit<SerfPushPull, "kind" | "statusTimes" | "leftMembers" | "events"> {
  readonly statusTimes: SerfPushPull["statusTimes"] | null;
  readonly leftMembers: SerfPushPull["leftMembers"] | null;
  readonly events: readonly (EventSlot | Uint8Array | null)[] | null;
}

export function encodeSerfPushPull(state: SerfPushPullFields): Uint8Array {
  writer.byte(SerfMessageType.pushPull).mapHead(6);
  writer.raw(key.eventLTime).int(state.eventTime);
  writer.raw(key.events);
  if (state.events === null) writer.nil();
  else {
    writer.arrayHead(state.events.length);
    for (const slot of state.events) {
      if (slot instanceof Uint8Array) writer.raw(slot);
      else writeSlot(slot);
    }
  }
  writer.raw(key.lTime).int(state.lamportTime);
  writer.raw(key.leftMembers);
  writeTexts(state.leftMembers);
  writer.raw(key.queryLTime).int(state.queryTime);
  writer.raw(key.statusLTimes);
  if (state.statusTimes === null) writer.nil();
  else {
    writer.mapHead(state.statusTimes.size);
    for (const [name, time] of state.statusTimes) writer.text(name).int(time);
  }
  return writer.finish();
}

/** A slot as part of a push/pull state. */
export function encodeEventSlot(slot: EventSlot): Uint8Array {
  writeSlot(slot);
  return writer.finish();
}

/** Bytes of a push/pull state of which `statusTimes` and `leftMembers` take so many, heads included. */
export function serfPushPullLength(
  { lamportTime, eventTime, queryTime, events }: Pick<SerfPushPull, "lamportTime" | "eventTime" | "queryTime" | "events">,
  statusTimesBytes: number,
  leftMembersBytes: number,
): number {
  const keys = key.eventLTime.length + key.events.length + key.lTime.length + key.leftMembers.length + key.queryLTime.length + key.statusLTimes.length;
  let eventsBytes = headLength(events.length);
  for (const slot of events) eventsBytes += slot === null ? 1 : slotLength(slot);
  return 2 + keys + intLength(eventTime) + eventsBytes + intLength(lamportTime) + leftMembersBytes + intLength(queryTime) + statusTimesBytes;
}

function slotLength({ lamportTime, events }: EventSlot): number {
  let length = 1 + key.events.length + headLength(events.length) + key.lTime.length + intLength(lamportTime);
  for (const { name, payload } of events) {
    length += 1 + key.name.length + stringLength(utf8Length(name)) + key.payload.length + (payload === null ? 1 : stringLength(payload.length));
  }
  return length;
}

function writeSlot(slot: EventSlot | null): void {
  if (slot === null) {
    writer.nil();
    return;
  }
  writer.mapHead(2).raw(key.events).arrayHead(slot.events.length);
  for (const { name, payload } of slot.events) writer.mapHead(2).raw(key.name).text(name).raw(key.payload).bytes(payload);
  writer.raw(key.lTime).int(slot.lamportTime);
}

function writeTexts(texts: readonly string[] | null): void {
  if (texts === null) {
    writer.nil();
    return;
  }
  writer.arrayHead(texts.length);
  for (const text of texts) writer.text(text);
}

/** A member as the encoder takes it: `tags` null is written as nil. */
export interface ConflictMemberFields extends Omit<ConflictMember, "tags"> {
  readonly tags: ConflictMember["tags"] | null;
}

/** A conflict response; null says that the name is unknown here. */
export function encodeConflictMember(member: ConflictMemberFields | null): Uint8Array {
  writer.byte(SerfMessageType.conflictResponse);
  if (member === null) return writer.nil().finish();
  writer.mapHead(11);
  writer.raw(key.addr).bytes(member.addr);
  writer.raw(key.delegateCur).int(member.delegateCur);
  writer.raw(key.delegateMax).int(member.delegateMax);
  writer.raw(key.delegateMin).int(member.delegateMin);
  writer.raw(key.name).text(member.name);
  writer.raw(key.port).int(member.port);
  writer.raw(key.protocolCur).int(member.protocolCur);
  writer.raw(key.protocolMax).int(member.protocolMax);
  writer.raw(key.protocolMin).int(member.protocolMin);
  writer.raw(key.status).int(member.status);
  writer.raw(key.tags);
  if (member.tags === null) writer.nil();
  else writeTags(writer, member.tags);
  return writer.finish();
}

/** The payload of a key query; `rawKey` is empty (or null, written as nil) when no key is named. */
export function encodeKeyRequest(rawKey: Uint8Array | null): Uint8Array {
  return writer.byte(SerfMessageType.keyRequest).mapHead(1).raw(key.key).bytes(rawKey).finish();
}

export function encodeKeyResponse({ result, message, keys, primaryKey }: KeyResponse): Uint8Array {
  writer.byte(SerfMessageType.keyResponse).mapHead(4).raw(key.keys);
  writeTexts(keys);
  writer.raw(key.message).text(message);
  writer.raw(key.primaryKey).text(primaryKey);
  writer.raw(key.result).bool(result);
  return writer.finish();
}

const FilterType = { nodes: 0, tag: 1 } as const;

export function encodeFilter(filter: QueryFilter): Uint8Array {
  switch (filter.kind) {
    case "nodes":
      writer.byte(FilterType.nodes);
      writeTexts(filter.nodes);
      return writer.finish();
    case "tag":
      return writer.byte(FilterType.tag).mapHead(2).raw(key.expr).text(filter.expr).raw(key.tag).text(filter.tag).finish();
  }
}

export function decodeFilter(bytes: Uint8Array): Result<QueryFilter> {
  reader.reset(bytes, 1);
  switch (bytes[0]) {
    case FilterType.nodes:
      return checked({ kind: "nodes", nodes: readList(reader, readText) });
    case FilterType.tag:
      return checked(readTagFilter(reader));
    default:
      return fail("unknown filter type");
  }
}

function readTagFilter(r: Reader): QueryFilter {
  let tag = "";
  let expr = "";
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(tagFilterSchema, head, i)) {
      case 0:
        tag = r.text();
        break;
      case 1:
        expr = r.text();
        break;
      default:
        r.skip();
    }
  }
  return { kind: "tag", tag, expr };
}

/**
 * Whether a query with these encoded filters is meant for the node: every filter must pass. A tag that the node does not have counts
 * as "". A filter that cannot be decoded, or holds an invalid expression, excludes the node.
 */
export function queryConcerns(
  filters: readonly Uint8Array[] | null,
  nodeName: string,
  tags: ReadonlyMap<string, string>,
  matcher: Matcher,
): boolean {
  if (filters === null) return true;
  return filters.every((bytes) => {
    const filter = decodeFilter(bytes);
    if (!filter.ok) return false;
    switch (filter.value.kind) {
      case "nodes":
        return filter.value.nodes.includes(nodeName);
      case "tag": {
        const matches = matcher.compile(filter.value.expr);
        return matches !== null && matches(tags.get(filter.value.tag) ?? "");
      }
    }
  });
}
