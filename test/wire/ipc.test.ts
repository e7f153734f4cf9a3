import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes } from "../../src/base/bytes.ts";
import { BoundaryScanner } from "../../src/wire/msgpack-boundary.ts";
import { encodeValue, Float64, Reader } from "../../src/wire/msgpack.ts";
import { ObjectBuffer } from "../../src/wire/object-buffer.ts";
import { decodeRequestBody, decodeRequestHeader, encodeRequest, hasBody, type IpcRequest } from "../../src/wire/ipc-requests.ts";
import * as answers from "../../src/wire/ipc-responses.ts";
import { fakeMember } from "../support/fake-agent.ts";
import { fuzz } from "../support/fuzz.ts";

const BYTES = Uint8Array.of(0, 255);
const REQUESTS: readonly IpcRequest[] = [
  { command: "handshake", version: 1 },
  { command: "auth", authKey: "k".repeat(40) },
  { command: "event", name: "n", payload: BYTES, coalesce: true },
  { command: "force-leave", node: "n", prune: true },
  { command: "join", existing: ["a", "b"], replay: true },
  { command: "join", existing: null, replay: false },
  { command: "members" },
  { command: "members-filtered", name: "a.*", status: "alive", tags: new Map([["k", "v"]]) },
  { command: "tags", tags: null, deleteTags: ["x"] },
  { command: "stream", type: "*" },
  { command: "monitor", logLevel: "info" },
  { command: "stop", stop: 2n ** 60n },
  { command: "query", name: "q", payload: null, filterNodes: ["n"], filterTags: new Map(), requestAck: true, relayFactor: 255, timeoutMs: 0.000001 },
  { command: "respond", id: 3, payload: BYTES },
  { command: "use-key", key: "=" },
  { command: "get-coordinate", node: "n" },
];

test("requests: what is encoded is decoded again", () => {
  for (const request of REQUESTS) {
    const reader = new Reader(encodeRequest(77, request));
    const header = { command: "", seq: 0 };
    decodeRequestHeader(reader, header);
    assert.deepEqual(header, { command: request.command, seq: 77 });
    if (hasBody(request.command)) assert.deepEqual(decodeRequestBody(request.command, reader), request);
    assert.equal(reader.failed, false);
    assert.equal(reader.left, 0);
  }
});

test("a header keeps what the next one leaves out; nil clears it", () => {
  const header = { command: "members", seq: 5 };
  decodeRequestHeader(new Reader(encodeValue({ Seq: 6 }, "rpc")), header);
  assert.deepEqual(header, { command: "members", seq: 6 });
  decodeRequestHeader(new Reader(Uint8Array.of(0xc0)), header);
  assert.deepEqual(header, { command: "", seq: 0 });
});

test("answers: what is encoded is decoded again", () => {
  const read = <T>(bytes: Uint8Array, decode: (reader: Reader) => T): T => {
    const reader = new Reader(bytes);
    const value = decode(reader);
    assert.ok(!reader.failed && reader.left === 0);
    return value;
  };
  const { ip: _ip, ...member } = fakeMember("ü", { ip: "fd00::1", tags: { a: "b" }, status: "left" });
  assert.deepEqual(read(answers.encodeMembers([member]), answers.decodeMembers), [member]);
  assert.deepEqual(read(answers.encodeMemberEvent("member-join", [member]), answers.decodeStreamRecord), { kind: "members", type: "member-join", members: [member] });
  const user = { kind: "user", lamportTime: 2 ** 40, name: "n", payload: BYTES, coalesce: true } as const;
  assert.deepEqual(read(answers.encodeUserEvent(user), answers.decodeStreamRecord), user);
  const query = { id: 1, lamportTime: 2, name: "n", payload: null };
  assert.deepEqual(read(answers.encodeQueryEvent(query), answers.decodeStreamRecord), { kind: "query", ...query });
  assert.deepEqual(read(answers.encodeResponseHeader(2n ** 63n, "x"), answers.decodeResponseHeader), { seq: 2n ** 63n, error: "x" });
  assert.equal(read(answers.encodeLog("l\n"), answers.decodeLog), "l\n");
  assert.equal(read(answers.encodeJoin(3), answers.decodeJoinAnswer), 3);
  const keys = { nodes: 3, responses: 2, failures: 1, messages: new Map([["a", "b"]]), keys: new Map([["k", 2]]) };
  assert.deepEqual(read(answers.encodeKeys(keys, true), answers.decodeKeys), keys);
  assert.deepEqual(read(answers.encodeKeys(keys, false), answers.decodeKeys), { ...keys, keys: new Map() });
  const coordinate = { vec: [1.5, -2], error: 0.25, adjustment: -0.5, height: 1 };
  assert.deepEqual(read(answers.encodeCoordinate(coordinate), answers.decodeCoordinate), coordinate);
  assert.equal(read(answers.encodeCoordinate(null), answers.decodeCoordinate), null);
  for (const record of [{ kind: "ack", from: "a" }, { kind: "response", from: "a", payload: BYTES }, { kind: "done" }] as const) {
    assert.deepEqual(read(answers.encodeQueryReply(record), answers.decodeQueryReply), record);
  }
});

const OBJECTS = [
  encodeValue({ a: [1, -1, 300, 70_000, 2 ** 40, null, true], b: { c: "x".repeat(300), d: new Uint8Array(300) } }, "rpc"),
  encodeValue(["x".repeat(70_000), new Uint8Array(70_000), new Float64(1)], "rpc"),
  encodeValue(Array.from({ length: 20 }, () => new Map([["k", -200]])), "rpc"),
  Uint8Array.of(0x9c, 0xc7, 1, 5, 9, 0xc8, 0, 1, 5, 9, 0xc9, 0, 0, 0, 1, 5, 9, 0xd4, 1, 1, 0xd5, 1, 1, 1, 0xd6, 1, 1, 1, 1, 1, 0xca, 0, 0, 0, 0, 0xd0, 1, 0xd1, 1, 1, 0xd2, 1, 1, 1, 1, 0xd3, 1, 1, 1, 1, 1, 1, 1, 1, 0xc0),
  encodeValue(Array.from({ length: 70_000 }, () => 1), "rpc"),
];

test("boundary: each object ends where the decoder says, also when it is cut at every byte", () => {
  for (const object of OBJECTS) {
    const reader = new Reader(object);
    reader.skip();
    assert.ok(!reader.failed && reader.left === 0);
    const behind = concatBytes([object, Uint8Array.of(1, 2, 3)]);
    assert.deepEqual(new BoundaryScanner().scan(behind, 0, behind.length, 1 << 20), { kind: "end", at: object.length });
    const scanner = new BoundaryScanner();
    const step = object.length > 1000 ? 997 : 1;
    for (let end = 0; end < object.length; end += step) assert.deepEqual(scanner.scan(object, 0, end, 1 << 20), { kind: "short" });
    assert.deepEqual(scanner.scan(object, 0, object.length, 1 << 20), { kind: "end", at: object.length });
    assert.deepEqual(new BoundaryScanner().scan(object, 0, object.length, object.length - 1), { kind: "large" });
  }
});

test("boundary: it agrees with the decoder on mutated objects", () => {
  fuzz(7, OBJECTS.slice(0, 1).concat(OBJECTS.slice(2, 4)), (bytes) => {
    const boundary = new BoundaryScanner().scan(bytes, 0, bytes.length, 1 << 20);
    const reader = new Reader(bytes);
    reader.skip();
    // The decoder also refuses deep nesting, which does not matter for where an object ends.
    if (!reader.failed) assert.deepEqual(boundary, { kind: "end", at: reader.at });
    else if (reader.short) assert.ok(boundary.kind === "short" || boundary.kind === "large" || boundary.kind === "malformed");
  });
});

test("buffer: objects come whole however the bytes are cut, and a trickle costs linear time", () => {
  const all = concatBytes([...OBJECTS, ...OBJECTS]);
  for (const size of [all.length, 4096, 313]) {
    const buffer = new ObjectBuffer();
    const found: Uint8Array[] = [];
    for (let at = 0; at < all.length; at += size) {
      buffer.append(all.subarray(at, at + size));
      while (typeof buffer.next(1 << 20) === "object") found.push(buffer.object.slice());
    }
    assert.deepEqual(found, [...OBJECTS, ...OBJECTS]);
    assert.equal(buffer.size, 0);
  }
  const large = encodeValue(Array.from({ length: 200_000 }, () => 1), "rpc");
  const buffer = new ObjectBuffer();
  for (let at = 0; at < large.length; at += 1) {
    buffer.append(large.subarray(at, at + 1));
    // Rescanning from the start at each byte would take 2·10^10 steps.
    if (at < large.length - 1) assert.equal(buffer.next(1 << 20), "short");
  }
  assert.equal(typeof buffer.next(1 << 20), "object");
});

test("decoders of answers survive mutated input", () => {
  const member = fakeMember("m", { tags: { a: "b" } });
  const inputs = [answers.encodeMembers([member, member]), answers.encodeStats(new Map([["a", new Map([["b", "c"]])]])), answers.encodeCoordinate(null), answers.encodeLog("x")];
  const decoders = [answers.decodeMembers, answers.decodeStats, answers.decodeCoordinate, answers.decodeStreamRecord, answers.decodeKeys, answers.decodeQueryReply, answers.decodeLog];
  fuzz(8, inputs, (bytes) => {
    for (const decode of decoders) decode(new Reader(bytes));
  });
});
