import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/base/random.ts";
import { PENDING_NODES_MAX } from "../../src/swim/pending-merges.ts";
import { Swim } from "../../src/swim/swim.ts";
import type { SwimEffect } from "../../src/swim/types.ts";
import { decodePacketMessage, decodeStreamMessage, encodeAlive, encodeDead, encodePing, encodePushPull } from "../../src/wire/gossip-codec.ts";
import { RecordingDelegate, SERF_VERSIONS, swimConfig } from "./fake-network.ts";

const FROM = { ip: "10.0.0.9", port: 7946 };
const SLICE = 10;
const USER_STATE = Uint8Array.of(1, 2, 3);

class NotingDelegate extends RecordingDelegate {
  /** Members known when the layer above merged its part. */
  readonly mergedAt: number[] = [];
  known = (): number => 0;

  override mergeRemoteState(): void {
    this.mergedAt.push(this.known());
  }
}

class Rig {
  readonly delegate = new NotingDelegate();
  readonly out: SwimEffect[] = [];
  readonly swim: Swim<SwimEffect>;
  nowMs = 1000;

  constructor(mergeSliceNodes?: number) {
    const config = { ...swimConfig("self", { ip: "10.0.0.1", port: 7946 }), ...(mergeSliceNodes === undefined ? {} : { mergeSliceNodes }) };
    this.swim = new Swim(config, new SeededRandom(1), this.delegate, this.nowMs, this.out);
    this.delegate.known = () => this.swim.nodeCount;
    this.swim.step({ kind: "wake" }, this.nowMs, this.out);
    this.out.length = 0;
  }

  stream(bytes: Uint8Array, stream = -1): void {
    this.swim.step({ kind: "streamMessage", stream, from: FROM, bytes }, this.nowMs, this.out);
  }

  packet(bytes: Uint8Array): void {
    this.swim.step({ kind: "message", from: FROM, bytes }, this.nowMs, this.out);
  }

  /** Wakes for as long as it wants to be woken now; how often that was. */
  wakeUntilIdle(): number {
    let wakes = 0;
    for (; this.swim.wakeAtMs <= this.nowMs; wakes += 1) {
      assert.ok(wakes < 10_000, "wakes come to an end");
      this.swim.step({ kind: "wake" }, this.nowMs, this.out);
    }
    return wakes;
  }

  get views(): string[] {
    return this.swim.members().map(({ name, state, incarnation, ip }) => `${name} ${state} ${incarnation} ${ip}`).sort();
  }
}

function state(count: number, join = false, incarnation = 1): Uint8Array {
  const nodes = Array.from({ length: count }, (_, i) => ({
    name: `n${i}`, addr: Uint8Array.of(10, 1, i >> 8, i & 255), port: 7946, meta: new Uint8Array(0), incarnation, state: i % 7 === 6 ? 3 : 0, versions: SERF_VERSIONS,
  }));
  return encodePushPull({ join, nodes, userState: USER_STATE });
}

test("a large state is merged in slices, each with the next wake; the state of the layer above comes last", () => {
  const rig = new Rig(SLICE);
  rig.stream(state(95));
  assert.equal(rig.swim.nodeCount, 1 + SLICE - 1, "ourselves and the first slice, less one that left before we knew it");
  assert.deepEqual(rig.out.filter(({ kind }) => kind.startsWith("stream")).map(({ kind }) => kind), ["streamSend", "streamClose"], "the answer does not wait");
  assert.deepEqual(rig.delegate.mergedAt, []);
  assert.ok(rig.swim.wakeAtMs <= rig.nowMs);
  assert.ok(rig.wakeUntilIdle() >= 9);
  assert.equal(rig.swim.nodeCount, 1 + 95 - 13);
  assert.deepEqual(rig.delegate.mergedAt, [1 + 95 - 13]);
});

test("what comes between two slices is heard: a probe is answered, and news meets the rest of the state as gossip does", () => {
  const [sliced, whole] = [new Rig(SLICE), new Rig()];
  const news = [
    encodeAlive({ incarnation: 5, node: "n80", addr: Uint8Array.of(10, 1, 0, 80), port: 7946, meta: Uint8Array.of(1), versions: SERF_VERSIONS }),
    encodeDead({ incarnation: 1, node: "n3", from: "n3" }),
    encodeAlive({ incarnation: 2, node: "new", addr: Uint8Array.of(10, 2, 0, 1), port: 7946, meta: new Uint8Array(0), versions: SERF_VERSIONS }),
  ];
  for (const rig of [sliced, whole]) {
    rig.stream(state(95));
    rig.out.length = 0;
    rig.packet(encodePing({ seq: 9, node: "self", sourceAddr: Uint8Array.of(10, 0, 0, 9), sourcePort: 7946, sourceNode: "b" }));
    const acks = rig.out.flatMap((effect) => (effect.kind === "packet" ? effect.messages : [])).filter((bytes) => {
      const message = decodePacketMessage(bytes);
      return message.ok && message.value.kind === "ack";
    });
    assert.equal(acks.length, 1);
    for (const bytes of news) rig.packet(bytes);
    rig.stream(state(40, false, 2), -2);
    rig.wakeUntilIdle();
  }
  assert.deepEqual(sliced.views, whole.views);
});

test("a join is answered once all of the contact's state is merged", () => {
  const rig = new Rig(SLICE);
  rig.swim.step({ kind: "join", request: 4, targets: [{ name: "", to: FROM }] }, rig.nowMs, rig.out);
  rig.swim.step({ kind: "streamOpened", stream: 1 }, rig.nowMs, rig.out);
  const replies = (): number => rig.out.filter(({ kind }) => kind === "reply").length;
  rig.stream(state(30), 1);
  assert.equal(replies(), 0);
  rig.wakeUntilIdle();
  assert.equal(replies(), 1);
});

test(`beyond ${PENDING_NODES_MAX} waiting members a state is merged at once`, () => {
  const rig = new Rig(SLICE);
  const large = state(9000);
  const before = Math.floor(PENDING_NODES_MAX / 9000);
  for (let i = 0; i < before; i += 1) rig.stream(large, -1 - i);
  assert.ok(rig.swim.nodeCount <= 1 + SLICE);
  rig.stream(large, -1 - before);
  assert.ok(rig.swim.nodeCount > 7000);
});

const streamEffects = (rig: Rig): readonly string[] => rig.out.map(({ kind }) => kind).filter((kind) => kind.startsWith("stream"));

test("a state of many members is decoded in slices: it is answered once it is whole, then merged", () => {
  const rig = new Rig(SLICE);
  rig.stream(state(1000));
  assert.equal(rig.swim.nodeCount, 1);
  assert.deepEqual(streamEffects(rig), []);
  assert.ok(rig.wakeUntilIdle() > 100);
  assert.deepEqual(streamEffects(rig), ["streamSend", "streamClose"]);
  assert.equal(rig.swim.nodeCount, 1 + 1000 - 142);
  assert.deepEqual(rig.delegate.mergedAt, [1 + 1000 - 142]);
});

test("one that turns out to be damaged is not answered, and nothing of it is merged", () => {
  const rig = new Rig(SLICE);
  rig.stream(state(1000).subarray(0, -10));
  rig.wakeUntilIdle();
  assert.deepEqual(streamEffects(rig), ["streamClose"]);
  assert.equal(rig.out.filter((effect) => effect.kind === "count" && effect.name === "memberlist.drop.undecodableStream").length, 1);
  assert.equal(rig.swim.nodeCount, 1);
});

test("our own large state is encoded in slices, as it was when it was asked for", () => {
  const [sliced, whole] = [new Rig(SLICE), new Rig()];
  const sent = (rig: Rig): readonly Uint8Array[] => rig.out.flatMap((effect) => (effect.kind === "streamSend" ? [effect.bytes] : []));
  for (const rig of [sliced, whole]) {
    rig.stream(state(400));
    rig.wakeUntilIdle();
    rig.out.length = 0;
    rig.stream(state(0), -2);
  }
  assert.equal(sent(sliced).length, 0);
  sliced.packet(encodeAlive({ incarnation: 9, node: "n1", addr: Uint8Array.of(10, 1, 0, 1), port: 7946, meta: Uint8Array.of(7), versions: SERF_VERSIONS }));
  sliced.wakeUntilIdle();
  assert.deepEqual(streamEffects(sliced), ["streamSend", "streamClose"]);
  const membersIn = (rig: Rig): unknown => {
    const decoded = decodeStreamMessage(sent(rig)[0] ?? new Uint8Array(0));
    assert.ok(decoded.ok && decoded.value.kind === "pushPull");
    return decoded.value.nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  };
  assert.deepEqual(membersIn(sliced), membersIn(whole));
});

test("a push/pull of ours that was given up before our state was encoded sends nothing any more", () => {
  const rig = new Rig(SLICE);
  rig.stream(state(400));
  rig.wakeUntilIdle();
  rig.swim.step({ kind: "join", request: 4, targets: [{ name: "", to: FROM }] }, rig.nowMs, rig.out);
  rig.out.length = 0;
  rig.swim.step({ kind: "streamOpened", stream: 1 }, rig.nowMs, rig.out);
  assert.deepEqual(streamEffects(rig), []);
  rig.swim.step({ kind: "streamFailed", stream: 1, error: "reset" }, rig.nowMs, rig.out);
  rig.wakeUntilIdle();
  assert.deepEqual(streamEffects(rig), []);
});
