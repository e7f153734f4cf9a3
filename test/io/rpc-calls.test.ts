/** Two connections of ours, one at each end of a real socket: calls, errors, cancellation, and what a peer may not send. */
import assert from "node:assert/strict";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { encodeArgs } from "../../src/api/rpc/codec.ts";
import type { QueryOptions, RpcArgs, RpcMethod, RpcOutcome } from "../../src/api/rpc/types.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import { RpcConnection } from "../../src/io/rpc-connection.ts";
import { encodeRpcRequest, RpcReplyStream } from "../../src/wire/server-rpc.ts";
import { YamuxSession, type YamuxEvent } from "../../src/wire/yamux.ts";
import { nextLoopbackIp } from "../support/loopback.ts";

const DEADLINE_MS = 20_000;

interface Call {
  readonly method: RpcMethod;
  readonly args: RpcArgs;
  readonly done: (outcome: RpcOutcome) => void;
  cancelled: boolean;
}

interface Server {
  readonly calls: Call[];
  readonly connections: RpcConnection[];
  readonly counts: string[];
  readonly dial: () => Promise<Socket>;
}

async function listening(t: TestContext): Promise<Server> {
  const calls: Call[] = [];
  const connections: RpcConnection[] = [];
  const counts: string[] = [];
  const server = createServer((socket) => {
    const connection = new RpcConnection(socket, false, {
      call: (method, args, done) => {
        const call: Call = { method, args, done, cancelled: false };
        calls.push(call);
        return { cancel: () => void (call.cancelled = true) };
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
  const dial = async (): Promise<Socket> => {
    const socket = connect((server.address() as AddressInfo).port, ip);
    t.after(() => socket.destroy());
    socket.on("error", () => undefined);
    await new Promise((resolve) => socket.once("connect", resolve));
    return socket;
  };
  return { calls, connections, counts, dial };
}

async function pair(t: TestContext): Promise<Server & { readonly client: RpcConnection; readonly isClosed: () => boolean }> {
  const server = await listening(t);
  let closed = false;
  const client = new RpcConnection(await server.dial(), true, {
    call: () => ({ cancel: () => undefined }),
    closed: () => (closed = true),
    count: () => undefined,
  });
  t.after(() => client.close());
  client.start(new Uint8Array(0));
  return { ...server, client, isClosed: () => closed };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const OPTIONS: QueryOptions = { allowStale: false, filter: "", maxQueryTimeMs: 0, maxStaleMs: 0, minQueryIndex: 0, requireConsistent: false };

function keyArgs(key: string, options: Partial<QueryOptions> = {}): RpcArgs {
  return { datacenter: "dc1", key, options: { ...OPTIONS, ...options } };
}

test("a call comes with its arguments and its answer goes back, errors as texts", async (t) => {
  const { client, calls } = await pair(t);
  const outcomes: RpcOutcome[] = [];
  client.call("KVS.Get", keyArgs("k"), (outcome) => outcomes.push(outcome));
  await until("the call", () => calls.length === 1);
  assert.deepEqual([calls[0]?.method, calls[0]?.args], ["KVS.Get", keyArgs("k")]);
  calls[0]?.done({ ok: false, error: "No cluster leader" });
  await until("the answer", () => outcomes.length === 1);
  client.call("Status.Leader", { datacenter: "dc1" }, (outcome) => outcomes.push(outcome));
  await until("the call", () => calls.length === 2);
  calls[1]?.done({ ok: true, value: "127.0.0.1:8300" });
  await until("the answer", () => outcomes.length === 2);
  assert.deepEqual(outcomes, [{ ok: false, error: "No cluster leader" }, { ok: true, value: "127.0.0.1:8300" }]);
  assert.equal(client.pendingCalls, 0);
});

test("many calls at once are answered in any order, each with its own", async (t) => {
  const { client, calls } = await pair(t);
  const answers = new Map<number, RpcOutcome>();
  const count = 300;
  for (let i = 0; i < count; i += 1) client.call("KVS.Get", keyArgs(`k${i}`), (outcome) => answers.set(i, outcome));
  await until("all calls", () => calls.length === count);
  assert.equal(client.pendingCalls, count);
  for (const { args, done } of [...calls].reverse()) done({ ok: false, error: (args as { readonly key: string }).key });
  await until("all answers", () => answers.size === count);
  for (const [i, outcome] of answers) assert.deepEqual(outcome, { ok: false, error: `k${i}` });
});

test("a cancelled call ends at the peer, and the others go on", async (t) => {
  const { client, calls } = await pair(t);
  const outcomes: RpcOutcome[] = [];
  const blocked = client.call("KVS.Get", keyArgs("a"), (outcome) => outcomes.push(outcome));
  client.call("KVS.Get", keyArgs("b"), (outcome) => outcomes.push(outcome));
  await until("the calls", () => calls.length === 2);
  blocked.cancel();
  const at = calls.findIndex(({ args }) => (args as { readonly key: string }).key === "a");
  await until("the cancellation", () => calls[at]?.cancelled === true);
  calls[at]?.done({ ok: false, error: "late" });
  calls[1 - at]?.done({ ok: false, error: "b" });
  await until("the other answer", () => outcomes.length === 1);
  assert.deepEqual(outcomes, [{ ok: false, error: "b" }]);
  assert.equal(calls[1 - at]?.cancelled, false);
});

test("when the peer closes, every call of ours ends with EOF and later ones at once; its own are cancelled", async (t) => {
  const { client, calls, connections, isClosed } = await pair(t);
  const outcomes: RpcOutcome[] = [];
  for (let i = 0; i < 3; i += 1) client.call("KVS.Get", keyArgs("k"), (outcome) => outcomes.push(outcome));
  await until("the calls", () => calls.length === 3);
  connections[0]?.close();
  assert.deepEqual(calls.map(({ cancelled }) => cancelled), [true, true, true]);
  await until("the end", () => isClosed());
  assert.equal(outcomes.length, 3);
  client.call("KVS.Get", keyArgs("k"), (outcome) => outcomes.push(outcome));
  assert.deepEqual(outcomes, Array.from({ length: 4 }, () => ({ ok: false, error: "EOF" })));
});

test("an index that no double holds exactly does not cost the connection", async (t) => {
  const { client, calls, isClosed } = await pair(t);
  client.call("KVS.Get", keyArgs("k", { minQueryIndex: 2 ** 64, maxQueryTimeMs: 1e12 }), () => undefined);
  await until("the call", () => calls.length === 1);
  assert.equal(isClosed(), false);
});

/** A bare session in the client's place. */
async function bare(t: TestContext): Promise<Server & { readonly send: (bytes: Uint8Array, stream?: number) => number; readonly events: YamuxEvent[]; readonly closed: () => boolean }> {
  const server = await listening(t);
  const socket = await server.dial();
  const session = new YamuxSession(true, 0);
  const events: YamuxEvent[] = [];
  let closed = false;
  socket.on("data", (chunk: Buffer) => session.feed(chunk, 0, events));
  socket.on("close", () => (closed = true));
  const send = (bytes: Uint8Array, stream = session.open() as number): number => {
    session.send(stream, bytes);
    socket.write(concatBytes(session.takeOutput()));
    return stream;
  };
  return { ...server, send, events, closed: () => closed };
}

function request(method: string, body: Uint8Array): Uint8Array {
  return concatBytes(encodeRpcRequest({ seq: 5, method, body }));
}

test("an unknown procedure is answered with an error, and the stream ends; asked twice on it nothing breaks", async (t) => {
  const { send, events, counts, closed, connections } = await bare(t);
  const body = encodeArgs("Status.Leader", { datacenter: "dc1" });
  const stream = send(request("Nope.Nope", body));
  await until("the answer", () => events.some(({ kind }) => kind === "ended"));
  const replies = new RpcReplyStream();
  for (const event of events) if (event.kind === "data") replies.append(event.bytes);
  const reply = replies.next();
  assert.ok(typeof reply !== "string");
  assert.deepEqual([reply.seq, reply.error], [5, "rpc: can't find method Nope.Nope"]);
  send(request("Nope.Nope", body), stream);
  send(request("nodot", body));
  await until("the other answer", () => events.filter(({ kind }) => kind === "ended").length === 2);
  assert.equal(closed(), false);
  assert.ok(counts.includes("rpc.request") && connections.length === 1);
});

test("a request that cannot be read closes the connection, and nothing is called", async (t) => {
  for (const bytes of [Uint8Array.of(0xc1, 0xc1), request("KVS.Get", Uint8Array.of(0x91, 0x01))]) {
    const { send, calls, counts, closed } = await bare(t);
    send(bytes);
    await until("the end", () => closed());
    assert.equal(calls.length, 0);
    assert.ok(counts.includes("rpc.malformed_request"));
  }
});
