import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SeededRandom } from "../../src/base/random.ts";
import { decodeUtf8, encodeUtf8 } from "../../src/base/utf8.ts";
import { CowMap, type CowView } from "../../src/catalog/cow-map.ts";
import { Epoch } from "../../src/catalog/epoch.ts";
import { readEntry, RecordDraft } from "../../src/catalog/record-slabs.ts";
import { RecordTree } from "../../src/catalog/record-tree.ts";
import type { RecordView } from "../../src/catalog/record-view.ts";

const draft = new RecordDraft();

function put(tree: RecordTree, key: string, value: Uint8Array, index: number): void {
  draft.keyBytes = encodeUtf8(key);
  draft.keyLength = draft.keyBytes.length;
  draft.valueBytes = value;
  draft.valueLength = value.length;
  draft.modifyIndex = index;
  tree.locate(draft.keyBytes, 0, draft.keyLength);
  tree.putHere(draft);
}

function remove(tree: RecordTree, key: string): boolean {
  const bytes = encodeUtf8(key);
  if (tree.locate(bytes, 0, bytes.length) < 0) return false;
  tree.removeHere();
  return true;
}

function contents(view: RecordView, prefix = ""): [string, number, number][] {
  const cursor = view.cursor(encodeUtf8(prefix));
  const rows: [string, number, number][] = [];
  for (let address = cursor.next(); address >= 0; address = cursor.next()) {
    const { key, modifyIndex, value } = readEntry(view.slabs, address);
    rows.push([key, modifyIndex, value?.length ?? -1]);
  }
  return rows;
}

type Model = Map<string, [index: number, length: number]>;

function contentsOf(model: Model, prefix = ""): [string, number, number][] {
  return [...model].filter(([key]) => key.startsWith(prefix)).map(([key, [index, length]]): [string, number, number] => [key, index, length]).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Thousands of random changes with views, transactions that are undone, and removed prefixes. */
function play(seed: number, keyCount: number, valueBytesMax: number, changes: number): RecordTree {
  const random = new SeededRandom(seed);
  const epoch = new Epoch();
  const tree = new RecordTree(epoch);
  let model: Model = new Map();
  const views: { view: RecordView; rows: [string, number, number][] }[] = [];
  const keyOf = (): string => `${"abc"[random.below(3)] ?? ""}/${random.below(8)}/${String(random.below(keyCount)).padStart(6, "0")}`;
  for (let index = 1; index <= changes; index += 1) {
    const what = random.below(1000);
    if (what < 700) {
      const key = keyOf();
      const value = new Uint8Array(random.below(valueBytesMax)).fill(index);
      put(tree, key, value, index);
      model.set(key, [index, value.length]);
    } else if (what < 980) {
      const key = keyOf();
      assert.equal(remove(tree, key), model.delete(key));
    } else if (what < 990) {
      const prefix = keyOf().slice(0, 2 + random.below(7));
      const gone = [...model.keys()].filter((key) => key.startsWith(prefix));
      assert.equal(tree.removePrefix(encodeUtf8(prefix)), gone.length);
      for (const key of gone) model.delete(key);
    } else if (what < 995) {
      views.push({ view: tree.view(), rows: contentsOf(model) });
      epoch.end();
      if (views.length > 3) views.shift();
    } else {
      const mark = tree.mark();
      epoch.end();
      const copy: Model = new Map(model);
      for (let i = 0; i < 40; i += 1) {
        const key = keyOf();
        if (random.below(2) === 0) {
          put(tree, key, new Uint8Array(8), index);
          copy.set(key, [index, 8]);
        } else assert.equal(remove(tree, key), copy.delete(key));
      }
      tree.removePrefix(encodeUtf8("a/3"));
      for (const key of copy.keys()) if (key.startsWith("a/3")) copy.delete(key);
      if (random.below(2) === 0) {
        tree.commit();
        model = copy;
      } else tree.reset(mark);
      epoch.end();
      assert.deepEqual(contents(tree), contentsOf(model));
    }
    if (index % 500 === 0) {
      tree.verify();
      assert.equal(tree.size, model.size);
      const prefix = keyOf().slice(0, random.below(8));
      assert.deepEqual(contents(tree, prefix), contentsOf(model, prefix));
      assert.equal(tree.maxBelow(encodeUtf8(prefix)), Math.max(0, ...contentsOf(model, prefix).map(([, at]) => at)));
      for (const { view, rows } of views) assert.deepEqual(contents(view), rows);
    }
  }
  while (tree.tidy(1000));
  tree.verify();
  assert.deepEqual(contents(tree), contentsOf(model));
  return tree;
}

test("random changes: contents, maxima, views, undone transactions as in a plain map", () => {
  for (const seed of [1, 2, 3]) play(seed, 300, 20, 8_000);
});

test("pages are emptied while their records change: waste stays bounded, views keep what they showed", () => {
  const tree = play(7, 60, 30_000, 6_000);
  assert.ok(tree.wasteBytes < 6 * 1024 * 1024 + tree.liveBytes, `${tree.wasteBytes} wasted of ${tree.liveBytes}`);
});

test("keys that come in rising order fill their leaves", () => {
  const tree = new RecordTree(new Epoch());
  for (let i = 0; i < 20_000; i += 1) put(tree, String(i).padStart(8, "0"), new Uint8Array(3), i + 1);
  tree.verify();
  assert.equal(tree.size, 20_000);
  assert.equal(tree.removePrefix(encodeUtf8("0001")), 10_000);
  tree.verify();
  assert.equal(tree.removePrefix(new Uint8Array(0)), 10_000);
  while (tree.tidy(1000));
  assert.deepEqual([tree.size, tree.liveBytes, contents(tree)], [0, 0, []]);
});

test("large records have pages of their own, which go with them", () => {
  const tree = new RecordTree(new Epoch());
  for (let i = 1; i <= 20; i += 1) {
    put(tree, "large", new Uint8Array(600_000), i);
    put(tree, `small${i}`, new Uint8Array(10), i);
  }
  assert.ok(tree.wasteBytes < 1000, `${tree.wasteBytes} wasted`);
  assert.equal(tree.size, 21);
});

test("a map that copies on write is a map, and its views do not move", () => {
  const step = fc.tuple(fc.constantFrom("set", "set", "set", "delete", "view", "undo"), fc.integer({ min: 0, max: 120 }), fc.integer({ min: 0, max: 9 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const epoch = new Epoch();
      const map = new CowMap<number>(epoch);
      let model = new Map<string, number>();
      const views: { view: CowView<number>; rows: [string, number][] }[] = [];
      const sorted = (prefix = ""): [string, number][] => [...model].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
      for (const [what, n, value] of steps) {
        const key = `k${n}`;
        if (what === "set") {
          map.set(key, value);
          model.set(key, value);
        } else if (what === "delete") assert.equal(map.delete(key), model.delete(key));
        else if (what === "view") {
          views.push({ view: map.view(), rows: sorted() });
          epoch.end();
        } else {
          const mark = map.mark();
          const before = new Map(model);
          epoch.end();
          map.set(key, -1);
          map.delete("k5");
          map.reset(mark);
          epoch.end();
          model = before;
        }
        assert.equal(map.get(key), model.get(key));
        assert.equal(map.size, model.size);
      }
      assert.deepEqual([...map.entries()], sorted());
      assert.deepEqual([...map.entries("k1")], sorted("k1"));
      for (const { view, rows } of views) assert.deepEqual([...view.entries()], rows);
    }),
    { numRuns: 200 },
  );
});

test("keys of any bytes come back as they were", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.uint8Array({ maxLength: 12 }).map((bytes) => decodeUtf8(bytes)), { maxLength: 200 }), (keys) => {
      const tree = new RecordTree(new Epoch());
      keys.forEach((key, i) => put(tree, key, new Uint8Array(1), i + 1));
      const expected = [...keys].sort((a, b) => Buffer.compare(encodeUtf8(a), encodeUtf8(b)));
      assert.deepEqual(contents(tree).map(([key]) => key), expected);
      tree.verify();
    }),
    { numRuns: 100 },
  );
});
