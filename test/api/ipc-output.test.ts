import assert from "node:assert/strict";
import { test } from "node:test";
import { AnswerFrame } from "../../src/api/answer-frame.ts";
import { IpcOutput, PIECE_BYTES_MIN } from "../../src/api/ipc-output.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import type { IpcSeq } from "../../src/wire/ipc-messages.ts";
import { encodeResponseHeader, SUCCESS_HEADER_BYTES_MAX } from "../../src/wire/ipc-responses.ts";

const BODY = Uint8Array.of(1, 2, 3);
const frameOf = (body: Uint8Array): AnswerFrame => new AnswerFrame(concatBytes([new Uint8Array(SUCCESS_HEADER_BYTES_MAX), body]));
const answerOf = (seq: IpcSeq, body: Uint8Array): Uint8Array => concatBytes([encodeResponseHeader(seq, ""), body]);
const sent = (output: IpcOutput): Uint8Array => concatBytes(output.pieces);

/** At both sides of each length of an integer. */
const NUMBERS: readonly IpcSeq[] = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0x1234_5678, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, Number.MAX_SAFE_INTEGER, 2n ** 53n, 2n ** 64n - 1n];

test("a frame's header is the one that would be written for its number", () => {
  const frame = frameOf(BODY);
  for (const seq of [...NUMBERS, ...NUMBERS].reverse()) {
    assert.deepEqual(frame.lend(seq), answerOf(seq, BODY), `number ${seq}`);
    frame.giveBack();
  }
});

test("a frame is lent to one at a time; another answer of it in the meantime has a header of its own", () => {
  const frame = frameOf(BODY);
  const [one, other] = [new IpcOutput(), new IpcOutput()];
  one.answer(1, frame);
  one.answer(2, frame);
  other.answer(3, frame);
  assert.deepEqual(sent(one), concatBytes([answerOf(1, BODY), answerOf(2, BODY)]));
  assert.deepEqual(sent(other), answerOf(3, BODY));
  other.taken();
  assert.equal(frame.lend(4), null, "it is the first one's still");
  one.taken();
  assert.notEqual(frame.lend(4), null);
});

test("what the kernel has not taken stays as it is, its frames are given back by hand", () => {
  const output = new IpcOutput();
  const frame = frameOf(BODY);
  output.answer(1, frame);
  output.header(2, "");
  const pieces = [...output.pieces];
  const before = concatBytes(pieces);
  assert.deepEqual(output.leave(), [frame]);
  assert.equal(frame.lend(3), null);
  for (let i = 0; i < 1000; i += 1) {
    output.header(i, "an error");
    assert.equal(sent(output).length > 0, true);
    output.taken();
  }
  assert.deepEqual(concatBytes(pieces), before);
});

test("one piece is written where the last one was, and left alone when it is still in use", () => {
  const output = new IpcOutput();
  output.header(1, "");
  const first = output.only;
  output.taken();
  output.header(2, "");
  assert.equal(output.only, first, "the same memory");
  assert.deepEqual(output.only, encodeResponseHeader(2, ""));
  assert.deepEqual(output.leave(), []);
  output.header(3, "");
  assert.notEqual(output.only, first);
  assert.deepEqual(first, encodeResponseHeader(2, ""));
});

test("small bodies are joined, large ones are pieces of their own", () => {
  const output = new IpcOutput();
  const [small, large] = [new Uint8Array(PIECE_BYTES_MIN - 1), new Uint8Array(PIECE_BYTES_MIN)];
  output.bytes(small);
  output.bytes(small);
  assert.equal(output.only?.length, 2 * small.length);
  output.begin();
  output.bytes(large);
  assert.equal(output.only, null);
  assert.deepEqual(output.pieces.map(({ length }) => length), [2 * small.length, large.length]);
  assert.equal(output.pieces[1], large);
  assert.equal(output.sent, large.length);
});
