import assert from "node:assert/strict";
import { test } from "node:test";
import { areSameColumns, columnIn, copiedInto, resized, written, type Column } from "../../src/base/column.ts";

const WIDTHS = [1, 2, 4];

test("columns are the same when each value is, also behind the last whole word", () => {
  for (const width of WIDTHS) {
    for (let length = 0; length <= 9; length += 1) {
      const left = columnIn(new ArrayBuffer(width * length), width, length);
      for (let i = 0; i < length; i += 1) left[i] = i + 1;
      assert.ok(areSameColumns(left, left.slice()));
      for (let i = 0; i < length; i += 1) {
        const other = left.slice();
        other[i] = 200;
        assert.equal(areSameColumns(left, other), false, `${width} bytes, place ${i} of ${length}`);
      }
      assert.equal(areSameColumns(left, resized(left, length + 1)), false, "another length");
    }
  }
  assert.equal(areSameColumns(Uint8Array.of(1, 2), Uint16Array.of(1, 2)), false, "another width");
});

test("a copy lies in the memory it is given, which may be larger and dirty", () => {
  const memory = new Uint8Array(64).fill(0xff).buffer;
  for (const column of [Uint8Array.of(1, 2, 3), Uint16Array.of(1, 300, 3), Uint32Array.of(1, 300, 70_000)] as Column[]) {
    const copy = copiedInto(memory, column, 3);
    assert.deepEqual(copy, column);
    assert.equal(copy.buffer, memory);
    assert.deepEqual([...copiedInto(memory, column, 2)], [...column.slice(0, 2)]);
  }
});

test("a value is written into the column itself, or into a wider copy that it fits", () => {
  const narrow = Uint8Array.of(1, 2, 3);
  assert.equal(written(narrow, 1, 255), narrow);
  for (const [value, width] of [[256, 2], [65_535, 2], [65_536, 4]] as const) {
    const wide = written(Uint8Array.of(1, 2, 3), 1, value);
    assert.deepEqual([...wide], [1, value, 3]);
    assert.equal(wide.BYTES_PER_ELEMENT, width);
  }
});
