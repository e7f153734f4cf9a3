/**
 * A `Buffer` as the `Uint8Array` that all other layers make and take: two classes of arrays in one function are two versions of its compiled code,
 * or a slower one for both, and `Buffer.subarray` is itself slower. Once per packet this costs 0.1 µs and saves some 30 views.
 */
export function plainBytes(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}
