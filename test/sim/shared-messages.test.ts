import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedMessages } from "../../src/sim/shared-messages.ts";
import { encodeAlive, encodeUser } from "../../src/wire/gossip-codec.ts";
import { encodeJoin } from "../../src/wire/serf-codec.ts";

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
