import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { concatBytes, EMPTY_BYTES, fromHex } from "../../src/base/bytes.ts";
import { encodeLogEntry, decodeLogEntry, encodeRaftRequest, encodeRaftResponse, ENTRIES_MAX } from "../../src/wire/raft-codec.ts";
import type { LogEntry, RaftRequest, RaftResponse } from "../../src/wire/raft-messages.ts";
import { ERROR_BYTES_MAX, MESSAGE_BYTES_MAX, RaftRequestStream, RaftResponseStream } from "../../src/wire/raft-stream.ts";
import { Reader } from "../../src/wire/msgpack.ts";
import { encodeRpcRequest, RpcReplyStream, RpcRequestStream } from "../../src/wire/server-rpc.ts";
import { fuzz } from "../support/fuzz.ts";
import { projectPath } from "../support/project-root.ts";

const old = { protocolVersion: 3, id: "", address: "" };
const header = { protocolVersion: 3, id: "33333333-cccc-4ccc-8ccc-000000000001", address: "127.0.60.1:8300" };
const configuration = { servers: [{ id: "a", address: "127.0.60.1:8300", suffrage: "voter" as const }, { id: "b", address: "127.0.60.2:8300", suffrage: "nonvoter" as const }] };
const entry: LogEntry = { index: 2 ** 40, term: 9, type: 0, data: Uint8Array.of(1, 2, 3), extensions: Uint8Array.of(4) };

const requests: readonly RaftRequest[] = [old, header].flatMap((head) => [
  { kind: "appendEntries", header: head, term: 9, leader: "127.0.60.1:8300", prevLogIndex: 8, prevLogTerm: 7, entries: [entry, { ...entry, type: 4, data: EMPTY_BYTES }], leaderCommit: 6 },
  { kind: "appendEntries", header: head, term: 9, leader: "127.0.60.1:8300", prevLogIndex: 0, prevLogTerm: 0, entries: null, leaderCommit: 0 },
  { kind: "requestVote", header: head, term: 9, candidate: "127.0.60.1:8300", lastLogIndex: 8, lastLogTerm: 7, leadershipTransfer: true },
  { kind: "requestPreVote", header: head, term: 9, lastLogIndex: 8, lastLogTerm: 7 },
  { kind: "timeoutNow", header: head },
  { kind: "installSnapshot", header: head, term: 9, leader: "127.0.60.1:8300", lastLogIndex: 8, lastLogTerm: 7, configuration, configurationIndex: 3, size: 0 },
] satisfies RaftRequest[]);

const responses: readonly RaftResponse[] = [old, header].flatMap((head) => [
  { kind: "appendEntries", header: head, term: 9, lastLog: 8, success: false, noRetryBackoff: true },
  { kind: "requestVote", header: head, term: 9, granted: true },
  { kind: "requestPreVote", header: head, term: 9, granted: true },
  { kind: "installSnapshot", header: head, term: 9, success: true },
  { kind: "timeoutNow", header: head },
] satisfies RaftResponse[]);

test("every message comes out as it went in, one behind the other", () => {
  const input = new RaftRequestStream();
  input.append(concatBytes(requests.map(encodeRaftRequest)));
  for (const request of requests) assert.deepEqual(input.next(), request);
  assert.equal(input.next(), "short");
  const output = new RaftResponseStream();
  output.append(concatBytes([...responses.map((response) => encodeRaftResponse("", response)), encodeRaftResponse("no", null)]));
  for (const message of responses) assert.deepEqual(output.next(message.kind), { error: "", message });
  assert.deepEqual(output.next("timeoutNow"), { error: "no", message: null });
});

test("keys are sorted bytewise, with and without the newer header", () => {
  for (const bytes of [...requests.map((request) => encodeRaftRequest(request).subarray(1)), ...responses.map((response) => encodeRaftResponse("", response).subarray(1))]) {
    const message = new Reader(bytes).value();
    assert.ok(message instanceof Map);
    const names = [...(message as ReadonlyMap<string, unknown>).keys()];
    assert.deepEqual(names, names.slice().sort());
  }
});

test("a newer library leaves leader and candidate to the header", () => {
  const input = new RaftRequestStream();
  input.append(encodeRaftRequest({ kind: "requestVote", header, term: 9, candidate: "", lastLogIndex: 8, lastLogTerm: 7, leadershipTransfer: false }));
  const request = input.next();
  assert.ok(typeof request !== "string" && request.kind === "requestVote");
  assert.equal(request.candidate, header.address);
});

test("what is beyond a bound is malformed before it is held: lengths, entries, deprecated entry types", () => {
  const cases: readonly Uint8Array[] = [
    Uint8Array.of(9), // No such request.
    fromHex(`0181a45465726ddb${(MESSAGE_BYTES_MAX + 1).toString(16).padStart(8, "0")}`),
    fromHex("0081a7456e7472696573ddffffffff"),
    concatBytes([fromHex(`0081a7456e7472696573dc${(ENTRIES_MAX + 1).toString(16).padStart(4, "0")}`), new Uint8Array(ENTRIES_MAX + 1).fill(0x80)]),
    fromHex("0081a7456e74726965739181a45479706502"),
  ];
  for (const bytes of cases) {
    const input = new RaftRequestStream();
    input.append(bytes);
    assert.equal(input.next(), "malformed", Buffer.from(bytes.subarray(0, 20)).toString("hex"));
  }
  const output = new RaftResponseStream();
  output.append(fromHex(`db${(ERROR_BYTES_MAX + 1).toString(16).padStart(8, "0")}`));
  assert.equal(output.next("requestVote"), "malformed");
});

test("a log entry of raft.db: whole or not at all", () => {
  assert.deepEqual(decodeLogEntry(encodeLogEntry(entry)), entry);
  assert.equal(decodeLogEntry(concatBytes([encodeLogEntry(entry), Uint8Array.of(0)])), null);
  assert.equal(decodeLogEntry(encodeLogEntry(entry).subarray(1)), null);
});

test("mutated requests, responses and calls: no exception, no growth", () => {
  const { appends } = JSON.parse(readFileSync(projectPath("test/vectors/data/raft-append-entries.json"), "utf8")) as { appends: { requestHex: string; responseHex: string }[] };
  fuzz(61, [...requests.map(encodeRaftRequest), ...appends.map((append) => fromHex(append.requestHex))], (bytes) => {
    const input = new RaftRequestStream();
    input.append(bytes);
    for (let i = 0; i < 10 && typeof input.next() !== "string"; i += 1) input.takeBody(1 << 20);
  });
  fuzz(62, [...responses.map((response) => encodeRaftResponse("", response)), ...appends.map((append) => fromHex(append.responseHex))], (bytes) => {
    for (const { kind } of requests) {
      const output = new RaftResponseStream();
      output.append(bytes);
      output.next(kind);
    }
  });
  fuzz(63, [concatBytes(encodeRpcRequest({ seq: 7, method: "KVS.Apply", body: Uint8Array.of(0x80) }))], (bytes) => {
    for (const stream of [new RpcRequestStream(), new RpcReplyStream()]) {
      stream.append(bytes);
      stream.next();
    }
  });
});
