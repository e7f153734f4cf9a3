/** What shards hand to each other: words in a ring, messages by number. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Column } from "../../src/base/column.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { SharedMessages } from "../../src/sim/shared-messages.ts";
import { ShardClocks, clocksBytes } from "../../src/sim/shards/clocks.ts";
import { WORD_RING_BYTES, WordRing } from "../../src/sim/shards/word-ring.ts";
import { WordReader, WordWriter } from "../../src/sim/shards/words.ts";
import { encodeUser } from "../../src/wire/gossip-codec.ts";

test("records come out of a ring as they went in, whatever their length and however much is read at a time", () => {
  const random = new SeededRandom(1);
  const ring = new WordRing(new ArrayBuffer(WORD_RING_BYTES));
  const writer = new WordWriter();
  const reader = new WordReader();
  const expected: { readonly kind: number; readonly value: number; readonly text: string; readonly column: Column }[] = [];
  const memory = new ArrayBuffer(4 * 12_000);
  let read = 0;
  let written = 0;
  let waited = 0;
  const readAll = (): void => {
    ring.readInto(reader);
    for (let kind = reader.next(); kind >= 0; kind = reader.next()) {
      const record = expected[read] as (typeof expected)[number];
      read += 1;
      assert.equal(kind, record.kind);
      assert.equal(reader.number(), record.value);
      assert.equal(reader.text(), record.text);
      const column = reader.columnIn(memory);
      assert.equal(column.BYTES_PER_ELEMENT, record.column.BYTES_PER_ELEMENT);
      assert.deepEqual([...column], [...record.column]);
      reader.done();
    }
  };
  for (let round = 0; round < 600; round += 1) {
    const kind = random.below(8);
    const values = Array.from({ length: random.below(12_000) }, () => random.u32());
    const record = { kind, value: random.below(2 ** 32) * 1.5, text: "é".repeat(random.below(9)), column: [Uint8Array, Uint16Array, Uint32Array][kind % 3]?.from(values) as Column };
    expected.push(record);
    writer.begin();
    writer.putNumber(record.value);
    writer.putText(record.text);
    writer.putColumn(record.column);
    writer.end(record.kind);
    written += ring.write(writer.words.subarray(written, writer.length));
    if (written === writer.length) {
      writer.clear();
      written = 0;
    } else waited += 1;
    if (round % 400 === 399) readAll();
  }
  while (writer.length > 0) {
    readAll();
    written += ring.write(writer.words.subarray(written, writer.length));
    if (written === writer.length) writer.clear();
  }
  readAll();
  assert.equal(read, expected.length);
  assert.ok(waited > 0, "the ring was never full");
});

test("a message lives as long as somebody here or another shard holds it, and is told when nobody here does any more", () => {
  const messages = new SharedMessages(8, 4);
  const unheld: number[] = [];
  messages.onUnheld = (number) => unheld.push(number);
  const bytes = (): Uint8Array => encodeUser(Uint8Array.of(1, 2, 3));
  const number = messages.hold(bytes());
  assert.equal(messages.holdForShard(bytes()), number);
  assert.equal(messages.isHeldHere(number), true);
  messages.release(number);
  assert.deepEqual([unheld, messages.isHeldHere(number), messages.size], [[number], false, 1]);
  assert.equal(messages.hold(bytes()), number, "held here again");
  messages.releaseForShard(number);
  assert.equal(messages.size, 1);
  messages.release(number);
  assert.deepEqual([unheld, messages.size], [[number, number], 0]);
  assert.equal(messages.holdForShard(bytes()), number);
  messages.releaseForShard(number);
  assert.deepEqual([unheld.length, messages.size], [2, 0], "another shard alone held it");
});

test("clocks show times beyond 32 bits, and who halts stays where it is", () => {
  const memory = new ArrayBuffer(clocksBytes(2));
  const [first, second] = [new ShardClocks(memory, 0, 2), new ShardClocks(memory, 1, 2)];
  const stepUs = 2 ** 31 - 1;
  for (let atUs = stepUs; atUs < 9 * stepUs; atUs += stepUs) {
    first.publish(atUs);
    second.look();
    assert.equal(second.othersUs, atUs);
  }
  assert.throws(() => first.publish(0), /goes forward/);
  assert.deepEqual([second.haveReached(9 * stepUs), second.isAnyHalted, second.isSlowestHalted], [false, false, false]);
  first.halt();
  second.look();
  assert.deepEqual([second.haveReached(9 * stepUs), second.isAnyHalted, second.isSlowestHalted], [true, true, true]);
});
