import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/base/random.ts";
import { MemberRecords } from "../../src/swim/member-records.ts";
import { encodeNodeState } from "../../src/wire/gossip-codec.ts";
import { MemberTable, StateCode, type MemberContent } from "../../src/swim/member-table.ts";

const VERSIONS = Uint8Array.of(1, 5, 2, 2, 5, 5);

function content(last: number, meta = 0): MemberContent {
  return { addr: Uint8Array.of(10, 0, last >> 8, last & 255), port: 7946, meta: Uint8Array.of(meta), versions: VERSIONS };
}

test("nodes of one process share records; the last one to let go frees them", () => {
  const records = new MemberRecords();
  const random = new SeededRandom(1);
  const [a, b] = [new MemberTable(records), new MemberTable(records)];
  const slot = a.add("x", content(1), 0, random);
  assert.equal(b.slotOf("x"), -1, "one node's member is unknown to the other");
  assert.equal(b.add("x", content(1), 0, random), slot);
  assert.equal(a.record(slot), b.record(slot), "the same object");

  b.setContent(slot, content(1, 9));
  assert.deepEqual(a.record(slot).meta, Uint8Array.of(0), "a change of one view leaves the other alone");
  assert.deepEqual(b.record(slot).meta, Uint8Array.of(9));
  a.setContent(slot, content(1, 9));
  assert.equal(a.record(slot), b.record(slot));

  a.close();
  assert.equal(records.slotOf("x"), slot);
  b.close();
  assert.equal(records.slotOf("x"), -1);
  assert.equal(a.add("y", content(2), 0, random), slot, "the slot is used again");
  assert.equal(a.record(slot).name, "y");
});

test("counts, rows and times follow the states", () => {
  const table = new MemberTable(new MemberRecords());
  const random = new SeededRandom(2);
  for (let i = 0; i < 40; i += 1) table.setState(table.add(`n${i}`, content(i), 6000, random), StateCode.alive, 6000);
  assert.deepEqual([table.size, table.aliveCount, table.livingCount], [40, 40, 40]);
  const slot = table.slotOf("n7");
  table.setState(slot, StateCode.suspect, 7000);
  assert.deepEqual([table.aliveCount, table.livingCount, table.countOf(StateCode.suspect)], [39, 40, 1]);
  table.setState(slot, StateCode.left, 9000);
  assert.equal(table.livingCount, 39);
  assert.equal(table.goneAtMs(slot), 9000);
  const names = Array.from({ length: table.size }, (_, row) => table.nameAt(row));
  assert.equal(new Set(names).size, 40);
  assert.equal(names.filter((_, row) => table.stateAt(row) === "left").length, 1);

  const before = table.revision;
  table.startRound((at) => at === slot, random);
  assert.deepEqual([table.size, table.slotOf("n7"), table.countOf(StateCode.left)], [39, -1, 0]);
  assert.ok(table.revision > before);
});

test("incarnations and variants of any size are kept, and rows tell them", () => {
  const records = new MemberRecords();
  const table = new MemberTable(records);
  const random = new SeededRandom(4);
  const wanted = [1, 15, 16, 500, 1_048_574, 1_048_575, 0xffff_ffff];
  const slots = wanted.map((_, i) => table.add(`n${i}`, content(i), 0, random));
  wanted.forEach((incarnation, i) => {
    table.setIncarnation(slots[i] as number, incarnation);
    table.setState(slots[i] as number, StateCode.suspect, 0);
  });
  // A member with more variants than a word has room for.
  const many = table.add("many", content(99), 0, random);
  const others = Array.from({ length: 600 }, (_, i) => new MemberTable(records).add("many", { ...content(99), meta: Uint8Array.of(i & 255, i >> 8) }, 0, random));
  assert.ok(others.every((slot) => slot === many));
  table.setContent(many, { ...content(99), meta: Uint8Array.of(1, 9) });
  assert.ok(table.variant(many) > 511);
  assert.deepEqual(table.record(many).meta, Uint8Array.of(1, 9));
  assert.deepEqual(slots.map((slot) => table.incarnation(slot)), wanted);
  assert.ok(slots.every((slot) => table.state(slot) === StateCode.suspect && table.variant(slot) === 0));
  const rows = table.rows(records.stateArrays.take(records.tableLengthMax));
  const seen = new Map(Array.from({ length: rows.size }, (_, i) => [rows.slot(i), rows.incarnation(i)]));
  assert.deepEqual(slots.map((slot) => seen.get(slot)), wanted);
});

test("a table tells from one word whether a claim is no news", () => {
  const table = new MemberTable(new MemberRecords());
  const random = new SeededRandom(5);
  for (const incarnation of [1, 15, 16, 1_048_574, 1_048_575, 0xffff_fff0]) {
    const slot = table.add(`m${incarnation}`, content(incarnation % 200), 0, random);
    table.setIncarnation(slot, incarnation);
    for (const state of [StateCode.dead, StateCode.alive, StateCode.suspect, StateCode.left]) {
      table.setState(slot, state, 0);
      assert.deepEqual([incarnation - 1, incarnation, incarnation + 1].map((claimed) => table.holds(slot, 0, claimed)), [true, true, false]);
      assert.equal(table.holds(slot, 1, incarnation), false, "another content");
    }
  }
  table.startRound(() => true, random);
  assert.equal(table.holds(0, 0, 0), false, "forgotten");
  assert.equal(table.holds(100_000, 0, 0), false);
});

test("tables that agree have no news for each other; the bytes of their states follow every change", () => {
  const records = new MemberRecords();
  const random = new SeededRandom(6);
  const [ours, theirs] = [new MemberTable(records), new MemberTable(records)];
  const incarnations = [0, 1, 15, 16, 200, 70_000, 1_048_575];
  const states = [StateCode.alive, StateCode.dead, StateCode.left];
  let agreed = 0;
  for (let round = 0; round < 3_000; round += 1) {
    const i = random.below(6);
    const changes: ((table: MemberTable, slot: number) => void)[] = [
      (table, slot) => table.setState(slot, round % 16 === 0 ? StateCode.suspect : (states[round % 3] as number), 0),
      (table, slot) => table.setIncarnation(slot, incarnations[round % 5] as number),
      (table, slot) => table.setIncarnation(slot, incarnations[round % 100 === 0 ? 6 : 5] as number),
      (table, slot) => table.setContent(slot, content(i, round % 2)),
    ];
    const change = changes[random.below(random.below(4) + 1)] as (typeof changes)[number];
    // Mostly both, so that they agree now and then.
    for (const table of random.below(40) === 0 ? [ours] : [ours, theirs]) change(table, table.slotOf(`n${i}`) < 0 ? table.add(`n${i}`, content(i), 0, random) : table.slotOf(`n${i}`));
    if (random.below(20) === 0) for (const table of [ours, theirs]) table.startRound((slot) => slot === i, random);

    const rows = theirs.rows(records.stateArrays.take(records.tableLengthMax));
    const indexes = Array.from({ length: rows.size }, (_, row) => row);
    const bytes = indexes.map((row) => encodeNodeState({ ...theirs.view(rows.slot(row)), incarnation: rows.incarnation(row), state: 0 }).length);
    assert.equal(theirs.statesLength, bytes.reduce((sum, one) => sum + one, 0));
    if (!ours.agreesWith(rows)) continue;
    agreed += 1;
    for (const row of indexes) {
      const slot = rows.slot(row);
      assert.deepEqual([ours.state(slot), ours.variant(slot), ours.incarnation(slot)], [rows.state(row), rows.variant(row), rows.incarnation(row)]);
      assert.notEqual(rows.state(row), StateCode.suspect, "a suspicion may be confirmed");
    }
  }
  assert.ok(agreed > 100 && agreed < 2_900, `${agreed}`);
});

test("a view of a member costs 4 bytes at 10,000 members", () => {
  const records = new MemberRecords();
  const random = new SeededRandom(3);
  const first = new MemberTable(records);
  const second = new MemberTable(records);
  for (let i = 0; i < 10_000; i += 1) first.add(`node-${i}`, content(i), 0, random);
  for (let i = 0; i < 10_000; i += 1) second.add(`node-${i}`, content(i), 0, random);
  assert.ok(first.bytes <= 5 * first.size, `${first.bytes / first.size} bytes for whoever meets them first`);
  assert.ok(second.bytes <= 4 * second.size, `${second.bytes / second.size} bytes for the others`);
});
