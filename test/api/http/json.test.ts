/** JSON as Go's encoding/json writes it; the expected texts are Go's. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { jsonNumber, jsonString, RawJson, writeJson } from "../../../src/api/http/json.ts";
import { decodeUtf8 } from "../../../src/base/utf8.ts";

test("strings are escaped as Go escapes them", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["", '""'],
    ["plain text ~", '"plain text ~"'],
    ['"\\/', '"\\"\\\\/"'],
    ["<a href='x'>&</a>", `"\\u003ca href='x'\\u003e\\u0026\\u003c/a\\u003e"`],
    ["\n\r\t", '"\\n\\r\\t"'],
    ["\b\f\u0000\u001f\u007f", '"\\u0008\\u000c\\u0000\\u001f\u007f"'],
    ["\u2028\u2029", '"\\u2028\\u2029"'],
    ["é 世界 😀", '"é 世界 😀"'],
    // What looks like an escape and is none.
    ["\\b\\u2028\\ud800", '"\\\\b\\\\u2028\\\\ud800"'],
  ];
  for (const [text, expected] of cases) assert.equal(jsonString(text), expected);
});

test("bytes that were no UTF-8 become the replacement character, one each", () => {
  const bytes = Uint8Array.of(0x61, 0xff, 0xfe, 0x62);
  assert.equal(jsonString(decodeUtf8(bytes, 0, bytes.length)), '"a\\ufffd\\ufffdb"');
});

test("numbers", () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, "0"], [-0, "-0"], [1.5, "1.5"], [1e20, "100000000000000000000"], [1e21, "1e+21"], [1e-6, "0.000001"], [1e-7, "1e-7"], [-2.5e-9, "-2.5e-9"], [2 ** 53, "9007199254740992"],
  ];
  for (const [value, expected] of cases) assert.equal(jsonNumber(value), expected);
  assert.equal(writeJson([18_446_744_073_709_551_615n, true, false, null], false), "[18446744073709551615,true,false,null]");
});

test("compact and indented", () => {
  const value = { B: [1, { x: "y" }], A: {}, L: [], Gone: undefined, R: new RawJson("[ 1 ]"), M: new Map() };
  assert.equal(writeJson(value, false), '{"B":[1,{"x":"y"}],"A":{},"L":[],"R":[ 1 ],"M":{}}');
  assert.equal(
    writeJson(value, true),
    '{\n    "B": [\n        1,\n        {\n            "x": "y"\n        }\n    ],\n    "A": {},\n    "L": [],\n    "R": [ 1 ],\n    "M": {}\n}\n',
  );
});

test("keys that users name are sorted bytewise, also those that look like numbers or belong to every object", () => {
  const names = ["b", "10", "9", "a", "__proto__", "constructor", "\uffff", "😀"];
  const map = new Map(names.map((name) => [name, 1] as const));
  assert.equal(writeJson(map, false), '{"10":1,"9":1,"__proto__":1,"a":1,"b":1,"constructor":1,"\uffff":1,"😀":1}');
});
