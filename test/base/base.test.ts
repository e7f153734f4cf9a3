import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHex, toHex } from "../../src/base/bytes.ts";
import { Deadlines } from "../../src/base/deadlines.ts";
import { formatEndpoint, ipFromBytes, ipToBytes } from "../../src/base/endpoint.ts";
import { SeededRandom, shuffle } from "../../src/base/random.ts";
import { decodeUtf8, encodeUtf8, utf8Length } from "../../src/base/utf8.ts";

test("utf8 equals the platform's encoder on well-formed text", () => {
  for (const text of ["", "abc", "žluť", "日本", "😀x", "a\u0000b"]) {
    assert.deepEqual(Buffer.from(encodeUtf8(text)), Buffer.from(text, "utf8"));
    assert.equal(decodeUtf8(encodeUtf8(text)), text);
    assert.equal(utf8Length(text), Buffer.byteLength(text));
  }
});

test("utf8 keeps bytes that are not UTF-8", () => {
  for (const hex of ["ff", "61ff62", "c0af", "eda080", "f4908080", "e28261", "80", "f0"]) {
    assert.equal(toHex(encodeUtf8(decodeUtf8(fromHex(hex)))), hex);
  }
  const random = new SeededRandom(7);
  for (let i = 0; i < 2000; i += 1) {
    const bytes = new Uint8Array(random.below(12)).map(() => random.below(256));
    assert.equal(toHex(encodeUtf8(decodeUtf8(bytes))), toHex(bytes));
  }
});

test("addresses print as Go prints them", () => {
  const cases: [hex: string, text: string][] = [
    ["7f000001", "127.0.0.1"],
    ["00000000000000000000ffff7f000001", "127.0.0.1"],
    ["fd000000000000000000000000010002", "fd00::1:2"],
    ["00000000000000000000000000000000", "::"],
    ["00010000000300040000000000070008", "1:0:3:4::7:8"],
    ["20010db8000000010001000100010001", "2001:db8:0:1:1:1:1:1"],
    ["0102", ""],
  ];
  for (const [hex, text] of cases) assert.equal(ipFromBytes(fromHex(hex)), text);
  for (const text of ["127.0.0.1", "fd00::1:2", "::", "1:0:3:4::7:8"]) assert.equal(ipFromBytes(ipToBytes(text) as Uint8Array), text);
  for (const text of ["", "1.2.3", "1.2.3.256", "01.2.3.4", "::1::", "1:2:3:4:5:6:7:8:9", "g::"]) assert.equal(ipToBytes(text), null, text);
  assert.equal(formatEndpoint({ ip: "::1", port: 7 }), "[::1]:7");
});

test("deadlines pop in order, moved and deleted ones once or never", () => {
  const deadlines = new Deadlines<string>();
  deadlines.set("a", 30);
  deadlines.set("b", 10);
  deadlines.set("c", 20);
  deadlines.set("a", 5);
  deadlines.delete("c");
  assert.equal(deadlines.nextAtMs, 5);
  assert.equal(deadlines.popDue(4), undefined);
  assert.deepEqual([deadlines.popDue(50), deadlines.popDue(50), deadlines.popDue(50)], ["a", "b", undefined]);
  assert.equal(deadlines.nextAtMs, Infinity);
});

test("deadlines equal a sorted list under random operations", () => {
  const random = new SeededRandom(3);
  const deadlines = new Deadlines<number>();
  const model = new Map<number, number>();
  for (let i = 0; i < 20000; i += 1) {
    const key = random.below(50);
    const action = random.below(4);
    if (action < 2) {
      const at = random.below(1000);
      deadlines.set(key, at);
      model.set(key, at);
    } else if (action === 2) {
      deadlines.delete(key);
      model.delete(key);
    } else {
      const now = random.below(1000);
      const due = deadlines.popDue(now);
      const earliest = Math.min(...model.values());
      if (due === undefined) assert.ok(earliest > now);
      else {
        assert.equal(model.get(due), earliest);
        model.delete(due);
      }
    }
    assert.equal(deadlines.size, model.size);
  }
});

test("the same seed draws the same numbers; a shuffle keeps every item", () => {
  const draw = (seed: number): number[] => Array.from({ length: 5 }, () => new SeededRandom(seed).below(1000));
  assert.deepEqual(draw(1), draw(1));
  const items = shuffle([...Array(100).keys()], new SeededRandom(9));
  assert.deepEqual(items.toSorted((a, b) => a - b), [...Array(100).keys()]);
});
