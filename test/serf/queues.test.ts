import assert from "node:assert/strict";
import { test } from "node:test";
import { Reporter } from "../../src/serf/reporter.ts";
import { EVENT_RETRANSMIT_EXTRA, QUEUE_BYTES_MAX, SerfQueues } from "../../src/serf/serf-queues.ts";
import type { PoolEffect } from "../../src/serf/types.ts";
import { PROFILES } from "../../src/swim/profiles.ts";
import { Net } from "./harness.ts";

function queues(nodes = 10) {
  const config = { profile: PROFILES.lan, depthWarning: 128, depthMax: 4096 };
  return new SerfQueues(config, () => nodes, new Reporter("warn"));
}

function taken(from: SerfQueues, limit: number, targets: number): Uint8Array[] {
  const messages: Uint8Array[] = [];
  from.take(3, limit, targets, messages);
  return messages;
}

function logs(out: readonly PoolEffect[]): string[] {
  return out.flatMap((effect) => (effect.kind === "log" ? [effect.text] : []));
}

test("intents go first, then queries, then events, within the room there is", () => {
  const all = queues();
  const out: PoolEffect[] = [];
  all.add(all.events, new Uint8Array(30).fill(3), out);
  all.add(all.queries, new Uint8Array(30).fill(2), out);
  all.add(all.intents, new Uint8Array(30).fill(1), out);
  assert.deepEqual(taken(all, 70, 1).map((message) => message[1]), [1, 2]);
  assert.deepEqual(taken(all, 1000, 1).map((message) => message[1]), [1, 2, 3]);
  assert.equal(all.isEmpty, false);
});

test("events and queries are sent more often than intents", () => {
  const all = queues(60);
  const out: PoolEffect[] = [];
  for (const queue of [all.intents, all.queries, all.events]) all.add(queue, new Uint8Array(30), out);
  const sends = { intents: 0, queries: 0, events: 0 };
  while (!all.isEmpty) {
    for (const name of ["intents", "queries", "events"] as const) if (all[name].length > 0) sends[name] += 1;
    taken(all, 1000, 1);
  }
  assert.equal(sends.events, sends.intents + EVENT_RETRANSMIT_EXTRA);
  assert.equal(sends.queries, sends.events);
});

test("a deep queue is warned about, then cut", () => {
  const all = queues();
  const fill = (count: number): void => {
    for (let i = 0; i < count; i += 1) all.add(all.events, Uint8Array.of(i & 255, i >> 8), []);
  };
  fill(127);
  const calm: PoolEffect[] = [];
  all.check(calm);
  assert.deepEqual(logs(calm), []);
  fill(1);
  const warned: PoolEffect[] = [];
  all.check(warned);
  assert.deepEqual(logs(warned), ["serf: Event queue depth: 128"]);
  fill(4000);
  const cut: PoolEffect[] = [];
  all.check(cut);
  assert.deepEqual(logs(cut), ["serf: Event queue depth: 4128", "serf: Event queue depth (4128) exceeds limit (4096), dropping messages!"]);
  assert.equal(all.events.length, 4096);
});

test("the bytes of a queue are bounded at once, not at the next check", () => {
  const all = queues();
  const out: PoolEffect[] = [];
  for (let i = 0; i < 1000; i += 1) {
    all.add(all.events, new Uint8Array(9000).fill(i), out);
    assert.ok(all.events.bytes <= QUEUE_BYTES_MAX);
  }
  assert.ok(out.some((effect) => effect.kind === "count" && effect.name === "serf.queue.overflow"));
});

test("the depth of a queue is bounded at once, to twice what the check leaves", () => {
  const all = queues();
  let longest = 0;
  for (let i = 0; i < 30_000; i += 1) {
    all.add(all.events, new Uint8Array(20), []);
    longest = Math.max(longest, all.events.length);
  }
  assert.equal(longest, 8192);
});

test("intervals of 0 neither hang nor divide by zero (serf#697)", () => {
  const none = { reapIntervalMs: 0, reconnectIntervalMs: 0, queueCheckIntervalMs: 0, broadcastTimeoutMs: 0, leavePropagateDelayMs: 0, recentIntentTimeoutMs: 0 };
  const net = new Net();
  const first = net.start("n1", none);
  const second = net.start("n2", none);
  net.join(second, first);
  net.advance(2000);
  assert.deepEqual(first.view, ["n1 alive", "n2 alive"]);
  const leave = net.command(second, { kind: "leave" });
  net.advance(100);
  assert.deepEqual(second.reply(leave)?.errors, []);
});
