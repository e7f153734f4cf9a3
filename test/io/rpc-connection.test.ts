import assert from "node:assert/strict";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { encodeArgs } from "../../src/api/rpc/codec.ts";
import type { RpcMethod, RpcOutcome } from "../../src/api/rpc/types.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import { RpcConnection } from "../../src/io/rpc-connection.ts";
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
async function served(t: TestContext): Promise<{ readonly calls: Call[]; readonly session: YamuxSession; readonly socket: Socket; readonly events: YamuxEvent[]; readonly flush: () => void }> {
  const calls: Call[] = [];
  const server = createServer((socket) => {
    const connection = new RpcConnection(socket, false, {
      call: (method, _, done) => {
        const call: Call = { method, done, cancelled: false };
        calls.push(call);
        return { cancel: () => (call.cancelled = true) };
      },
      closed: () => undefined,
      count: () => undefined,
    });
    t.after(() => connection.close());
    connection.start(new Uint8Array(0));
  });
  const ip = nextLoopbackIp();
  await new Promise<void>((resolve) => server.listen(0, ip, resolve));
  t.after(() => void server.close());
  const socket = connect((server.address() as AddressInfo).port, ip);
  t.after(() => socket.destroy());
  const session = new YamuxSession(true, 0);
  const events: YamuxEvent[] = [];
  socket.on("data", (chunk: Buffer) => session.feed(chunk, 0, events));
  return { calls, session, socket, events, flush: () => void socket.write(concatBytes(session.takeOutput())) };
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
