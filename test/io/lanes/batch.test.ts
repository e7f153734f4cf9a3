import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Batch, encodeBatch } from "../../../src/io/lanes/batch.ts";

test("a batch reads back as it was written", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(0xffffffff)), fc.array(fc.uint8Array()), (words, parts) => {
      const batch = new Batch(encodeBatch(words, parts));
      assert.deepEqual(Array.from({ length: batch.wordCount }, (_, i) => batch.word(i)), words);
      assert.deepEqual(
        Array.from({ length: batch.partCount }, (_, i) => [...batch.part(i)]),
        parts.map((part) => [...part]),
      );
      assert.throws(() => batch.word(words.length));
      assert.throws(() => batch.part(parts.length));
    }),
  );
});
