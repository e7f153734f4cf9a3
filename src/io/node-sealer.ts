/**
 * AES-GCM and CRC-32 by Node's own crypto and zlib (synchronous: `subtle` costs more CPU and a trip through the thread pool).
 * Packet: version byte ‖ 12-byte nonce ‖ ciphertext ‖ 16-byte tag (serf-protocol §2.4).
 */
import { createCipheriv, createDecipheriv, createSecretKey, randomFillSync, type CipherGCMTypes, type KeyObject } from "node:crypto";
import * as zlib from "node:zlib";
import { fail, ok, type Result } from "../base/result.ts";
import { assert } from "../base/assert.ts";
import type { Sealer } from "../wire/sealer.ts";
import type { KeyList } from "./keyring.ts";
import { plainBytes } from "./plain-bytes.ts";

const VERSION_SIZE = 1;
const NONCE_SIZE = 12;
const TAG_SIZE = 16;
const BLOCK_SIZE = 16;
/** Version byte, nonce and tag: what version 1 adds to a message. */
export const SEAL_OVERHEAD_BYTES = VERSION_SIZE + NONCE_SIZE + TAG_SIZE;
/** Version 0 may also pad by a whole block. */
const SEAL_OVERHEAD_V0_BYTES = SEAL_OVERHEAD_BYTES + BLOCK_SIZE;
/** Nonces drawn from the system at a time. */
const NONCES_POOLED = 256;

interface InstalledKey {
  readonly algorithm: CipherGCMTypes;
  readonly secret: KeyObject;
}

export class NodeSealer implements Sealer {
  #ring: KeyList = [];
  #installed: readonly InstalledKey[] = [];
  readonly #nonces = new Uint8Array(NONCES_POOLED * NONCE_SIZE);
  #nextNonce = NONCES_POOLED;

  /** `keys`: a valid ring (see `newKeyring`), primary first; empty for no encryption. */
  constructor(keys: KeyList) {
    this.setKeys(keys);
  }

  get encrypts(): boolean {
    return this.#installed.length > 0;
  }

  get keys(): KeyList {
    return this.#ring;
  }

  /** Replaces the whole ring. */
  setKeys(keys: KeyList): void {
    this.#ring = keys;
    this.#installed = keys.map((key) => ({ algorithm: algorithmOf(key), secret: createSecretKey(key) }));
  }

  seal(plain: Uint8Array, aad: Uint8Array, version: 0 | 1): Uint8Array {
    const nonce = this.#takeNonce();
    return this.sealWithNonce(plain, aad, version, nonce);
  }

  /** As `seal`, with a given nonce: for recorded vectors. Elsewhere a nonce must never come twice. */
  sealWithNonce(plain: Uint8Array, aad: Uint8Array, version: 0 | 1, nonce: Uint8Array): Uint8Array {
    const key = this.#installed[0];
    assert(key !== undefined, "sealing needs a key");
    const cipher = createCipheriv(key.algorithm, key.secret, nonce, { authTagLength: TAG_SIZE });
    if (aad.length > 0) cipher.setAAD(aad);
    const body = cipher.update(version === 0 ? pad(plain) : plain);
    cipher.final();
    const packet = new Uint8Array(VERSION_SIZE + NONCE_SIZE + body.length + TAG_SIZE);
    packet[0] = version;
    packet.set(nonce, VERSION_SIZE);
    packet.set(body, VERSION_SIZE + NONCE_SIZE);
    packet.set(cipher.getAuthTag(), packet.length - TAG_SIZE);
    return packet;
  }

  open(packet: Uint8Array, aad: Uint8Array): Result<Uint8Array> {
    const version = packet[0];
    if (version === undefined) return fail("Cannot decrypt empty payload");
    if (version > 1) return fail(`Unsupported encryption version ${version}`);
    if (packet.length < (version === 0 ? SEAL_OVERHEAD_V0_BYTES : SEAL_OVERHEAD_BYTES)) return fail(`Payload is too small to decrypt: ${packet.length}`);
    for (const key of this.#installed) {
      const plain = decrypt(key, packet, aad);
      if (plain !== null) return version === 0 ? unpad(plain) : ok(plain);
    }
    return fail("No installed keys could decrypt the message");
  }

  crc32(bytes: Uint8Array): number {
    return crc32(bytes);
  }

  #takeNonce(): Uint8Array {
    if (this.#nextNonce === NONCES_POOLED) {
      randomFillSync(this.#nonces);
      this.#nextNonce = 0;
    }
    const start = this.#nextNonce * NONCE_SIZE;
    this.#nextNonce += 1;
    return this.#nonces.subarray(start, start + NONCE_SIZE);
  }
}

function algorithmOf(key: Uint8Array): CipherGCMTypes {
  assert(key.length === 16 || key.length === 24 || key.length === 32, "a ring holds only keys of AES's sizes");
  return key.length === 16 ? "aes-128-gcm" : key.length === 24 ? "aes-192-gcm" : "aes-256-gcm";
}

function decrypt(key: InstalledKey, packet: Uint8Array, aad: Uint8Array): Uint8Array | null {
  const nonce = packet.subarray(VERSION_SIZE, VERSION_SIZE + NONCE_SIZE);
  const decipher = createDecipheriv(key.algorithm, key.secret, nonce, { authTagLength: TAG_SIZE });
  if (aad.length > 0) decipher.setAAD(aad);
  decipher.setAuthTag(packet.subarray(packet.length - TAG_SIZE));
  const plain = decipher.update(packet.subarray(VERSION_SIZE + NONCE_SIZE, packet.length - TAG_SIZE));
  try {
    decipher.final();
    return plainBytes(plain);
  } catch {
    return null; // Another key, or forged: which of the two cannot be told.
  }
}

/** PKCS #7 (RFC 5652, section 6.3): always at least one byte. */
function pad(plain: Uint8Array): Uint8Array {
  const added = BLOCK_SIZE - (plain.length % BLOCK_SIZE);
  const padded = new Uint8Array(plain.length + added);
  padded.set(plain);
  padded.fill(added, plain.length);
  return padded;
}

/** Takes off as many bytes as the last one says, without further checks, as memberlist does; more than there are is an error here. */
function unpad(padded: Uint8Array): Result<Uint8Array> {
  const added = padded[padded.length - 1] ?? 0;
  return added > padded.length ? fail("Invalid padding") : ok(padded.subarray(0, padded.length - added));
}

const TABLE = makeTable();

/** Node has it in C since 20.15; the table serves an older or stripped-down runtime. */
export const crc32: (bytes: Uint8Array) => number = typeof zlib.crc32 === "function" ? (bytes) => zlib.crc32(bytes) : crc32ByTable;

/** CRC-32 (IEEE 802.3), unsigned. */
export function crc32ByTable(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (TABLE[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function makeTable(): Uint32Array {
  const table = new Uint32Array(256);
  for (let n = 0; n < 256; n += 1) {
    let value = n;
    for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
    table[n] = value;
  }
  return table;
}
