/**
 * CRC-64 with the ECMA-182 polynomial, bits reflected, start and end inverted: what the original writes over a snapshot's state (reference: consul-agent
 * §7.3). Two 32-bit halves and eight tables, since 64-bit numbers are slow here: about 0.8 GB/s.
 */

/** Reflected polynomial 0xC96C5795D7870F42. */
const POLYNOMIAL_HIGH = 0xc96c5795;
const POLYNOMIAL_LOW = 0xd7870f42;
const STEP_BYTES = 8;

/** `high[256 k + b]`: the half of the checksum of byte b followed by k zero bytes. */
const high = new Int32Array(STEP_BYTES * 256);
const low = new Int32Array(STEP_BYTES * 256);

function fillTables(): void {
  for (let byte = 0; byte < 256; byte += 1) {
    let h = 0;
    let l = byte;
    for (let bit = 0; bit < 8; bit += 1) {
      const odd = (l & 1) === 1;
      l = (l >>> 1) | (h << 31);
      h >>>= 1;
      if (odd) {
        l ^= POLYNOMIAL_LOW;
        h ^= POLYNOMIAL_HIGH;
      }
    }
    high[byte] = h;
    low[byte] = l;
  }
  for (let i = 256; i < STEP_BYTES * 256; i += 1) {
    const h = high[i - 256] as number;
    const l = low[i - 256] as number;
    const byte = l & 0xff;
    low[i] = ((l >>> 8) | (h << 24)) ^ (low[byte] as number);
    high[i] = (h >>> 8) ^ (high[byte] as number);
  }
}
fillTables();

export class Crc64 {
  #high = -1;
  #low = -1;

  update(bytes: Uint8Array): this {
    let h = this.#high;
    let l = this.#low;
    let at = 0;
    for (const end = bytes.length - STEP_BYTES; at <= end; at += STEP_BYTES) {
      l ^= (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
      h ^= (bytes[at + 4] as number) | ((bytes[at + 5] as number) << 8) | ((bytes[at + 6] as number) << 16) | ((bytes[at + 7] as number) << 24);
      const a = 1792 + (l & 0xff);
      const b = 1536 + ((l >>> 8) & 0xff);
      const c = 1280 + ((l >>> 16) & 0xff);
      const d = 1024 + (l >>> 24);
      const e = 768 + (h & 0xff);
      const f = 512 + ((h >>> 8) & 0xff);
      const g = 256 + ((h >>> 16) & 0xff);
      const i = h >>> 24;
      l = ((low[a] as number) ^ (low[b] as number) ^ (low[c] as number) ^ (low[d] as number)) ^ ((low[e] as number) ^ (low[f] as number) ^ (low[g] as number) ^ (low[i] as number));
      h = ((high[a] as number) ^ (high[b] as number) ^ (high[c] as number) ^ (high[d] as number)) ^ ((high[e] as number) ^ (high[f] as number) ^ (high[g] as number) ^ (high[i] as number));
    }
    for (; at < bytes.length; at += 1) {
      const byte = (l ^ (bytes[at] as number)) & 0xff;
      l = ((l >>> 8) | (h << 24)) ^ (low[byte] as number);
      h = (h >>> 8) ^ (high[byte] as number);
    }
    this.#high = h;
    this.#low = l;
    return this;
  }

  /** The checksum of all bytes so far, 8 bytes big endian. */
  digest(): Uint8Array {
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    view.setInt32(0, ~this.#high);
    view.setInt32(4, ~this.#low);
    return bytes;
  }
}
