import assert from "node:assert/strict";
import { test } from "node:test";
import { EventRing, type HeldSlot } from "../../src/serf/event-ring.ts";
import { LamportClock } from "../../src/serf/lamport-clock.ts";
import { SharedMessages, type SharedMessage } from "../../src/sim/shared-messages.ts";
import { encodeAlive, encodeDead, encodeSuspect, encodeUser } from "../../src/wire/gossip-codec.ts";
import { encodeJoin, encodeUserEvent } from "../../src/wire/serf-codec.ts";

const alive = (node: string, incarnation: number): Uint8Array =>
  encodeAlive({ incarnation, node, addr: Uint8Array.of(10, 0, 0, 1), port: 7946, meta: Uint8Array.of(1), versions: Uint8Array.of(1, 5, 2, 2, 5, 5) });

test("equal bytes have one number until the last holder lets go", () => {
  const messages = new SharedMessages(8);
  const number = messages.hold(alive("a", 1));
  assert.equal(messages.hold(alive("a", 1)), number);
  assert.notEqual(messages.hold(alive("a", 2)), number);
  messages.release(number);
  assert.deepEqual(messages.bytesOf(number), alive("a", 1));
  messages.release(number);
  assert.equal(messages.size, 1);
  assert.equal(messages.hold(alive("b", 1)), number, "the number is used again");
});

test("a message refers to the record of the member it is about, until nobody holds it", () => {
  const messages = new SharedMessages(8);
  const { records } = messages;
  const bytes = alive("a", 1);
  const number = messages.hold(bytes);
  const known = messages.known(messages.bytesOf(number));
  assert.ok(known !== null && known.slot === records.slotOf("a") && known.slot >= 0);
  assert.equal(records.record(known.slot, known.variant).name, "a");
  messages.release(number);
  assert.deepEqual([known.number, known.slot, known.variant], [-1, -1, -1]);
  assert.equal(messages.known(known.bytes), null);
});

test("intents are read through both layers; what does not repeat is not read", () => {
  const messages = new SharedMessages(8);
  const intent = encodeUser(encodeJoin({ lamportTime: 7, node: "b" }));
  const known = messages.known(messages.bytesOf(messages.hold(intent)));
  assert.deepEqual(known?.upper, { kind: "join", lamportTime: 7, node: "b" });
  assert.equal(known?.slot, messages.records.slotOf("b"));
  const ping = Uint8Array.of(0, 0x80);
  messages.hold(ping);
  assert.equal(messages.known(ping)?.message, null);
});

test("what is settled at a node is settled there alone, until the member regresses there or the node ends", () => {
  const nodes = 100;
  const messages = new SharedMessages(nodes);
  const shared = (bytes: Uint8Array): SharedMessage => messages.known(messages.bytesOf(messages.hold(bytes))) as SharedMessage;
  const [about, other] = [shared(alive("a", 1)), shared(encodeSuspect({ incarnation: 1, node: "b", from: "c" }))];
  const settledAt = (message: SharedMessage): number[] => Array.from({ length: nodes }, (_, node) => node).filter((node) => messages.isSettled(message.number, node));
  for (const node of [0, 31, 32, 99]) messages.settle(about, node);
  messages.settle(other, 31);
  assert.deepEqual([settledAt(about), settledAt(other)], [[0, 31, 32, 99], [31]]);
  messages.regress(about.slot, 31);
  assert.deepEqual([settledAt(about), settledAt(other)], [[0, 32, 99], [31]]);
  messages.settle(about, 31);
  messages.forgetNode(31);
  assert.deepEqual([settledAt(about), settledAt(other)], [[0, 32, 99], []]);
});

/** Nothing is settled that nobody holds. */
function isSettledAt(messages: SharedMessages, { number }: SharedMessage, node: number): boolean {
  return number >= 0 && messages.isSettled(number, node);
}

test("deaths of one incarnation are settled together, whoever declares it; a message that is over is settled nowhere, nor is the next of its place", () => {
  const messages = new SharedMessages(8);
  const dead = (incarnation: number, from: string): SharedMessage => messages.known(messages.bytesOf(messages.hold(encodeDead({ incarnation, node: "a", from })))) as SharedMessage;
  const [first, second, newer] = [dead(1, "x"), dead(1, "y"), dead(2, "x")];
  messages.settle(first, 3);
  assert.deepEqual([first, second, newer].map((message) => isSettledAt(messages, message, 3)), [true, true, false]);
  messages.release(first.number);
  assert.deepEqual([first, second].map((message) => isSettledAt(messages, message, 3)), [false, true]);
  messages.settle(first, 4);
  assert.equal(isSettledAt(messages, dead(1, "x"), 3), true);
  assert.equal(isSettledAt(messages, dead(1, "x"), 4), false);
  messages.release(newer.number);
  const places = Array.from({ length: 100 }, (_, i) => dead(10 + i, "x"));
  assert.ok(places.every((message) => !isSettledAt(messages, message, 3) && !isSettledAt(messages, message, 4)));
});

test("a slot of events is the same where both rings hold the very messages of it, and not when one is missing, told in bytes, or over", () => {
  const messages = new SharedMessages(8);
  const shared = (name: string): SharedMessage => {
    const bytes = encodeUser(encodeUserEvent({ lamportTime: 3, name, payload: null, coalesce: false }));
    return messages.known(messages.bytesOf(messages.hold(bytes))) as SharedMessage;
  };
  const clock = new LamportClock();
  const ringOf = (...names: readonly string[]): EventRing => {
    const ring = new EventRing(8, messages);
    for (const name of names) ring.witness(clock, 3, name, null, shared(name));
    return ring;
  };
  const slotOf = (ring: EventRing): HeldSlot => ring.slots[3] as HeldSlot;
  const both = ringOf("a", "b");
  assert.equal(both.holdsSame(clock, slotOf(ringOf("b", "a"))), true);
  assert.equal(both.holdsSame(clock, slotOf(ringOf("a"))), false);
  assert.equal(ringOf("a").holdsSame(clock, slotOf(both)), false);
  assert.equal(ringOf("a", "c").holdsSame(clock, slotOf(both)), false);
  assert.equal(ringOf().holdsSame(clock, slotOf(both)), false);
  const byBytes = new EventRing(8, messages);
  for (const name of ["a", "b"]) byBytes.witness(clock, 3, name, null);
  assert.equal(both.holdsSame(clock, slotOf(byBytes)), false);
  assert.equal(byBytes.holdsSame(clock, slotOf(both)), false);
  const told = slotOf(both);
  clock.witness(100);
  assert.equal(both.holdsSame(clock, told), false, "older than the ring");
});
