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

/** Writes a value: the column itself, or a wider copy if the value did not fit. Does not ask how wide the column is, which in code that sees several widths costs a look-up. */
export function written(column: Column, index: number, value: number): Column {
  column[index] = value;
  if (column[index] === value) return column;
  const wide = wideEnough(column, value);
  wide[index] = value;
  return wide;
}

/** A copy of another length, as wide as the old column; new places are 0. */
export function resized(column: Column, length: number): Column {
  const { BYTES_PER_ELEMENT: width } = column;
  const copy = columnIn(new ArrayBuffer(width * length), width, length);
  copy.set(column.length <= length ? column : column.subarray(0, length));
  return copy;
}

/** A copy of the first `length` places in `memory`, which has room for them, as wide as the column. */
export function copiedInto(memory: ArrayBuffer, column: Column, length: number): Column {
  const copy = columnIn(memory, column.BYTES_PER_ELEMENT, length);
  copy.set(column.length === length ? column : column.subarray(0, length));
  return copy;
}

/** The first `length` places of `width` bytes in `memory`. */
export function columnIn(memory: ArrayBuffer, width: number, length: number): Column {
  return width === 1 ? new Uint8Array(memory, 0, length) : width === 2 ? new Uint16Array(memory, 0, length) : new Uint32Array(memory, 0, length);
}

/** The bytes of a column that has its memory for itself. */
export function bytesOf({ buffer, byteLength }: Column): Uint8Array {
  return new Uint8Array(buffer, 0, byteLength);
}

/** Both are equally long and hold the same values; of columns that have their memory for themselves. Of different widths: false, whatever they hold. */
export function areSameColumns(left: Column, right: Column): boolean {
  const { length, BYTES_PER_ELEMENT: width } = left;
  if (right.length !== length || right.BYTES_PER_ELEMENT !== width) return false;
  const words = (length * width) >> 2;
  if (!areSameWords(new Int32Array(left.buffer, 0, words), new Int32Array(right.buffer, 0, words))) return false;
  for (let i = (4 * words) / width; i < length; i += 1) if (left[i] !== right[i]) return false;
  return true;
}

function areSameWords(left: Int32Array, right: Int32Array): boolean {
  for (let i = 0; i < left.length; i += 1) if (left[i] !== right[i]) return false;
  return true;
}
