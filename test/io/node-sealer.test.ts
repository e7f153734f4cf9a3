import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex } from "../../src/base/bytes.ts";
import { installKey, newKeyring, removeKey, useKey, type KeyList } from "../../src/io/keyring.ts";
import { crc32, crc32ByTable, NodeSealer } from "../../src/io/node-sealer.ts";

const NO_AAD = new Uint8Array(0);

// The bytes of memberlist's own packets are checked by the recording `encrypt` (test/vectors).

test("a nonce never comes twice, across refills of the pool", () => {
  const sealer = new NodeSealer([new Uint8Array(16)]);
  const nonces = new Set<string>();
  for (let i = 0; i < 1000; i += 1) nonces.add(toHex(sealer.seal(new Uint8Array(1), NO_AAD, 1).subarray(1, 13)));
  assert.equal(nonces.size, 1000);
});

test("a changed ring takes effect at once", () => {
  const [a, b] = [new Uint8Array(16).fill(1), new Uint8Array(32).fill(2)];
  const sealer = new NodeSealer([a]);
  for (const version of [0, 1] as const) {
    const packet = sealer.seal(Uint8Array.of(7), NO_AAD, version);
    sealer.setKeys([b]);
    assert.deepEqual(sealer.open(packet, NO_AAD), { ok: false, error: "No installed keys could decrypt the message" });
    sealer.setKeys([b, a]);
    const opened = sealer.open(packet, NO_AAD);
    assert.deepEqual(opened.ok && [...opened.value], [7]);
    sealer.setKeys([a]);
  }
  sealer.setKeys([]);
  assert.equal(sealer.encrypts, false);
});

test("nothing a peer sends makes opening throw", () => {
  const sealer = new NodeSealer([new Uint8Array(24)]);
  for (let length = 0; length < 64; length += 1) {
    for (const version of [0, 1, 2, 255]) assert.equal(sealer.open(new Uint8Array(length).fill(version, 0, 1), NO_AAD).ok, false);
  }
});

test("keyring operations return the next ring and leave the old one alone", () => {
  const key = (byte: number): Uint8Array => new Uint8Array(16).fill(byte);
  const firsts = (ring: { readonly ok: boolean; readonly value?: KeyList }): number[] => (ring.value ?? []).map((k) => k[0] as number);
  const ring: KeyList = [key(1), key(2), key(3)];
  assert.deepEqual(firsts(useKey(ring, key(3))), [3, 1, 2]);
  assert.deepEqual(firsts(installKey(ring, key(2))), [1, 2, 3]);
  assert.deepEqual(firsts(installKey(ring, key(4))), [1, 2, 3, 4]);
  assert.deepEqual(firsts(removeKey(ring, key(2))), [1, 3]);
  assert.deepEqual(firsts(removeKey(ring, key(9))), [1, 2, 3]);
  assert.deepEqual(removeKey(ring, key(1)), { ok: false, error: "Removing the primary key is not allowed" });
  assert.deepEqual(useKey(ring, key(9)), { ok: false, error: "Requested key is not in the keyring" });
  assert.deepEqual(firsts(newKeyring([key(1), key(2), key(1)], key(2))), [2, 1]);
  assert.deepEqual(newKeyring([key(1)], null), { ok: false, error: "Empty primary key not allowed" });
  assert.deepEqual(newKeyring([], new Uint8Array(15)), { ok: false, error: "key size must be 16, 24 or 32 bytes" });
  assert.deepEqual(ring.map((k) => k[0]), [1, 2, 3]);
});

test("CRC-32: check value of the standard, table and library agree", () => {
  const text = new TextEncoder().encode("123456789");
  assert.equal(crc32ByTable(text), 0xcbf43926);
  assert.equal(crc32(text), 0xcbf43926);
});
