/** What Serf tells in a push/pull, by reference between nodes that share records: see `swim/shared-state.ts`. */
import type { MemberRecords } from "../swim/member-records.ts";
import type { UpperState } from "../swim/types.ts";
import { headLength, intLength } from "../wire/msgpack.ts";
import { encodeSerfPushPull, serfPushPullLength } from "../wire/serf-codec.ts";
import type { HeldSlot } from "./event-ring.ts";
import type { Row } from "./member-table.ts";

export interface SerfStateParts {
  readonly lamportTime: number;
  readonly eventTime: number;
  readonly queryTime: number;
  /** Members by slot of the shared records, and the Lamport time told of each; the first `count` count. */
  readonly count: number;
  readonly rows: Uint32Array;
  readonly times: Float64Array;
  readonly leftRows: readonly Row[];
  readonly events: readonly (HeldSlot | null)[];
}

export class SerfSharedState implements UpperState {
  readonly parts: SerfStateParts;
  readonly size: number;
  readonly #records: MemberRecords;

  constructor(parts: SerfStateParts, records: MemberRecords) {
    this.parts = parts;
    this.#records = records;
    const { count, rows, times, leftRows } = parts;
    const { nameLengths } = records;
    const timesBytes = headLength(count) + lengthOfTimes(count, rows, times, nameLengths);
    let leftBytes = headLength(leftRows.length);
    for (const row of leftRows) leftBytes += nameLengths[row] as number;
    this.size = serfPushPullLength(parts, timesBytes, leftBytes);
  }

  encode(): Uint8Array {
    const { count, rows, times, leftRows, lamportTime, eventTime, queryTime, events } = this.parts;
    const nameOf = (row: Row): string => this.#records.nameAt(row);
    const statusTimes = new Map<string, number>();
    for (let i = 0; i < count; i += 1) statusTimes.set(nameOf(rows[i] as Row), times[i] as number);
    return encodeSerfPushPull({ lamportTime, statusTimes, leftMembers: leftRows.map(nameOf), eventTime, events, queryTime });
  }
}

function lengthOfTimes(count: number, rows: Uint32Array, times: Float64Array, nameLengths: MemberRecords["nameLengths"]): number {
  let bytes = 0;
  for (let i = 0; i < count; i += 1) bytes += (nameLengths[rows[i] as Row] as number) + intLength(times[i] as number);
  return bytes;
}
