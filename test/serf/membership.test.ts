import assert from "node:assert/strict";
import { SeededRandom } from "../../src/base/random.ts";
import { test } from "node:test";
import fc from "fast-check";
import { INTENT_BUFFER_MAX, IntentBuffer } from "../../src/serf/intent-buffer.ts";
import { Membership } from "../../src/serf/membership.ts";
import { Reporter } from "../../src/serf/reporter.ts";
import type { PoolEffect } from "../../src/serf/types.ts";
import { MemberRecords } from "../../src/swim/member-records.ts";

const HOUR_MS = 3600_000;

/** A membership that notes what it tells its host. */
function membership(name: string) {
  const out: PoolEffect[] = [];
  const events: string[] = [];
  const joins: number[] = [];
  const prunes: { readonly name: string; readonly atMs: number }[] = [];
  const told: { readonly name: string; readonly time: number }[] = [];
  const host = {
    memberEvent: (type: string, { name: about }: { readonly name: string }) => events.push(`${type} ${about}`),
    isRunning: () => true,
    broadcastJoin: (time: number) => joins.push(time),
    tellLeave: ({ name: about }: { readonly name: string }, time: number) => told.push({ name: about, time }),
    forgotten: () => {},
    prune: (pruned: string, atMs: number) => prunes.push({ name: pruned, atMs }),
  };
  const config = { name, recentIntentTimeoutMs: 300_000, reconnectTimeoutMs: HOUR_MS, tombstoneTimeoutMs: 2 * HOUR_MS, pruneDelayMs: 6000 };
  return { name, core: new Membership(config, host, new Reporter("debug"), new MemberRecords()), events, joins, prunes, told, out };
}

function info(name: string) {
  return { name, addr: Uint8Array.of(10, 0, 0, 1), ip: "10.0.0.1", port: 7946, meta: Uint8Array.of(0xff, 0x80), versions: Uint8Array.of(1, 5, 2, 2, 5, 5) };
}

interface Intent {
  readonly type: "join" | "leave";
  readonly time: number;
  readonly node: string;
}

test("any multiset of intents quiesces (serf#606)", () => {
  const intent = fc.record({ type: fc.constantFrom("join" as const, "leave" as const), time: fc.integer({ min: 0, max: 20 }), node: fc.constantFrom("a", "b", "c", "unknown") });
  fc.assert(
    fc.property(fc.array(intent, { maxLength: 30 }), fc.nat(), (intents, seed) => {
      const nodes = ["a", "b", "c"].map((name) => membership(name));
      for (const { core, out } of nodes) for (const name of ["a", "b", "c"]) core.joined(info(name), 0, out);
      // Each node passes what is new to all others; a node that refutes adds a join of its own.
      const queue: Intent[] = [...intents];
      let handled = 0;
      const distinctTimes = 25;
      const bound = (intents.length + distinctTimes) * nodes.length * 8;
      for (let next = queue.splice(seed % Math.max(1, queue.length), 1)[0] ?? queue.shift(); next !== undefined; next = queue.shift()) {
        handled += 1;
        assert.ok(handled <= bound * nodes.length, "still passing intents on");
        for (const { core, out, joins, name } of nodes) {
          const isNew = next.type === "join" ? core.joinIntent(next.time, next.node, 0) : core.leaveIntent(next.time, next.node, false, 0, out);
          if (isNew) queue.push(next);
          for (const time of joins.splice(0)) queue.push({ type: "join", time, node: name });
        }
      }
      // Nobody holds itself for leaving. (The others may: of a leave and a join with one Lamport time, the first to arrive counts.)
      for (const { core, name } of nodes) assert.equal(core.status(name), "alive");
    }),
    { numRuns: 200 },
  );
});

test("whoever comes back with a join as late as the leave that only some have heard is asked by them, and answers with a later join", () => {
  const back = membership("back");
  const heard = membership("heard");
  for (const { core, out } of [back, heard]) core.joined(info("back"), 0, out);
  heard.core.joined(info("heard"), 0, heard.out);
  for (let i = 0; i < 30; i += 1) back.core.clock.increment();
  heard.core.leaveIntent(30, "back", false, 0, heard.out);
  // It joins through somebody whose clock stands where that of its earlier run stood when it left.
  back.core.announceJoin(0, back.out);
  assert.deepEqual(back.joins.splice(0), [30]);
  assert.equal(heard.core.joinIntent(30, "back", 0), false);
  back.core.objectTo(29, 0, back.out); // What `heard` tells of it in a push/pull.
  assert.deepEqual([heard.core.status("back"), back.joins], ["leaving", []]);

  heard.core.confrontLeaving(heard.out);
  assert.deepEqual(heard.told, [{ name: "back", time: 30 }]);
  assert.equal(back.core.leaveIntent(30, "back", false, 0, back.out), false);
  assert.deepEqual(back.joins, [31]);
  assert.equal(heard.core.joinIntent(31, "back", 0), true);
  assert.equal(heard.core.status("back"), "alive");
  heard.core.confrontLeaving(heard.out);
  assert.equal(heard.told.length, 1);
});

test("who is told of a time behind its own leave answers with a join that is later than that leave", () => {
  const { core, joins, out } = membership("self");
  core.joined(info("self"), 0, out);
  core.objectTo(29, 0, out); // The leave has time 30.
  assert.deepEqual(joins, [31]);
});

test("a leave intent tells a leave from a failure", () => {
  const { core, events, out } = membership("self");
  for (const name of ["left", "failed"]) core.joined(info(name), 0, out);
  core.leaveIntent(3, "left", false, 0, out);
  core.gone("left", 10, out);
  core.gone("failed", 10, out);
  assert.deepEqual([core.status("left"), core.status("failed")], ["left", "failed"]);
  assert.deepEqual(events.slice(2), ["member-leave left", "member-failed failed"]);
  assert.deepEqual(core.leftNames(), ["left"]);
});

test("force-leave of a failed member makes it left; with prune it is gone at once", () => {
  const { core, events, out } = membership("self");
  for (const name of ["a", "b"]) {
    core.joined(info(name), 0, out);
    core.gone(name, 0, out);
  }
  core.leaveIntent(5, "a", false, 0, out);
  core.leaveIntent(6, "b", true, 0, out);
  assert.deepEqual([core.status("a"), core.status("b")], ["left", "none"]);
  assert.deepEqual(events.slice(4), ["member-leave a", "member-leave b", "member-reap b"]);
});

test("a prune of a live member waits, and spares it when it comes back", () => {
  const { core, prunes, out } = membership("self");
  for (const name of ["stays", "goes"]) {
    core.joined(info(name), 0, out);
    core.leaveIntent(5, name, true, 1000, out);
  }
  assert.deepEqual(prunes, [{ name: "stays", atMs: 7000 }, { name: "goes", atMs: 7000 }]);
  core.joinIntent(9, "stays", 2000); // Its refutation.
  for (const { name, atMs } of prunes) core.pruneDue(name, atMs, out);
  assert.deepEqual([core.status("stays"), core.status("goes")], ["alive", "none"]);
});

test("failed and left members are reaped after their own times", () => {
  const { core, events, out } = membership("self");
  for (const name of ["left", "failed"]) core.joined(info(name), 0, out);
  core.leaveIntent(3, "left", false, 0, out);
  core.gone("left", 0, out);
  core.gone("failed", 0, out);
  core.reap(HOUR_MS, out);
  assert.equal(core.table.size, 2);
  core.reap(HOUR_MS + 1, out);
  assert.deepEqual([core.status("left"), core.status("failed")], ["left", "none"]);
  core.reap(2 * HOUR_MS + 1, out);
  assert.equal(core.table.size, 0);
  assert.deepEqual(events.slice(4), ["member-reap failed", "member-reap left"]);
});

test("a quick return is counted as flapping, a late one is not", () => {
  const { core, out } = membership("self");
  const flaps = (): number => out.filter((effect) => effect.kind === "count" && effect.name === "serf.member.flap").length;
  core.joined(info("a"), 0, out);
  core.gone("a", 1000, out);
  core.joined(info("a"), 60_999, out);
  assert.equal(flaps(), 1);
  core.gone("a", 100_000, out);
  core.joined(info("a"), 160_000, out);
  assert.equal(flaps(), 1);
});

test("a buffered intent expires", () => {
  const { core, out } = membership("self");
  core.leaveIntent(4, "a", false, 0, out);
  core.leaveIntent(4, "b", false, 0, out);
  core.joined(info("a"), 300_000, out);
  core.joined(info("b"), 300_001, out);
  assert.deepEqual([core.status("a"), core.status("b")], ["leaving", "alive"]);
});

test("the intent buffer keeps the newest per node and a bounded number of nodes (serf#402)", () => {
  const buffer = new IntentBuffer();
  assert.equal(buffer.offer("a", "join", 3, 0), true);
  assert.equal(buffer.offer("a", "leave", 3, 0), false);
  assert.equal(buffer.offer("a", "leave", 4, 0), true);
  for (let i = 0; i < INTENT_BUFFER_MAX; i += 1) buffer.offer(`n${i}`, "join", 1, 0);
  assert.equal(buffer.size, INTENT_BUFFER_MAX);
  assert.equal(buffer.get("a"), undefined);
});

test("the intent buffer is a map of the newest intents by name, oldest entries first to go", () => {
  const random = new SeededRandom(8);
  const records = new MemberRecords();
  const buffer = new IntentBuffer(records);
  const dumb = new Map<string, { type: "join" | "leave"; lamportTime: number; atMs: number }>();
  let nowMs = 5_000;
  for (let i = 0; i < 20_000; i += 1) {
    nowMs += 100 * random.below(3);
    const node = `n${random.below(200)}`;
    const lamportTime = random.below(40) === 0 ? 2 ** 40 + i : random.below(i + 1);
    const type = random.below(2) === 0 ? "join" : "leave";
    const known = dumb.get(node);
    const isNews = known === undefined || lamportTime > known.lamportTime;
    assert.equal(buffer.offer(node, type, lamportTime, nowMs), isNews);
    if (isNews) {
      dumb.delete(node);
      dumb.set(node, { type, lamportTime, atMs: nowMs });
    }
    if (random.below(50) === 0) {
      buffer.expire(3_000, nowMs);
      for (const [name, { atMs }] of dumb) if (nowMs - atMs > 3_000) dumb.delete(name);
    }
    assert.equal(buffer.size, dumb.size);
    const asked = `n${random.below(200)}`;
    const expected = dumb.get(asked);
    assert.deepEqual(buffer.get(asked), expected && { type: expected.type, lamportTime: expected.lamportTime });
  }
  buffer.close();
  assert.equal(buffer.size, 0);
  assert.equal(records.slotOf("n1"), -1, "names are let go");
});

test("reconnect attempts are about one per failed member across the cluster", () => {
  const { core, out } = membership("self");
  for (let i = 0; i < 20; i += 1) core.joined(info(`n${i}`), 0, out);
  for (let i = 0; i < 5; i += 1) core.gone(`n${i}`, 0, out);
  let draws = 0;
  const counting = { below: (limit: number) => draws++ % limit };
  let picked = 0;
  for (let i = 0; i < 15; i += 1) if (core.pickReconnect({ below: (limit) => (limit === 15 ? i : counting.below(limit)) }, out) !== null) picked += 1;
  assert.equal(picked, 5); // Of 15 live members 5 would try.
});

test("the member table reuses rows and counts by status", () => {
  const { core, out } = membership("self");
  core.clock.increment();
  for (let round = 0; round < 3; round += 1) {
    for (let i = 0; i < 40; i += 1) core.joined(info(`n${i}`), 0, out);
    assert.equal(core.table.count("alive"), 40);
    for (let i = 0; i < 40; i += 1) {
      core.gone(`n${i}`, 0, out);
      core.leaveIntent(core.clock.time, `n${i}`, true, 0, out);
    }
    assert.equal(core.table.size, 0);
    assert.deepEqual([core.failedCount, core.leftCount, core.table.count("alive")], [0, 0, 0]);
  }
});
