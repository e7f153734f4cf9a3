import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeCompress, wrapCompressed } from "../../src/wire/compress.ts";
import { MessageType } from "../../src/wire/gossip-messages.ts";
import { compressLzw } from "../../src/wire/lzw.ts";
import { Writer } from "../../src/wire/msgpack.ts";

/** As msgpack's rules say, whatever the length. */
function wrapByWriter(buf: Uint8Array): Uint8Array {
  return new Writer("gossip").byte(MessageType.compress).mapHead(2).text("Algo").int(0).text("Buf").bytes(buf).finish();
}

test("large compress messages, which are written without the writer, are what it would write", () => {
  for (const length of [16_383, 16_384, 65_535, 65_536, 70_000, 0x1_02_03_04]) {
    const buf = new Uint8Array(length).fill(7);
    assert.ok(Buffer.from(wrapCompressed(buf)).equals(wrapByWriter(buf)), `${length} bytes`);
  }
});

test("a large compress message gives its content back", () => {
  const plain = Uint8Array.from({ length: 100_000 }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 24);
  const opened = decodeCompress(wrapCompressed(compressLzw(plain)), plain.length);
  assert.ok(opened.ok && Buffer.from(opened.value).equals(plain));
});
