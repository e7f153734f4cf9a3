import assert from "node:assert/strict";
import { test } from "node:test";
import { drawHashKey } from "../../../src/io/entropy.ts";
import { WARM_UP_MESSAGES, warmUp } from "../../../src/io/lanes/lane-warm-up.ts";

test("what a lane warms up with goes the whole way: sealed, opened, inflated, split, and nothing of it dropped", () => {
  assert.equal(warmUp(drawHashKey()), WARM_UP_MESSAGES);
});
