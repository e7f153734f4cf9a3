/** Every decoder of the wire on mutated valid inputs: nothing throws, nothing grows. `FUZZ=1000000 npm test -- wire/fuzz` for the full run. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_BYTES } from "../../src/base/bytes.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { NodeSealer } from "../../src/io/node-sealer.ts";
import { decodeCompress, encodeCompress } from "../../src/wire/compress.ts";
import * as gossip from "../../src/wire/gossip-codec.ts";
import { removeLabel, addLabel } from "../../src/wire/label.ts";
import { compressLzw, decompressLzw } from "../../src/wire/lzw.ts";
import { Float64, Reader, decodeValue, encodeValue } from "../../src/wire/msgpack.ts";
import { PACKET_INFLATED_BYTES_MAX, PACKET_MESSAGES_MAX, addCrc, decodeCompound, encodeCompound, openPacket, packPacket } from "../../src/wire/packet.ts";
import * as serf from "../../src/wire/serf-codec.ts";
import * as serfCoordinate from "../../src/wire/serf-coordinate.ts";
import * as serfTags from "../../src/wire/serf-tags.ts";
import { StreamReader, encodeStream } from "../../src/wire/stream.ts";
import { corpus } from "../support/corpus.ts";
import { fuzz } from "../support/fuzz.ts";

const plain = new NodeSealer([]);
const sealed = new NodeSealer([new Uint8Array(16).fill(1)]);
const { addr, meta, coordinate, filters, serfMessages, packetMessages, state, streamMessages } = corpus("node-a", Uint8Array.of(127, 0, 0, 1));

test("fuzz: decodePacketMessage, peekSeq", () => {
  fuzz(1, packetMessages, (bytes) => {
    const decoded = gossip.decodePacketMessage(bytes);
    gossip.peekSeq(bytes);
    if (decoded.ok && decoded.value.kind === "alive") serfTags.decodeTags(decoded.value.meta);
  });
});

test("fuzz: decodeStreamMessage", () => {
  fuzz(2, streamMessages, (bytes) => {
    const decoded = gossip.decodeStreamMessage(bytes);
    if (decoded.ok && decoded.value.kind === "pushPull") assert.ok(decoded.value.nodes.length <= bytes.length);
  });
});

test("fuzz: decodeSerfMessage, decodeFilter, decodeCoordinate", () => {
  fuzz(3, [...serfMessages, ...filters, coordinate], (bytes) => {
    const decoded = serf.decodeSerfMessage(bytes);
    if (decoded.ok && decoded.value.kind === "query") serf.queryConcerns(decoded.value.filters, "node-a", new Map(), { compile: () => null });
    serf.decodeFilter(bytes);
    serfCoordinate.decodeCoordinate(bytes);
  });
});

test("fuzz: decodeSerfPushPull", () => {
  fuzz(4, [state], (bytes) => {
    const decoded = serf.decodeSerfPushPull(bytes);
    if (decoded.ok) assert.ok(decoded.value.events.length + decoded.value.statusTimes.size <= bytes.length);
  });
});

test("fuzz: conflict members, key requests and responses, tags", () => {
  const protocols = { protocolMin: 1, protocolMax: 5, protocolCur: 2, delegateMin: 2, delegateMax: 5, delegateCur: 5 };
  const member = { ...protocols, name: "a", addr, port: 1, tags: new Map([["role", "web"]]), status: 1 };
  const answer = { result: true, message: "", keys: ["a2V5", "a2V6"], primaryKey: "a2V5" };
  const inputs = [serf.encodeConflictMember(member), serf.encodeKeyRequest(new Uint8Array(32)), serf.encodeKeyResponse(answer), meta];
  fuzz(5, inputs, (bytes) => {
    serf.decodeConflictMember(bytes);
    serf.decodeKeyRequest(bytes);
    serf.decodeKeyResponse(bytes);
    serfTags.decodeTags(bytes);
  });
});

test("fuzz: msgpack values, skip", () => {
  const value = { Command: "event", Seq: 70_000, Body: [1, -5, 2n ** 60n, new Float64(1.5), null, true, encodeUtf8("bytes"), { a: { b: [[]] } }] };
  const inputs = [encodeValue(value, "rpc"), encodeValue(value, "gossip"), encodeValue({ Members: [value, value] }, "rpc")];
  fuzz(6, inputs, (bytes) => {
    const reader = new Reader(bytes);
    decodeValue(reader);
    const skipper = new Reader(bytes);
    skipper.skip(0);
    // What one reads the other steps over; extension types and keys that are no strings can only be stepped over.
    if (!reader.failed) assert.equal(skipper.at, reader.at);
    if (skipper.short) assert.ok(reader.failed);
  });
});

test("fuzz: LZW, compress messages", () => {
  const random = new SeededRandom(8);
  const text = Uint8Array.from({ length: 600 }, () => random.below(5));
  const inputs = [compressLzw(text), compressLzw(new Uint8Array(3000)), encodeCompress(text)];
  fuzz(7, inputs, (bytes) => {
    const inflated = decompressLzw(bytes, 20_000);
    if (inflated.ok) assert.ok(inflated.value.length <= 20_000);
    decodeCompress(bytes, 20_000);
  });
});

test("fuzz: compounds, labels", () => {
  const compound = encodeCompound(packetMessages.slice(0, 6));
  fuzz(8, [compound, encodeCompound([compound]), addLabel(encodeUtf8("blue"), compound)], (bytes) => {
    decodeCompound(bytes);
    removeLabel(bytes);
  });
});

test("fuzz: openPacket", () => {
  const compound = encodeCompound(packetMessages.slice(0, 6));
  const nested = encodeCompound([compound, encodeCompress(compound), encodeCompress(encodeCompound([packetMessages[6] as Uint8Array]))]);
  const inputs = [...packetMessages, compound, nested, encodeCompress(nested), addCrc(nested, plain)];
  fuzz(9, inputs, (bytes) => {
    const { messages, drops } = openPacket(bytes, { sealer: plain, label: EMPTY_BYTES, verifyIncoming: true });
    assert.ok(messages.length <= PACKET_MESSAGES_MAX);
    assert.ok(drops.length < 2000);
    let total = 0;
    for (const message of messages) total += message.length;
    assert.ok(total <= bytes.length + PACKET_INFLATED_BYTES_MAX);
  });
});

test("fuzz: openPacket, encrypted and labelled", () => {
  const label = encodeUtf8("blue");
  const inputs = packetMessages.flatMap((message) => packPacket([message], { compress: false, crc: true, label, sealer: sealed, encryptionVersion: 0, verifyOutgoing: true }));
  const [first] = packetMessages as [Uint8Array];
  fuzz(10, [...inputs, addLabel(label, first)], (bytes) => {
    openPacket(bytes, { sealer: sealed, label, verifyIncoming: true });
    openPacket(bytes, { sealer: sealed, label, verifyIncoming: false });
  });
});

for (const [seed, name, sealer, compress] of [[11, "plain", plain, false], [12, "compressed", plain, true], [13, "encrypted", sealed, false]] as const) {
  test(`fuzz: StreamReader, ${name}`, () => {
    const options = { compress, sealer, label: EMPTY_BYTES, initiator: true, encryptionVersion: 1, verifyOutgoing: true } as const;
    const inputs = streamMessages.map((message) => encodeStream(message, options));
    const random = new SeededRandom(seed);
    fuzz(seed, inputs, (bytes) => {
      const reader = new StreamReader({ sealer, label: EMPTY_BYTES, acceptor: true, verifyIncoming: true });
      for (let at = 0; at < bytes.length; ) {
        const size = 1 + random.below(400);
        for (const message of reader.push(bytes.subarray(at, at + size))) gossip.decodeStreamMessage(message);
        at += size;
        assert.ok(reader.buffered <= at);
      }
    });
  });
}
