/** What `?cached` shows of a cache, and how much of it is remembered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AskedBefore, CACHED_QUESTIONS_MAX, QUESTION_LENGTH_MAX } from "../../../src/api/http/cached.ts";

test("a question is known from its second time on, as long as not too many others were asked since", () => {
  const before = new AskedBefore();
  assert.deepEqual([before.again("a"), before.again("a"), before.again("b")], [false, true, false]);
  for (let i = 0; i < CACHED_QUESTIONS_MAX - 1; i += 1) before.again(`other ${i}`);
  assert.equal(before.size, CACHED_QUESTIONS_MAX);
  // "a" went for the last of them, "b" stays and is now the newest.
  assert.deepEqual([before.again("b"), before.again("a")], [true, false]);
  for (let i = 0; i < 10 * CACHED_QUESTIONS_MAX; i += 1) before.again(`more ${i}`);
  assert.equal(before.size, CACHED_QUESTIONS_MAX);
  assert.equal(before.again("b"), false);
});

test("what is too long to be remembered is new each time", () => {
  const before = new AskedBefore();
  const longest = "q".repeat(QUESTION_LENGTH_MAX);
  assert.deepEqual([before.again(longest), before.again(longest)], [false, true]);
  assert.deepEqual([before.again(`${longest}q`), before.again(`${longest}q`), before.size], [false, false, 1]);
});
