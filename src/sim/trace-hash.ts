/**
 * A running 64-bit hash of everything that was delivered in a simulation. Two runs of one seed must agree in it; it is no cryptography,
 * two lanes of 32 bits with different multipliers make an accidental agreement of different runs improbable (2^-64).
 */
const MULTIPLIER_A = 0x9e3779b1;
const MULTIPLIER_B = 0x85ebca77;

export class TraceHash {
  #a = 0x243f6a88;
  #b = 0x13198a2e;

  /** Mixes in the low 32 bits of `value`. */
  word(value: number): void {
    this.#a = mix(this.#a, value, MULTIPLIER_A);
    this.#b = mix(this.#b, value, MULTIPLIER_B);
  }

  /** Mixes in a non-negative integer below 2^53. */
  number(value: number): void {
    this.word(value | 0);
    this.word((value / 0x1_0000_0000) | 0);
  }

  text(value: string): void {
    for (let i = 0; i < value.length; i += 1) this.word(value.charCodeAt(i));
    this.word(value.length);
  }

  bytes(value: Uint8Array): void {
    this.word(hashBytes(value, MULTIPLIER_A));
    this.word(hashBytes(value, MULTIPLIER_B));
  }

  get hex(): string {
    return unsignedHex(this.#a) + unsignedHex(this.#b);
  }
}

/** One lane over a byte string; messages that go to several nodes keep both lanes and are hashed once. */
export function hashBytes(bytes: Uint8Array, seed: number): number {
  let hash = seed ^ bytes.length;
  const whole = bytes.length & ~3;
  let i = 0;
  for (; i < whole; i += 4) {
    const word = (bytes[i] as number) | ((bytes[i + 1] as number) << 8) | ((bytes[i + 2] as number) << 16) | ((bytes[i + 3] as number) << 24);
    hash = Math.imul(hash ^ word, MULTIPLIER_A);
    hash = ((hash << 13) | (hash >>> 19)) + 0x52dce729;
  }
  for (; i < bytes.length; i += 1) hash = Math.imul(hash ^ (bytes[i] as number), MULTIPLIER_B) + 0x52dce729;
  hash ^= hash >>> 16;
  return Math.imul(hash, MULTIPLIER_B) ^ (hash >>> 13);
}

function mix(hash: number, value: number, multiplier: number): number {
  const mixed = Math.imul(hash ^ value, multiplier);
  return (((mixed << 15) | (mixed >>> 17)) + 0x38495ab5) | 0;
}

function unsignedHex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}
