/**
 * Cryptography and checksums as the pure layers see them. `io` implements this with node:crypto, the simulator may use a fake.
 * A sealer belongs to one pool and holds its keyring: it seals with the primary key and opens with any installed one.
 */
export interface Sealer {
  /** False when the ring is empty: packets travel in the clear. */
  readonly encrypts: boolean;
  /** version byte ‖ 12-byte nonce ‖ ciphertext ‖ 16-byte tag (serf-protocol §2.4), in memory of its own. Version 1: no padding. */
  seal(plain: Uint8Array, aad: Uint8Array, version: 0 | 1): Uint8Array;
  /** The plaintext, or the reason as the originals word it ("No installed keys could decrypt the message", …). */
  open(packet: Uint8Array, aad: Uint8Array): { readonly ok: true; readonly value: Uint8Array } | { readonly ok: false; readonly error: string };
  /** CRC-32 (IEEE), as an unsigned 32-bit number. */
  crc32(bytes: Uint8Array): number;
}
