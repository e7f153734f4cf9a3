/**
 * Columns of non-negative integers below 2^32 that are as narrow as their values allow: tables of many nodes in one process consist of
 * them. A column is a plain typed array; whoever writes a value calls `wideEnough` first and keeps what it returns.
 */
export type Column = Uint8Array | Uint16Array | Uint32Array;

const BYTE_MAX = 0xff;
const U16_MAX = 0xffff;

/** The column itself, or a wider copy of it when `value` does not fit. */
export function wideEnough(column: Column, value: number): Column {
  if (value <= BYTE_MAX || column.BYTES_PER_ELEMENT === 4 || (value <= U16_MAX && column.BYTES_PER_ELEMENT === 2)) return column;
  return value <= U16_MAX ? Uint16Array.from(column) : Uint32Array.from(column);
}

/** A copy of another length, as wide as the old column; new places are 0. */
export function resized(column: Column, length: number): Column {
  const { BYTES_PER_ELEMENT: width } = column;
  const copy = width === 1 ? new Uint8Array(length) : width === 2 ? new Uint16Array(length) : new Uint32Array(length);
  copy.set(column.length <= length ? column : column.subarray(0, length));
  return copy;
}
