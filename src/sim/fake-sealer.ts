/**
 * A sealer without cryptography for simulations: sealed packets have the true form and size, cannot be read by accident and break when
 * a bit changes, and two runs of one seed seal alike. It protects nothing.
 */
import type { Sealer } from "../wire/sealer.ts";
import { hashBytes } from "./trace-hash.ts";

const VERSION_BYTES = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const MASK = 0xa5;
const CRC_POLYNOMIAL = 0xedb88320;

export class FakeSealer implements Sealer {
  readonly encrypts: boolean;
  #nonce = 0;

  constructor(encrypts: boolean) {
    this.encrypts = encrypts;
  }

  seal(plain: Uint8Array, aad: Uint8Array, version: 0 | 1): Uint8Array {
    const packet = new Uint8Array(VERSION_BYTES + NONCE_BYTES + plain.length + TAG_BYTES);
    const words = new DataView(packet.buffer);
    this.#nonce += 1;
    packet[0] = version;
    words.setUint32(VERSION_BYTES, this.#nonce);
    plain.forEach((byte, i) => (packet[VERSION_BYTES + NONCE_BYTES + i] = byte ^ MASK));
    words.setUint32(packet.length - TAG_BYTES, hashBytes(plain, hashBytes(aad, this.#nonce)));
    return packet;
  }

  open(packet: Uint8Array, aad: Uint8Array): { readonly ok: true; readonly value: Uint8Array } | { readonly ok: false; readonly error: string } {
    if (packet.length < VERSION_BYTES + NONCE_BYTES + TAG_BYTES) return { ok: false, error: "payload is too small to decrypt" };
    const words = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
    const plain = packet.slice(VERSION_BYTES + NONCE_BYTES, packet.length - TAG_BYTES).map((byte) => byte ^ MASK);
    const tag = hashBytes(plain, hashBytes(aad, words.getUint32(VERSION_BYTES))) >>> 0;
    if (words.getUint32(packet.length - TAG_BYTES) === tag) return { ok: true, value: plain };
    return { ok: false, error: "No installed keys could decrypt the message" };
  }

  crc32(bytes: Uint8Array): number {
    let crc = 0xffff_ffff;
    for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] as number);
    return (crc ^ 0xffff_ffff) >>> 0;
  }
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 1 ? (crc >>> 1) ^ CRC_POLYNOMIAL : crc >>> 1;
  return crc;
});
