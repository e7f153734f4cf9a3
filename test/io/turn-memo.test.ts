import assert from "node:assert/strict";
import { test } from "node:test";
import { TurnMemo } from "../../src/io/turn-memo.ts";

test("a value is made once in a turn, for each key, and anew in the next", async () => {
  const memo = new TurnMemo<number>();
  let made = 0;
  const make = (): number => (made += 1);
  assert.deepEqual([memo.get("a", make), memo.get("a", make), memo.get("b", make)], [1, 1, 2]);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([memo.get("a", make), memo.get("a", make)], [3, 3]);
});
