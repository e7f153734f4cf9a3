/** encrypt: AES-GCM packets of both versions, encrypted streams, refused packets, keyring operations. */
import { strict as assert } from "node:assert";
import { EMPTY_BYTES, fromHex, toHex } from "../../src/base/bytes.ts";
import type { Result } from "../../src/base/result.ts";
import { installKey, newKeyring, removeKey, useKey, type KeyList } from "../../src/io/keyring.ts";
import { MessageType } from "../../src/wire/gossip-messages.ts";
import { StreamReader, encodeStream } from "../../src/wire/stream.ts";
import { attempt, fieldsOf } from "./compare.ts";
import { sealerOf } from "./recorded-sealer.ts";
import type { Report } from "./registry.ts";
import { hexBytes, unwrap } from "./values.ts";

interface PacketCase {
  readonly keyHex: string;
  readonly nonceHex: string;
  readonly aadHex: string;
  readonly vsn: 0 | 1;
  readonly plainHex: string;
  readonly packetHex: string;
}
interface StreamCase {
  readonly keyHex: string;
  readonly nonceHex: string;
  readonly aadHex: string;
  readonly encryptionVersion: 0 | 1;
  readonly plainHex: string;
  readonly streamHex: string;
}
interface DecryptCase {
  readonly name: string;
  readonly keys: readonly string[] | null;
  readonly aadHex: string;
  readonly packetHex: string;
  readonly plainHex?: string;
  readonly error?: string;
}
interface KeyringCase {
  readonly name: string;
  readonly keysAfter?: readonly string[];
  readonly error?: string;
}
interface Recording {
  readonly packets: readonly PacketCase[];
  readonly streams: readonly StreamCase[];
  readonly decryptCases: readonly DecryptCase[];
  readonly keyring: readonly KeyringCase[];
}

export function checkEncrypt(data: unknown, report: Report): void {
  const { packets, streams, decryptCases, keyring } = fieldsOf<Recording>(data, ["packets", "streams", "decryptCases", "keyring"], report);
  for (const { keyHex, nonceHex, aadHex, vsn, plainHex, packetHex } of packets ?? []) {
    attempt(`packet v${vsn} ${packetHex.slice(0, 40)}`, report, () => {
      const sealer = sealerOf([hexBytes(keyHex)], hexBytes(nonceHex));
      assert.equal(toHex(sealer.seal(hexBytes(plainHex), hexBytes(aadHex), vsn)), packetHex);
      assert.equal(toHex(unwrap(sealer.open(hexBytes(packetHex), hexBytes(aadHex)))), plainHex);
    });
  }
  for (const item of streams ?? []) attempt(`stream ${item.aadHex}`, report, () => checkStream(item));
  for (const { name, keys, aadHex, packetHex, plainHex, error } of decryptCases ?? []) {
    attempt(`decrypt ${name}`, report, () => {
      const opened = sealerOf((keys ?? []).map(hexBytes)).open(hexBytes(packetHex), hexBytes(aadHex));
      assert.deepEqual(opened.ok ? { plainHex: toHex(opened.value) } : { error: opened.error }, error === undefined ? { plainHex } : { error });
    });
  }
  for (const item of keyring ?? []) attempt(`keyring ${item.name}`, report, () => checkKeyring(item));
}

function checkStream({ keyHex, nonceHex, aadHex, encryptionVersion, plainHex, streamHex }: StreamCase): void {
  const sealer = sealerOf([hexBytes(keyHex)], hexBytes(nonceHex));
  const options = { compress: false, sealer, label: EMPTY_BYTES, initiator: true, encryptionVersion, verifyOutgoing: true } as const;
  assert.equal(toHex(encodeStream(hexBytes(plainHex), options)), streamHex);
  assert.equal(streamHex.slice(0, aadHex.length), aadHex);
  assert.equal(toHex(unwrap(sealer.open(hexBytes(streamHex.slice(10)), hexBytes(aadHex)))), plainHex);
  // The recorded plaintexts are random: what the reader makes of one shows whether its frame was opened.
  const reader = new StreamReader({ sealer, label: EMPTY_BYTES, acceptor: true, verifyIncoming: true });
  const messages = reader.push(hexBytes(streamHex)).map(toHex);
  const seen = reader.failure === null ? messages.join() : reader.failure.error;
  const type = hexBytes(plainHex)[0];
  const expected = [plainHex, type === undefined ? "empty message" : `Received invalid msgType (${type})`];
  assert.ok(expected.includes(seen) || type === MessageType.compress, seen);
}

/** Operations stand in the name: "NewKeyring([k1,k2], primary k)", "[k1,k2] add k use k remove primary", … */
function checkKeyring({ name, keysAfter, error }: KeyringCase): void {
  const outcome = runKeyring(name);
  assert.equal(outcome.error, error ?? null);
  if (keysAfter !== undefined) assert.deepEqual(outcome.ring.map(toHex), keysAfter);
}

interface Outcome {
  readonly ring: KeyList;
  readonly error: string | null;
}

function runKeyring(name: string): Outcome {
  const created = /^NewKeyring\(\[([0-9a-f,]*)\], primary ([0-9a-f]*)\)$/.exec(name);
  if (created !== null) return outcomeOf(newKeyring(keysOf(created[1]), fromHex(created[2] ?? "")), []);
  if (name === "empty primary with keys") return outcomeOf(newKeyring([new Uint8Array(16)], EMPTY_BYTES), []);
  const badSize = /^bad size (\d+)$/.exec(name);
  if (badSize !== null) return outcomeOf(installKey([], new Uint8Array(Number(badSize[1]))), []);
  const operations = /^\[([0-9a-f,]*)\](.*)$/.exec(name);
  assert.ok(operations !== null, "unknown keyring case");
  const start = keysOf(operations[1]);
  let outcome = outcomeOf(newKeyring(start, start[0] ?? null), []);
  for (const step of (operations[2] ?? "").matchAll(/[ ,]*(add|use|remove) (absent |)(primary|duplicate|second|[0-9a-f]+)/g)) {
    assert.equal(outcome.error, null, "an operation after a failed one");
    outcome = applyStep(outcome.ring, step[1] ?? "", keyNamed(step[3] ?? "", outcome.ring, start));
  }
  const understood = (operations[2] ?? "").replaceAll(/[ ,]*(add|use|remove) (absent |)(primary|duplicate|second|[0-9a-f]+)/g, "");
  assert.equal(understood, "", "unknown keyring operation");
  return outcome;
}

function keysOf(list: string | undefined): KeyList {
  return list === undefined || list === "" ? [] : list.split(",").map(hexBytes);
}

function keyNamed(name: string, ring: KeyList, start: KeyList): Uint8Array {
  const key = name === "primary" ? ring[0] : name === "duplicate" || name === "second" ? start[1] : hexBytes(name);
  assert.ok(key !== undefined);
  return key;
}

function applyStep(ring: KeyList, operation: string, key: Uint8Array): Outcome {
  if (operation === "add") return outcomeOf(installKey(ring, key), ring);
  if (operation === "use") return outcomeOf(useKey(ring, key), ring);
  return outcomeOf(removeKey(ring, key), ring);
}

function outcomeOf(result: Result<KeyList>, before: KeyList): Outcome {
  return result.ok ? { ring: result.value, error: null } : { ring: before, error: result.error };
}
