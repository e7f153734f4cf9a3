import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SeededRandom } from "../../src/base/random.ts";
import { Pool } from "../../src/serf/pool.ts";
import type { PoolEffect } from "../../src/serf/types.ts";
import { encodeAlive, encodePushPull, encodeUser } from "../../src/wire/gossip-codec.ts";
import {
  encodeFilter,
  encodeJoin,
  encodeKeyRequest,
  encodeLeave,
  encodeQuery,
  encodeQueryResponse,
  encodeRelay,
  encodeSerfPushPull,
  encodeUserEvent,
} from "../../src/wire/serf-codec.ts";
import { PLAIN_QUERY, poolConfig, testMatcher } from "./harness.ts";

const FROM = { ip: "10.0.0.9", port: 7946 };
const name = fc.constantFrom("self", "a", "b", "", "ü", "x\ny");
const lamportTime = fc.oneof(fc.nat(20), fc.constantFrom(600, 1e9, Number.MAX_SAFE_INTEGER));
const payload = fc.option(fc.uint8Array({ maxLength: 20 }), { nil: null });
const filter = fc.oneof(
  fc.record({ kind: fc.constant("nodes" as const), nodes: fc.array(name) }).map(encodeFilter),
  fc.record({ kind: fc.constant("tag" as const), tag: name, expr: fc.constantFrom("", "(", "a+", ".*") }).map(encodeFilter),
  fc.uint8Array({ maxLength: 8 }),
);
const queryName = fc.oneof(name, fc.constantFrom("_serf_ping", "_serf_conflict", "_serf_install-key", "_serf_use-key", "_serf_remove-key", "_serf_list-keys", "_serf_"));
const query = fc.record({
  lamportTime,
  id: fc.nat(),
  addr: fc.oneof(fc.constant(Uint8Array.of(10, 0, 0, 9)), fc.uint8Array({ maxLength: 17 })),
  port: fc.nat(65_535),
  sourceNode: name,
  filters: fc.option(fc.array(filter, { maxLength: 3 }), { nil: null }),
  flags: fc.nat(255),
  relayFactor: fc.nat(255),
  timeoutMs: fc.oneof(fc.nat(10_000), fc.constantFrom(-5, 1e12)),
  name: queryName,
  payload: fc.oneof(payload, fc.constant(encodeKeyRequest(Uint8Array.of(1)))),
}).map(encodeQuery);

const message = fc.oneof(
  fc.record({ lamportTime, node: name, prune: fc.boolean() }).map(encodeLeave),
  fc.record({ lamportTime, node: name }).map(encodeJoin),
  fc.record({ lamportTime, name, payload, coalesce: fc.boolean() }).map(encodeUserEvent),
  query,
  fc.record({ lamportTime, id: fc.nat(3), from: name, flags: fc.nat(3), payload }).map(encodeQueryResponse),
  fc.record({ destAddr: fc.uint8Array({ maxLength: 17 }), destPort: fc.nat(65_535), destName: name, message: fc.uint8Array({ maxLength: 9 }) }).map(encodeRelay),
  fc.uint8Array({ maxLength: 60 }),
);
const slot = fc.option(fc.record({ lamportTime, events: fc.array(fc.record({ name, payload }), { maxLength: 3 }) }), { nil: null });
const state = fc.oneof(
  fc.record({
    lamportTime,
    statusTimes: fc.array(fc.tuple(name, lamportTime)).map((entries) => new Map(entries)),
    leftMembers: fc.array(name),
    eventTime: lamportTime,
    events: fc.array(slot, { maxLength: 8 }),
    queryTime: lamportTime,
  }).map(encodeSerfPushPull),
  fc.uint8Array({ maxLength: 60 }),
);

/** Damage: cut off, or one byte changed. */
const damaged = fc.tuple(message, fc.nat(100), fc.nat(255), fc.constantFrom("whole", "cut", "changed")).map(([bytes, at, value, how]) => {
  if (how === "cut") return bytes.subarray(0, at % (bytes.length + 1));
  const copy = bytes.slice();
  if (how === "changed" && copy.length > 0) copy[at % copy.length] = value;
  return copy;
});

type Step =
  | { readonly kind: "serf"; readonly bytes: Uint8Array }
  | { readonly kind: "state"; readonly bytes: Uint8Array; readonly join: boolean }
  | { readonly kind: "alive"; readonly node: string; readonly incarnation: number }
  | { readonly kind: "command"; readonly command: "leave" | "query" | "event" | "keys" | "force" | "shutdown" | "join" | "tags" }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "keyring"; readonly token: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("serf" as const), bytes: damaged }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("state" as const), bytes: state, join: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("alive" as const), node: name, incarnation: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("command" as const), command: fc.constantFrom("leave", "query", "event", "keys", "force", "shutdown", "join", "tags") }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(1, 200, 5000, 100_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("keyring" as const), token: fc.nat(5) }) },
);

function apply(pool: Pool, step: Step, request: number, nowMs: number, out: PoolEffect[]): void {
  switch (step.kind) {
    case "serf":
      pool.step({ kind: "message", from: FROM, bytes: encodeUser(step.bytes) }, nowMs, out);
      return;
    case "state": {
      const bytes = encodePushPull({ join: step.join, nodes: [], userState: step.bytes });
      pool.step({ kind: "streamMessage", stream: -request, from: FROM, bytes }, nowMs, out);
      return;
    }
    case "alive": {
      const { node, incarnation } = step;
      const bytes = encodeAlive({ node, incarnation, addr: Uint8Array.of(10, 0, 0, 7), port: 1, meta: Uint8Array.of(255, 128), versions: Uint8Array.of(1, 5, 2, 2, 5, 5) });
      pool.step({ kind: "message", from: FROM, bytes }, nowMs, out);
      return;
    }
    case "keyring":
      pool.step({ kind: "keyringDone", token: step.token, error: "", keys: ["a"] }, nowMs, out);
      return;
    case "wait":
      return;
    case "command":
      command(pool, step.command, request, nowMs, out);
  }
}

function command(pool: Pool, kind: Extract<Step, { readonly kind: "command" }>["command"], request: number, nowMs: number, out: PoolEffect[]): void {
  switch (kind) {
    case "leave":
      pool.step({ kind: "leave", request }, nowMs, out);
      return;
    case "query":
      pool.step({ kind: "query", request, name: "q", payload: null, params: { ...PLAIN_QUERY, requestAck: true } }, nowMs, out);
      return;
    case "event":
      pool.step({ kind: "userEvent", request, name: "e", payload: null, coalesce: true }, nowMs, out);
      return;
    case "keys":
      pool.step({ kind: "keys", request, operation: "list", key: "" }, nowMs, out);
      return;
    case "force":
      pool.step({ kind: "forceLeave", request, node: "a", prune: true }, nowMs, out);
      return;
    case "join":
      pool.step({ kind: "join", request, targets: [{ name: "", to: FROM }], ignoreOld: true, errors: [] }, nowMs, out);
      return;
    case "tags":
      pool.step({ kind: "setTags", request, tags: new Map([["a", "b"]]) }, nowMs, out);
      return;
    case "shutdown":
      pool.step({ kind: "shutdown" }, nowMs, out);
  }
}

test("no message, state or command makes a pool throw, in whatever state it is; its clocks never go back", () => {
  const coalescing = { periodMs: 3000, quiescentMs: 1000 };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, plain) => {
      let nowMs = 0;
      const changes = plain ? {} : { coalesceMembers: coalescing, coalesceUserEvents: coalescing, snapshot: true, encrypted: () => true };
      const out: PoolEffect[] = [];
      const pool = new Pool(poolConfig("self", "10.0.0.1", changes), new SeededRandom(1), testMatcher, nowMs, out);
      const delivered = new Set<string>();
      let clocks = [0, 0, 0];
      for (const [i, one] of steps.entries()) {
        if (one.kind === "wait") nowMs += one.ms;
        apply(pool, one, i + 1, nowMs, out);
        for (let wakes = 0; pool.wakeAtMs <= nowMs; wakes += 1) {
          assert.ok(wakes < 1000, "the pool keeps asking to be woken at once");
          pool.step({ kind: "wake" }, nowMs, out);
        }
        const stats = pool.stats();
        const times = ["member_time", "event_time", "query_time"].map((key) => Number(stats.get(key)));
        assert.ok(times.every((time, k) => time >= (clocks[k] as number) && Number.isSafeInteger(time)));
        clocks = times;
        pool.members();
      }
      for (const effect of out) {
        assert.ok(effect.kind !== "reply" || effect.request > 0, "an answer to a request of the pool itself got out");
        if (effect.kind !== "event" || effect.event.kind !== "query") continue;
        const { token } = effect.event;
        assert.ok(!delivered.has(String(token)));
        delivered.add(String(token));
      }
    }),
    { numRuns: 300 },
  );
});
