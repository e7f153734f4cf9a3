/** The HTTP port over real sockets: what it refuses, what it bounds, and what happens to the call of a client that is gone. */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { gunzipSync } from "node:zlib";
import { AskedBefore } from "../../src/api/http/cached.ts";
import type { RpcArgs, RpcMethod, RpcMethods, RpcOutcome } from "../../src/api/rpc/types.ts";
import { UNDER_WAY_MAX } from "../../src/io/http-connections.ts";
import { BODY_BYTES_MAX, HEAD_BYTES_MAX, startHttpServer, type HttpBackend } from "../../src/io/http-server.ts";
import { LoopLag, LOOK_MS, LOOKS } from "../../src/io/loop-lag.ts";
import { TURN_BUDGET_MS } from "../../src/io/turn-budget.ts";
import type { DirEntry } from "../../src/wire/fsm-commands.ts";
import { nextLoopbackIp } from "../support/loopback.ts";

const DEADLINE_MS = 20_000;

interface Call {
  readonly method: RpcMethod;
  readonly args: RpcArgs;
  readonly done: (outcome: RpcOutcome) => void;
  cancelled: boolean;
}

interface World {
  readonly calls: Call[];
  readonly counts: Map<string, number>;
  readonly logged: string[];
  lateMs: number;
  open(): Promise<Client>;
}

interface Client {
  readonly socket: Socket;
  readonly closed: () => boolean;
  readonly text: () => string;
}

async function world(t: TestContext, limits: { readonly connections?: number; readonly kvMaxValueBytes?: number; readonly bodiesBytesMax?: number; readonly heldBytesMax?: number; readonly nowMs?: () => number; readonly agent?: HttpBackend["agent"] } = {}): Promise<World> {
  const ip = nextLoopbackIp();
  const calls: Call[] = [];
  const counts = new Map<string, number>();
  const logged: string[] = [];
  const state = { lateMs: 0 };
  const backend: HttpBackend = {
    context: {
      datacenter: "dc1", nodeName: "n", pretty: false, ui: false, commandLine: null, kvMaxValueBytes: limits.kvMaxValueBytes ?? 1000, txnMaxBytes: 1000,
      toBase64: (bytes) => Buffer.from(bytes).toString("base64"), askedBefore: new AskedBefore(),
    },
    call: (method, args, done) => {
      const call: Call = { method, args, done, cancelled: false };
      calls.push(call);
      return { cancel: () => void (call.cancelled = true) };
    },
    agent: limits.agent ?? (() => Promise.resolve({ ok: false, error: "not here" })),
    loopDelayMs: () => state.lateMs,
    count: (name, delta) => void counts.set(name, (counts.get(name) ?? 0) + delta),
    log: (level, text) => void logged.push(`${level} ${text}`),
  };
  const server = await startHttpServer({ listen: { ip, port: 0 }, connectionsPerClientMax: limits.connections ?? 100, ...limits }, backend);
  t.after(() => server.close());
  return {
    calls,
    counts,
    logged,
    get lateMs() {
      return state.lateMs;
    },
    set lateMs(ms) {
      state.lateMs = ms;
    },
    open: async () => {
      const socket = connect(server.address.port, ip);
      t.after(() => socket.destroy());
      let text = "";
      let closed = false;
      socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
      socket.on("error", () => undefined);
      socket.on("close", () => (closed = true));
      await new Promise((resolve) => socket.once("connect", resolve));
      return { socket, text: () => text, closed: () => closed };
    },
  };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function head(method: string, path: string, ...headers: readonly string[]): string {
  return [`${method} ${path} HTTP/1.1`, "Host: test", ...headers, "", ""].join("\r\n");
}

async function statusOf(client: Client): Promise<number> {
  await until("an answer", () => client.text().includes("\r\n\r\n"));
  return Number(client.text().slice(9, 12));
}

async function asked(w: World, request: string): Promise<{ readonly client: Client; readonly status: number }> {
  const client = await w.open();
  client.socket.write(request, "latin1");
  return { client, status: await statusOf(client) };
}

test("a body that is announced as too large is refused before it arrives, one in chunks when it has", async (t) => {
  const w = await world(t);
  const announced = await asked(w, head("PUT", "/v1/kv/k", "Content-Length: 99999999"));
  assert.equal(announced.status, 413);
  const value = await asked(w, `${head("PUT", "/v1/kv/k", "Content-Length: 1001")}${"x".repeat(1001)}`);
  assert.equal(value.status, 413);
  assert.match(value.client.text(), /Request body\(1001 bytes\) too large, max size: 1000 bytes/);
  const client = await w.open();
  client.socket.write(head("PUT", "/v1/kv/k", "Transfer-Encoding: chunked"));
  const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
  for (let i = 0; i < 33; i += 1) client.socket.write(chunk);
  assert.equal(await statusOf(client), 413);
  client.socket.end("0\r\n\r\n");
  await until("the end", () => client.closed());
  assert.equal(w.calls.length, 0);
});

test("an outcome that cannot be made into an answer costs that request alone, and nothing is thrown at who gave it", async (t) => {
  const w = await world(t);
  const client = await w.open();
  client.socket.write(head("GET", "/v1/kv/k"));
  await until("the call", () => w.calls.length === 1);
  w.calls[0]?.done({ ok: true, value: null });
  assert.equal(await statusOf(client), 500);
  assert.match(client.text(), /internal error/);
  assert.equal(w.logged.length, 1);
  assert.match(w.logged[0] ?? "", /^err agent\.http: GET \/v1\/kv\/k: TypeError/);
  client.socket.write(head("GET", "/v1/kv/k"));
  await until("the next call on the same connection", () => w.calls.length === 2);
});

test("a head up to the bound is taken, a longer one is refused in the original's words while it arrives, and counted", async (t) => {
  const w = await world(t);
  const filter = `/v1/catalog/nodes?filter=${"%41".repeat(8192)}`;
  const long = await w.open();
  long.socket.write(head("GET", filter));
  await until("the call", () => w.calls.length === 1);
  for (const request of [head("GET", `/v1/kv/${"k".repeat(HEAD_BYTES_MAX)}`), head("GET", "/v1/kv/k", `X-Long: ${"h".repeat(HEAD_BYTES_MAX)}`)]) {
    const { client, status } = await asked(w, request);
    assert.equal(status, 431);
    await until("the end", () => client.closed());
    assert.equal(client.text(), "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n431 Request Header Fields Too Large");
  }
  // One that never ends is refused too, though it is no whole request.
  const endless = await w.open();
  endless.socket.write(`GET /v1/kv/k HTTP/1.1\r\nX-Endless: ${"h".repeat(2 * HEAD_BYTES_MAX)}`);
  assert.equal(await statusOf(endless), 431);
  assert.equal(w.counts.get("rpc.http.head_too_large"), 3);
  assert.equal(w.calls.length, 1);
});

test("a client that sends request after request without an answer has so many under way; the rest is read when they are answered", async (t) => {
  const w = await world(t);
  const client = await w.open();
  const request = head("GET", "/v1/kv/k?index=7&wait=10m");
  const sent = 5_000;
  client.socket.write(request.repeat(sent));
  await until("the first calls", () => w.calls.length >= UNDER_WAY_MAX);
  // Another client's request goes there and back: whatever was on its way has been read.
  for (let i = 0; i < 10; i += 1) assert.equal((await asked(w, head("GET", "/nothing"))).status, 404);
  const piece = 64 * 1024;
  assert.ok(w.calls.length <= UNDER_WAY_MAX + piece / request.length + 1, `${w.calls.length} calls`);
  let answered = 0;
  await until("all calls", () => {
    for (; answered < w.calls.length; answered += 1) w.calls[answered]?.done({ ok: false, error: "x" });
    return answered === sent;
  });
});

test("bodies that are under way are bounded together; who comes beyond is turned away and counted, what a client gave up is room again", async (t) => {
  const w = await world(t, { kvMaxValueBytes: BODY_BYTES_MAX, bodiesBytesMax: 1_000_000 });
  const length = 900_000;
  const trickle = async (): Promise<Client> => {
    const client = await w.open();
    client.socket.write(head("PUT", "/v1/kv/k", `Content-Length: ${length}`));
    client.socket.write(Buffer.alloc(length - 1, 0x61));
    return client;
  };
  const slow = await trickle();
  let beyond: Client | null = null;
  // Two of them do not fit; which of them comes last is the system's business.
  const other = await trickle();
  await until("a refusal", () => [slow, other].some((client) => client.text() !== ""));
  beyond = slow.text() === "" ? other : slow;
  assert.equal(await statusOf(beyond), 429);
  await until("the end", () => beyond.closed());
  assert.equal(w.counts.get("rpc.http.bodies"), 1);
  const kept = beyond === slow ? other : slow;
  kept.socket.destroy();
  let taken = false;
  for (let attempt = 0; !taken && attempt < 1000; attempt += 1) {
    const next = await trickle();
    next.socket.write("a");
    await until("a call or a refusal", () => w.calls.length === 1 || next.text() !== "");
    taken = w.calls.length === 1;
  }
  assert.ok(taken);
});

test("answers that clients do not take are bounded together: requests are turned away and counted, until they are taken", async (t) => {
  const w = await world(t, { heldBytesMax: 20_000_000 });
  // More than the kernel's buffers of both ends take.
  const value = "x".repeat(16_000_000);
  const ask = async (): Promise<Client> => {
    const client = await w.open();
    client.socket.pause();
    const before = w.calls.length;
    client.socket.write(head("GET", "/v1/kv/k"));
    await until("the call", () => w.calls.length > before);
    return client;
  };
  const answer = (call: Call | undefined): void => call?.done({ ok: false, error: value });
  const first = await ask();
  const second = await ask();
  const watcher = await ask();
  answer(w.calls[0]);
  answer(w.calls[1]);
  // Both are held: neither a new request nor a large answer to an old one makes it more.
  answer(w.calls[2]);
  await until("the watcher's refusal", () => w.counts.get("rpc.http.held") === 1);
  watcher.socket.resume();
  assert.equal(await statusOf(watcher), 429);
  assert.equal((await asked(w, head("GET", "/v1/kv/k"))).status, 429);
  assert.equal(w.counts.get("rpc.http.held"), 2);
  first.socket.resume();
  second.socket.destroy();
  await until("the first answer", () => first.text().length > value.length);
  let served = false;
  for (let attempt = 0; !served && attempt < 1000; attempt += 1) served = (await asked(w, head("GET", "/nothing"))).status === 404;
  assert.ok(served);
});

/** What a KVS.List gives: `count` entries, and how many of them have been read. */
function rowsOf(count: number): { readonly length: number; read: number; [Symbol.iterator](): Generator<DirEntry> } {
  return {
    length: count,
    read: 0,
    *[Symbol.iterator]() {
      for (let i = 0; i < count; i += 1) {
        this.read += 1;
        yield { key: `k${i}`, value: Buffer.alloc(100, 0x61), flags: 0, session: "", lockIndex: 0, createIndex: 1, modifyIndex: i };
      }
    },
  };
}

const META = { index: 3, knownLeader: true, lastContactMs: 0, consistency: "leader" } as const;

/** The body behind the head, without its chunks' lengths. */
function dechunked(text: string): string {
  let body = "";
  for (let at = text.indexOf("\r\n\r\n") + 4; ; ) {
    const end = text.indexOf("\r\n", at);
    const length = Number.parseInt(text.slice(at, end), 16);
    if (!(length > 0)) return body;
    body += text.slice(end + 2, end + 2 + length);
    at = end + 2 + length + 2;
  }
}

test("a long list is made while it is sent: others are answered meanwhile, and it comes whole, compressed or not", async (t) => {
  const w = await world(t);
  const count = 20_000;
  for (const accept of ["identity", "gzip"]) {
    const rows = rowsOf(count);
    const client = await w.open();
    client.socket.write(head("GET", "/v1/kv/?recurse", `Accept-Encoding: ${accept}`));
    const calls = w.calls.length + 1;
    await until("the call", () => w.calls.length === calls);
    w.calls.at(-1)?.done({ ok: true, value: { meta: META, value: rows } });
    assert.ok(rows.read < 1000, `${rows.read} rows at once`);
    assert.equal((await asked(w, head("GET", "/nothing"))).status, 404);
    assert.ok(rows.read < count, "answered before the list is made");
    await until("the end", () => client.text().endsWith("0\r\n\r\n"));
    const body = Buffer.from(dechunked(client.text()), "latin1");
    const entries = JSON.parse((accept === "gzip" ? gunzipSync(body) : body).toString()) as readonly { readonly Key: string; readonly ModifyIndex: number }[];
    assert.equal(entries.length, count);
    assert.ok(entries.every(({ Key, ModifyIndex }, i) => Key === `k${i}` && ModifyIndex === i));
    // The connection goes on.
    client.socket.write(head("GET", "/nothing"));
    await until("the next answer", () => client.text().includes("404 Not Found"));
  }
});

test("of a long list no more is made than its client takes, and nothing for one that is gone", async (t) => {
  const w = await world(t);
  const count = 400_000;
  const client = await w.open();
  client.socket.pause();
  client.socket.write(head("GET", "/v1/kv/?recurse"));
  await until("the call", () => w.calls.length === 1);
  const rows = rowsOf(count);
  w.calls[0]?.done({ ok: true, value: { meta: META, value: rows } });
  // Until the system's buffers are full: then it is the same for a hundred turns.
  for (let before = -1, same = 0; same < 100; before = rows.read) {
    await new Promise((resolve) => setImmediate(resolve));
    same = rows.read === before ? same + 1 : 0;
  }
  assert.ok(rows.read < count / 2, `${rows.read} rows for a client that takes nothing`);
  client.socket.destroy();
  const left = rows.read;
  for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(rows.read - left < 1000, `${rows.read - left} rows for a client that is gone`);
});

test("a larger value is taken when the configuration allows it", async (t) => {
  const size = 3 << 20;
  const w = await world(t, { kvMaxValueBytes: size });
  const client = await w.open();
  client.socket.write(head("PUT", "/v1/kv/k", `Content-Length: ${size}`));
  client.socket.write(Buffer.alloc(size, 0x61));
  await until("the call", () => w.calls.length === 1);
  assert.equal(((w.calls[0] as Call).args as RpcMethods["KVS.Apply"]["args"]).entry.value?.length, size);
  w.calls[0]?.done({ ok: true, value: false });
  assert.equal(await statusOf(client), 200);
});

test("while the event loop is late new requests are turned away, those under way are answered", async (t) => {
  const w = await world(t);
  const before = await w.open();
  before.socket.write(head("GET", "/v1/kv/k"));
  await until("the call", () => w.calls.length === 1);
  w.lateMs = 51;
  assert.equal((await asked(w, head("GET", "/v1/kv/k"))).status, 429);
  assert.equal((await asked(w, `${head("PUT", "/v1/kv/k", "Content-Length: 1")}x`)).status, 429);
  assert.equal(w.counts.get("rpc.http.overloaded"), 2);
  w.calls[0]?.done({ ok: true, value: { meta: { index: 3, knownLeader: true, lastContactMs: 0, consistency: "leader" }, value: [] } });
  assert.equal(await statusOf(before), 404);
  w.lateMs = 50;
  before.socket.write(head("GET", "/v1/status/leader"));
  await until("another call", () => w.calls.length === 2);
});

test("requests for the agent's own services share a turn's time, in their order, and who has gone meanwhile is not served", async (t) => {
  let [nowMs, served, inTurn, mostInTurn] = [0, 0, 0, 0];
  let heard = (): void => undefined;
  const agent: HttpBackend["agent"] = ({ kind }) => {
    assert.equal(kind, "local");
    if (inTurn === 0) setImmediate(() => (inTurn = 0));
    inTurn += 1;
    mostInTurn = Math.max(mostInTurn, inTurn);
    served += 1;
    nowMs += TURN_BUDGET_MS / 2;
    heard();
    return Promise.resolve({ ok: true, answer: { status: 200, headers: [], body: `nr ${served}` } });
  };
  const w = await world(t, { nowMs: () => nowMs, agent });
  const asks = UNDER_WAY_MAX / 2;
  const [stays, goes] = [await w.open(), await w.open()];
  // One packet: all of them are read in one turn.
  stays.socket.write(head("GET", "/v1/agent/checks").repeat(asks));
  await until("all are answered", () => stays.text().includes(`nr ${asks}`));
  assert.deepEqual([...stays.text().matchAll(/nr (\d+)/g)].map(([, nr]) => Number(nr)), Array.from({ length: asks }, (_, i) => i + 1));
  assert.equal(mostInTurn, 2);
  heard = () => goes.socket.destroy();
  goes.socket.write(head("GET", "/v1/agent/checks").repeat(asks));
  await until("the first is heard", () => goes.socket.destroyed);
  heard = () => undefined;
  stays.socket.write(head("GET", "/v1/agent/services"));
  await until("it is answered", () => stays.text().split("HTTP/1.1 200").length === asks + 2);
  assert.ok(served < 2 * asks, `${served}`);
});

test("late looks at the event loop become 429 before the backend hears of a request, and end with the first look in time", async (t) => {
  const w = await world(t);
  let nowMs = 0;
  const lag = new LoopLag({ nowMs: () => nowMs, idleMs: () => 0 });
  lag.stop(); // On a clock of the test.
  const look = (lateMs: number): void => {
    nowMs += LOOK_MS + lateMs;
    lag.look();
    w.lateMs = lag.lateMs;
  };
  for (let i = 1; i < LOOKS; i += 1) look(60);
  const early = await w.open();
  early.socket.write(head("GET", "/v1/kv/k"));
  await until("the call", () => w.calls.length === 1);
  look(60);
  for (const method of ["GET", "PUT"]) assert.equal((await asked(w, head(method, "/v1/kv/k"))).status, 429);
  assert.equal(w.calls.length, 1);
  look(0);
  early.socket.write(head("GET", "/v1/kv/k"));
  await until("another call", () => w.calls.length === 2);
});

test("one client has so many connections and no more, until it closes one", async (t) => {
  const w = await world(t, { connections: 2 });
  const first = await w.open();
  const second = await w.open();
  const third = await w.open();
  await until("the refusal", () => third.closed());
  assert.equal(w.counts.get("rpc.http.refused"), 1);
  assert.equal(third.text(), "");
  first.socket.destroy();
  // The server hears of it in its own time.
  let taken: Client | null = null;
  for (let attempt = 0; taken === null && attempt < 1000; attempt += 1) {
    const next = await w.open();
    next.socket.write(head("GET", "/v1/kv/k"));
    await until("a call or the end", () => w.calls.length === 1 || next.closed());
    if (w.calls.length === 1) taken = next;
  }
  assert.ok(taken !== null);
  assert.equal(second.closed(), false);
});

test("a thousand clients that come within one turn are all let in before one that comes after them", async (t) => {
  const w = await world(t, { connections: 2000 });
  const order: string[] = [];
  const crowd = Array.from({ length: 1000 }, async () => {
    await w.open();
    order.push("crowd");
  });
  // Who does not fit the kernel's queue of the port tries again a second later, behind this one.
  await Promise.race(crowd);
  await w.open();
  order.push("later");
  await Promise.all(crowd);
  assert.equal(order.indexOf("later"), 1000);
});

test("the call of a client that goes away is cancelled, that of one that was answered is not", async (t) => {
  const w = await world(t);
  const client = await w.open();
  client.socket.write(head("GET", "/v1/kv/k?index=7&wait=10m"));
  await until("the call", () => w.calls.length === 1);
  client.socket.destroy();
  await until("the cancellation", () => w.calls[0]?.cancelled === true);
  w.calls[0]?.done({ ok: false, error: "late" });
  const other = await w.open();
  other.socket.write(head("GET", "/v1/kv/k"));
  await until("the call", () => w.calls.length === 2);
  w.calls[1]?.done({ ok: false, error: "No cluster leader" });
  assert.equal(await statusOf(other), 500);
  await until("the text", () => other.text().endsWith("No cluster leader"));
  other.socket.destroy();
  await until("the end", () => other.closed());
  assert.equal(w.calls[1]?.cancelled, false);
});

test("requests in a row on one connection are answered in order", async (t) => {
  const w = await world(t);
  const client = await w.open();
  client.socket.write(head("GET", "/v1/kv/a") + head("GET", "/v1/kv/b"));
  await until("both calls", () => w.calls.length === 2);
  w.calls[1]?.done({ ok: false, error: "second" });
  w.calls[0]?.done({ ok: false, error: "first" });
  await until("both answers", () => client.text().includes("second"));
  assert.ok(client.text().indexOf("first") < client.text().indexOf("second"));
});

test("what is no HTTP ends the connection; a request in absolute form is served", async (t) => {
  const w = await world(t);
  const { client, status } = await asked(w, "nonsense\r\n\r\n");
  assert.equal(status, 400);
  await until("the end", () => client.closed());
  const escape = await asked(w, head("GET", "/v1/kv/%zz"));
  assert.equal(escape.status, 400);
  await until("the end", () => escape.client.closed());
  const absolute = await w.open();
  absolute.socket.write(head("GET", "http://test:8500/v1/kv/k?raw"));
  await until("the call", () => w.calls.length === 1);
  assert.equal(((w.calls[0] as Call).args as RpcMethods["KVS.Get"]["args"]).key, "k");
});

test("gzip only for those who take it, and a length that fits what is sent", async (t) => {
  const w = await world(t);
  for (const [accept, zipped] of [["gzip", true], ["deflate, gzip;q=0.5", true], ["gzip;q=0", false], ["identity", false]] as const) {
    const { client } = await asked(w, head("GET", "/nothing", `Accept-Encoding: ${accept}`));
    assert.ok(!client.text().includes("Content-Encoding"), "an empty body has nothing to compress");
    const before = w.calls.length;
    client.socket.write(head("GET", "/v1/kv/k", `Accept-Encoding: ${accept}`));
    await until("the call", () => w.calls.length > before);
    w.calls.at(-1)?.done({ ok: false, error: "x".repeat(300) });
    await until("the answer", () => client.text().includes(" 500 ") && client.text().split("\r\n\r\n").length > 2);
    assert.equal(client.text().includes("Content-Encoding: gzip"), zipped, accept);
  }
});
