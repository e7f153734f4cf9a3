import assert from "node:assert/strict";
import { test } from "node:test";
import { COALESCE_PENDING_MAX, CoalescerChain } from "../../src/serf/coalescer.ts";
import { EVENT_RING_COUNT_MAX, EventRing, EVENTS_PER_SLOT_MAX } from "../../src/serf/event-ring.ts";
import { LamportClock } from "../../src/serf/lamport-clock.ts";
import { ANSWERABLE_QUERIES_MAX } from "../../src/serf/query-responder.ts";
import { LATE_RESPONDERS_MAX, RUNNING_QUERIES_MAX } from "../../src/serf/query-tracker.ts";
import type { SerfEvent } from "../../src/serf/types.ts";
import { encodeUser } from "../../src/wire/gossip-codec.ts";
import { encodeQuery, encodeQueryResponse } from "../../src/wire/serf-codec.ts";
import { Net, type Host } from "./harness.ts";

const FROM = { ip: "10.0.0.9", port: 7946 };
const QUERY = { filterNodes: [], filterTags: new Map<string, string>(), requestAck: false, relayFactor: 0, timeoutMs: 60_000 };

function ask(net: Net, host: Host, name: string): { readonly errors: readonly string[] } {
  const reply = host.reply(net.command(host, { kind: "query", name, payload: null, params: QUERY }));
  assert.ok(reply !== undefined);
  return reply;
}

test("the event ring takes a bounded number of events, whatever their times", () => {
  const ring = new EventRing(512);
  const clock = new LamportClock();
  for (let i = 0; i < EVENT_RING_COUNT_MAX; i += 1) assert.equal(ring.witness(clock, 1 + Math.floor(i / EVENTS_PER_SLOT_MAX), `e${i}`, null), "new");
  assert.equal(ring.witness(clock, 500, "one more", null), "full");
  assert.equal(ring.witness(clock, 1, "e0", null), "known");
});

test("what a coalescer holds back is bounded: a full one shows at once, and nothing is lost", () => {
  const shown: SerfEvent[] = [];
  const chain = new CoalescerChain(null, { periodMs: 1000, quiescentMs: 1000 });
  const add = (serial: number): void => chain.add({ kind: "user", lamportTime: 1, name: `e${serial}`, payload: null, coalesce: true }, 0, (event) => shown.push(event));
  for (let i = 1; i < COALESCE_PENDING_MAX; i += 1) add(i);
  assert.equal(shown.length, 0);
  add(0);
  assert.equal(shown.length, COALESCE_PENDING_MAX);
});

test("queries of ours that run at the same time are bounded; one more is refused, and there is room again when they have ended", () => {
  const net = new Net();
  const host = net.start("n1");
  for (let i = 0; i < RUNNING_QUERIES_MAX; i += 1) assert.deepEqual(ask(net, host, `q${i}`).errors, []);
  assert.deepEqual(ask(net, host, "one more").errors, ["too many queries are running"]);
  net.advance(QUERY.timeoutMs + 1000);
  assert.deepEqual(ask(net, host, "later").errors, []);
});

test("answers to one query are bounded by the members alive and some that join late, whoever sends them", () => {
  const net = new Net();
  const host = net.start("n1");
  const request = net.command(host, { kind: "query", name: "q", payload: null, params: QUERY });
  const reply = host.reply(request);
  assert.ok(reply?.value.kind === "query");
  const { lamportTime, id } = reply.value;
  const allowed = 1 + LATE_RESPONDERS_MAX;
  for (let i = 0; i <= allowed; i += 1) {
    const message = encodeUser(encodeQueryResponse({ lamportTime, id, from: `forged-${i}`, flags: 0, payload: Uint8Array.of(1) }));
    net.step(host, { kind: "message", from: FROM, bytes: message });
  }
  assert.equal(host.effects.filter(({ kind }) => kind === "queryResponse").length, allowed);
});

test("queries that may still be answered are bounded: the oldest can no longer be", () => {
  const net = new Net();
  const host = net.start("n1", { queryBufferSize: 2 * ANSWERABLE_QUERIES_MAX });
  for (let i = 0; i <= ANSWERABLE_QUERIES_MAX; i += 1) {
    const query = { lamportTime: i + 1, id: i, addr: Uint8Array.of(10, 0, 0, 9), port: 7946, sourceNode: "n9", filters: [], flags: 0, relayFactor: 0, timeoutMs: 60_000, name: "q", payload: null };
    net.step(host, { kind: "message", from: FROM, bytes: encodeUser(encodeQuery(query)) });
  }
  const tokens = host.events.flatMap((event) => (event.kind === "query" ? [event.token] : []));
  assert.equal(tokens.length, ANSWERABLE_QUERIES_MAX + 1);
  const respond = (token: number | undefined): readonly string[] | undefined => host.reply(net.command(host, { kind: "respond", token, payload: null }))?.errors;
  assert.deepEqual(respond(tokens[1]), []);
  assert.notDeepEqual(respond(tokens[0]), []);
});
