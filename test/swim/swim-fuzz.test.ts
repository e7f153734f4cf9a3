/** No sequence of inputs makes the machine throw, ask to be woken in the past, or break what it promises about its own view. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SeededRandom } from "../../src/base/random.ts";
import { PROFILES } from "../../src/swim/profiles.ts";
import { Swim } from "../../src/swim/swim.ts";
import type { SwimEffect, SwimInput } from "../../src/swim/types.ts";
import { encodeAck, encodeAlive, encodeDead, encodeErr, encodeIndirectPing, encodeNack, encodePing, encodePushPull, encodeSuspect, encodeUser } from "../../src/wire/gossip-codec.ts";
import { RecordingDelegate, SERF_VERSIONS, swimConfig } from "./fake-network.ts";

const FROM = { ip: "10.0.0.9", port: 7946 };
const names = fc.constantFrom("self", "b", "c", "d", "");
const incarnations = fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constantFrom(0xffff_fffe, 0xffff_ffff));
const addrs = fc.oneof({ weight: 5, arbitrary: fc.constantFrom(Uint8Array.of(10, 0, 0, 1), Uint8Array.of(10, 0, 0, 2)) }, fc.uint8Array({ maxLength: 20 }));
const ports = fc.constantFrom(0, 7946, 7947, 65535);
const versions = fc.oneof({ weight: 5, arbitrary: fc.constant(SERF_VERSIONS) }, fc.uint8Array({ maxLength: 8 }));
const meta = fc.uint8Array({ maxLength: 4 });
const seqs = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constant(0xffff_ffff));
const source = { sourceAddr: fc.option(addrs), sourcePort: ports, sourceNode: names };

const packets = fc.oneof(
  fc.record({ incarnation: incarnations, node: names, addr: addrs, port: ports, meta, versions }).map(encodeAlive),
  fc.record({ incarnation: incarnations, node: names, from: names }).map(encodeSuspect),
  fc.record({ incarnation: incarnations, node: names, from: names }).map(encodeDead),
  fc.record({ seq: seqs, node: names, ...source }).map(encodePing),
  fc.record({ seq: seqs, target: addrs, port: ports, node: names, nack: fc.boolean(), ...source }).map(encodeIndirectPing),
  fc.record({ seq: seqs, payload: fc.option(meta) }).map(encodeAck),
  fc.record({ seq: seqs }).map(encodeNack),
  meta.map(encodeUser),
  fc.uint8Array({ maxLength: 60 }),
);
const pushPulls = fc
  .record({
    join: fc.boolean(),
    nodes: fc.array(fc.record({ name: names, addr: addrs, port: ports, meta, incarnation: incarnations, state: fc.integer({ min: 0, max: 5 }), versions }), { maxLength: 4 }),
    userState: fc.option(meta),
  })
  .map(encodePushPull);
const streamMessages = fc.oneof(
  pushPulls,
  fc.record({ seq: seqs, node: names, ...source }).map(encodePing),
  fc.record({ seq: seqs, payload: fc.constant(null) }).map(encodeAck),
  fc.constant(encodeErr("no")),
  fc.uint8Array({ maxLength: 60 }),
);
const streams = fc.constantFrom(-3, -2, -1, 1, 2, 3, 4, 5, 6);
const requests = fc.integer({ min: 1, max: 9 });
const inputs: fc.Arbitrary<SwimInput> = fc.oneof(
  { weight: 30, arbitrary: fc.constant<SwimInput>({ kind: "wake" }) },
  { weight: 40, arbitrary: packets.map((bytes): SwimInput => ({ kind: "message", from: FROM, bytes })) },
  { weight: 10, arbitrary: streams.map((stream): SwimInput => ({ kind: "streamOpened", stream })) },
  { weight: 15, arbitrary: fc.tuple(streams, streamMessages).map(([stream, bytes]): SwimInput => ({ kind: "streamMessage", stream, from: FROM, bytes })) },
  { weight: 5, arbitrary: streams.map((stream): SwimInput => ({ kind: "streamFailed", stream, error: "broken" })) },
  {
    weight: 5,
    arbitrary: fc
      .tuple(requests, fc.array(fc.record({ name: names, to: fc.constant(FROM) }), { maxLength: 6 }))
      .map(([request, targets]): SwimInput => ({ kind: "join", request, targets })),
  },
  { weight: 5, arbitrary: fc.tuple(requests, meta).map(([request, bytes]): SwimInput => ({ kind: "updateMeta", request, meta: bytes, timeoutMs: 500 })) },
  { weight: 1, arbitrary: requests.map((request): SwimInput => ({ kind: "leave", request, timeoutMs: 500 })) },
);

test("any inputs at any pace: no throw, wakes in the future, own record kept, streams answered", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(0, 0, 1, 40, 200, 999, 40_000), inputs), { maxLength: 120 }), fc.integer(), (steps, seed) => {
      const out: SwimEffect[] = [];
      const delegate = new RecordingDelegate();
      const profile = { ...PROFILES.local, deadNodeReclaimMs: seed % 2 === 0 ? 0 : 1000 };
      const swim = new Swim<SwimEffect>(swimConfig("self", { ip: "10.0.0.1", port: 7946 }, profile), new SeededRandom(seed), delegate, 0, out);
      let nowMs = 0;
      let left = false;
      const dialled = new Set<number>();
      const asked = new Map<number, number>();
      for (const [waitMs, input] of steps) {
        nowMs += waitMs;
        out.length = 0;
        if (input.kind === "join" || input.kind === "leave" || input.kind === "updateMeta") asked.set(input.request, (asked.get(input.request) ?? 0) + 1);
        if (input.kind === "leave") left = true;
        swim.step(input, nowMs, out);
        if (input.kind === "wake") assert.ok(swim.wakeAtMs > nowMs, `wakes at ${swim.wakeAtMs}, now ${nowMs}`);
        checkEffects(out, dialled, asked);
        const self = swim.member("self");
        assert.equal(self?.state, left ? "left" : "alive");
        assert.ok((self?.incarnation ?? 0) >= 1);
        const { alive, suspect, dead, left: gone } = swim.stateCounts;
        assert.equal(alive + suspect + dead + gone, swim.nodeCount);
        assert.ok(swim.healthScore >= 0 && swim.healthScore < 8);
        if (input.kind === "streamMessage" && input.stream < 0) assert.ok(out.some((effect) => effect.kind === "streamClose" && effect.stream === input.stream));
      }
    }),
    { numRuns: 1500 },
  );
});

/** Packets fit and are not empty, streams are used only after a dial, requests are answered at most as often as asked. */
function checkEffects(out: readonly SwimEffect[], dialled: Set<number>, asked: Map<number, number>): void {
  for (const effect of out) {
    switch (effect.kind) {
      case "packet": {
        assert.ok(effect.to.length > 0 && effect.messages.length > 0 && effect.messages.length <= 127);
        const bytes = effect.messages.reduce((sum, message) => sum + message.length + 2, 2);
        assert.ok(effect.messages.length === 1 || bytes <= 1400, `${bytes} bytes in a packet`);
        for (const { ip } of effect.to) assert.notEqual(ip, "");
        break;
      }
      case "dial":
        assert.ok(!dialled.has(effect.stream) && effect.stream > 0 && effect.timeoutMs > 0);
        dialled.add(effect.stream);
        break;
      case "streamSend":
      case "streamClose":
        assert.ok(effect.stream < 0 || dialled.has(effect.stream), `stream ${effect.stream}`);
        break;
      case "reply":
        assert.ok((asked.get(effect.request) ?? 0) > 0, `reply to ${effect.request}`);
        asked.set(effect.request, (asked.get(effect.request) ?? 0) - 1);
        break;
    }
  }
}
