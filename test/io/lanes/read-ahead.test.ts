import assert from "node:assert/strict";
import { test } from "node:test";
import { ReadAhead } from "../../../src/io/lanes/read-ahead.ts";
import { EMPTY_BYTES } from "../../../src/base/bytes.ts";
import { decodeEntries, EntriesBatch } from "../../../src/io/lanes/log-protocol.ts";
import { RECORD_HEADER_BYTES } from "../../../src/io/lanes/log-record.ts";

/** A log with entries up to `last`, of which one piece holds three; it counts what it is asked for. */
class FakeLog {
  last: number;
  readonly asked: string[] = [];
  readonly reads = new ReadAhead((from, to) => Promise.resolve(this.#piece(from, to)), decodeEntries);

  constructor(last: number) {
    this.last = last;
  }

  #piece(from: number, to: number): ArrayBuffer {
    this.asked.push(`${from}-${to}`);
    const batch = new EntriesBatch();
    // The type of an entry says until when it was there.
    for (let index = from; index <= Math.min(to, this.last, from + 2); index += 1) batch.add(new Uint8Array(RECORD_HEADER_BYTES).fill(this.last % 8, 4, 5), RECORD_HEADER_BYTES);
    return batch.take(0, from);
  }

  async read(from: number, to: number): Promise<number[]> {
    return (await this.reads.read(from, to, 1)).map(({ index }) => index);
  }
}

test("while one piece of a range is used the next is read; the end of the range is not passed", async () => {
  const log = new FakeLog(9);
  log.reads.begin(1, 7, 1);
  assert.deepEqual(await log.read(1, 7), [1, 2, 3]);
  assert.deepEqual(log.asked, ["1-7", "4-7"]);
  assert.deepEqual(await log.read(4, 7), [4, 5, 6]);
  assert.deepEqual(await log.read(7, 7), [7]);
  assert.deepEqual(log.asked, ["1-7", "4-7", "7-7"], "each once");
  assert.deepEqual(await log.read(2, 4), [2, 3, 4]);
  assert.deepEqual(log.asked.slice(3), ["2-4"], "what was answered whole is not followed by more");
});

test("readers at several places do not take each other's pieces; a piece that is longer than asked for is cut", async () => {
  const log = new FakeLog(100);
  assert.deepEqual(await log.read(1, 50), [1, 2, 3]);
  assert.deepEqual(await log.read(60, 90), [60, 61, 62]);
  assert.deepEqual(await log.read(4, 5), [4, 5]);
  assert.deepEqual(await log.read(63, 90), [63, 64, 65]);
  assert.deepEqual(log.asked, ["1-50", "4-50", "60-90", "63-90", "66-90"]);
});

test("what was not there when it was read ahead is looked for again", async () => {
  const log = new FakeLog(3);
  assert.deepEqual(await log.read(1, 9), [1, 2, 3]);
  assert.deepEqual(log.asked, ["1-9", "4-9"]);
  log.last = 5;
  assert.deepEqual(await log.read(4, 9), [4, 5]);
  assert.deepEqual(log.asked, ["1-9", "4-9", "4-9", "6-9"]);
});

test("once entries are replaced nothing read before is given out, and nothing is read ahead", async () => {
  const log = new FakeLog(20);
  const first = log.reads.read(1, 20, 1);
  await first;
  log.reads.stop();
  log.last = 21;
  const [entry] = await log.reads.read(4, 20, 1);
  assert.deepEqual(entry, { index: 4, term: 0, type: 21 % 8, data: EMPTY_BYTES, extensions: EMPTY_BYTES });
  assert.deepEqual(log.asked, ["1-20", "4-20", "4-20"]);
  await log.read(7, 20);
  assert.equal(log.asked.length, 4);
});
