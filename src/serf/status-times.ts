/** Who is known to one node, and the status time that it tells of each, by slot of the records that it shares with others: a copy of its columns. */
import { areSameColumns, type Column } from "../base/column.ts";
import { intLength } from "../wire/msgpack.ts";
import type { Row } from "./member-table.ts";

/** In the column of times: look into those that do not fit it. */
export const TIME_IS_LATE = 0xffff_ffff;

export interface StatusTimesParts {
  /** So many are known. */
  readonly count: number;
  /** 0 for who is not known. */
  readonly statuses: Uint8Array;
  readonly times: Column;
  /** Times from `TIME_IS_LATE`; null for none. */
  readonly late: Map<Row, number> | null;
}

export class StatusTimes {
  readonly parts: StatusTimesParts;

  constructor(parts: StatusTimesParts) {
    this.parts = parts;
  }

  get count(): number {
    return this.parts.count;
  }

  /** All rows are before this one. */
  get length(): number {
    return this.parts.statuses.length;
  }

  has(row: Row): boolean {
    return row < this.length && this.parts.statuses[row] !== 0;
  }

  /** The time told of a row that there is. */
  at(row: Row): number {
    const time = this.parts.times[row] as number;
    return time === TIME_IS_LATE ? (this.parts.late?.get(row) as number) : time;
  }

  /** Tells a time that is not later than the one told so far. */
  lower(row: Row, time: number): void {
    if (time >= TIME_IS_LATE) this.parts.late?.set(row, time);
    else this.parts.times[row] = time;
  }

  /** The same rows with the same times, which all fit their column. False when that takes a look at each. */
  agreesWith({ count, statuses, times, late }: StatusTimesParts): boolean {
    const own = this.parts;
    return count === own.count && late === null && own.late === null && areSameColumns(own.times, times) && areSameColumns(own.statuses, statuses);
  }
}

/** Bytes of the names and times of all rows in a message. */
export function lengthOfTimes(times: StatusTimes, nameLengths: Uint16Array): number {
  let bytes = 0;
  for (let row = 0; row < times.length; row += 1) if (times.has(row)) bytes += (nameLengths[row] as number) + intLength(times.at(row));
  return bytes;
}
