import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EVENTS_PER_SLOT_MAX, EVENT_RING_BYTES_MAX, EventRing, hashEvent } from "../../src/serf/event-ring.ts";
import { LAMPORT_TIME_MAX, LamportClock } from "../../src/serf/lamport-clock.ts";
import { QUERIES_PER_SLOT_MAX, QueryRing } from "../../src/serf/query-ring.ts";
import { decodeSerfPushPull, encodeSerfPushPull } from "../../src/wire/serf-codec.ts";

test("a Lamport clock never goes back and is later than all it has witnessed", () => {
  const steps = fc.array(fc.option(fc.oneof(fc.nat(1000), fc.maxSafeNat()), { nil: null }));
  fc.assert(
    fc.property(steps, (values) => {
      const clock = new LamportClock();
      for (const value of values) {
        const before = clock.time;
        if (value === null) clock.increment();
        else clock.witness(value);
        assert.ok(clock.time >= before);
        assert.ok(value === null ? clock.time > before || before === LAMPORT_TIME_MAX : clock.time > value || value === LAMPORT_TIME_MAX);
        assert.ok(Number.isSafeInteger(clock.time));
      }
    }),
  );
});

test("an event is accepted at most once, in any order and with any repeats", () => {
  const event = fc.record({ time: fc.integer({ min: 1, max: 40 }), name: fc.constantFrom("", "a", "b"), size: fc.nat(2) });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), fc.integer({ min: 1, max: 16 }), (events, size) => {
      const ring = new EventRing(size);
      const clock = new LamportClock();
      const accepted = new Set<string>();
      for (const { time, name, size: bytes } of events) {
        const key = `${time} ${name} ${bytes}`;
        const before = clock.time;
        const verdict = ring.witness(clock, time, name, bytes === 0 ? null : new Uint8Array(bytes));
        assert.ok(clock.time >= before);
        // Nothing older than the ring reaches; whatever it reaches is remembered.
        const tooOld = clock.time > size && time < clock.time - size;
        assert.equal(verdict === "old", tooOld);
        if (verdict === "new") {
          assert.ok(!accepted.has(key), `${key} was accepted twice`);
          accepted.add(key);
        }
      }
    }),
  );
});

test("a push/pull gets the events that were accepted and not pushed out, by time and in the order of their hashes", () => {
  const payload = fc.option(fc.uint8Array({ maxLength: 3 }), { nil: null });
  const event = fc.record({ time: fc.integer({ min: 1, max: 40 }), name: fc.constantFrom("", "a", "\u00fc\u20ac", "\udcff", "x".repeat(300)), payload });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), fc.integer({ min: 1, max: 16 }), (events, size) => {
      const ring = new EventRing(size);
      const clock = new LamportClock();
      const held = new Map<number, { time: number; events: { name: string; payload: Uint8Array | null }[] }>();
      for (const { time, name, payload: bytes } of events) {
        if (ring.witness(clock, time, name, bytes?.slice() ?? null) !== "new") continue;
        const slot = held.get(time % size);
        if (slot?.time === time) slot.events.push({ name, payload: bytes });
        else held.set(time % size, { time, events: [{ name, payload: bytes }] });
      }
      const slots = Array.from({ length: size }, (_, index) => {
        const slot = held.get(index);
        const order = ({ name, payload: bytes }: { readonly name: string; readonly payload: Uint8Array | null }): number => hashEvent(name, bytes);
        return slot === undefined ? null : { lamportTime: slot.time, events: slot.events.toSorted((a, b) => order(a) - order(b)) };
      });
      assert.deepEqual(ring.slots, slots);
      assert.equal(ring.isEmpty, held.size === 0);
    }),
  );
});

test("nodes that hold the same events encode them alike, whatever the order they came in, and decode of each other's state only the slots that differ", () => {
  const event = fc.record({ time: fc.integer({ min: 1, max: 20 }), name: fc.constantFrom("a", "b", "\u00fc", "x".repeat(40)), payload: fc.uint8Array({ minLength: 1, maxLength: 2 }) });
  const state = (ring: EventRing): Uint8Array => encodeSerfPushPull({ lamportTime: 1, statusTimes: null, leftMembers: null, eventTime: 1, events: ring.encodedSlots, queryTime: 1 });
  const take = (ring: EventRing, { time, name, payload }: { time: number; name: string; payload: Uint8Array }): void => void ring.witness(new LamportClock(), time, name, payload);
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), event, (events, news) => {
      const one = new EventRing(32);
      const other = new EventRing(32);
      for (const each of events) take(one, each);
      for (const each of events.toReversed()) take(other, each);
      assert.deepEqual(state(other), state(one));
      take(other, news);
      const isNews = !events.some(({ time, name, payload }) => time === news.time && name === news.name && Buffer.compare(payload, news.payload) === 0);
      const decoded = decodeSerfPushPull(state(other), (index) => one.encodedSlot(index));
      assert.ok(decoded.ok);
      assert.deepEqual(decoded.value.events.map((slot) => slot?.lamportTime ?? null), Array.from({ length: 32 }, (_, i) => (isNews && i === news.time ? i : null)));
      for (const slot of decoded.value.events) for (const { name, payload } of slot?.events ?? []) one.witness(new LamportClock(), slot?.lamportTime ?? 0, name, payload);
      assert.deepEqual(state(one), state(other));
    }),
  );
});

test("events of one time are told apart by name and payload; no payload equals an empty one", () => {
  const ring = new EventRing(512);
  const clock = new LamportClock();
  assert.equal(ring.witness(clock, 5, "a", null), "new");
  assert.equal(ring.witness(clock, 5, "a", new Uint8Array(0)), "known");
  assert.equal(ring.witness(clock, 5, "a", Uint8Array.of(1)), "new");
  assert.equal(ring.witness(clock, 5, "b", null), "new");
});

test("a slot takes a bounded number of events, the ring a bounded number of bytes", () => {
  const clock = new LamportClock();
  const narrow = new EventRing(4);
  for (let i = 0; i < EVENTS_PER_SLOT_MAX; i += 1) assert.equal(narrow.witness(clock, 1, `e${i}`, null), "new");
  assert.equal(narrow.witness(clock, 1, "one more", null), "full");
  assert.equal(narrow.witness(clock, 1, "e7", null), "known");

  const wide = new EventRing(512);
  const payload = new Uint8Array(EVENT_RING_BYTES_MAX / 256);
  let accepted = 0;
  for (let time = 1; time <= 300; time += 1) if (wide.witness(new LamportClock(), time, "", payload) === "new") accepted += 1;
  assert.equal(accepted, 256);
});

test("events before the minimum are ignored, but their times are witnessed", () => {
  const ring = new EventRing(8);
  const clock = new LamportClock();
  ring.raiseMinTime(10);
  ring.raiseMinTime(3);
  assert.equal(ring.witness(clock, 9, "a", null), "ignored");
  assert.equal(clock.time, 10);
  assert.equal(ring.witness(clock, 10, "a", null), "new");
});

test("queries are new once per time and id", () => {
  const ring = new QueryRing(4, 3);
  const clock = new LamportClock();
  assert.equal(ring.witness(clock, 2, 1), "ignored");
  assert.equal(ring.witness(clock, 3, 1), "new");
  assert.equal(ring.witness(clock, 3, 1), "known");
  assert.equal(ring.witness(clock, 3, 2), "new");
  assert.equal(ring.witness(clock, 9, 1), "new");
  assert.equal(ring.witness(clock, 5, 1), "old");
  for (let id = 2; id <= QUERIES_PER_SLOT_MAX; id += 1) ring.witness(clock, 9, id);
  assert.equal(ring.witness(clock, 9, 0), "full");
});
