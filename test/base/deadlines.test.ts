import assert from "node:assert/strict";
import { test } from "node:test";
import { Deadlines } from "../../src/base/deadlines.ts";
import { SeededRandom } from "../../src/base/random.ts";

test("the table and a list that is searched agree on every sequence of operations", () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const random = new SeededRandom(seed);
    const table = new Deadlines<number>();
    let list: { readonly key: number; readonly atMs: number }[] = []; // In the order they were set.
    const next = (): { readonly key: number; readonly atMs: number } | undefined => list.reduce<(typeof list)[number] | undefined>((best, one) => (best === undefined || one.atMs < best.atMs ? one : best), undefined);
    for (let step = 0; step < 400; step += 1) {
      const key = random.below(30);
      switch (random.below(4)) {
        case 0:
        case 1: {
          const atMs = random.below(20); // Few times: many ties.
          table.set(key, atMs);
          list = [...list.filter((one) => one.key !== key), { key, atMs }];
          break;
        }
        case 2:
          table.delete(key);
          list = list.filter((one) => one.key !== key);
          break;
        case 3: {
          const nowMs = random.below(20);
          const first = next();
          const due = first !== undefined && first.atMs <= nowMs ? first.key : undefined;
          assert.equal(table.popDue(nowMs), due, `seed ${seed}, step ${step}`);
          list = list.filter((one) => one.key !== due);
        }
      }
      assert.deepEqual([table.size, table.nextAtMs, table.has(key)], [list.length, next()?.atMs ?? Infinity, list.some((one) => one.key === key)]);
    }
  }
});
