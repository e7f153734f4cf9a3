import assert from "node:assert/strict";
import { test } from "node:test";
import { goSyntaxFields } from "../../src/cli/go-syntax.ts";
import { goQuote } from "../../src/base/go-quote.ts";
import { goJson, parseGoBool, parseGoInt, sortedObject } from "../../src/cli/go-text.ts";
import { columns } from "../../src/cli/columns.ts";
import { encodeValue, Float64 } from "../../src/wire/msgpack.ts";

test("integers and truth values, as Go reads them", () => {
  const good = [["0", 0], ["-1", -1], ["+7", 7], ["0x10", 16], ["010", 8], ["0o10", 8], ["0b11", 3], ["0x1_0", 16]] as const;
  for (const [text, value] of good) assert.equal(parseGoInt(text), value, text);
  for (const text of ["", "abc", "1.5", "08", "1_0", "0x", "0x1__0", "0x1_", "--1", " 1"]) assert.equal(parseGoInt(text), null, text);
  assert.deepEqual(["1", "t", "TRUE", "True", "true", "0", "F", "false"].map(parseGoBool), [true, true, true, true, true, false, false, false]);
  for (const text of ["", "yes", "tRUE", "2"]) assert.equal(parseGoBool(text), null, text);
});

test("quoting, as %q", () => {
  assert.equal(goQuote('a"b\\c\n\t\x07\x00\x7f'), '"a\\"b\\\\c\\n\\t\\a\\x00\\x7f"');
  assert.equal(goQuote("é日😀"), '"é日😀"');
  assert.equal(goQuote("\u00a0\u200b\u{e0001}"), '"\\u00a0\\u200b\\U000e0001"');
  assert.equal(goQuote("\udcff"), '"\\xff"', "a byte that is no UTF-8");
});

test("JSON, as Go indents and escapes it", () => {
  assert.equal(goJson({ a: "<&>", b: [], c: {}, d: null, e: ["\b\f\\b", "\u2028", "\udcff"] }), '{\n  "a": "\\u003c\\u0026\\u003e",\n  "b": [],\n  "c": {},\n  "d": null,\n  "e": [\n    "\\u0008\\u000c\\\\b",\n    "\\u2028",\n    "\\ufffd"\n  ]\n}');
  const sorted = sortedObject([["b", 1], ["__proto__", 2], ["a", 3]]);
  assert.deepEqual(Object.keys(sorted), ["__proto__", "a", "b"]);
});

test("values without a type, as %#v", () => {
  const bytes = encodeValue(
    { I: 5, U: 200, P: 17946, N: -300, S: 'x"', B: Uint8Array.of(1, 255), E: new Uint8Array(0), Z: null, T: true, F: new Float64(1.5), L: [1, null, Uint8Array.of(7), { z: 1, a: "b" }] },
    "rpc",
  );
  assert.deepEqual(goSyntaxFields(bytes), [
    ["I", "5"],
    ["U", "0xc8"],
    ["P", "0x461a"],
    ["N", "-300"],
    ["S", '"x\\""'],
    ["B", "[]byte{0x1, 0xff}"],
    ["E", "[]byte(nil)"],
    ["Z", "<nil>"],
    ["T", "true"],
    ["F", "1.5"],
    ["L", '[]interface {}{1, interface {}(nil), []uint8{0x7}, map[interface {}]interface {}{"a":"b", "z":1}}'],
  ]);
  assert.equal(goSyntaxFields(Uint8Array.of(0x81)), null);
});

test("columns: padded by characters, never behind the last cell", () => {
  assert.equal(columns(["a|b|", "long ü|c|d=e|f"]), "a       b  \nlong ü  c  d=e  f");
});
