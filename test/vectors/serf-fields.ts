/** Serf messages as recordings name their fields, both ways through our codec. */
import { strict as assert } from "node:assert";
import { toHex } from "../../src/base/bytes.ts";
import * as codec from "../../src/wire/serf-codec.ts";
import * as serfCoordinate from "../../src/wire/serf-coordinate.ts";
import type {
  EventSlot,
  JoinIntent,
  KeyResponse,
  LeaveIntent,
  QueryMessage,
  QueryResponseMessage,
  SerfPushPull,
  UserEventMessage,
  WireCoordinate,
} from "../../src/wire/serf-messages.ts";
import { asFields, asList, asNumber, asText, completed, fieldsOfMessage, messageOf, tagBytes, taggedBytes, unwrap, withoutEmptyBytes, type Fields, type Shape } from "./values.ts";

interface Entry {
  readonly kind: string;
  readonly shape: Shape;
  readonly encode: (message: never) => Uint8Array;
}

export const USER_EVENT: Shape = [["CC", "coalesce", "bool"], ["LTime", "lamportTime", "int"], ["Name", "name", "text"], ["Payload", "payload", "bytes"]];
/** `Filters` and `Timeout` are compared apart. */
const QUERY: Shape = [
  ["Addr", "addr", "bytes"],
  ["Flags", "flags", "int"],
  ["ID", "id", "int"],
  ["LTime", "lamportTime", "int"],
  ["Name", "name", "text"],
  ["Payload", "payload", "bytes"],
  ["Port", "port", "int"],
  ["RelayFactor", "relayFactor", "int"],
  ["SourceNode", "sourceNode", "text"],
];
const RESPONSE: Shape = [
  ["Flags", "flags", "int"],
  ["From", "from", "text"],
  ["ID", "id", "int"],
  ["LTime", "lamportTime", "int"],
  ["Payload", "payload", "bytes"],
];
/** `Tags` are compared apart. */
const MEMBER: Shape = [
  ["Addr", "addr", "bytes"],
  ["DelegateCur", "delegateCur", "int"],
  ["DelegateMax", "delegateMax", "int"],
  ["DelegateMin", "delegateMin", "int"],
  ["Name", "name", "text"],
  ["Port", "port", "int"],
  ["ProtocolCur", "protocolCur", "int"],
  ["ProtocolMax", "protocolMax", "int"],
  ["ProtocolMin", "protocolMin", "int"],
  ["Status", "status", "int"],
];

const SIMPLE: ReadonlyMap<number, Entry> = new Map<number, Entry>([
  [
    0,
    {
      kind: "leave",
      shape: [["LTime", "lamportTime", "int"], ["Node", "node", "text"], ["Prune", "prune", "bool"]],
      encode: (m: Omit<LeaveIntent, "kind">) => codec.encodeLeave(m),
    },
  ],
  [1, { kind: "join", shape: [["LTime", "lamportTime", "int"], ["Node", "node", "text"]], encode: (m: Omit<JoinIntent, "kind">) => codec.encodeJoin(m) }],
  [3, { kind: "userEvent", shape: USER_EVENT, encode: (m: Omit<UserEventMessage, "kind">) => codec.encodeUserEvent(m) }],
  [5, { kind: "queryResponse", shape: RESPONSE, encode: (m: Omit<QueryResponseMessage, "kind">) => codec.encodeQueryResponse(m) }],
]);

/** Nanoseconds of a recorded duration: a number, or {"$int"} beyond 2^53. */
function nanoseconds(value: unknown): number {
  return typeof value === "number" ? value : Number(asText(asFields(value)["$int"]));
}

/** Decodes a Serf message, compares its fields and returns our kind. `fields` is null only for an unknown conflict member. */
export function checkDecoded(bytes: Uint8Array, type: number, fields: unknown): string {
  assert.equal(bytes[0], type);
  switch (type) {
    case 2:
      comparePushPull(unwrap(codec.decodeSerfPushPull(bytes)), asFields(fields));
      return "pushPull";
    case 4: {
      const message = unwrap(codec.decodeSerfMessage(bytes));
      assert.ok(message.kind === "query");
      const { Filters, Timeout, ...rest } = asFields(fields);
      assert.deepEqual(fieldsOfMessage(message, QUERY), completed(rest, QUERY));
      assert.deepEqual(message.filters?.map(tagBytes) ?? null, withoutEmptyBytes(Filters ?? null));
      assert.equal(message.timeoutMs, nanoseconds(Timeout ?? 0) / 1e6);
      return message.kind;
    }
    case 6: {
      const member = unwrap(codec.decodeConflictMember(bytes));
      if (fields === null || member === null) assert.equal(member, fields);
      else {
        const { Tags, ...rest } = asFields(fields);
        assert.deepEqual(fieldsOfMessage(member, MEMBER), completed(rest, MEMBER));
        assert.deepEqual(Object.fromEntries(member.tags), Tags ?? {});
      }
      return "conflictResponse";
    }
    case 7:
      assert.deepEqual({ Key: tagBytes(unwrap(codec.decodeKeyRequest(bytes))) }, withoutEmptyBytes(fields));
      return "keyRequest";
    case 8: {
      const { result, message, keys, primaryKey } = unwrap(codec.decodeKeyResponse(bytes));
      assert.deepEqual({ Keys: keys, Message: message, PrimaryKey: primaryKey, Result: result }, fields);
      return "keyResponse";
    }
    default: {
      const entry = SIMPLE.get(type);
      assert.ok(entry !== undefined, `no codec for Serf type ${type}`);
      const message = unwrap(codec.decodeSerfMessage(bytes));
      assert.equal(message.kind, entry.kind);
      assert.deepEqual(fieldsOfMessage(message, entry.shape), completed(asFields(fields), entry.shape));
      return entry.kind;
    }
  }
}

/** Encodes fields; byte-exact with the original except for maps of several entries, whose order is random there. */
export function encodeFields(type: number, fields: unknown): Uint8Array {
  switch (type) {
    case 2:
      return codec.encodeSerfPushPull(pushPullOf(asFields(fields)));
    case 4: {
      const { Filters, Timeout, ...rest } = asFields(fields);
      const filters = Filters === null || Filters === undefined ? null : asList(Filters).map(taggedBytes);
      return codec.encodeQuery({ ...messageOf(rest, QUERY), filters, timeoutMs: nanoseconds(Timeout) / 1e6 } as unknown as Omit<QueryMessage, "kind">);
    }
    case 6: {
      if (fields === null) return codec.encodeConflictMember(null);
      const { Tags, ...rest } = asFields(fields);
      const tags = Tags === null ? null : new Map(Object.entries(asFields(Tags)));
      return codec.encodeConflictMember({ ...messageOf(rest, MEMBER), tags } as unknown as codec.ConflictMemberFields);
    }
    case 7:
      return codec.encodeKeyRequest(taggedBytes(asFields(fields)["Key"]));
    case 8: {
      const { Keys, Message, PrimaryKey, Result } = asFields(fields);
      return codec.encodeKeyResponse({ keys: Keys, message: Message, primaryKey: PrimaryKey, result: Result } as KeyResponse);
    }
    default: {
      const entry = SIMPLE.get(type);
      assert.ok(entry !== undefined, `no codec for Serf type ${type}`);
      return entry.encode(messageOf(asFields(fields), entry.shape) as never);
    }
  }
}

/** Whether the original's bytes have one form only: no map with several entries. */
export function isCanonical(type: number, fields: unknown): boolean {
  if (type !== 2 && type !== 6) return true;
  const map = asFields(fields ?? {})[type === 2 ? "StatusLTimes" : "Tags"];
  return map === null || map === undefined || Object.keys(asFields(map)).length <= 1;
}

function slotOf(value: unknown): EventSlot | null {
  if (value === null) return null;
  const { Events, LTime } = asFields(value);
  const events = asList(Events).map((item) => {
    const { Name, Payload } = asFields(item);
    return { name: asText(Name), payload: taggedBytes(Payload) };
  });
  return { lamportTime: asNumber(LTime), events };
}

function slotFields(slot: EventSlot | null): unknown {
  if (slot === null) return null;
  return { Events: slot.events.map(({ name, payload }) => ({ Name: name, Payload: tagBytes(payload) })), LTime: slot.lamportTime };
}

function pushPullOf(fields: Fields): codec.SerfPushPullFields {
  const { EventLTime, Events, LTime, LeftMembers, QueryLTime, StatusLTimes, ...rest } = fields;
  assert.deepEqual(rest, {});
  return {
    eventTime: asNumber(EventLTime),
    events: Events === null ? null : asList(Events).map(slotOf),
    lamportTime: asNumber(LTime),
    leftMembers: LeftMembers === null ? null : asList(LeftMembers).map(asText),
    queryTime: asNumber(QueryLTime),
    statusTimes: StatusLTimes === null ? null : new Map(Object.entries(asFields(StatusLTimes)).map(([name, time]) => [name, asNumber(time)])),
  };
}

/** `Events` is a list, or {arrayLength, nonNil: [{index, value}]} in the recordings of live agents. */
function comparePushPull(state: SerfPushPull, fields: Fields): void {
  const { Events, LeftMembers, StatusLTimes, ...times } = fields;
  assert.deepEqual({ EventLTime: state.eventTime, LTime: state.lamportTime, QueryLTime: state.queryTime }, times);
  assert.deepEqual(state.leftMembers, LeftMembers ?? []);
  assert.deepEqual(Object.fromEntries(state.statusTimes), StatusLTimes ?? {});
  const slots = state.events.map(slotFields);
  if (Events === null || Array.isArray(Events)) assert.deepEqual(slots, withoutEmptyBytes(Events ?? []));
  else {
    const { arrayLength, nonNil } = asFields(Events);
    const filled = slots.flatMap((value, index) => (value === null ? [] : [{ index, value }]));
    assert.deepEqual({ arrayLength: slots.length, nonNil: filled }, { arrayLength, nonNil: withoutEmptyBytes(nonNil) });
  }
}

/** Decodes an ack payload, compares the coordinate bit by bit, and encodes it again. */
export function checkCoordinate(bytes: Uint8Array, fields: Fields): void {
  const { Adjustment, Error: error, Height, Vec, ...rest } = fields;
  assert.deepEqual(rest, {});
  const expected: WireCoordinate = { adjustment: asNumber(Adjustment), error: asNumber(error), height: asNumber(Height), vec: asList(Vec).map(asNumber) };
  const coordinate = unwrap(serfCoordinate.decodeCoordinate(bytes));
  assert.deepEqual(coordinate, expected);
  assert.equal(toHex(serfCoordinate.encodeCoordinate(expected)), toHex(bytes));
}
