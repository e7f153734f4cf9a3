import assert from "node:assert/strict";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { decodeReply, encodeArgs } from "../../src/api/rpc/codec.ts";
import type { RpcMethod, RpcMethods, RpcOutcome } from "../../src/api/rpc/types.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import { INPUT_BYTES_MAX, RpcConnection, UNTAKEN_BYTES_MAX } from "../../src/io/rpc-connection.ts";
import { encodeRpcRequest, RpcReplyStream } from "../../src/wire/server-rpc.ts";
import { WINDOW_BYTES, YamuxSession, type YamuxEvent } from "../../src/wire/yamux.ts";
import { nextLoopbackIp } from "../support/loopback.ts";

const DEADLINE_MS = 20_000;
/** Together far more than socket buffers hold; a stream's window lets each through. */
const CALLS = 150;
const VALUE_BYTES = 200_000;

interface Call {
  readonly method: RpcMethod;
  readonly done: (outcome: RpcOutcome) => void;
  cancelled: boolean;
}

/** A connection of ours in the server's place, and a bare session as its client. */
async function served(t: TestContext): Promise<{ readonly calls: Call[]; readonly counts: string[]; readonly connection: () => RpcConnection; readonly session: YamuxSession; readonly socket: Socket; readonly events: YamuxEvent[]; readonly flush: () => void }> {
  const calls: Call[] = [];
  const counts: string[] = [];
  const connections: RpcConnection[] = [];
  const server = createServer((socket) => {
    const connection = new RpcConnection(socket, false, {
      call: (method, _, done) => {
        const call: Call = { method, done, cancelled: false };
        calls.push(call);
        return { cancel: () => (call.cancelled = true) };
      },
      closed: () => undefined,
      count: (name) => void counts.push(name),
    });
    connections.push(connection);
    t.after(() => connection.close());
    connection.start(new Uint8Array(0));
  });
  const ip = nextLoopbackIp();
  await new Promise<void>((resolve) => server.listen(0, ip, resolve));
  t.after(() => void server.close());
  const socket = connect((server.address() as AddressInfo).port, ip).on("error", () => undefined); // It may be closed in the middle of a write.
  t.after(() => socket.destroy());
  const session = new YamuxSession(true, 0);
  const events: YamuxEvent[] = [];
  socket.on("data", (chunk: Buffer) => session.feed(chunk, 0, events));
  return { calls, counts, connection: () => connections[0] as RpcConnection, session, socket, events, flush: () => void socket.write(concatBytes(session.takeOutput())) };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const LEADER: Uint8Array = concatBytes(encodeRpcRequest({ seq: 7, method: "Status.Leader", body: encodeArgs("Status.Leader", { datacenter: "dc1" }) }));

test("a peer that ends its side behind the request gets its answer, then our end", async (t) => {
  const { calls, session, events, flush } = await served(t);
  const stream = session.open() as number;
  session.send(stream, LEADER);
  session.finish(stream);
  flush();
  await until("the call", () => calls.length === 1);
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(calls[0]?.cancelled, false);
  calls[0]?.done({ ok: true, value: "127.0.0.1:8300" });
  await until("the end", () => events.some((event) => event.kind === "ended"));
  const replies = new RpcReplyStream();
  for (const event of events) if (event.kind === "data") replies.append(event.bytes);
  const reply = replies.next();
  assert.ok(typeof reply !== "string");
  assert.deepEqual([reply.seq, reply.error], [7, ""]);
  assert.equal(session.streamCount, 0);
});

test("what a peer sends behind a running call is held up to the window, and read once the call is answered", async (t) => {
  const { calls, session, flush, events } = await served(t);
  const stream = session.open() as number;
  const many = concatBytes(Array.from({ length: 10_000 }, () => LEADER));
  assert.ok(many.length > 2 * WINDOW_BYTES);
  session.send(stream, many);
  flush();
  await until("the call", () => calls.length === 1);
  for (let turn = 0; turn < 50; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    flush();
  }
  assert.equal(calls.length, 1);
  // The first piece was read before the call ran; nothing beyond a second window may have been asked for.
  assert.ok(session.queuedBytes(stream) >= many.length - 2 * WINDOW_BYTES, `${session.queuedBytes(stream)} of ${many.length} kept back`);
  for (let answered = 0; answered < 10_000; answered += 1) {
    await until(`call ${answered}`, () => {
      flush();
      return calls.length > answered;
    });
    (calls[answered] as Call).done({ ok: true, value: "127.0.0.1:8300" });
    for (const event of events.splice(0)) if (event.kind === "data") session.consume(stream, event.bytes.length);
  }
  assert.equal(calls.length, 10_000);
});

/** Calls fill a connection whose peer does not read; it is ended by `end`. Gives how many bytes the peer gets to read after that. */
async function arrived(t: TestContext, end: (connection: RpcConnection, socket: Socket) => void): Promise<number> {
  const accepted: Socket[] = [];
  const server = createServer({ pauseOnConnect: true }, (socket) => void accepted.push(socket));
  const ip = nextLoopbackIp();
  await new Promise<void>((resolve) => server.listen(0, ip, resolve));
  t.after(() => void server.close());
  const socket = connect((server.address() as AddressInfo).port, ip);
  await new Promise((resolve) => socket.on("connect", resolve));
  let closed = 0;
  const connection = new RpcConnection(socket, true, { call: () => ({ cancel: () => undefined }), closed: () => (closed += 1), count: () => undefined });
  const outcomes: RpcOutcome[] = [];
  const entry = { key: "k", value: new Uint8Array(VALUE_BYTES), flags: 0, session: "", lockIndex: 0, createIndex: 0, modifyIndex: 0 };
  for (let i = 0; i < CALLS; i += 1) connection.call("KVS.Apply", { datacenter: "dc1", op: "set", token: "", entry }, (outcome) => outcomes.push(outcome));
  await until("more is written than the system takes", () => accepted.length === 1 && socket.writableLength > 0);
  end(connection, socket);
  await until("the calls have failed", () => closed === 1);
  assert.deepEqual(outcomes, Array.from({ length: CALLS }, () => ({ ok: false, error: "EOF" })));
  const [peer] = accepted;
  assert.ok(peer !== undefined);
  let gone = false;
  peer.on("data", () => undefined).on("error", () => undefined).on("close", () => (gone = true)).resume();
  await until("the peer has noticed", () => gone);
  return peer.bytesRead;
}

test("a connection that is reset fails its calls, and what the system has taken and not delivered never arrives", async (t) => {
  const usual = await arrived(t, (_, socket) => socket.destroy());
  const reset = await arrived(t, (connection) => connection.reset());
  assert.ok(reset < usual, `${reset} bytes arrived, ${usual} without a reset`);
});

function applyOf(byteLength: number): Uint8Array {
  const entry = { key: "k", value: new Uint8Array(byteLength), flags: 0, session: "", lockIndex: 0, createIndex: 0, modifyIndex: 0 };
  return concatBytes(encodeRpcRequest({ seq: 1, method: "KVS.Apply", body: encodeArgs("KVS.Apply", { datacenter: "dc1", op: "set", token: "", entry }) }));
}

test("requests that are not complete are bounded over all connections: whoever holds most is closed and counted, the others go on", async (t) => {
  const request = applyOf(WINDOW_BYTES - 1000);
  const half = request.subarray(0, -1);
  const streams = Math.ceil(INPUT_BYTES_MAX / half.length / 3);
  const begin = async (count: number): Promise<{ readonly peer: Awaited<ReturnType<typeof served>>; readonly first: number }> => {
    const peer = await served(t);
    let first = 0;
    for (let i = 0; i < count; i += 1) {
      await until("room for a stream", () => {
        first = i === 0 ? (peer.session.open() ?? 0) : first;
        const stream = i === 0 ? first : (peer.session.open() ?? 0);
        if (stream !== 0) peer.session.send(stream, half);
        peer.flush();
        return stream !== 0;
      });
    }
    return { peer, first };
  };
  const small = await begin(streams);
  assert.deepEqual(small.peer.counts, []);
  const large = await begin(2 * streams + 10);
  await until("one is closed", () => large.peer.socket.destroyed);
  // Counted by whichever received what was too much.
  assert.deepEqual([...large.peer.counts, ...small.peer.counts], ["rpc.input_shed"]);
  assert.equal(small.peer.socket.destroyed, false);
  small.peer.session.send(small.first, request.subarray(-1));
  small.peer.flush();
  await until("the call", () => small.peer.calls.length === 1);
});

test("replies that a peer does not take are bounded, however many are ready; it gets all of them when it reads", async (t) => {
  const { calls, connection, session, events, socket, flush } = await served(t);
  const count = 120;
  const streams: number[] = [];
  const get = concatBytes(encodeRpcRequest({ seq: 3, method: "KVS.Get", body: encodeArgs("KVS.Get", { datacenter: "dc1", key: "k", options: { allowStale: false, filter: "", maxQueryTimeMs: 0, maxStaleMs: 0, minQueryIndex: 0, requireConsistent: false } }) }));
  for (let i = 0; i < count; i += 1) {
    const stream = session.open() as number;
    streams.push(stream);
    session.send(stream, get);
  }
  flush();
  await until("the calls", () => calls.length === count);
  socket.pause();
  const value = new Uint8Array(1 << 20).fill(0x61);
  const entry = { key: "k", value, flags: 0, session: "", lockIndex: 0, createIndex: 1, modifyIndex: 1 };
  for (const call of calls) call.done({ ok: true, value: { meta: { index: 1, knownLeader: true, lastContactMs: 0, consistency: "leader" }, value: [entry] } });
  assert.ok(count * value.length > UNTAKEN_BYTES_MAX + 2 * value.length);
  for (let turn = 0; turn < 20; turn += 1) {
    assert.ok(connection().untakenBytes <= UNTAKEN_BYTES_MAX + 2 * value.length, `${connection().untakenBytes} bytes`);
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.resume();
  const taken = new Map<number, number>();
  await until("every reply", () => {
    for (const event of events.splice(0)) {
      if (event.kind !== "data") continue;
      session.consume(event.stream, event.bytes.length);
      taken.set(event.stream, (taken.get(event.stream) ?? 0) + event.bytes.length);
    }
    flush();
    return streams.every((stream) => (taken.get(stream) ?? 0) > value.length);
  });
  await until("nothing is left", () => connection().untakenBytes === 0);
});

test("a long list is encoded in turns of its own, others are answered meanwhile, and it comes whole; nothing more is read for a peer that is gone", async (t) => {
  const { calls, session, events, socket, flush } = await served(t);
  const count = 20_000;
  const keyOf = (i: number): string => `key-${i}`.padEnd(100, ".");
  let [read, inTurn, mostInTurn] = [0, 0, 0];
  const rows = {
    length: count,
    *[Symbol.iterator](): Generator<string, void> {
      for (let i = 0; i < count; i += 1) {
        if (inTurn === 0) setImmediate(() => (inTurn = 0));
        inTurn += 1;
        mostInTurn = Math.max(mostInTurn, inTurn);
        read += 1;
        yield keyOf(i);
      }
    },
  };
  const reply: RpcOutcome = { ok: true, value: { meta: { index: 1, knownLeader: true, lastContactMs: 0, consistency: "leader" }, value: rows } };
  const options = { allowStale: false, filter: "", maxQueryTimeMs: 0, maxStaleMs: 0, minQueryIndex: 0, requireConsistent: false };
  const args = { datacenter: "dc1", prefix: "", separator: "", options };
  const keys = concatBytes(encodeRpcRequest({ seq: 3, method: "KVS.ListKeys", body: encodeArgs("KVS.ListKeys", args) }));
  const [long, short] = [session.open() as number, session.open() as number];
  session.send(long, keys);
  session.send(short, LEADER);
  flush();
  await until("the calls", () => calls.length === 2);
  calls[0]?.done(reply);
  calls[1]?.done({ ok: true, value: "127.0.0.1:8300" });
  const replies = new Map([[long, new RpcReplyStream()], [short, new RpcReplyStream()]]);
  const taken: string[] = [];
  await until("both replies", () => {
    for (const event of events.splice(0)) {
      if (event.kind !== "data") continue;
      session.consume(event.stream, event.bytes.length);
      replies.get(event.stream)?.append(event.bytes);
    }
    flush();
    for (const [stream, stored] of replies) {
      const next = stored.next();
      if (typeof next === "string") continue;
      taken.push(next.method);
      if (stream !== long) continue;
      const decoded = decodeReply("KVS.ListKeys", next.body.slice(), args);
      assert.ok(decoded.ok);
      assert.deepEqual([...(decoded.value as RpcMethods["KVS.ListKeys"]["reply"]).value], Array.from({ length: count }, (_, i) => keyOf(i)));
    }
    return taken.length === 2;
  });
  assert.deepEqual(taken, ["Status.Leader", "KVS.ListKeys"]);
  assert.ok(mostInTurn * 100 < 200_000, `${mostInTurn} rows in one turn`);
  // On the same stream, which is free again.
  session.send(long, keys);
  flush();
  await until("the next call", () => calls.length === 3);
  read = 0;
  calls[2]?.done(reply);
  socket.resetAndDestroy();
  let before = -1;
  await until("no more is read", () => {
    const still = read === before;
    before = read;
    return still && calls.length === 3;
  });
  assert.ok(read < count, `${read}`);
});
