import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, fromHex, toHex } from "../../src/base/bytes.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { BACKLOG_MAX, CONTROL_BYTES_MAX, KEEPALIVE_MS, PING_MS_MAX, STREAMS_MAX, WINDOW_BYTES, YamuxSession, type YamuxEvent } from "../../src/wire/yamux.ts";
import { fuzz } from "../support/fuzz.ts";

/** Carries everything over, both ways, until nobody has more to say. Events of the two sides. */
function settle(client: YamuxSession, server: YamuxSession, consume = true): { readonly client: YamuxEvent[]; readonly server: YamuxEvent[] } {
  const events = { client: [] as YamuxEvent[], server: [] as YamuxEvent[] };
  const deliver = (from: YamuxSession, to: YamuxSession, out: YamuxEvent[]): boolean => {
    const output = from.takeOutput();
    const before = out.length;
    to.feed(concatBytes(output), 0, out);
    for (const event of out.slice(before)) if (consume && event.kind === "data") to.consume(event.stream, event.bytes.length);
    return output.length > 0;
  };
  for (let busy = true; busy; ) {
    busy = deliver(client, server, events.server);
    busy = deliver(server, client, events.client) || busy;
  }
  return events;
}

function pair(): readonly [YamuxSession, YamuxSession] {
  return [new YamuxSession(true, 0), new YamuxSession(false, 0)];
}

function kindsOf(events: readonly YamuxEvent[]): string[] {
  return events.map((event) => event.kind);
}

function received(events: readonly YamuxEvent[], stream: number): number {
  return events.reduce((sum, event) => (event.kind === "data" && event.stream === stream ? sum + event.bytes.length : sum), 0);
}

test("streams beyond the peer's backlog wait for acknowledgements, and are told when there is room", () => {
  const [client, server] = pair();
  const opened: number[] = [];
  for (let i = 0; i < BACKLOG_MAX; i += 1) opened.push(client.open() ?? -1);
  assert.deepEqual([opened[0], opened[1], opened.at(-1)], [1, 3, 2 * BACKLOG_MAX - 1]);
  assert.equal(client.open(), null);
  assert.deepEqual(kindsOf(settle(client, server).client), ["room"]);
  assert.equal(client.open(), 2 * BACKLOG_MAX + 1);
});

test("a peer cannot have more than its share of streams: the next is reset, the others go on", () => {
  const [client, server] = pair();
  for (let id = 1; id <= 2 * STREAMS_MAX + 1; id += 2) server.feed(fromHex(`00010001${id.toString(16).padStart(8, "0")}00000000`), 0, []);
  assert.equal(server.streamCount, STREAMS_MAX);
  const output = concatBytes(server.takeOutput());
  assert.equal(toHex(output.subarray(-12)), `00010008${(2 * STREAMS_MAX + 1).toString(16).padStart(8, "0")}00000000`);
  assert.equal(server.closed, false);
  assert.equal(client.closed, false);
});

test("a stream nobody reads holds exactly one window, and others go on; reading lets the rest through", () => {
  const [client, server] = pair();
  const slow = client.open() as number;
  const quick = client.open() as number;
  client.send(slow, new Uint8Array(1_000_000));
  client.send(quick, new Uint8Array(100));
  const stuck = settle(client, server, false).server;
  assert.equal(received(stuck, slow), WINDOW_BYTES);
  assert.equal(received(stuck, quick), 100);
  assert.equal(client.queuedBytes(slow), 1_000_000 - WINDOW_BYTES);
  server.consume(slow, WINDOW_BYTES / 2 - 1);
  assert.equal(server.takeOutput().length, 0, "not before half the window is used");
  server.consume(slow, WINDOW_BYTES / 2 + 1);
  const { client: told, server: rest } = settle(client, server);
  assert.equal(received(rest, slow), 1_000_000 - WINDOW_BYTES);
  assert.ok(kindsOf(told).includes("drained"));
});

test("the end of one direction leaves the other open; data and end in one frame are both delivered", () => {
  const [client, server] = pair();
  const stream = client.open() as number;
  client.send(stream, fromHex("c0"));
  client.finish(stream);
  assert.deepEqual(kindsOf(settle(client, server).server), ["opened", "data", "ended"]);
  const events: YamuxEvent[] = [];
  client.feed(fromHex("000000040000000100000003aabbcc"), 0, events);
  assert.deepEqual(events, [{ kind: "data", stream, bytes: fromHex("aabbcc") }, { kind: "ended", stream }]);
  assert.equal(client.streamCount, 0);
  server.send(stream, new Uint8Array(2 * WINDOW_BYTES));
  server.finish(stream);
  assert.equal(server.streamCount, 1, "the end waits for what is queued");
});

test("a reset ends both directions and loses what was queued; data for it is passed over", () => {
  const [client, server] = pair();
  const stream = client.open() as number;
  client.send(stream, new Uint8Array(10));
  settle(client, server);
  server.reset(stream);
  assert.deepEqual(settle(client, server).client, [{ kind: "reset", stream }]);
  assert.equal(client.streamCount + server.streamCount, 0);
  server.feed(fromHex(`0000000000000001000000${"04"}01020304`), 0, []);
  assert.equal(server.closed, false);
});

test("going away ends no stream, but no new ones are opened; with a code it ends the session", () => {
  const [client, server] = pair();
  const stream = client.open() as number;
  settle(client, server);
  server.goAway();
  assert.deepEqual(settle(client, server).client, [{ kind: "goAway" }]);
  assert.equal(client.open(), null);
  server.send(stream, new Uint8Array(5));
  assert.equal(received(settle(client, server).client, stream), 5);
  const events: YamuxEvent[] = [];
  client.feed(fromHex("000300000000000000000001"), 0, events);
  assert.deepEqual(events, [{ kind: "closed", error: "goAway" }]);
});

test("keepalive: a ping every 30 s, its answer starts the next wait, silence ends the session; strange answers are ignored", () => {
  const [client, server] = pair();
  const out: YamuxEvent[] = [];
  client.wake(KEEPALIVE_MS - 1, out);
  assert.equal(client.takeOutput().length, 0);
  client.wake(KEEPALIVE_MS, out);
  const ping = concatBytes(client.takeOutput());
  assert.equal(toHex(ping), "000200010000000000000000");
  server.feed(ping, 0, out);
  client.feed(fromHex("000200020000000000000063"), KEEPALIVE_MS + 5, out); // Never asked for.
  assert.equal(client.wakeAtMs, KEEPALIVE_MS + PING_MS_MAX);
  client.feed(concatBytes(server.takeOutput()), KEEPALIVE_MS + 10, out);
  assert.equal(client.wakeAtMs, 2 * KEEPALIVE_MS + 10);
  client.wake(2 * KEEPALIVE_MS + 10, out);
  assert.equal(toHex(concatBytes(client.takeOutput())), "000200010000000000000001");
  client.wake(2 * KEEPALIVE_MS + 10 + PING_MS_MAX, out);
  assert.deepEqual(out, [{ kind: "closed", error: "keepalive" }]);
  assert.equal(client.wakeAtMs, Number.POSITIVE_INFINITY);
});

test("what breaks the protocol ends the session: version, frame type, a stream opened twice, more than the window", () => {
  const over = (WINDOW_BYTES + 1).toString(16).padStart(8, "0");
  for (const hex of ["010100010000000100000000", "000900000000000000000000", "000100010000000100000000000100010000000100000000", `000100010000000100000000${"0000000000000001"}${over}`]) {
    const events: YamuxEvent[] = [];
    new YamuxSession(false, 0).feed(fromHex(hex), 0, events);
    assert.deepEqual(events.at(-1), { kind: "closed", error: "protocol" }, hex);
  }
});

test("a peer that pings and reads nothing is closed", () => {
  const server = new YamuxSession(false, 0);
  const events: YamuxEvent[] = [];
  const pings = concatBytes(Array.from({ length: 1000 }, () => fromHex("000200010000000000000000")));
  for (let bytes = 0; bytes <= CONTROL_BYTES_MAX; bytes += pings.length) server.feed(pings, 0, events);
  assert.deepEqual(events, [{ kind: "closed", error: "stuck" }]);
});

test("whatever two sessions do in whatever pieces it travels: every stream's bytes arrive once and in order", () => {
  for (let seed = 1; seed <= 30; seed += 1) {
    const random = new SeededRandom(seed);
    const sides = [new YamuxSession(true, 0), new YamuxSession(false, 0)] as const;
    const sent: [Map<number, number[]>, Map<number, number[]>] = [new Map(), new Map()];
    const got: [Map<number, number[]>, Map<number, number[]>] = [new Map(), new Map()];
    const wires: [Uint8Array, Uint8Array] = [new Uint8Array(0), new Uint8Array(0)];
    const step = (side: 0 | 1, act: boolean): void => {
      const session = sides[side];
      const streams = [...sent[side].keys()];
      if (act && random.below(3) === 0) {
        const id = session.open();
        if (id !== null) sent[side].set(id, []);
      } else if (act && streams.length > 0) {
        const id = streams[random.below(streams.length)] as number;
        const bytes = Uint8Array.from({ length: random.below(5000) }, () => random.below(256));
        sent[side].get(id)?.push(...bytes);
        session.send(id, bytes);
      }
      wires[side] = concatBytes([wires[side], ...session.takeOutput()]);
      const piece = wires[side].subarray(0, random.below(wires[side].length + 1));
      wires[side] = wires[side].subarray(piece.length);
      const other = side === 0 ? 1 : 0;
      const events: YamuxEvent[] = [];
      sides[other].feed(piece, 0, events);
      for (const event of events) {
        assert.notEqual(event.kind, "closed");
        if (event.kind === "opened") sent[other].set(event.stream, []);
        if (event.kind !== "data") continue;
        got[other].set(event.stream, [...(got[other].get(event.stream) ?? []), ...event.bytes]);
        sides[other].consume(event.stream, event.bytes.length);
      }
    };
    for (let i = 0; i < 300; i += 1) step(random.below(2) as 0 | 1, true);
    for (let quiet = 0; quiet < 200; quiet += 1) step((quiet % 2) as 0 | 1, false);
    while (wires[0].length + wires[1].length > 0) for (const side of [0, 1] as const) step(side, false);
    for (const side of [0, 1] as const) {
      for (const [id, bytes] of sent[side]) assert.deepEqual(got[side === 0 ? 1 : 0].get(id) ?? [], bytes, `seed ${seed}, side ${side}, stream ${id}`);
    }
  }
});

test("mutated frames: no exception, no growth", () => {
  const valid = ["000100010000000100000000", "00000000000000010000000401020304", "000100000000000100020000", "000200010000000000000007", "000100040000000100000000", "000300000000000000000000"];
  fuzz(60, [fromHex(valid.join("")), ...valid.map(fromHex)], (bytes) => {
    const session = new YamuxSession(false, 0);
    const events: YamuxEvent[] = [];
    session.feed(fromHex(valid[0] as string), 0, events);
    session.feed(bytes, 0, events);
    session.send(1, bytes.slice());
    session.takeOutput();
  });
});
