import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concatBytes, fromHex, toHex } from "../../src/base/bytes.ts";
import {
  PUSH_PULL_NODES_MAX,
  USER_STATE_BYTES_MAX,
  decodePacketMessage,
  decodeStreamMessage,
  encodeAck,
  encodeAlive,
  encodeDead,
  encodeErr,
  encodeIndirectPing,
  encodeNack,
  encodePing,
  encodePushPull,
  encodeStreamUser,
  encodeSuspect,
  encodeUser,
  peekSeq,
  peekType,
} from "../../src/wire/gossip-codec.ts";
import { MessageType, type Alive, type PacketMessage } from "../../src/wire/gossip-messages.ts";
import { encodeValue, type Encodable } from "../../src/wire/msgpack.ts";
import { record } from "../support/arbitraries.ts";

const u32 = fc.nat({ max: 0xffff_ffff });
const port = fc.nat({ max: 0xffff });
const text = fc.string({ unit: "binary", maxLength: 60 });
const bytes = (max: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength: max });
const someBytes = (max: number): fc.Arbitrary<Uint8Array | null> => fc.oneof(fc.constant(null), fc.uint8Array({ minLength: 1, maxLength: max }));
const source = { sourceAddr: someBytes(16), sourcePort: port, sourceNode: text };

const packetMessages: fc.Arbitrary<PacketMessage> = fc.oneof(
  record({ kind: fc.constant("ping" as const), seq: u32, node: text, ...source }),
  record({ kind: fc.constant("indirectPing" as const), seq: u32, target: bytes(16), port, node: text, nack: fc.boolean(), ...source }),
  record({ kind: fc.constant("ack" as const), seq: u32, payload: someBytes(200) }),
  record({ kind: fc.constant("nack" as const), seq: u32 }),
  record({ kind: fc.constant("suspect" as const), incarnation: u32, node: text, from: text }),
  record({ kind: fc.constant("dead" as const), incarnation: u32, node: text, from: text }),
  record({ kind: fc.constant("alive" as const), incarnation: u32, node: text, addr: bytes(16), port, meta: bytes(512), versions: bytes(6) }),
  record({ kind: fc.constant("user" as const), payload: bytes(300) }),
);

function encode(message: PacketMessage): Uint8Array {
  switch (message.kind) {
    case "ping":
      return encodePing(message);
    case "indirectPing":
      return encodeIndirectPing(message);
    case "ack":
      return encodeAck(message);
    case "nack":
      return encodeNack(message);
    case "suspect":
      return encodeSuspect(message);
    case "dead":
      return encodeDead(message);
    case "alive":
      return encodeAlive(message);
    case "user":
      return encodeUser(message.payload);
  }
}

test("every datagram message comes back, and cut short it is refused", () => {
  fc.assert(
    fc.property(packetMessages, (message) => {
      const encoded = encode(message);
      assert.deepEqual(decodePacketMessage(encoded), { ok: true, value: message });
      assert.equal(peekSeq(encoded), "seq" in message ? message.seq : -1);
      if (message.kind === "user") return;
      for (let length = 0; length < encoded.length; length += 1) {
        assert.equal(decodePacketMessage(encoded.subarray(0, length)).ok, false);
        assert.equal(peekSeq(encoded.subarray(0, length)) === -1, true);
      }
    }),
    { numRuns: 300 },
  );
});

test("decoding does not depend on the bytes staying as they are", () => {
  const alive: Alive = { kind: "alive", incarnation: 1, node: "n", addr: Uint8Array.of(1, 2, 3, 4), port: 5, meta: Uint8Array.of(6), versions: Uint8Array.of(1, 5, 2, 2, 5, 5) };
  const encoded = encodeAlive(alive);
  const decoded = decodePacketMessage(encoded);
  encoded.fill(0);
  assert.deepEqual(decoded, { ok: true, value: alive });
});

test("a push/pull comes back, and cut short it is refused", () => {
  const node = record({
    name: text,
    addr: bytes(16),
    port,
    meta: bytes(100),
    incarnation: u32,
    state: fc.integer({ min: -3, max: 300 }),
    versions: bytes(6),
  });
  const pushPulls = record({ join: fc.boolean(), nodes: fc.array(node, { maxLength: 5 }), userState: someBytes(200) });
  fc.assert(
    fc.property(pushPulls, (pushPull) => {
      const encoded = encodePushPull(pushPull);
      assert.deepEqual(decodeStreamMessage(encoded), { ok: true, value: { kind: "pushPull", ...pushPull } });
      for (let length = 0; length < encoded.length; length += 7) assert.equal(decodeStreamMessage(encoded.subarray(0, length)).ok, false);
    }),
    { numRuns: 100 },
  );
});

test("other stream messages come back", () => {
  assert.deepEqual(decodeStreamMessage(encodeErr("no é")), { ok: true, value: { kind: "err", error: "no é" } });
  assert.deepEqual(decodeStreamMessage(encodeStreamUser(Uint8Array.of(3, 1))), { ok: true, value: { kind: "user", payload: Uint8Array.of(3, 1) } });
  assert.equal(decodeStreamMessage(encodeStreamUser(Uint8Array.of(3, 1)).subarray(0, -1)).ok, false);
  assert.equal(decodeStreamMessage(encodeSuspect({ incarnation: 1, node: "a", from: "b" })).ok, false);
});

test("limits of a push/pull: forged counts are refused, negative ones too", () => {
  const header = (fields: Encodable): Uint8Array => concatBytes([Uint8Array.of(MessageType.pushPull), encodeValue(fields, "gossip"), new Uint8Array(64).fill(0xc0)]);
  for (const [nodes, userStateLength] of [[-1, 0], [0, -1], [PUSH_PULL_NODES_MAX + 1, 0], [0, USER_STATE_BYTES_MAX + 1], [2 ** 40, 0]] as const) {
    assert.deepEqual(decodeStreamMessage(header({ Join: true, Nodes: nodes, UserStateLen: userStateLength })), { ok: false, error: "push/pull header out of range" });
  }
  // In range, but not there.
  assert.equal(decodeStreamMessage(header({ Join: true, Nodes: PUSH_PULL_NODES_MAX, UserStateLen: 0 })).ok, false);
  assert.equal(decodeStreamMessage(header({ Join: true, Nodes: 0, UserStateLen: USER_STATE_BYTES_MAX })).ok, false);
});

test("short, empty and oversized version lists are taken as they are", () => {
  for (const [written, expected] of [["91" + "01", "01"], ["c0", ""], ["a0", ""], ["9a" + "01".repeat(10), "01".repeat(10)]] as const) {
    const decoded = decodePacketMessage(fromHex(`0481a356736e${written}`));
    assert.ok(decoded.ok && decoded.value.kind === "alive");
    assert.equal(toHex(decoded.value.versions), expected);
  }
});

test("what is no datagram message is refused", () => {
  for (const hex of ["", "0680", "0780", "0980", "0a00", "0c00000000", "0d80", "6301", "f401", "04", "0405", "04c1"]) {
    assert.equal(decodePacketMessage(fromHex(hex)).ok, false, hex);
  }
  assert.equal(peekType(fromHex("")), -1);
});
