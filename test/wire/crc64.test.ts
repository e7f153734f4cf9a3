import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex } from "../../src/base/bytes.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { Crc64 } from "../../src/wire/crc64.ts";

test("the check value of CRC-64 with the ECMA polynomial", () => {
  assert.equal(toHex(new Crc64().update(encodeUtf8("123456789")).digest()), "995dc9bbdf1939fa");
  assert.equal(toHex(new Crc64().digest()), "0000000000000000");
});

test("eight bytes at a time or one, whatever the pieces: the same checksum", () => {
  const bytes = Uint8Array.from({ length: 10_000 }, (_, i) => (i * i) >>> 3);
  const bytewise = new Crc64();
  for (const byte of bytes) bytewise.update(Uint8Array.of(byte));
  const expected = toHex(bytewise.digest());
  for (const piece of [7, 8, 1000, bytes.length]) {
    const crc = new Crc64();
    for (let at = 0; at < bytes.length; at += piece) crc.update(bytes.subarray(at, at + piece));
    assert.equal(toHex(crc.digest()), expected, `pieces of ${piece}`);
  }
});
