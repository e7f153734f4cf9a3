/** Lessons of others (their issue in each title) about one agent under attack or in trouble, on real sockets in this process. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { REQUEST_BYTES_MAX } from "../../src/api/ipc-session.ts";
import { ipToBytes } from "../../src/base/endpoint.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { SerfClient } from "../../src/client/serf-client.ts";
import { startRpcServer, type RpcServer } from "../../src/io/rpc-server.ts";
import type { SerfAgentOptions } from "../../src/io/serf-agent-api.ts";
import { encodePing, encodeUser } from "../../src/wire/gossip-codec.ts";
import { encodeRequest } from "../../src/wire/ipc-requests.ts";
import { encodeFilter, encodeQuery } from "../../src/wire/serf-codec.ts";
import { eventOf, logged, memberEvent, startAgent, within, type TestAgent } from "../io/support/agents.ts";
import { nextLoopbackIp } from "../support/loopback.ts";
import { projectPath } from "../support/project-root.ts";
import { tempDir } from "../support/temp-dir.ts";

const DEADLINE_MS = 10_000;
const KEY = new Uint8Array(16).fill(3);

async function rpcOf(t: TestContext, { agent, log }: TestAgent, authKey = ""): Promise<{ readonly server: RpcServer; readonly address: string }> {
  const server = await startRpcServer({ agent, listen: { ip: agent.bind.ip, port: 0 }, authKey, logs: log });
  t.after(() => server.close());
  return { server, address: `${agent.bind.ip}:${server.address.port}` };
}

function dial(t: TestContext, address: string): Socket {
  const [host = "", port] = address.split(":");
  const socket = connect(Number(port), host).on("error", () => undefined);
  t.after(() => void socket.destroy());
  return socket;
}

const closed = (socket: Socket): Promise<void> => within(new Promise((resolve) => socket.resume().once("close", () => resolve())), "connection closed");

/** Sends packets from a socket of its own; resolves once the agent has answered the ping behind them. */
async function attack(t: TestContext, { agent }: TestAgent, packets: readonly Uint8Array[]): Promise<void> {
  const socket = createSocket("udp4");
  t.after(() => void socket.close());
  await new Promise<void>((resolve) => socket.bind(0, agent.bind.ip, resolve));
  const heard = new Promise<void>((resolve) => socket.on("message", () => resolve()));
  for (const packet of packets) await new Promise((resolve) => socket.send(packet, agent.bind.port, agent.bind.ip, resolve));
  const ping = encodePing({ seq: 77, node: agent.name, sourceAddr: ipToBytes(agent.bind.ip) ?? KEY, sourcePort: socket.address().port, sourceNode: "" });
  const ask = setInterval(() => socket.send(ping, agent.bind.port, agent.bind.ip), 50);
  await within(heard, "the ack of a ping");
  clearInterval(ask);
}

const queryOf = (agent: TestAgent["agent"], id: number, expr: string): Uint8Array =>
  encodeUser(
    encodeQuery({
      lamportTime: 10 + id, id, addr: ipToBytes(agent.bind.ip) ?? KEY, port: 1, sourceNode: "attacker", filters: [encodeFilter({ kind: "tag", tag: "role", expr })],
      flags: 0, relayFactor: 0, timeoutMs: 1000, name: "bomb", payload: null,
    }),
  );

test("query filters that ruin backtracking engines or ask for huge programs do not stop an agent", async (t) => {
  const target = await startAgent(t, "target", nextLoopbackIp(), { tags: new Map([["role", `${"a".repeat(200)}!`]]) });
  const bombs = ["(a+)+$", "((a+)+)+$", "(a|aa)+$", "(.*)*x", "(a{1000}){1000}", "((((a{100}){100}){100}){100})", "(".repeat(1200), "[", "\\1", "(?=a)", "(?:a?){1000}a{1000}"];
  const startedAtMs = performance.now();
  await attack(t, target, bombs.map((expr, i) => queryOf(target.agent, i, expr)));
  assert.ok(performance.now() - startedAtMs < DEADLINE_MS);
  // An ordinary expression still finds it.
  await attack(t, target, [queryOf(target.agent, 100, "^a+!$")]);
  await eventOf(target, (event) => event.kind === "query" && event.name === "bomb", "the query that concerns it");
});

test("from a plain pool to an encrypted one and back, two nodes at a time, nobody is lost: the verify switches", async (t) => {
  type Phase = Pick<SerfAgentOptions, "keys" | "verifyIncoming" | "verifyOutgoing">;
  const plain: Phase = { keys: [], verifyIncoming: true, verifyOutgoing: true };
  const understands: Phase = { keys: [KEY], verifyIncoming: false, verifyOutgoing: false };
  const speaks: Phase = { keys: [KEY], verifyIncoming: false, verifyOutgoing: true };
  const strict: Phase = { keys: [KEY], verifyIncoming: true, verifyOutgoing: true };
  for (const [i, [older, newer]] of ([[plain, understands], [understands, speaks], [speaks, strict]] as const).entries()) {
    const a = await startAgent(t, "a", nextLoopbackIp(), older);
    const b = await startAgent(t, "b", nextLoopbackIp(), newer);
    // Both ways: in an upgrade and in its retreat either side may be the one that joins.
    const [from, to] = i % 2 === 0 ? [a, b] : [b, a];
    assert.deepEqual(await from.agent.join([to.address], false), { nodes: 1, error: "" });
    for (const [sender, receiver] of [[a, b], [b, a]] as const) {
      await eventOf(receiver, memberEvent("member-join", sender.agent.name), "the other joins");
      await sender.agent.userEvent(`from-${sender.agent.name}`, null, false);
      await eventOf(receiver, (event) => event.kind === "user" && event.name === `from-${sender.agent.name}`, "an event by packet");
    }
    assert.ok(![...a.events, ...b.events].some((event) => event.kind === "members" && event.type !== "member-join"));
  }
  // Plain and strict do not understand each other, in either direction.
  const a = await startAgent(t, "a", nextLoopbackIp(), plain);
  const b = await startAgent(t, "b", nextLoopbackIp(), strict);
  assert.match((await a.agent.join([b.address], false)).error, /encrypted/);
  assert.match((await b.agent.join([a.address], false)).error, /encrypted|EOF|reset/);
  assert.equal(b.agent.members().length, 1);
});

test("a reader that never reads, full queues and stats: nothing waits for anything, and the shutdown ends (consul#4011, S-082)", async (t) => {
  const target = await startAgent(t, "target", nextLoopbackIp());
  target.agent.subscribe(() => {
    throw new Error("a listener's mistake");
  });
  const { server, address } = await rpcOf(t, target);
  const deaf = dial(t, address).pause();
  deaf.write(encodeRequest(1, { command: "handshake", version: 1 }));
  deaf.write(encodeRequest(2, { command: "stream", type: "*" }));
  deaf.write(encodeRequest(3, { command: "monitor", logLevel: "DEBUG" }));
  const client = await SerfClient.connect({ address });
  const payload = new Uint8Array(400);
  for (let round = 0; round < 20; round += 1) {
    await Promise.all(Array.from({ length: 100 }, (_, i) => target.agent.userEvent(`flood-${round}-${i}`, payload, false)));
    assert.equal((await client.stats()).get("agent")?.get("name"), "target");
  }
  client.close();
  await within(Promise.all([server.close(), target.agent.shutdown()]), "shutdown");
});

test("msgpack bombs on the RPC port: deep nesting, forged counts and lengths end the connection, and nothing else (memberlist#363 family)", async (t) => {
  const target = await startAgent(t, "target", nextLoopbackIp());
  const { address } = await rpcOf(t, target);
  const deep = new Uint8Array(REQUEST_BYTES_MAX + 10).fill(0x91);
  const deepMap = new Uint8Array(REQUEST_BYTES_MAX + 10).fill(0x81);
  const bombs = [deep, deepMap, ...["dd7fffffff", "dfffffffff", "dbffffffff", "c6ffffffff", "c9ffffffff01", "81a7436f6d6d616e64dbfffffff0", "c1"].map((hex) => Buffer.from(hex, "hex"))];
  const greeting = encodeRequest(1, { command: "handshake", version: 1 });
  for (const bomb of bombs) {
    for (const pieces of [[bomb], [greeting, bomb], [greeting, encodeRequest(2, { command: "event", name: "x", payload: null, coalesce: false }).subarray(0, -20), bomb]]) {
      const socket = dial(t, address);
      for (const piece of pieces) socket.write(piece);
      socket.end();
      await closed(socket);
    }
  }
  const client = await SerfClient.connect({ address });
  t.after(() => client.close());
  assert.equal((await client.members()).length, 1);
});

test("strangers get no command through and cost little: a flood without the token", async (t) => {
  const target = await startAgent(t, "target", nextLoopbackIp());
  const { address } = await rpcOf(t, target, "secret");
  const request = encodeRequest(9, { command: "event", name: "forged", payload: null, coalesce: false });
  for (let i = 0; i < 20; i += 1) {
    const socket = dial(t, address);
    socket.write(encodeRequest(1, { command: "handshake", version: 1 }));
    socket.write(encodeRequest(2, { command: "auth", authKey: `guess-${i}` }));
    for (let j = 0; j < 50; j += 1) socket.write(request);
    socket.end();
    await closed(socket);
  }
  const client = await SerfClient.connect({ address, authKey: "secret" });
  t.after(() => client.close());
  assert.equal((await client.members()).length, 1);
  assert.deepEqual(target.events.filter((event) => event.kind === "user"), []);
});

test("the wall clock may jump: only log lines and printed metrics know it (lessons 3.2: monotonic time only)", async (t) => {
  const files = readdirSync(projectPath("src"), { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  const users = files.filter((file) => /\b(?:Date\b(?!:)|wallMs\b)/.test(readFileSync(join(projectPath("src"), file), "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*|"[^"]*"/g, "")));
  // Where the wall clock is asked for others, log lines, metrics, dates in answers, and names: of a snapshot, of the holder of a directory; and for what counts after a restart.
  assert.deepEqual(users.sort(), ["io/check-states.ts", "io/clock.ts", "io/consul-log.ts", "io/consul-server.ts", "io/http-answer.ts", "io/lanes/log-worker.ts", "io/lanes/memory-log-store.ts", "io/log-hub.ts", "io/metrics-intervals.ts"]);

  let jumps = 0;
  t.mock.method(Date, "now", () => {
    jumps += 1;
    return jumps % 2 === 0 ? 0 : 4e12;
  });
  const a = await startAgent(t, "a", nextLoopbackIp());
  const b = await startAgent(t, "b", nextLoopbackIp());
  await a.agent.join([b.address], false);
  await eventOf(b, memberEvent("member-join", "a"), "a joins");
  assert.ok(![...a.events, ...b.events].some((event) => event.kind === "members" && event.type !== "member-join"));
});

test("a tags file or a keyring file that cannot be written: refused, told, and nothing changed anywhere", async (t) => {
  const dir = tempDir(t);
  const gone = join(dir, "gone");
  const keyringFile = join(dir, "missing", "keyring");
  const target = await startAgent(t, "target", nextLoopbackIp(), { tags: new Map([["role", "web"]]), tagsFile: join(gone, "tags"), keys: [KEY], keyringFile });
  rmSync(gone, { recursive: true, force: true });
  await assert.rejects(target.agent.setTags(new Map([["role", "db"]])), /Failed to write tags file/);
  assert.deepEqual([...target.agent.self().tags], [["role", "web"]]);
  await logged(target, "Failed to write tags file");

  const { result, error } = await target.agent.keys("install", Buffer.alloc(16, 8).toString("base64"));
  assert.match(error, /1\/1 nodes reported failure/);
  assert.match([...result.messages.values()].join(), /Failed to write keyring file/);
  const listed = await target.agent.keys("list", "");
  assert.deepEqual([...listed.result.keys.keys()], [Buffer.from(KEY).toString("base64")]);
});

test("an event or a query beyond the limits is refused with the limit in its text; the largest allowed one goes through", async (t) => {
  const target = await startAgent(t, "target", nextLoopbackIp());
  await assert.rejects(target.agent.userEvent("big", new Uint8Array(600), false), /limit of 512 bytes/);
  await assert.rejects(target.agent.userEvent("big", new Uint8Array(20 << 20), false), /limit of/);
  const params = { filterNodes: [], filterTags: new Map<string, string>(), requestAck: false, relayFactor: 0, timeoutMs: 50 };
  await assert.rejects(target.agent.query("big", new Uint8Array(2000), params, () => undefined), /limit of 1024 bytes|exceeds limit/);
  await target.agent.userEvent("fits", encodeUtf8("x".repeat(400)), false);
  await eventOf(target, (event) => event.kind === "user" && event.name === "fits", "the event that fits");
});
