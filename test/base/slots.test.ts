import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/base/random.ts";
import { Slots } from "../../src/base/slots.ts";

test("slots behave as a map with fresh keys: against one, over random comings and goings", () => {
  const random = new SeededRandom(1);
  const slots = new Slots<{ readonly n: number }>();
  const model = new Map<number, { readonly n: number }>();
  const gone: number[] = [];
  for (let n = 0; n < 20_000; n += 1) {
    const ids = [...model.keys()];
    if (ids.length < 50 && random.below(2) === 0) {
      const value = { n };
      const id = slots.add(value);
      assert.ok(id > 0 && !model.has(id) && !gone.includes(id), "a number of its own");
      model.set(id, value);
    } else if (ids.length > 0) {
      const id = ids[random.below(ids.length)] as number;
      assert.equal(slots.take(id), model.get(id));
      model.delete(id);
      if (gone.length < 200) gone.push(id);
    }
    assert.equal(slots.size, model.size);
    const stale = gone[random.below(Math.max(1, gone.length))];
    if (stale !== undefined) {
      assert.equal(slots.get(stale), undefined);
      assert.equal(slots.take(stale), undefined);
    }
  }
  for (const [id, value] of model) assert.equal(slots.get(id), value);
  assert.deepEqual(new Set(slots.takeAll()), new Set(model.values()));
  assert.equal(slots.size, 0);
});

test("a number that no value has yet is not here, and does not spoil the slot", () => {
  const slots = new Slots<object>();
  const id = slots.add({});
  slots.take(id);
  const next = slots.add({});
  slots.take(next);
  // What the slot would give out next.
  assert.equal(slots.take(next + (next - id)), undefined);
  assert.equal(slots.size, 0);
  assert.equal(slots.get(0), undefined);
  assert.equal(slots.get(-1), undefined);
});
