/** Arguments and replies as servers of the original sent them, through our codec and back to the same bytes; and what no server would send. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { decodeArgs, decodeReply, encodeArgs, encodeReply, isRpcMethod, replyPieces } from "../../../src/api/rpc/codec.ts";
import type { QueryOptions, RpcMethod, RpcMethods, RpcReply } from "../../../src/api/rpc/types.ts";
import { concatBytes, fromHex, toHex } from "../../../src/base/bytes.ts";
import { SeededRandom } from "../../../src/base/random.ts";
import { RpcReplyStream, RpcRequestStream } from "../../../src/wire/server-rpc.ts";
import { projectPath } from "../../support/project-root.ts";

interface Recorded {
  readonly method: string;
  readonly requestHex: string;
  readonly replyHeader?: { readonly Error: string };
  readonly responseHex?: string;
}

interface Call {
  readonly name: string;
  readonly method: RpcMethod;
  readonly args: Uint8Array;
  readonly reply: Uint8Array | null;
}

const MUTATIONS = 150;

function bodyOf(stream: RpcRequestStream | RpcReplyStream, hex: string): Uint8Array {
  stream.append(fromHex(hex));
  const message = stream.next();
  assert.ok(typeof message !== "string");
  return message.body.slice();
}

const recorded = (JSON.parse(readFileSync(projectPath("test/vectors/data/rpc-calls.json"), "utf8")) as { readonly calls: readonly Recorded[] }).calls;

const CALLS: readonly Call[] = recorded.flatMap(({ method, requestHex, replyHeader, responseHex }, at) => {
  if (!isRpcMethod(method)) return [];
  const reply = responseHex !== undefined && replyHeader?.Error === "" ? bodyOf(new RpcReplyStream(), responseHex) : null;
  return [{ name: `${at} ${method}`, method, args: bodyOf(new RpcRequestStream(), requestHex), reply }];
});

function value<T>(result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string }, what: string): T {
  assert.ok(result.ok, `${what}: ${result.ok ? "" : result.error}`);
  return result.value;
}

/** Never recorded, since nobody asked for it while the recording ran. */
const UNRECORDED: ReadonlySet<string> = new Set(["Status.Ping", "Session.NodeSessions", "Operator.RaftRemovePeerByID", "Operator.RaftRemovePeerByAddress"]);

test("the recording holds every other procedure", () => {
  const names: readonly (keyof RpcMethods)[] = [
    "Status.Leader", "Status.Peers", "Status.RaftStats", "KVS.Apply", "KVS.Get", "KVS.List", "KVS.ListKeys", "Session.Apply", "Session.Get", "Session.List", "Session.Renew",
    "Txn.Apply", "Txn.Read", "Catalog.Register", "Catalog.Deregister", "Catalog.ListDatacenters", "Catalog.ListNodes", "Catalog.ListServices", "Catalog.NodeServices",
    "Health.NodeChecks", "Health.ChecksInState", "Operator.RaftGetConfiguration",
  ];
  const found = new Set(CALLS.map(({ method }) => method));
  assert.deepEqual([...names].filter((name) => !found.has(name)), []);
  assert.ok([...UNRECORDED].every((name) => isRpcMethod(name)));
});

test("recorded arguments come out as the same bytes", () => {
  for (const { name, method, args } of CALLS) {
    const again = toHex(encodeArgs(method, value(decodeArgs(method, args), name)));
    // Coordinates are taken and not kept: `client-agent-calls.test.ts`.
    if (method !== "Coordinate.Update") assert.equal(again, withoutSource(toHex(args)), name);
  }
});

/** Where the asker is, for answers sorted by distance: read by no procedure of ours, and sent empty. */
function withoutSource(hex: string): string {
  const named = "a6536f7572636584aa4461746163656e746572a477697265a24970a93132372e302e302e31";
  return hex.replace(named, "a6536f7572636584aa4461746163656e746572a0a24970a0");
}

test("recorded replies come out as the same bytes", () => {
  let replies = 0;
  for (const { name, method, args, reply } of CALLS) {
    if (reply === null) continue;
    replies += 1;
    assert.equal(toHex(encodeReply(method, value(decodeReply(method, reply, value(decodeArgs(method, args), name)), name))), toHex(reply), name);
  }
  assert.ok(replies > 20, `${replies} replies`);
});

test("mutated and cut bytes are an error or a value that can be sent on, never an exception", () => {
  const random = new SeededRandom(8300);
  let refused = 0;
  for (const { method, args, reply } of CALLS) {
    const decodedArgs = value(decodeArgs(method, args), method);
    for (let i = 0; i < MUTATIONS; i += 1) {
      const wrongArgs = decodeArgs(method, mutated(args, random));
      if (wrongArgs.ok) encodeArgs(method, wrongArgs.value);
      else refused += 1;
      if (reply === null) continue;
      const wrongReply = decodeReply(method, mutated(reply, random), decodedArgs);
      if (wrongReply.ok) encodeReply(method, wrongReply.value);
      else refused += 1;
    }
  }
  assert.ok(refused > MUTATIONS, "most mutations are noticed");
});

function mutated(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const copy = bytes.slice(0, random.below(4) === 0 ? random.below(bytes.length + 1) : bytes.length);
  for (let left = 1 + random.below(3); left > 0 && copy.length > 0; left -= 1) copy[random.below(copy.length)] = random.below(256);
  return copy;
}

const NO_OPTIONS: QueryOptions = { allowStale: false, filter: "", maxQueryTimeMs: 0, maxStaleMs: 0, minQueryIndex: 0, requireConsistent: false };

function optionsThrough(options: QueryOptions): QueryOptions {
  const args = value(decodeArgs("KVS.Get", encodeArgs("KVS.Get", { datacenter: "dc1", key: "k", options })), "KVS.Get");
  return (args as RpcMethods["KVS.Get"]["args"]).options;
}

test("query options survive the way to another server", () => {
  const asked: QueryOptions = { allowStale: true, filter: "a == b", maxQueryTimeMs: 10_000.5, maxStaleMs: 3, minQueryIndex: 2 ** 40, requireConsistent: true };
  assert.deepEqual(optionsThrough(asked), asked);
  assert.deepEqual(optionsThrough({ ...NO_OPTIONS, maxQueryTimeMs: -1000 }), { ...NO_OPTIONS, maxQueryTimeMs: -1000 });
});

test("indexes and durations that a client may ask for, but no double holds exactly, stay as large as they are", () => {
  // Up to 2^64 - 1 and 2^63 - 1 ns: refusing them here would cost the connection with all the calls on it.
  for (const text of ["9007199254740992", "9223372036854775808", "18446744073709551615"]) {
    const { minQueryIndex } = optionsThrough({ ...NO_OPTIONS, minQueryIndex: Number(text) });
    assert.ok(minQueryIndex >= Number(text) * (1 - 1e-12), `${text} became ${minQueryIndex}`);
  }
  for (const ms of [9_007_199_255, 9_223_372_036_854.775]) {
    const { maxQueryTimeMs, maxStaleMs } = optionsThrough({ ...NO_OPTIONS, maxQueryTimeMs: ms, maxStaleMs: ms });
    assert.ok(Math.abs(maxQueryTimeMs / ms - 1) < 1e-12, `${ms} ms became ${maxQueryTimeMs}`);
    assert.equal(maxStaleMs, maxQueryTimeMs);
  }
});

test("procedures that were not recorded", () => {
  const args = { datacenter: "dc1" };
  assert.deepEqual(value(decodeArgs("Status.Ping", encodeArgs("Status.Ping", args)), "ping"), args);
  assert.equal(value(decodeReply("Status.Ping", encodeReply("Status.Ping", null), args), "ping"), null);
  const byId = { datacenter: "dc1", id: "5b" };
  assert.deepEqual(value(decodeArgs("Operator.RaftRemovePeerByID", encodeArgs("Operator.RaftRemovePeerByID", byId)), "by id"), byId);
  const byAddress = { datacenter: "dc1", address: "127.0.0.1:8300" };
  assert.deepEqual(value(decodeArgs("Operator.RaftRemovePeerByAddress", encodeArgs("Operator.RaftRemovePeerByAddress", byAddress)), "by address"), byAddress);
  const sessions = { datacenter: "dc1", node: "n1", options: NO_OPTIONS };
  assert.deepEqual(value(decodeArgs("Session.NodeSessions", encodeArgs("Session.NodeSessions", sessions)), "sessions"), sessions);
});

test("the consistency that a reply names is the one that was asked for", () => {
  for (const [allowStale, requireConsistent, consistency] of [[false, false, "leader"], [true, false, "stale"], [false, true, "consistent"]] as const) {
    const args = { datacenter: "dc1", key: "k", options: { ...NO_OPTIONS, allowStale, requireConsistent } };
    const reply = { meta: { index: 7, knownLeader: true, lastContactMs: 12, consistency }, value: [] };
    assert.deepEqual(value(decodeReply("KVS.Get", encodeReply("KVS.Get", reply), args), consistency), reply);
  }
});

test("names of objects are no procedures", () => {
  for (const name of ["", "constructor", "__proto__", "toString", "KVS.get", "KVS.Get "]) assert.equal(isRpcMethod(name), false, name);
});

test("long lists of keys come in pieces that are the same bytes, short ones and other replies do not", () => {
  const meta = { index: 7, knownLeader: true, lastContactMs: 3, consistency: "leader" } as const;
  const entries = Array.from({ length: 2000 }, (_, i) => ({ key: `k${i}`, value: new Uint8Array(i), flags: i, session: "", lockIndex: 0, createIndex: i, modifyIndex: i + 1 }));
  const lists: readonly (readonly ["KVS.List" | "KVS.ListKeys", readonly unknown[]])[] = [["KVS.List", entries], ["KVS.ListKeys", entries.map(({ key }) => key)]];
  for (const [method, rows] of lists) {
    const reply = { meta, value: rows } as RpcReply;
    const pieces: Uint8Array[] = [];
    const made = replyPieces(method, reply);
    for (let next = made?.next(); next !== undefined && next.done !== true; next = made?.next()) {
      pieces.push(next.value);
      // The encoder is free in between.
      encodeReply("Status.Leader", "127.0.0.1:8300");
    }
    assert.equal(toHex(concatBytes(pieces)), toHex(encodeReply(method, reply)));
    assert.equal(replyPieces(method, { meta, value: rows.slice(0, 100) } as RpcReply), null);
  }
  assert.equal(replyPieces("Status.Leader", "127.0.0.1:8300"), null);
});
