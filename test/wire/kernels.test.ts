import assert from "node:assert/strict";
import { test } from "node:test";
import { wireKernels } from "../../native-free-bench/kernels/wire.ts";
import { SeededRandom } from "../../src/base/random.ts";

test("the wire's benchmark kernels run on all their inputs, and the same seed gives the same results", () => {
  for (const { name, prepare } of wireKernels) {
    const results = [1, 1, 2].map((seed) => {
      const { inputCount, run } = prepare(new SeededRandom(seed));
      return Array.from({ length: inputCount }, (_, i) => run(i));
    });
    assert.deepEqual(results[0], results[1], name);
    // Of what is sealed only the length is told, and of repeats their number.
    if (!/seal|AES|repeated|^wire: decode/.test(name)) assert.notDeepEqual(results[0], results[2], name);
  }
});
