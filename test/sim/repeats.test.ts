import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageNumbers, NO_NUMBER, SettledNumbers } from "../../src/sim/repeats.ts";

const gossip = (id: number): Uint8Array => Uint8Array.of(4, id >> 16, id >> 8, id);

test("equal gossip has equal numbers, answers have none", () => {
  const numbers = new MessageNumbers();
  const [a, b, again, ping] = numbers.of([gossip(1), gossip(2), gossip(1), Uint8Array.of(0, 1, 2, 3)]);
  assert.notEqual(a, b);
  assert.equal(again, a);
  assert.equal(ping, NO_NUMBER);
});

test("numbers stay bounded: all are forgotten at once, and the epoch says so", () => {
  const numbers = new MessageNumbers();
  let highest = 0;
  for (let id = 0; id < 140_000; id += 2) highest = Math.max(highest, ...numbers.of([gossip(id), gossip(id + 1)]));
  assert.equal(numbers.epoch, 1);
  assert.equal(highest, 131_071);
});

test("what is settled is forgotten after one to two generations, and with the epoch", () => {
  const settled = new SettledNumbers(0, 0);
  settled.add(9_000);
  settled.age(4_999_999, 0);
  assert.ok(settled.has(9_000) && !settled.has(9_001));
  settled.age(5_000_000, 0);
  settled.add(3);
  assert.ok(settled.has(9_000) && settled.has(3));
  settled.age(10_000_000, 0);
  assert.ok(!settled.has(9_000) && settled.has(3));
  settled.age(30_000_000, 0);
  assert.ok(!settled.has(3));
  settled.add(5);
  settled.age(30_000_001, 1);
  assert.ok(!settled.has(5));
});
