/**
 * Messages that a packet lane delivers are views of a batch's whole buffer, up to 256 KiB. Whatever the core keeps of them (queues, rings,
 * member records, events on their way to clients) must be copies, so that an event of 70 bytes cannot pin a batch.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { SeededRandom } from "../../src/base/random.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { ClusterNode } from "../../src/node/node.ts";
import type { PoolEffect, PoolInput } from "../../src/serf/types.ts";
import {
  encodeAck,
  encodeAlive,
  encodeDead,
  encodeIndirectPing,
  encodePing,
  encodePushPull,
  encodeStreamUser,
  encodeSuspect,
  encodeUser,
} from "../../src/wire/gossip-codec.ts";
import {
  encodeFilter,
  encodeJoin,
  encodeLeave,
  encodeQuery,
  encodeQueryResponse,
  encodeRelay,
  encodeSerfPushPull,
  encodeUserEvent,
} from "../../src/wire/serf-codec.ts";
import { encodeCoordinate } from "../../src/wire/serf-coordinate.ts";
import { encodeTags } from "../../src/wire/serf-tags.ts";
import { poolConfig, testMatcher } from "../serf/harness.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as (options?: { readonly type: "minor" }) => void;

/** Bytes used outside the young generation. */
function oldBytes(): number {
  return getHeapSpaceStatistics().reduce((sum, { space_name: name, space_used_size: used }) => (name.startsWith("new_") ? sum : sum + used), 0);
}

/** Large enough to lie in memory of its own. */
const BATCH_BYTES = 1024 * 1024;
const FROM = { ip: "10.0.0.9", port: 7946 };
const ADDR = Uint8Array.of(10, 0, 0, 9);
const VERSIONS = Uint8Array.of(1, 5, 2, 2, 5, 5);
const TEXT = encodeUtf8("x".repeat(60));

/** `message` inside a batch, and a way to see whether the batch is still in memory. */
function inBatch(message: Uint8Array): { readonly bytes: Uint8Array; readonly batch: WeakRef<ArrayBuffer> } {
  const buffer = new ArrayBuffer(BATCH_BYTES);
  const bytes = new Uint8Array(buffer, 128, message.length);
  bytes.set(message);
  return { bytes, batch: new WeakRef(buffer) };
}

async function isFreed(batch: WeakRef<ArrayBuffer>): Promise<boolean> {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    await new Promise((resolve) => setImmediate(resolve)); // A reference looked at stays until the end of its job.
    collectGarbage();
    if (batch.deref() === undefined) return true;
  }
  return false;
}

const OLD_NEWS = encodeUser(encodeJoin({ lamportTime: 1, node: "n1" }));
const LATE_ACK = encodeAck({ seq: 999, payload: null });
const query = { id: 77, addr: ADDR, port: 7946, sourceNode: "peer", filters: [encodeFilter({ kind: "nodes", nodes: ["n1"] })], flags: 1, relayFactor: 2, timeoutMs: 5_000, name: "q", payload: TEXT };
const peer = { name: "peer", addr: ADDR, port: 7946, meta: encodeTags(new Map([["role", "web"]]), 5), versions: VERSIONS };
const state = encodeSerfPushPull({
  lamportTime: 30,
  statusTimes: new Map([["peer", 4]]),
  leftMembers: ["gone"],
  eventTime: 40,
  events: [{ lamportTime: 33, events: [{ name: "caught-up", payload: TEXT }] }],
  queryTime: 9,
});

/** In an order in which each has something to do. */
const PACKETS: readonly (readonly [name: string, bytes: Uint8Array])[] = [
  ["alive of a new member", encodeAlive({ ...peer, node: "peer", incarnation: 3 })],
  ["alive with new tags", encodeAlive({ ...peer, node: "peer", incarnation: 4, meta: encodeTags(new Map([["role", "db"]]), 5) })],
  ["alive of another address (conflict)", encodeAlive({ ...peer, node: "peer", incarnation: 5, addr: Uint8Array.of(10, 0, 0, 8) })],
  ["alive about ourselves", encodeAlive({ ...peer, node: "n1", incarnation: 9, addr: Uint8Array.of(10, 0, 0, 1) })],
  ["ping", encodePing({ seq: 5, node: "n1", sourceAddr: ADDR, sourcePort: 7946, sourceNode: "peer" })],
  ["indirect ping", encodeIndirectPing({ seq: 6, target: ADDR, port: 7946, node: "peer", nack: true, sourceAddr: ADDR, sourcePort: 7946, sourceNode: "peer" })],
  ["ack", encodeAck({ seq: 1, payload: encodeCoordinate({ vec: [0, 0, 0, 0, 0, 0, 0, 0], error: 1, adjustment: 0, height: 0.001 }) })],
  ["join intent of a stranger", encodeUser(encodeJoin({ lamportTime: 11, node: "stranger" }))],
  ["user event", encodeUser(encodeUserEvent({ lamportTime: 12, name: "deploy", payload: TEXT, coalesce: false }))],
  ["user event that is held back", encodeUser(encodeUserEvent({ lamportTime: 13, name: "deploy", payload: TEXT, coalesce: true }))],
  ["query", encodeUser(encodeQuery({ ...query, lamportTime: 14 }))],
  ["query response", encodeUser(encodeQueryResponse({ lamportTime: 1, id: 1, from: "peer", flags: 0, payload: TEXT }))],
  ["relay", encodeUser(encodeRelay({ destAddr: ADDR, destPort: 7946, destName: "peer", message: encodeQueryResponse({ lamportTime: 14, id: 77, from: "peer", flags: 0, payload: TEXT }) }))],
  ["suspect", encodeSuspect({ node: "peer", from: "n1", incarnation: 5 })],
  ["suspect about ourselves", encodeSuspect({ node: "n1", from: "peer", incarnation: 20 })],
  ["leave intent", encodeUser(encodeLeave({ lamportTime: 50, node: "peer", prune: false }))],
  ["dead", encodeDead({ node: "peer", from: "other", incarnation: 6 })],
];

test("nothing that the core keeps of a message pins the batch it came in", async () => {
  const node = new ClusterNode(new SeededRandom(1), testMatcher);
  // Effects stay alive as long as a slow client has not read its events: they must not pin anything either.
  const out: PoolEffect[] = [];
  const coalesce = { periodMs: 3_000, quiescentMs: 1_000 };
  node.addPool("lan", poolConfig("n1", "10.0.0.1", { coalesceUserEvents: coalesce, snapshot: true }), 0, out);
  node.step("lan", { kind: "query", request: 1, name: "ours", payload: null, params: { filterNodes: [], filterTags: new Map(), requestAck: true, relayFactor: 0, timeoutMs: 60_000 } }, 0, out);
  let nowMs = 0;
  const give = (makeInput: (bytes: Uint8Array) => PoolInput, message: Uint8Array): WeakRef<ArrayBuffer> => {
    const { bytes, batch } = inBatch(message);
    nowMs += 10;
    node.step("lan", makeInput(bytes), nowMs, out);
    // The decoders' readers stay on the last message they saw: one batch at most of each, until the next message.
    for (const bytes of [OLD_NEWS.slice(), LATE_ACK.slice()]) node.step("lan", { kind: "message", from: FROM, bytes }, nowMs, out);
    return batch;
  };
  for (const [name, message] of PACKETS) {
    const batch = give((bytes) => ({ kind: "message", from: FROM, bytes }), message);
    assert.ok(await isFreed(batch), `${name}: the batch is still in memory`);
  }
  const userMessage = give((bytes) => ({ kind: "streamMessage", stream: -1, from: FROM, bytes }), encodeStreamUser(encodeUserEvent({ lamportTime: 41, name: "by stream", payload: TEXT, coalesce: false })));
  assert.ok(await isFreed(userMessage), "user message on a stream: the buffer is still in memory");
  const nodes = [{ ...peer, incarnation: 8, state: 0 }, { ...peer, name: "third", incarnation: 1, state: 0 }];
  const pushPull = give((bytes) => ({ kind: "streamMessage", stream: -2, from: FROM, bytes }), encodePushPull({ join: true, nodes, userState: state }));
  assert.ok(await isFreed(pushPull), "push/pull: the buffer is still in memory");
  const events = out.flatMap((effect) => (effect.kind === "event" ? [effect.event] : []));
  assert.deepEqual(events.flatMap((event) => (event.kind === "user" ? [event.name] : [])), ["deploy", "by stream", "caught-up"], "the messages were understood");
  assert.ok(out.some((effect) => effect.kind === "streamSend"), "the push/pull was answered");
});

test("what a large merge has told dies young: nothing of the old generation refers to it when the next step begins", (t) => {
  // There the young generation is promoted by pages, and how much of a page is garbage is chance.
  if (Number.parseInt(process.versions.v8, 10) >= 14) return t.skip(`V8 ${process.versions.v8} does not tell`);
  const members = Array.from({ length: 3_000 }, (_, i) => ({ ...peer, name: `m${i}`, addr: Uint8Array.of(10, 0, 1 + (i >> 8), i), incarnation: 1, state: 0 }));
  const bytes = encodePushPull({ join: true, nodes: members, userState: null });
  const mergedGarbage = (): number => {
    const node = new ClusterNode(new SeededRandom(1), testMatcher);
    const out: PoolEffect[] = [];
    node.addPool("lan", poolConfig("n1", "10.0.0.1"), 0, out);
    collectGarbage(); // The node is old now.
    node.step("lan", { kind: "streamMessage", stream: -1, from: FROM, bytes }, 10, out);
    out.length = 0;
    for (let i = 0; i < 3; i += 1) collectGarbage({ type: "minor" });
    const promoted = oldBytes();
    collectGarbage();
    return promoted - oldBytes();
  };
  // Of several, the least: until the young generation has become large, it is collected in the middle of a merge.
  const garbage = Math.min(...Array.from({ length: 8 }, mergedGarbage));
  assert.ok(garbage < 1_000_000, `${garbage} bytes are garbage of the old generation`); // 0.6 MB; with all that the merge has told 1.6.
});

test("the check would notice a view that is kept", async () => {
  const { bytes, batch } = inBatch(TEXT);
  const kept = bytes.subarray(1);
  assert.equal(await isFreed(batch), false);
  assert.equal(kept.length, TEXT.length - 1);
});
