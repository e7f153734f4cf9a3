import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concatBytes, fromHex, toHex } from "../../src/base/bytes.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import type { Matcher } from "../../src/wire/matcher.ts";
import { Writer, encodeValue, type Encodable } from "../../src/wire/msgpack.ts";
import * as codec from "../../src/wire/serf-codec.ts";
import * as serfCoordinate from "../../src/wire/serf-coordinate.ts";
import * as serfTags from "../../src/wire/serf-tags.ts";
import type { SerfMessage, SerfPushPull } from "../../src/wire/serf-messages.ts";
import { record } from "../support/arbitraries.ts";

const u32 = fc.nat({ max: 0xffff_ffff });
const port = fc.nat({ max: 0xffff });
const lamportTime = fc.maxSafeNat();
const text = fc.string({ unit: "binary", maxLength: 60 });
const bytes = (max: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength: max });
const payload = fc.oneof(fc.constant(null), fc.uint8Array({ minLength: 1, maxLength: 400 }));

const messages: fc.Arbitrary<SerfMessage> = fc.oneof(
  record<SerfMessage>({ kind: fc.constant("leave" as const), lamportTime, node: text, prune: fc.boolean() }),
  record<SerfMessage>({ kind: fc.constant("join" as const), lamportTime, node: text }),
  record<SerfMessage>({ kind: fc.constant("userEvent" as const), lamportTime, name: text, payload, coalesce: fc.boolean() }),
  record<SerfMessage>({
    kind: fc.constant("query" as const),
    lamportTime,
    id: u32,
    addr: bytes(16),
    port,
    sourceNode: text,
    filters: fc.oneof(fc.constant(null), fc.array(bytes(60), { maxLength: 20 })),
    flags: u32,
    relayFactor: fc.nat({ max: 255 }),
    timeoutMs: fc.nat({ max: 1e12 }).map((us) => us / 1000),
    name: text,
    payload,
  }),
  record<SerfMessage>({ kind: fc.constant("queryResponse" as const), lamportTime, id: u32, from: text, flags: u32, payload }),
  record<SerfMessage>({ kind: fc.constant("relay" as const), destAddr: bytes(16), destPort: port, destName: text, message: bytes(200) }),
);

function encode(message: SerfMessage): Uint8Array {
  switch (message.kind) {
    case "leave":
      return codec.encodeLeave(message);
    case "join":
      return codec.encodeJoin(message);
    case "userEvent":
      return codec.encodeUserEvent(message);
    case "query":
      return codec.encodeQuery(message);
    case "queryResponse":
      return codec.encodeQueryResponse(message);
    case "relay":
      return codec.encodeRelay(message);
  }
}

test("every message comes back, and cut short it is refused", () => {
  fc.assert(
    fc.property(messages, (message) => {
      const encoded = encode(message);
      assert.deepEqual(codec.decodeSerfMessage(encoded), { ok: true, value: message });
      const end = message.kind === "relay" ? encoded.length - message.message.length : encoded.length;
      for (let length = 0; length < end; length += 1) assert.equal(codec.decodeSerfMessage(encoded.subarray(0, length)).ok, false);
    }),
    { numRuns: 300 },
  );
});

test("a user event's packet may be looked at before it is copied", () => {
  const event = { lamportTime: 70_000, name: "deploy", payload: new Uint8Array(40).fill(7), coalesce: true };
  for (const size of [40, 40, 0, 3000, 40]) {
    const sized = { ...event, payload: new Uint8Array(size).fill(7) };
    const copied = codec.viewUserEventPacket(sized).slice();
    assert.deepEqual(copied, codec.encodeUserEventPacket(sized).slice());
  }
});

test("a push/pull state comes back, and cut short it is refused", () => {
  const slot = fc.oneof(fc.constant(null), record({ lamportTime, events: fc.array(record({ name: text, payload }), { maxLength: 4 }) }));
  const states: fc.Arbitrary<SerfPushPull> = record<SerfPushPull>({
    kind: fc.constant("pushPull" as const),
    lamportTime,
    statusTimes: fc.array(fc.tuple(text, lamportTime), { maxLength: 20 }).map((pairs) => new Map(pairs)),
    leftMembers: fc.array(text, { maxLength: 20 }),
    eventTime: lamportTime,
    events: fc.array(slot, { maxLength: 30 }),
    queryTime: lamportTime,
  });
  fc.assert(
    fc.property(states, (state) => {
      const encoded = codec.encodeSerfPushPull(state);
      assert.deepEqual(codec.decodeSerfPushPull(encoded), { ok: true, value: state });
      for (let length = 0; length < encoded.length; length += 3) assert.equal(codec.decodeSerfPushPull(encoded.subarray(0, length)).ok, false);
    }),
    { numRuns: 100 },
  );
});

/** A push/pull state with one field. */
function stateWith(field: string, write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer("gossip").byte(2).mapHead(1).text(field);
  write(writer);
  return writer.finish();
}

test("limits of a push/pull state: slots, events in all slots together", () => {
  const slots = (count: number): Uint8Array => stateWith("Events", (w) => void w.arrayHead(count).raw(new Uint8Array(count).fill(0xc0)));
  assert.equal(codec.decodeSerfPushPull(slots(codec.EVENT_SLOTS_MAX)).ok, true);
  assert.equal(codec.decodeSerfPushPull(slots(codec.EVENT_SLOTS_MAX + 1)).ok, false);

  const half = codec.EVENTS_MAX / 2;
  const events = (counts: readonly number[]): Uint8Array =>
    stateWith("Events", (w) => {
      w.arrayHead(counts.length);
      for (const count of counts) w.mapHead(1).text("Events").arrayHead(count).raw(new Uint8Array(count).fill(0x80));
    });
  assert.equal(codec.decodeSerfPushPull(events([half, half])).ok, true);
  assert.equal(codec.decodeSerfPushPull(events([half, half, 1])).ok, false);
});

test("limits of a push/pull state: names", () => {
  const names = (count: number): Uint8Array => stateWith("LeftMembers", (w) => void w.arrayHead(count).raw(new Uint8Array(count).fill(0xa0)));
  assert.equal(codec.decodeSerfPushPull(names(1_048_576)).ok, true);
  assert.equal(codec.decodeSerfPushPull(names(1_048_577)).ok, false);
  const times = stateWith("StatusLTimes", (w) => void w.mapHead(1_048_577).raw(new Uint8Array(2 * 1_048_577).fill(0xc0)));
  assert.equal(codec.decodeSerfPushPull(times).ok, false);
});

test("a Lamport time beyond 2^53 is refused: nothing could come after it", () => {
  const event = (time: bigint): Uint8Array => concatBytes([Uint8Array.of(3), encodeValue({ LTime: time, Name: "x" }, "gossip")]);
  assert.equal(codec.decodeSerfMessage(event(2n ** 53n - 1n)).ok, true);
  assert.equal(codec.decodeSerfMessage(event(2n ** 53n)).ok, false);
  assert.equal(codec.decodeSerfMessage(event(2n ** 64n - 1n)).ok, false);
});

test("durations: any int64, written within its range", () => {
  const query = (timeout: Encodable): Uint8Array => concatBytes([Uint8Array.of(4), encodeValue({ Timeout: timeout }, "gossip")]);
  for (const [ns, ms] of [[-1_000_000n, -1], [1n, 1e-6], [2n ** 63n - 1n, 2 ** 63 / 1e6]] as const) {
    const decoded = codec.decodeSerfMessage(query(ns));
    assert.ok(ns === 2n ** 63n - 1n ? !decoded.ok : decoded.ok && decoded.value.kind === "query" && decoded.value.timeoutMs === ms);
  }
  const base = { lamportTime: 1, id: 1, addr: new Uint8Array(4), port: 1, sourceNode: "", filters: null, flags: 0, relayFactor: 0, name: "", payload: null };
  for (const [ms, hex] of [[1e300, "cf7fffffffffffffff"], [-1e300, "d38000000000000001"], [0, "00"], [0.5, "ce0007a120"]] as const) {
    assert.ok(toHex(codec.encodeQuery({ ...base, timeoutMs: ms })).endsWith(hex));
  }
});

test("answers to conflicts and key queries come back", () => {
  const member = {
    name: "a",
    addr: Uint8Array.of(1, 2, 3, 4),
    port: 7946,
    tags: new Map([["role", "web"], ["az", "1"]]),
    status: 1,
    protocolMin: 1,
    protocolMax: 5,
    protocolCur: 2,
    delegateMin: 2,
    delegateMax: 5,
    delegateCur: 4,
  };
  assert.deepEqual(codec.decodeConflictMember(codec.encodeConflictMember(member)), { ok: true, value: member });
  assert.deepEqual(codec.decodeConflictMember(codec.encodeConflictMember(null)), { ok: true, value: null });
  assert.equal(codec.decodeConflictMember(codec.encodeConflictMember(member).subarray(0, -1)).ok, false);
  const answer = { result: true, message: "m", keys: ["a", "b"], primaryKey: "a" };
  assert.deepEqual(codec.decodeKeyResponse(codec.encodeKeyResponse(answer)), { ok: true, value: answer });
  assert.deepEqual(codec.decodeKeyRequest(codec.encodeKeyRequest(Uint8Array.of(1, 2))), { ok: true, value: Uint8Array.of(1, 2) });
  for (const decode of [codec.decodeConflictMember, codec.decodeKeyRequest, codec.decodeKeyResponse, codec.decodeSerfPushPull]) {
    assert.equal(decode(fromHex("0180")).ok, false);
    assert.equal(decode(fromHex("")).ok, false);
  }
});

test("a coordinate comes back bit by bit; another version is refused", () => {
  fc.assert(
    fc.property(record({ vec: fc.array(fc.double(), { maxLength: 16 }), error: fc.double(), adjustment: fc.double(), height: fc.double() }), (coordinate) => {
      assert.deepEqual(serfCoordinate.decodeCoordinate(serfCoordinate.encodeCoordinate(coordinate)), { ok: true, value: coordinate });
    }),
  );
  assert.equal(serfCoordinate.decodeCoordinate(fromHex("0280")).ok, false);
  assert.equal(serfCoordinate.decodeCoordinate(fromHex("")).ok, false);
});

test("tags: equal maps give equal bytes, and every tag comes back", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text), { maxLength: 30 }), (pairs) => {
      const tags = new Map(pairs);
      const encoded = serfTags.encodeTags(tags, 5);
      assert.deepEqual(serfTags.decodeTags(encoded), tags);
      assert.equal(toHex(serfTags.encodeTags(new Map([...tags].reverse()), 5)), toHex(encoded));
    }),
  );
});

test("tags: a forged count keeps the pairs that are there and reserves nothing", () => {
  assert.deepEqual(serfTags.decodeTags(fromHex("ffdfffffffffa16ba176")), new Map([["k", "v"]]));
  assert.deepEqual(serfTags.decodeTags(fromHex("ffdfffffffff")), new Map());
  assert.deepEqual(serfTags.decodeTags(fromHex("ff82a16ba176a16c")), new Map([["k", "v"]]));
});

test("filters: all must pass, and what cannot be read excludes", () => {
  const matcher: Matcher = { compile: (expr) => (expr === "(" ? null : (value) => value.includes(expr)) };
  const nodes = codec.encodeFilter({ kind: "nodes", nodes: ["a", "b"] });
  const web = codec.encodeFilter({ kind: "tag", tag: "role", expr: "we" });
  const bad = codec.encodeFilter({ kind: "tag", tag: "role", expr: "(" });
  const tags = new Map([["role", "web"]]);
  const cases: readonly [readonly Uint8Array[] | null, string, boolean][] = [
    [null, "z", true],
    [[], "z", true],
    [[nodes], "a", true],
    [[nodes], "z", false],
    [[nodes, web], "b", true],
    [[nodes, web], "z", false],
    [[bad], "a", false],
    [[nodes, encodeUtf8("x")], "a", false],
    [[new Uint8Array(0)], "a", false],
  ];
  for (const [filters, node, expected] of cases) assert.equal(codec.queryConcerns(filters, node, tags, matcher), expected);
  assert.equal(codec.queryConcerns([web], "a", new Map(), matcher), false);
});
