import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BytePages, PAGE_BYTES } from "../../src/base/byte-pages.ts";

test("pieces of any length keep what was written to them, and short ones share pages of bounded size", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 2 * PAGE_BYTES }), { maxLength: 100 }), (lengths) => {
      const memory = new BytePages();
      const pieces = lengths.map((length, i) => {
        const at = memory.reserve(length);
        const piece = memory.page.subarray(at, at + length);
        piece.fill(i + 1);
        return piece;
      });
      pieces.forEach((piece, i) => {
        assert.equal(piece.length, lengths[i]);
        assert.ok(piece.every((byte) => byte === i + 1));
        assert.ok(piece.buffer.byteLength <= Math.max(PAGE_BYTES, piece.length));
      });
    }),
  );
  const memory = new BytePages();
  const pages = new Set<Uint8Array>();
  for (let i = 0; i < 1000; i += 1) {
    memory.reserve(40);
    pages.add(memory.page);
  }
  assert.ok(pages.size < 20, `${pages.size} pages for 40,000 bytes`);
});
