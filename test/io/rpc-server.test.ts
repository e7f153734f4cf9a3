import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { STREAM_QUEUE_MAX } from "../../src/api/ipc-streams.ts";
import { formatEndpoint } from "../../src/base/endpoint.ts";
import { SerfClient } from "../../src/client/serf-client.ts";
import { LogHub } from "../../src/io/log-hub.ts";
import { RPC_CONNECTIONS_MAX, RPC_SOCKET_BUFFER_BYTES, startRpcServer, type RpcServer } from "../../src/io/rpc-server.ts";
import { TURN_BUDGET_MS } from "../../src/io/turn-budget.ts";
import { encodeRequest } from "../../src/wire/ipc-requests.ts";
import { eventually } from "../support/eventually.ts";
import { FakeAgent, fakeMember } from "../support/fake-agent.ts";
import type { Cleanup } from "../support/temp-dir.ts";
import { withoutSharedReads } from "../support/without-shared-reads.ts";

interface Bench {
  readonly agent: FakeAgent;
  readonly logs: LogHub;
  readonly server: RpcServer;
  readonly counts: Map<string, number>;
  connect(): Promise<SerfClient>;
}

async function bench(t: Cleanup, authKey = ""): Promise<Bench> {
  const agent = new FakeAgent([fakeMember("a", { tags: { role: "web" } }), fakeMember("b", { status: "failed" })]);
  const logs = new LogHub();
  const counts = new Map<string, number>();
  const metrics = { count: (name: string, delta: number) => void counts.set(name, (counts.get(name) ?? 0) + delta), sample: () => undefined };
  const server = await startRpcServer({ agent, listen: { ip: "127.0.0.1", port: 0 }, authKey, logs, metrics });
  t.after(() => server.close());
  return { agent, logs, server, counts, connect: () => SerfClient.connect({ address: formatEndpoint(server.address), authKey }) };
}

async function rawConnection(t: Cleanup, { server }: Bench): Promise<Socket> {
  const socket = connect(server.address.port, server.address.ip);
  t.after(() => void socket.destroy());
  await once(socket, "connect");
  return socket;
}

test("every command reaches the agent and its answer the client", async (t) => {
  const { agent, connect: open, logs } = await bench(t, "secret");
  const client = await open();
  t.after(() => client.close());
  assert.deepEqual((await client.members()).map(({ name, ip, status }) => [name, ip, status]), [["a", "127.0.0.1", "alive"], ["b", "127.0.0.1", "failed"]]);
  assert.deepEqual((await client.membersFiltered({ status: "al.*", tags: new Map([["role", "w[e]b"]]) })).map(({ name }) => name), ["a"]);
  assert.equal(await client.join(["x", "y"], { replay: true }), 2);
  await client.userEvent("deploy", Uint8Array.of(1), { coalesce: false });
  await client.forceLeave("b", { prune: true });
  await client.updateTags({ set: new Map([["n", "1"]]), remove: ["role"] });
  assert.equal((await client.stats()).get("agent")?.get("name"), "a");
  assert.equal((await client.coordinate("a"))?.error, 1.5);
  assert.equal(await client.coordinate("nobody"), null);
  agent.keyResult = { nodes: 2, responses: 2, failures: 0, messages: new Map(), keys: new Map([["k", 2]]), keysOf: new Map() };
  assert.deepEqual((await client.listKeys()).keys, new Map([["k", 2]]));
  for (const command of ["installKey", "useKey", "removeKey"] as const) assert.deepEqual((await client[command]("k")).keys, new Map());
  logs.write("warn", "test: kept line");
  const monitor = await client.monitor("warn");
  assert.match((await monitor.next()).value as string, /\[WARN\] test: kept line$/);
  await monitor.stop();
  await client.leave();
  assert.deepEqual(
    agent.calls.map(({ name, args }) => [name, ...args]),
    [
      ["join", ["x", "y"], true],
      ["userEvent", "deploy", Uint8Array.of(1), false],
      ["forceLeave", "b", true],
      ["setTags", new Map([["n", "1"]])],
      ["keys", "list", ""],
      ["keys", "install", "k"],
      ["keys", "use", "k"],
      ["keys", "remove", "k"],
      ["leave"],
      ["shutdown"],
    ],
  );
});

test("what the agent refuses is the client's error", async (t) => {
  const { agent, connect: open } = await bench(t);
  const client = await open();
  t.after(() => client.close());
  agent.refusals.set("userEvent", "too big").set("join", "1 error occurred:\n\t* x\n\n").set("keys", "1/1 nodes reported failure").set("query", "no");
  await assert.rejects(client.userEvent("x"), { name: "RpcError", code: "ERR_MUSTER_RPC", message: "too big" });
  await assert.rejects(client.join(["x"]), { message: "1 error occurred:\n\t* x\n\n" });
  agent.keyResult = { ...agent.keyResult, messages: new Map([["a", "why"]]) };
  await assert.rejects(client.useKey("k"), (error: Error & { result?: { messages: ReadonlyMap<string, string> } }) => error.name === "KeyError" && error.result?.messages.get("a") === "why");
  await assert.rejects(client.query("x"), { message: "no" });
  assert.equal((await client.members()).length, 2, "the connection is still good");
});

test("streams: events by filter, an answer to a query, and no listener left behind", async (t) => {
  const { agent, connect: open } = await bench(t);
  const client = await open();
  t.after(() => client.close());
  const stream = await client.stream("query:ask,user");
  agent.emit({ kind: "members", type: "member-join", members: agent.memberList });
  agent.emit({ kind: "user", lamportTime: 3, name: "deploy", payload: null, coalesce: false });
  agent.emit({ kind: "query", token: 7, lamportTime: 4, name: "ask", payload: Uint8Array.of(1), sourceNode: "b", deadlineMs: Infinity });
  const first = await stream.next();
  assert.ok(first.done !== true && first.value.kind === "user" && first.value.name === "deploy");
  const second = await stream.next();
  assert.ok(second.done !== true && second.value.kind === "query");
  await second.value.respond(Uint8Array.of(2));
  assert.deepEqual(agent.calls, [{ name: "respond", args: [7, Uint8Array.of(2)] }]);
  assert.equal(agent.listenerCount, 1);
  await stream.stop();
  assert.equal(agent.listenerCount, 0);
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
});

test("a client that goes away takes its streams, monitor and queries along", async (t) => {
  const b = await bench(t);
  b.agent.onQuery = () => undefined;
  const client = await b.connect();
  await client.stream("*");
  await client.query("q");
  assert.equal(b.agent.listenerCount, 1);
  client.close();
  await eventually("connection released", 5000, () => (b.server.connectionCount === 0 ? null : "still there"));
  assert.equal(b.agent.listenerCount, 0);
  assert.deepEqual(b.agent.calls.at(-1), { name: "cancelQuery", args: ["q"] });
});

test("a reader that stops reading costs bounded memory and learns what it lost", async (t) => {
  const b = await bench(t);
  const socket = await rawConnection(t, b);
  socket.pause();
  socket.write(encodeRequest(1, { command: "handshake", version: 1 }));
  socket.write(encodeRequest(2, { command: "stream", type: "*" }));
  await eventually("stream started", 5000, () => (b.agent.listenerCount === 1 ? null : "not yet"));
  const payload = new Uint8Array(400);
  // 47 MB: more than kernel buffers (10 MB with the usual limits, if they grow to them), our socket buffer and the queue hold together.
  const emitted = 100_000;
  for (let i = 0; i < emitted; i += 1) b.agent.emit({ kind: "user", lamportTime: i, name: "flood", payload, coalesce: false });
  let received = 0;
  socket.on("data", (chunk: Buffer) => (received += chunk.length));
  socket.resume();
  await eventually("drops reported", 20_000, () => ((b.counts.get("agent.ipc.dropped") ?? 0) > 0 ? null : `received ${received}`));
  const dropped = b.counts.get("agent.ipc.dropped") ?? 0;
  assert.ok(dropped > emitted / 2, `${dropped} dropped`);
  await eventually("the rest delivered", 20_000, () => (received >= RPC_SOCKET_BUFFER_BYTES + STREAM_QUEUE_MAX * 400 ? null : `received ${received}`));
});

test("the agent's own answers do not pile up for a reader that stops reading", async (t) => {
  const b = await bench(t);
  b.agent.memberList = Array.from({ length: 500 }, (_, i) => fakeMember(`member-${i}`));
  const socket = await rawConnection(t, b);
  socket.pause();
  socket.write(encodeRequest(1, { command: "handshake", version: 1 }));
  const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
  for (let i = 0; i < 2000; i += 1) socket.write(encodeRequest(i + 2, { command: "members" }));
  // 2,000 answers of 66 KB would be 132 MB.
  let grown = 0;
  for (let i = 0; i < 20; i += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    grown = Math.max(grown, process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before);
  }
  assert.ok(grown < 32 << 20, `grew by ${grown}`);
  let received = 0;
  socket.on("data", (chunk: Buffer) => (received += chunk.length));
  socket.resume();
  await eventually("all answers delivered", 20_000, () => (received > 2000 * 60_000 ? null : `received ${received}`));
});

for (const shared of [true, false]) {
  const how = shared ? "in memory that connections share" : "in memory of their own, where Node cannot share it";

  test(`requests that come in pieces, ${how}, are not mixed up with what others send meanwhile`, async (t) => {
    if (!shared) await withoutSharedReads(t);
    const b = await bench(t);
    const slow = await rawConnection(t, b);
    slow.write(encodeRequest(1, { command: "handshake", version: 1 }));
    const wanted = new Uint8Array(300).fill(7);
    const event = encodeRequest(2, { command: "event", name: "slow", payload: wanted, coalesce: false });
    const quick = await b.connect();
    t.after(() => quick.close());
    for (let at = 0; at < event.length; at += 100) {
      slow.write(event.subarray(at, at + 100));
      await quick.userEvent("quick", new Uint8Array(400).fill(at % 251), { coalesce: false });
    }
    await eventually("the slow one is served", 5000, () => (b.agent.calls.some(({ args: [name] }) => name === "slow") ? null : "not yet"));
    assert.deepEqual(b.agent.calls.filter(({ args: [name] }) => name === "slow").map(({ args }) => args), [["slow", wanted, false]]);
    assert.deepEqual(
      b.agent.calls.filter(({ args: [name] }) => name === "quick").map(({ args }) => (args[1] as Uint8Array)[399]),
      Array.from({ length: Math.ceil(event.length / 100) }, (_, i) => (i * 100) % 251),
    );
  });

  test(`requests that have to wait for a later turn, ${how}, are those that were sent`, async (t) => {
    if (!shared) await withoutSharedReads(t);
    const b = await bench(t);
    const fire = b.agent.fireUserEvent.bind(b.agent);
    b.agent.fireUserEvent = (...args) => {
      for (const endMs = performance.now() + TURN_BUDGET_MS; performance.now() < endMs; );
      return fire(...args);
    };
    const clients = await Promise.all(Array.from({ length: 8 }, () => b.connect()));
    t.after(() => clients.forEach((client) => client.close()));
    const names = clients.map((_, n) => `event-${n}`);
    await Promise.all(clients.map((client, n) => client.userEvent(`event-${n}`, new Uint8Array(50).fill(n), { coalesce: false })));
    assert.equal(b.agent.calls.length, names.length);
    assert.deepEqual(new Set(b.agent.calls.map(({ args: [name] }) => name)), new Set(names));
    for (const { args: [name, payload] } of b.agent.calls) assert.deepEqual(payload, new Uint8Array(50).fill(names.indexOf(name as string)));
  });
}

test("silent strangers do not keep clients out; clients have a limit, and refused ones are counted (unauthenticated floods, half-open clients)", async (t) => {
  const b = await bench(t, "secret");
  const dial = (): Socket => {
    const socket = connect(b.server.address.port, b.server.address.ip).on("error", () => undefined);
    t.after(() => void socket.destroy());
    return socket;
  };
  const first = dial();
  const evicted = once(first, "close");
  for (let i = 1; i < RPC_CONNECTIONS_MAX; i += 1) dial();
  await eventually("all accepted", 10_000, () => (b.server.connectionCount === RPC_CONNECTIONS_MAX ? null : `${b.server.connectionCount}`));
  const client = await b.connect();
  t.after(() => client.close());
  assert.equal((await client.members()).length, 2);
  await evicted;
  assert.equal(b.counts.get("agent.ipc.evicted"), 1);
  assert.equal(b.server.connectionCount, RPC_CONNECTIONS_MAX);

  for (let i = 1; i < RPC_CONNECTIONS_MAX; i += 1) {
    const trusted = await b.connect();
    t.after(() => trusted.close());
  }
  assert.equal(b.counts.get("agent.ipc.evicted"), RPC_CONNECTIONS_MAX);
  await once(dial(), "close");
  assert.equal(b.counts.get("agent.ipc.refused"), 1);
  assert.equal((await client.members()).length, 2);
});

test("a bad expression closes the connection and is logged with Go's text", async (t) => {
  const { connect: open, logs } = await bench(t);
  const client = await open();
  await assert.rejects(client.membersFiltered({ name: "(" }), { code: "ERR_MUSTER_CLIENT_CLOSED", message: "client closed" });
  assert.match(logs.backlog().at(-1)?.line ?? "", /\[ERR\] agent\.ipc: Failed to evaluate request: Failed to compile regex: error parsing regexp: missing closing \): `\^\(\$`$/);
  // Exponential for a backtracking engine.
  const second = await open();
  t.after(() => second.close());
  assert.deepEqual(await second.membersFiltered({ name: "(a+)+x|(b+)+y" }), []);
});

test("a port in use is an error in Go's words", async (t) => {
  const { agent, logs, server } = await bench(t);
  const { ip, port } = server.address;
  await assert.rejects(startRpcServer({ agent, logs, listen: server.address, authKey: "" }), { message: `listen tcp ${ip}:${port}: bind: address already in use` });
});
