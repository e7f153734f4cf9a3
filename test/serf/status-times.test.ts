import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/base/random.ts";
import { MemberTable } from "../../src/serf/member-table.ts";
import { lengthOfTimes, TIME_IS_LATE } from "../../src/serf/status-times.ts";
import type { MemberStatus } from "../../src/serf/types.ts";
import { MemberRecords } from "../../src/swim/member-records.ts";
import { intLength, stringLength } from "../../src/wire/msgpack.ts";

const info = (name: string): Parameters<MemberTable["add"]>[0] => ({ name, addr: Uint8Array.of(10, 0, 0, 1), port: 7946, meta: new Uint8Array(0), versions: Uint8Array.of(1, 5, 2, 2, 5, 5) });
const TIMES = [0, 1, 127, 128, 300, 70_000, TIME_IS_LATE - 1, TIME_IS_LATE, TIME_IS_LATE + 1, Number.MAX_SAFE_INTEGER];
const STATUSES: readonly MemberStatus[] = ["alive", "leaving", "left", "failed"];

/** A few random changes of some members. */
function change(table: MemberTable, random: SeededRandom): void {
  const name = `n${random.below(30)}`;
  const row = table.find(name) ?? table.add(info(name));
  table.setStatusTime(row, TIMES[random.below(TIMES.length)] as number);
  table.setStatus(row, STATUSES[random.below(STATUSES.length)] as MemberStatus);
  if (random.below(8) === 0) table.remove(row);
}

test("a copy of the status times tells what the table tells, and its length, whatever has changed", () => {
  const records = new MemberRecords();
  const table = new MemberTable(records);
  const random = new SeededRandom(1);
  for (let round = 0; round < 2_000; round += 1) {
    change(table, random);
    const times = table.copyTimes(records.stateArrays.take(records.tableLengthMax));
    const rows = [...table.rows()];
    assert.deepEqual(rows.map((row) => times.at(row)), rows.map((row) => table.statusTime(row)));
    assert.deepEqual(Array.from({ length: times.length + 2 }, (_, row) => row).filter((row) => times.has(row)), rows);
    const bytes = rows.reduce((sum, row) => sum + stringLength(table.info(row).name.length) + intLength(table.statusTime(row)), 0);
    assert.deepEqual([times.count, table.timesLength, lengthOfTimes(times, records.nameLengths)], [rows.length, bytes, bytes]);
  }
});

test("a copy does not follow the table, and agrees with it only while all is the same", () => {
  const records = new MemberRecords();
  const table = new MemberTable(records);
  for (let i = 0; i < 20; i += 1) table.setStatusTime(table.add(info(`n${i}`)), i);
  const copy = (): ReturnType<MemberTable["copyTimes"]> => table.copyTimes(records.stateArrays.take(records.tableLengthMax));
  const before = copy();
  const agrees = (): boolean => before.agreesWith(table.statusTimes.parts);
  assert.ok(agrees());
  table.setStatusTime(7, 9);
  assert.deepEqual([agrees(), before.at(7)], [false, 7]);
  table.setStatusTime(7, 7);
  assert.ok(agrees());
  table.setStatus(3, "failed");
  assert.equal(agrees(), false);
  table.setStatus(3, "none");
  assert.ok(agrees());
  table.remove(19);
  assert.equal(agrees(), false, "one is gone");

  table.setStatusTime(0, TIME_IS_LATE);
  const late = copy();
  assert.equal(late.agreesWith(table.statusTimes.parts), false, "takes a look at each");
  late.lower(0, TIME_IS_LATE - 1);
  assert.deepEqual([late.at(0), table.statusTime(0)], [TIME_IS_LATE - 1, TIME_IS_LATE]);
});
