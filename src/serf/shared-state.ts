/** What Serf tells in a push/pull, by reference between nodes that share records: see `swim/shared-state.ts`. */
import type { MemberRecords } from "../swim/member-records.ts";
import type { UpperState } from "../swim/types.ts";
import { headLength } from "../wire/msgpack.ts";
import { encodeSerfPushPull, serfPushPullLength } from "../wire/serf-codec.ts";
import type { HeldSlot } from "./event-ring.ts";
import type { Row } from "./member-table.ts";
import type { StatusTimes } from "./status-times.ts";

export interface SerfStateParts {
  readonly lamportTime: number;
  readonly eventTime: number;
  readonly queryTime: number;
  readonly times: StatusTimes;
  readonly leftRows: readonly Row[];
  readonly events: readonly (HeldSlot | null)[];
}

export class SerfSharedState implements UpperState {
  readonly parts: SerfStateParts;
  readonly size: number;
  readonly #records: MemberRecords;

  /** `size`: bytes of the encoded state, as `lengthOfState` says. */
  constructor(parts: SerfStateParts, size: number, records: MemberRecords) {
    this.parts = parts;
    this.size = size;
    this.#records = records;
  }

  encode(): Uint8Array {
    const { times, leftRows, lamportTime, eventTime, queryTime, events } = this.parts;
    const nameOf = (row: Row): string => this.#records.nameAt(row);
    const statusTimes = new Map<string, number>();
    for (let row = 0; row < times.length; row += 1) if (times.has(row)) statusTimes.set(nameOf(row), times.at(row));
    return encodeSerfPushPull({ lamportTime, statusTimes, leftMembers: leftRows.map(nameOf), eventTime, events, queryTime });
  }
}

/** Bytes of the encoded state; `timesLength` of them are names and status times. */
export function lengthOfState(parts: SerfStateParts, timesLength: number, { nameLengths }: MemberRecords): number {
  const { times, leftRows } = parts;
  let leftBytes = headLength(leftRows.length);
  for (const row of leftRows) leftBytes += nameLengths[row] as number;
  return serfPushPullLength(parts, headLength(times.count) + timesLength, leftBytes);
}
