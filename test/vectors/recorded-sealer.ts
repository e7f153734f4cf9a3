/** A sealer with given keys that seals with one recorded nonce. */
import { NodeSealer } from "../../src/io/node-sealer.ts";
import type { Sealer } from "../../src/wire/sealer.ts";

export function sealerOf(keys: readonly Uint8Array[], nonce: Uint8Array | null = null): Sealer {
  const sealer = new NodeSealer(keys);
  return {
    encrypts: sealer.encrypts,
    seal: (plain, aad, version) => (nonce === null ? sealer.seal(plain, aad, version) : sealer.sealWithNonce(plain, aad, version, nonce)),
    open: (packet, aad) => sealer.open(packet, aad),
    crc32: (bytes) => sealer.crc32(bytes),
  };
}
