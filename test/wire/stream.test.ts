import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_BYTES, concatBytes, fromHex, toHex } from "../../src/base/bytes.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { NodeSealer } from "../../src/io/node-sealer.ts";
import { encodeCompress, wrapCompressed } from "../../src/wire/compress.ts";
import {
  PUSH_PULL_NODES_MAX,
  USER_MESSAGE_BYTES_MAX,
  USER_STATE_BYTES_MAX,
  encodeAck,
  encodeErr,
  encodePing,
  encodePushPull,
  encodeStreamUser,
  encodeSuspect,
} from "../../src/wire/gossip-codec.ts";
import { MessageType } from "../../src/wire/gossip-messages.ts";
import { addLabel } from "../../src/wire/label.ts";
import { Writer, encodeValue, type Encodable } from "../../src/wire/msgpack.ts";
import {
  ENCRYPTED_BYTES_MAX,
  STREAM_BUFFER_BYTES_MAX,
  STREAM_INFLATED_BYTES_MAX,
  STREAM_SCAN_BYTES_MAX,
  StreamReader,
  encodeStream,
  type StreamReaderOptions,
} from "../../src/wire/stream.ts";
import { lzwBomb } from "../support/lzw-bomb.ts";

const plain = new NodeSealer([]);
const sealed = new NodeSealer([new Uint8Array(16).fill(1)]);
const blue = encodeUtf8("blue");
const base: StreamReaderOptions = { sealer: plain, label: EMPTY_BYTES, acceptor: true, verifyIncoming: true };

const node = { name: "a", addr: Uint8Array.of(127, 0, 0, 1), port: 7946, meta: fromHex("ff80"), incarnation: 1, state: 0, versions: fromHex("010502020505") };
const messages: readonly (readonly [string, Uint8Array])[] = [
  ["ping", encodePing({ seq: 1, node: "a", sourceAddr: null, sourcePort: 0, sourceNode: "" })],
  ["ack", encodeAck({ seq: 1, payload: null })],
  ["err", encodeErr("no")],
  ["user", encodeStreamUser(encodeUtf8("a user message"))],
  ["empty user", encodeStreamUser(EMPTY_BYTES)],
  ["push/pull", encodePushPull({ join: true, nodes: [node, { ...node, name: "b" }, node], userState: encodeUtf8("state") })],
  ["push/pull without state", encodePushPull({ join: false, nodes: [node], userState: null })],
  ["empty push/pull", encodePushPull({ join: false, nodes: [], userState: null })],
];

/** All messages of `bytes` given in pieces of `size`, and the failure. */
function readIn(size: number, bytes: Uint8Array, options: StreamReaderOptions): { messages: string[]; failure: unknown; buffered: number } {
  const reader = new StreamReader(options);
  const read: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) read.push(...reader.push(bytes.subarray(at, at + size)));
  return { messages: read.map(toHex), failure: reader.failure, buffered: reader.buffered };
}

for (const label of [EMPTY_BYTES, blue]) {
  for (const sealer of [plain, sealed]) {
    for (const compress of [false, true]) {
      for (const encryptionVersion of sealer.encrypts ? ([0, 1] as const) : ([1] as const)) {
        const title = [compress && "compressed", sealer.encrypts && `encrypted v${encryptionVersion}`, label.length > 0 && "labelled"].filter(Boolean).join(", ");
        test(`every message comes back split at every byte: ${title || "plain"}`, () => {
          for (const [name, message] of messages) {
            for (const initiator of [true, false]) {
              const bytes = encodeStream(message, { compress, sealer, label, initiator, encryptionVersion, verifyOutgoing: true });
              const options = { sealer, label, acceptor: initiator, verifyIncoming: true };
              const expected = { messages: [toHex(message)], failure: null, buffered: 0 };
              for (const size of [1, 2, 7, bytes.length]) assert.deepEqual(readIn(size, bytes, options), expected, name);
              for (let length = 0; length < bytes.length; length += 1) {
                const reader = new StreamReader(options);
                assert.deepEqual([...reader.push(bytes.subarray(0, length)), ...reader.push(bytes.subarray(length))].map(toHex), [toHex(message)]);
              }
            }
          }
        });
      }
    }
  }
}

test("a direction carries one message: what follows is ignored and not kept", () => {
  const [, first] = messages[0] as readonly [string, Uint8Array];
  const all = concatBytes(messages.map(([, message]) => message));
  for (const size of [1, 3, all.length]) assert.deepEqual(readIn(size, all, base), { messages: [toHex(first)], failure: null, buffered: 0 });
});

test("what the acceptor answers, in memberlist's words", () => {
  const [, ping] = messages[0] as readonly [string, Uint8Array];
  const seal = { compress: false, sealer: sealed, label: EMPTY_BYTES, initiator: true, encryptionVersion: 1, verifyOutgoing: true } as const;
  const other = new NodeSealer([new Uint8Array(16).fill(9)]);
  const tooLong = Uint8Array.of(MessageType.encrypt, 0x01, 0x40, 0, 1);
  const cases: readonly [string, Uint8Array, Partial<StreamReaderOptions>, string, boolean][] = [
    ["plain to encrypted", ping, { sealer: sealed }, "Encryption is configured but remote state is not encrypted", true],
    ["encrypted to plain", encodeStream(ping, seal), {}, "Remote state is encrypted and encryption is not configured", true],
    ["wrong key", encodeStream(ping, { ...seal, sealer: other }), { sealer: sealed }, "No installed keys could decrypt the message", true],
    ["too long", tooLong, { sealer: sealed }, `Remote node state is larger than limit (${ENCRYPTED_BYTES_MAX + 1})`, true],
    ["empty frame", fromHex("0a00000000"), { sealer: sealed }, "Cannot decrypt empty payload", true],
    ["broken LZW", fromHex("0982a4416c676f00a3427566a400d19461"), {}, "unexpected EOF", true],
    ["unknown algorithm", fromHex("0981a4416c676f01"), {}, "Cannot decompress unknown algorithm 1", true],
    ["unknown type", fromHex("4d"), {}, "Received invalid msgType (77)", false],
    ["datagram type", encodeSuspect({ incarnation: 1, node: "a", from: "b" }), {}, "Received invalid msgType (3)", false],
    ["compressed twice", encodeCompress(encodeCompress(ping)), {}, "Received invalid msgType (9)", false],
    ["malformed ping", fromHex("00c1"), {}, "malformed message", false],
    ["compressed nothing", encodeCompress(EMPTY_BYTES), {}, "empty message", false],
    ["unexpected label", addLabel(blue, ping), {}, "label differs", false],
    ["missing label", ping, { label: blue }, "label missing", false],
    ["other label", addLabel(encodeUtf8("red"), ping), { label: blue }, "label differs", false],
    ["empty label", fromHex("f400"), { label: blue }, "label header cannot be empty when present", false],
    ["label in a reply", addLabel(blue, ping), { label: blue, acceptor: false }, "Received invalid msgType (244)", false],
  ];
  for (const [name, bytes, options, error, answer] of cases) {
    for (const size of [1, bytes.length]) {
      const read = readIn(size, bytes, { ...base, ...options });
      assert.deepEqual(read, { messages: [], failure: { error, answer }, buffered: 0 }, name);
    }
  }
  assert.deepEqual(readIn(1, ping, { ...base, sealer: sealed, verifyIncoming: false }).messages, [toHex(ping)]);
});

test("after a failure nothing is kept or read", () => {
  const reader = new StreamReader(base);
  reader.push(fromHex("4d"));
  assert.deepEqual(reader.push((messages[0] as readonly [string, Uint8Array])[1]), []);
  assert.equal(reader.buffered, 0);
});

/** A message of one type with the given fields, and what stands behind it. */
function raw(type: number, fields: Encodable, rest: Uint8Array = EMPTY_BYTES): Uint8Array {
  return concatBytes([Uint8Array.of(type), encodeValue(fields, "gossip"), rest]);
}

test("declared counts and lengths beyond the limits are refused before their bytes come", () => {
  const pushPull = (nodes: number, userState: number): Uint8Array => raw(MessageType.pushPull, { Join: false, Nodes: nodes, UserStateLen: userState });
  for (const bytes of [pushPull(PUSH_PULL_NODES_MAX + 1, 0), pushPull(0, USER_STATE_BYTES_MAX + 1), pushPull(-1, 0), pushPull(0, -1)]) {
    assert.deepEqual(readIn(bytes.length, bytes, base).failure, { error: "push/pull header out of range", answer: false });
  }
  for (const length of [-1, USER_MESSAGE_BYTES_MAX + 1]) {
    assert.deepEqual(readIn(1, raw(MessageType.user, { UserMsgLen: length }), base).failure, { error: "user message length out of range", answer: false });
  }
  for (const bytes of [pushPull(PUSH_PULL_NODES_MAX, USER_STATE_BYTES_MAX), raw(MessageType.user, { UserMsgLen: USER_MESSAGE_BYTES_MAX })]) {
    assert.equal(readIn(1, bytes, base).failure, null);
  }
});

test("an incomplete struct is read again only so far", () => {
  // 8,192 pairs of three bytes: once two bytes for each have come, reading starts, and would start over with each further chunk.
  const pairs = concatBytes(new Array<Uint8Array>(0x2000).fill(fromHex("a0a141")));
  const ping = concatBytes([fromHex("00de2000"), pairs]);
  assert.ok(pairs.length > STREAM_SCAN_BYTES_MAX);
  assert.deepEqual(readIn(1024, ping, base).failure, { error: "message is larger than allowed", answer: false });
  assert.deepEqual(readIn(ping.length, ping, base), { messages: [toHex(ping)], failure: null, buffered: 0 });
});

test("bytes of one message are kept up to the limit", () => {
  const reader = new StreamReader(base);
  // A node with a meta of 41 MiB: its length is known at once, the bytes are only waited for.
  reader.push(raw(MessageType.pushPull, { Join: false, Nodes: 1, UserStateLen: 0 }, fromHex("81a44d657461db02900000")));
  const chunk = new Uint8Array(1 << 20);
  let chunks = 0;
  while (reader.failure === null && chunks < 45) {
    reader.push(chunk);
    chunks += 1;
  }
  assert.deepEqual(reader.failure, { error: "message is larger than allowed", answer: false });
  assert.ok(chunks * chunk.length <= STREAM_BUFFER_BYTES_MAX + 2 * chunk.length);
  assert.equal(reader.buffered, 0);
});

test("a compressed stream message inflates up to the limit and no further", () => {
  const bomb = wrapCompressed(lzwBomb(STREAM_INFLATED_BYTES_MAX + 1));
  assert.ok(bomb.length < 40_000);
  assert.deepEqual(readIn(bomb.length, bomb, base).failure, { error: "decompressed data is larger than allowed", answer: true });
});

test("a stream message that is empty once inflated is refused, and nothing is read beyond it (memberlist#369)", () => {
  const reader = new StreamReader(base);
  assert.deepEqual(reader.push(encodeCompress(EMPTY_BYTES)), []);
  assert.notEqual(reader.failure, null);
  assert.deepEqual(reader.push(messages[0]?.[1] ?? EMPTY_BYTES), []);
});

test("a large push/pull in small chunks is scanned once", () => {
  const nodes = Array.from({ length: 20_000 }, (_, i) => ({ ...node, name: `node-${i}` }));
  const bytes = encodePushPull({ join: true, nodes, userState: new Uint8Array(100_000) });
  const started = performance.now();
  const read = readIn(1400, bytes, base);
  // Scanning from the start at each of the 1,500 chunks would take some ten seconds.
  assert.ok(performance.now() - started < 5000);
  assert.equal(read.messages.length, 1);
  assert.equal(read.messages[0]?.length, 2 * bytes.length);
});

test("random chunks of mutated streams never throw and never keep more than came", () => {
  const random = new SeededRandom(5);
  for (let i = 0; i < 500; i += 1) {
    const bytes = Uint8Array.from((messages[i % messages.length] as readonly [string, Uint8Array])[1]);
    for (let k = 0; k < 3; k += 1) bytes[random.below(bytes.length)] = random.below(256);
    const reader = new StreamReader(base);
    let sent = 0;
    while (sent < bytes.length) {
      const size = 1 + random.below(100);
      reader.push(bytes.subarray(sent, sent + size));
      sent += size;
      assert.ok(reader.buffered <= sent);
    }
  }
});

test("the memory of the writer is not shared with what it returned", () => {
  const writer = new Writer("gossip");
  const first = writer.text("first").finish();
  writer.text("other").finish();
  assert.equal(toHex(first), "a56669727374");
});
