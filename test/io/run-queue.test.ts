import assert from "node:assert/strict";
import { test } from "node:test";
import { isStarved } from "../../src/io/run-queue.ts";

test("a program is starved when it waited for longer than it ran", () => {
  assert.equal(isStarved("71467663 71467664 6\n"), true);
  assert.equal(isStarved("71467663 71467663 6\n"), false);
  for (const unknown of ["", "0 0 0\n", "\n", "nonsense"]) assert.equal(isStarved(unknown), false, unknown);
  assert.equal(typeof isStarved(), "boolean");
});
