import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { test } from "node:test";
import { formatEndpoint } from "../../src/base/endpoint.ts";
import { ANSWER_BYTES_MAX } from "../../src/client/rpc-connection.ts";
import { CLIENT_QUEUE_MAX, RpcStream } from "../../src/client/rpc-stream.ts";
import { SerfClient } from "../../src/client/serf-client.ts";
import { LogHub } from "../../src/io/log-hub.ts";
import { startRpcServer, type RpcServer } from "../../src/io/rpc-server.ts";
import { encodeValue, type Encodable } from "../../src/wire/msgpack.ts";
import { eventually } from "../support/eventually.ts";
import { FakeAgent } from "../support/fake-agent.ts";
import type { Cleanup } from "../support/temp-dir.ts";

const rpc = (value: Encodable): Uint8Array => encodeValue(value, "rpc");

async function serve(t: Cleanup, agent: FakeAgent, port = 0): Promise<RpcServer> {
  const server = await startRpcServer({ agent, listen: { ip: "127.0.0.1", port }, authKey: "", logs: new LogHub() });
  t.after(() => server.close());
  return server;
}

/** A server that answers the handshake and leaves the rest to `onData`. */
async function handMade(t: Cleanup, onData: (socket: Socket, count: number) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    let count = 0;
    socket.on("data", () => {
      count += 1;
      if (count === 1) socket.write(rpc({ Error: "", Seq: 1 }));
      else onData(socket, count);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("dialling: the errors have Go's words", async () => {
  const cases = [
    ["", "dial tcp: missing address"],
    ["127.0.0.1", "dial tcp: address 127.0.0.1: missing port in address"],
    ["127.0.0.1:abc", "dial tcp: address tcp/abc: unknown port"],
    ["127.0.0.1:99999", "dial tcp: address 99999: invalid port"],
    ["a:b:c", "dial tcp: address a:b:c: too many colons in address"],
    ["127.0.0.1:1", "dial tcp 127.0.0.1:1: connect: connection refused"],
    ["[::1]:1", "dial tcp [::1]:1: connect: connection refused"],
  ] as const;
  for (const [address, message] of cases) await assert.rejects(SerfClient.connect({ address }), { name: "DialError", code: "ERR_MUSTER_DIAL", message });
});

test("timeouts: an agent that accepts and keeps silent", async (t) => {
  const silent = createServer().listen(0, "127.0.0.1");
  await once(silent, "listening");
  t.after(() => void silent.close());
  const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  await assert.rejects(SerfClient.connect({ address, timeoutMs: 500 }), { name: "RpcTimeoutError", code: "ERR_MUSTER_TIMEOUT" });

  const client = await SerfClient.connect({ address: await handMade(t, () => undefined), timeoutMs: 500 });
  t.after(() => client.close());
  await assert.rejects(client.members(), { name: "RpcTimeoutError" });
  await assert.rejects(client.stream(), { name: "RpcTimeoutError" });
  // A join may take minutes: it only ends with the connection.
  const join = client.join(["x"]);
  await assert.rejects(client.members(), { name: "RpcTimeoutError" });
  client.close();
  await assert.rejects(join, { message: "client closed" });
});

test("an answer that comes after its timeout does not shift the ones behind it", async (t) => {
  let late: (() => void) | undefined;
  const address = await handMade(t, (socket, count) => {
    if (count === 2) late = () => void socket.write(Buffer.concat([rpc({ Error: "", Seq: 2 }), rpc({ Members: [] })]));
    else socket.write(Buffer.concat([rpc({ Error: "", Seq: 3 }), rpc({ agent: { name: "x" } })]));
  });
  const client = await SerfClient.connect({ address, timeoutMs: 200 });
  t.after(() => client.close());
  await assert.rejects(client.members(), { name: "RpcTimeoutError" });
  late?.();
  assert.equal((await client.stats()).get("agent")?.get("name"), "x");
});

test("authentication errors have no body, whatever the command, and may come twice", async (t) => {
  const address = await handMade(t, (socket, count) => {
    const refused = rpc({ Error: "Authentication required", Seq: count });
    socket.write(Buffer.concat([refused, refused]));
  });
  const client = await SerfClient.connect({ address, timeoutMs: 500 });
  t.after(() => client.close());
  await assert.rejects(client.join(["x"]), { message: "Authentication required" });
  await assert.rejects(client.listKeys(), { name: "RpcError", message: "Authentication required" });
  await assert.rejects(client.membersFiltered({}), { message: "Authentication required" });
});

test("data that is no answer closes the client", async (t) => {
  const client = await SerfClient.connect({ address: await handMade(t, (socket) => socket.write(Uint8Array.of(0xc1, 0xff))) });
  await assert.rejects(client.members(), (error: Error) => error.message === "client closed" && (error.cause as Error).message === "the agent sent malformed data");
  assert.equal(client.closed, true);
  await assert.rejects(client.members(), { message: "client closed" });
});

test("an answer that says it is longer than the client takes closes it at once; one that only turns out to be is read up to the bound and no further", async (t) => {
  const tooLarge = (error: Error): boolean => error.message === "client closed" && (error.cause as Error).message === "the agent sent large data";
  const size = Buffer.alloc(4);
  size.writeUInt32BE(ANSWER_BYTES_MAX);
  const declared = await handMade(t, (socket) => socket.write(Buffer.concat([rpc({ Error: "", Seq: 2 }), Uint8Array.of(0xc6), size])));
  const client = await SerfClient.connect({ address: declared });
  await assert.rejects(client.members(), tooLarge);
  assert.equal(client.closed, true);

  // Arrays of one in each other: nothing tells how long it will become.
  const nested = Buffer.alloc(1 << 20, 0x91);
  let written = 0;
  let hungUp: (() => void) | null = null;
  const closed = new Promise<void>((resolve) => (hungUp = resolve));
  const endless = await handMade(t, (socket) => {
    const pour = (): void => {
      while (!socket.destroyed && written < 4 * ANSWER_BYTES_MAX) {
        written += nested.length;
        if (!socket.write(nested)) return void socket.once("drain", pour);
      }
    };
    socket.once("close", () => hungUp?.());
    socket.write(rpc({ Error: "", Seq: 2 }));
    pour();
  });
  const other = await SerfClient.connect({ address: endless });
  const before = process.memoryUsage().arrayBuffers;
  await assert.rejects(other.members(), tooLarge);
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 6 * ANSWER_BYTES_MAX, `${grown} bytes: the buffer doubles as it grows, up to twice the bound, so that all the buffers it had are four times the bound, and what was read is one, if nothing has been collected yet`);
  await closed;
  assert.ok(written < 2 * ANSWER_BYTES_MAX, `${written} bytes were taken`);
});

test("without reconnect, everything ends with the connection", async (t) => {
  const agent = new FakeAgent();
  const server = await serve(t, agent);
  const client = await SerfClient.connect({ address: formatEndpoint(server.address) });
  const stream = await client.stream();
  agent.emit({ kind: "user", lamportTime: 1, name: "last", payload: null, coalesce: false });
  await server.close();
  const events: string[] = [];
  await assert.rejects(
    async () => {
      for await (const event of stream) if (event.kind === "user") events.push(event.name);
    },
    { message: "client closed" },
  );
  assert.deepEqual(events, ["last"]);
  await assert.rejects(client.stats(), { message: "client closed" });
});

test("with reconnect, requests and streams go on when the agent is back", async (t) => {
  const first = new FakeAgent();
  const server = await serve(t, first);
  const { port } = server.address;
  const client = await SerfClient.connect({ address: `127.0.0.1:${port}`, reconnect: true });
  t.after(() => client.close());
  const stream = await client.stream("user");
  await server.close();
  // The first request may still meet the old connection's end.
  await eventually("connecting again is refused", 5000, async () => {
    const error = await client.stats().then(() => null, (reason: Error) => reason);
    return error?.name === "DialError" ? null : String(error);
  });
  const second = new FakeAgent();
  await serve(t, second, port);
  assert.equal((await client.stats()).get("agent")?.get("name"), "fake");
  const next = stream.next();
  const emit = setInterval(() => second.emit({ kind: "user", lamportTime: 1, name: "again", payload: null, coalesce: false }), 10);
  t.after(() => clearInterval(emit));
  const { value } = (await next) as { value: { name: string } };
  assert.equal(value.name, "again");
  client.close();
  await assert.rejects(client.stats(), { message: "client closed" });
});

test("a query's records end by themselves; the empty name of the original means the end, too", async (t) => {
  const agent = new FakeAgent();
  agent.onQuery = (record) => {
    record({ kind: "ack", from: "a" });
    record({ kind: "response", from: "a", payload: Uint8Array.of(1) });
    record({ kind: "done" });
  };
  const server = await serve(t, agent);
  const client = await SerfClient.connect({ address: formatEndpoint(server.address) });
  t.after(() => client.close());
  const records = [];
  for await (const record of await client.query("q", null, { requestAck: true })) records.push(record);
  assert.deepEqual(records, [{ kind: "ack", from: "a" }, { kind: "response", from: "a", payload: Uint8Array.of(1) }]);

  const header = rpc({ Error: "", Seq: 2 });
  const original = await handMade(t, (socket) => socket.write(Buffer.concat([header, header, rpc({ From: "", Payload: null, Type: "ack" }), header, rpc({ From: "", Payload: null, Type: "done" })])));
  const other = await SerfClient.connect({ address: original });
  t.after(() => other.close());
  for await (const record of await other.query("q")) assert.fail(`no record expected: ${record.kind}`);
});

test("leaving a loop stops the stream at the agent", async (t) => {
  const agent = new FakeAgent();
  const server = await serve(t, agent);
  const client = await SerfClient.connect({ address: formatEndpoint(server.address) });
  t.after(() => client.close());
  const stream = await client.stream();
  agent.emit({ kind: "user", lamportTime: 1, name: "x", payload: null, coalesce: false });
  for await (const event of stream) {
    assert.equal(event.kind, "user");
    break;
  }
  await client.stats(); // Behind the stop.
  assert.equal(agent.listenerCount, 0);
});

test("a consumer that is too slow loses records, counted, and nothing grows", async () => {
  let ends = 0;
  const stream = new RpcStream<number>({ onStop: () => Promise.resolve(), onEnd: () => (ends += 1) });
  for (let i = 0; i < CLIENT_QUEUE_MAX + 10; i += 1) stream.push(i);
  assert.equal(stream.dropped, 10);
  stream.end(new Error("gone"));
  stream.end(null);
  assert.equal(ends, 1);
  for (let i = 0; i < CLIENT_QUEUE_MAX; i += 1) assert.deepEqual(await stream.next(), { done: false, value: i });
  await assert.rejects(stream.next(), { message: "gone" });
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
});
