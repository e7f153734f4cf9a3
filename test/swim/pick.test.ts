import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/base/random.ts";
import { Awareness } from "../../src/swim/awareness.ts";
import { BroadcastQueue } from "../../src/swim/broadcast-queue.ts";
import type { Core } from "../../src/swim/core.ts";
import { MemberRecords } from "../../src/swim/member-records.ts";
import { MemberTable, StateCode } from "../../src/swim/member-table.ts";
import { pickMembers } from "../../src/swim/pick.ts";
import { PROFILES } from "../../src/swim/profiles.ts";
import { RecordingDelegate, swimConfig } from "./fake-network.ts";

function coreOf(states: readonly number[], seed: number): Core {
  const records = new MemberRecords();
  const table = new MemberTable(records);
  const random = new SeededRandom(seed);
  for (const [i, state] of states.entries()) {
    const slot = table.add(`n${i}`, { addr: Uint8Array.of(10, 0, 0, i), port: 1, meta: Uint8Array.of(), versions: Uint8Array.of() }, 0, random);
    if (state !== StateCode.dead) table.setState(slot, state, 0);
  }
  return {
    config: swimConfig("n0", { ip: "10.0.0.0", port: 1 }),
    random,
    delegate: new RecordingDelegate(),
    records,
    table,
    awareness: new Awareness(8),
    broadcasts: new BroadcastQueue(4, () => 1),
    selfAddr: Uint8Array.of(10, 0, 0, 0),
    selfSlot: table.slotOf("n0"),
    left: false,
    seq: 0,
  };
}

test("S-034: in a three-node cluster the one helper is found in each of 100,000 rounds", () => {
  const { alive } = StateCode;
  const core = coreOf([alive, alive, alive], 1);
  const picked: number[] = [];
  for (let round = 0; round < 100_000; round += 1) {
    pickMembers(core, "alive", 3, core.table.slotOf("n1"), 0, picked);
    assert.deepEqual(picked, [core.table.slotOf("n2")]);
  }
});

for (const size of [5, 8, 30]) {
  test(`each of ${size} members is picked equally often, never twice in one round`, () => {
    const core = coreOf(new Array<number>(size).fill(StateCode.alive), size);
    const counts = new Map<number, number>();
    const picked: number[] = [];
    const rounds = 30_000;
    for (let round = 0; round < rounds; round += 1) {
      pickMembers(core, "gossip", 3, -1, 0, picked);
      assert.equal(new Set(picked).size, 3);
      for (const slot of picked) counts.set(slot, (counts.get(slot) ?? 0) + 1);
    }
    assert.equal(counts.size, size - 1);
    const expected = (3 * rounds) / (size - 1);
    // Five standard deviations of a binomial count.
    for (const count of counts.values()) assert.ok(Math.abs(count - expected) < 5 * Math.sqrt(expected), `${count}, expected about ${expected}`);
  });
}

test("gossip goes to the living and the recently dead, never to who has left; helpers are alive", () => {
  const { alive, suspect, dead, left } = StateCode;
  const core = coreOf([alive, suspect, dead, left, alive], 3);
  const names = (kind: "gossip" | "alive", nowMs: number): string[] => {
    const picked: number[] = [];
    pickMembers(core, kind, 9, -1, nowMs, picked);
    return picked.map((slot) => core.table.record(slot).name).sort();
  };
  assert.deepEqual(names("gossip", 0), ["n1", "n2", "n4"]);
  assert.deepEqual(names("gossip", PROFILES.lan.gossipToTheDeadMs + 1000), ["n1", "n4"]);
  assert.deepEqual(names("alive", 0), ["n4"]);
});

test("rare eligible members among many are found", () => {
  const states = new Array<number>(2000).fill(StateCode.left);
  states[0] = StateCode.alive;
  states[1234] = StateCode.alive;
  const core = coreOf(states, 4);
  const picked: number[] = [];
  pickMembers(core, "gossip", 3, -1, 0, picked);
  assert.deepEqual(picked, [core.table.slotOf("n1234")]);
});
