import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/base/random.ts";
import { PROFILES } from "../../src/swim/profiles.ts";
import { RELAYS_MAX } from "../../src/swim/relays.ts";
import { Swim } from "../../src/swim/swim.ts";
import type { SwimConfig, SwimEffect } from "../../src/swim/types.ts";
import { encodeAlive, encodeIndirectPing } from "../../src/wire/gossip-codec.ts";
import { MessageType } from "../../src/wire/gossip-messages.ts";
import { RecordingDelegate, SERF_VERSIONS, swimConfig } from "./fake-network.ts";

const FROM = { ip: "10.0.0.9", port: 7946 };

interface Setup {
  readonly swim: Swim<SwimEffect>;
  readonly delegate: RecordingDelegate;
  readonly out: SwimEffect[];
  nowMs: number;
}

function setup(overrides: Partial<SwimConfig> = {}): Setup {
  const out: SwimEffect[] = [];
  const delegate = new RecordingDelegate();
  const swim = new Swim<SwimEffect>({ ...swimConfig("self", { ip: "10.0.0.1", port: 7946 }, PROFILES.lan), ...overrides }, new SeededRandom(1), delegate, 0, out);
  return { swim, delegate, out, nowMs: 0 };
}

function learn({ swim, out, nowMs }: Setup, count: number, incarnation = 1): void {
  for (let i = 0; i < count; i += 1) {
    const addr = Uint8Array.of(10, 1, i >> 8, i & 255);
    const bytes = encodeAlive({ node: `member-${i}`, incarnation, addr, port: 7946, meta: new Uint8Array(30), versions: SERF_VERSIONS });
    swim.step({ kind: "message", from: FROM, bytes }, nowMs, out);
  }
}

type Packet = Extract<SwimEffect, { kind: "packet" }>;

/** The next gossip packet: the one to several targets. */
function nextRound(setup: Setup): Packet {
  for (;;) {
    setup.nowMs = Math.max(setup.nowMs, setup.swim.wakeAtMs);
    setup.out.length = 0;
    setup.swim.step({ kind: "wake" }, setup.nowMs, setup.out);
    const packet = setup.out.find((effect): effect is Packet => effect.kind === "packet" && effect.to.length > 1);
    if (packet !== undefined) return packet;
  }
}

function bytesOf(packet: Packet, isUser: boolean): number {
  return packet.messages.filter((message) => (message[0] === MessageType.user) === isUser).reduce((sum, { length }) => sum + length + 2, 0);
}

test("a crowded packet is shared: user messages get half of it, system messages the other half", () => {
  const it = setup();
  learn(it, 200);
  it.delegate.waiting = Array.from({ length: 500 }, () => new Uint8Array(60));
  let [user, system] = [0, 0];
  for (let round = 0; round < 20; round += 1) {
    const packet = nextRound(it);
    assert.ok(bytesOf(packet, true) + bytesOf(packet, false) <= 1398);
    user += bytesOf(packet, true);
    system += bytesOf(packet, false);
  }
  assert.ok(user > 0.4 * (user + system) && system > 0.4 * (user + system), `user ${user}, system ${system}`);
});

test("whoever waits alone gets the whole packet", () => {
  const it = setup();
  learn(it, 200);
  assert.ok(bytesOf(nextRound(it), false) > 1250);
  const other = setup();
  learn(other, 4);
  other.delegate.waiting = Array.from({ length: 500 }, () => new Uint8Array(60));
  for (let round = 0; round < 8; round += 1) nextRound(other);
  assert.ok(bytesOf(nextRound(other), true) > 1250);
});

test("a user message longer than its share goes out within two rounds, however many system messages wait", () => {
  const it = setup();
  learn(it, 400);
  it.delegate.waiting = [new Uint8Array(1200)];
  nextRound(it);
  const packet = nextRound(it);
  assert.ok(it.delegate.waiting.length === 0 && bytesOf(packet, true) + bytesOf(packet, false) <= 1398);
});

test("room for encryption is kept", () => {
  const it = setup({ packetOverheadBytes: () => 29 });
  learn(it, 200);
  const packet = nextRound(it);
  assert.ok(bytesOf(packet, false) <= 1369 && bytesOf(packet, false) > 1250);
});

test("an alive message that fits in no packet is known but not gossiped", () => {
  const it = setup();
  const bytes = encodeAlive({ node: "long", incarnation: 1, addr: Uint8Array.of(10, 0, 0, 2), port: 7946, meta: new Uint8Array(2000), versions: SERF_VERSIONS });
  const before = it.swim.queuedBroadcasts;
  it.swim.step({ kind: "message", from: FROM, bytes }, 0, it.out);
  assert.equal(it.swim.member("long")?.state, "alive");
  assert.equal(it.swim.queuedBroadcasts, before);
});

test("absurdly long names and metadata are dropped and counted", () => {
  const it = setup();
  for (const [node, meta] of [["n".repeat(1025), 0], ["m", 4097]] as const) {
    const bytes = encodeAlive({ node, incarnation: 1, addr: Uint8Array.of(10, 0, 0, 2), port: 7946, meta: new Uint8Array(meta), versions: SERF_VERSIONS });
    it.out.length = 0;
    it.swim.step({ kind: "message", from: FROM, bytes }, 0, it.out);
    assert.deepEqual(it.out, [{ kind: "count", name: "memberlist.drop.alive", delta: 1 }]);
  }
  assert.equal(it.swim.nodeCount, 1);
});

test("pings for others are bounded; what is beyond is dropped and counted, and room comes back", () => {
  const it = setup();
  const bytes = encodeIndirectPing({ seq: 1, target: Uint8Array.of(10, 0, 0, 2), port: 7946, node: "b", nack: true, sourceAddr: null, sourcePort: 0, sourceNode: "" });
  for (let i = 0; i < RELAYS_MAX; i += 1) it.swim.step({ kind: "message", from: FROM, bytes }, 0, it.out);
  it.out.length = 0;
  it.swim.step({ kind: "message", from: FROM, bytes }, 0, it.out);
  assert.deepEqual(it.out, [{ kind: "count", name: "memberlist.drop.indirectPing", delta: 1 }]);
  it.swim.step({ kind: "wake" }, PROFILES.lan.probeTimeoutMs, it.out);
  it.out.length = 0;
  it.swim.step({ kind: "message", from: FROM, bytes }, PROFILES.lan.probeTimeoutMs, it.out);
  assert.ok(it.out.some(({ kind }) => kind === "packet"));
});
