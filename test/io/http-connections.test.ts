/** Connections of the HTTP port, and what the answers on them look like on the wire, whichever way they are written. */
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import type { HttpAnswer } from "../../src/api/http/types.ts";
import { gunzipSync } from "node:zlib";
import { GZIP_AT_ONCE_MAX, send } from "../../src/io/http-answer.ts";
import { HttpConnections, IDLE_MS_MAX } from "../../src/io/http-connections.ts";
import { nextLoopbackIp } from "../support/loopback.ts";

async function listen(t: TestContext, server: Server): Promise<() => Promise<Socket>> {
  const ip = nextLoopbackIp();
  await new Promise<void>((resolve) => server.listen(0, ip, resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return async () => {
    const socket = connect((server.address() as AddressInfo).port, ip);
    t.after(() => socket.destroy());
    socket.on("error", () => undefined);
    await new Promise((resolve) => socket.once("connect", resolve));
    return socket;
  };
}

const REQUEST = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
/** Looks after which an idle connection is closed: the timer makes one every 30 s. */
const LOOKS = IDLE_MS_MAX / 30_000 + 1;

test("a connection that had no request for long is closed, one that waits for an answer is not, however long", async (t) => {
  const sockets: Socket[] = [];
  const server = createServer(() => undefined);
  const connections = new HttpConnections(server, { perClient: 10 }, () => undefined);
  t.after(() => connections.stop());
  server.on("connection", (socket) => sockets.push(socket));
  const open = await listen(t, server);
  const abandoned: string[] = [];
  const clients = [await open(), await open(), await open()];
  while (sockets.length < 3) await new Promise((resolve) => setImmediate(resolve));
  const [idle, waits, busy] = sockets as [Socket, Socket, Socket];
  const waiting = { abandoned: () => void abandoned.push("waits") };
  connections.asked(waits, waiting);
  for (let look = 1; look <= LOOKS; look += 1) {
    assert.equal(idle.destroyed, false);
    const once = { abandoned: () => void abandoned.push("busy") };
    connections.asked(busy, once);
    connections.answered(busy, once);
    connections.look();
  }
  assert.deepEqual([idle.destroyed, waits.destroyed, busy.destroyed], [true, false, false]);
  // What waited is told when its client goes; what was answered is not.
  clients[1]?.destroy();
  clients[2]?.destroy();
  while (abandoned.length < 1) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(abandoned, ["waits"]);
  // Answered: quiet from then on.
  connections.answered(waits, waiting);
});

test("a client that takes nothing of its answer is closed and counted, one that takes some of it now and then is not", async (t) => {
  const sockets: Socket[] = [];
  const server = createServer((_request, response) => void response.end("x".repeat(64_000_000)));
  const counts: string[] = [];
  const connections = new HttpConnections(server, { perClient: 10 }, (name) => void counts.push(name));
  t.after(() => connections.stop());
  server.on("connection", (socket) => sockets.push(socket));
  const open = await listen(t, server);
  const clients = [await open(), await open()] as const;
  for (const client of clients) client.pause().write(REQUEST);
  const unsent = (socket: Socket | undefined): number => (socket as unknown as { readonly _handle: { readonly writeQueueSize: number } })._handle.writeQueueSize;
  while (sockets.length < 2 || sockets.some((socket) => unsent(socket) === 0)) await new Promise((resolve) => setImmediate(resolve));
  const [stalled, slow] = sockets as [Socket, Socket];
  let left = unsent(slow);
  for (let look = 0; look <= LOOKS; look += 1) {
    clients[1].resume();
    while (unsent(slow) === left) await new Promise((resolve) => setImmediate(resolve));
    clients[1].pause();
    left = unsent(slow);
    connections.look();
  }
  assert.deepEqual([stalled.destroyed, slow.destroyed], [true, false]);
  assert.deepEqual(counts, ["rpc.http.stalled"]);
});

test("all clients together have so many connections and no more", async (t) => {
  const sockets: Socket[] = [];
  const server = createServer(() => undefined);
  const counts: string[] = [];
  const connections = new HttpConnections(server, { perClient: 10, total: 3 }, (name) => void counts.push(name));
  t.after(() => connections.stop());
  server.on("connection", (socket) => sockets.push(socket));
  const open = await listen(t, server);
  for (let i = 0; i < 4; i += 1) await open();
  while (sockets.length < 4) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(sockets.map(({ destroyed }) => destroyed), [false, false, false, true]);
  assert.deepEqual(counts, ["rpc.http.refused"]);
  sockets[0]?.destroy();
  await new Promise((resolve) => sockets[0]?.once("close", resolve));
  await open();
  while (sockets.length < 5) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(sockets[4]?.destroyed, false);
});

/** What a client reads of one answer, and whether the connection stays. */
async function wire(t: TestContext, answer: HttpAnswer, request = REQUEST): Promise<string> {
  const open = await listen(t, createServer((asked, response) => send(asked, response, answer)));
  const socket = await open();
  let text = "";
  socket.on("data", (piece: Buffer) => (text += piece.toString("latin1")));
  socket.write(request);
  // A second request in the same connection shows where the first answer ends.
  socket.end("GET /end HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
  await new Promise((resolve) => socket.once("close", resolve));
  return text.replaceAll(/\r\nDate: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT/g, "\r\nDate: now");
}

test("answers on the wire: short ones with a length, long ones in chunks, others as node:http writes them", async (t) => {
  const headers = [["Content-Type", "application/json"]] as const;
  const short = await wire(t, { status: 200, headers, body: "true" });
  assert.ok(short.startsWith("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\nDate: now\r\n\r\ntrueHTTP/1.1 200 OK\r\n"), short);
  const none = await wire(t, { status: 404, headers: [], body: "" });
  assert.ok(none.startsWith("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nDate: now\r\n\r\nHTTP/1.1 404"), none);
  const long = await wire(t, { status: 200, headers, body: "x".repeat(3000) });
  assert.ok(long.startsWith(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\nbb8\r\n${"x".repeat(3000)}\r\n0\r\n\r\nHTTP/1.1 200`), long);
  // Node's own way for the same answers: same head, same framing.
  const close = await wire(t, { status: 200, headers, body: "true", close: true });
  assert.equal(close, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 4\r\nDate: now\r\n\r\ntrue");
  const text = await wire(t, { status: 200, headers, body: "é" });
  assert.ok(text.startsWith("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nDate: now\r\n\r\n\xc3\xa9HTTP/1.1"), text);
  const bytes = await wire(t, { status: 200, headers: [["Content-Length", "3"]], body: Uint8Array.of(0x61, 0xff, 0x62) });
  assert.ok(bytes.startsWith("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nDate: now\r\n\r\na\xffbHTTP/1.1"), bytes);
  const head = await wire(t, { status: 200, headers, body: "true" }, "HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
  assert.ok(head.startsWith("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\nDate: now\r\n\r\nHTTP/1.1 200"), head);
  const old = await wire(t, { status: 200, headers, body: "x".repeat(3000) }, "GET / HTTP/1.0\r\n\r\n");
  assert.ok(old.endsWith(`\r\n\r\n${"x".repeat(3000)}`), "an older client gets no chunks, and the end of the connection");
});

test("what is long is compressed beside the loop: it comes whole, in its place among the answers, and with no length", async (t) => {
  const order: string[] = [];
  const server = createServer((asked, response) => {
    const body = asked.url === "/long" ? "x".repeat(GZIP_AT_ONCE_MAX + 1) : "short";
    send(asked, response, { status: 200, headers: [["Content-Length", String(body.length)]], body });
    order.push(response.headersSent ? "at once" : "later");
  });
  const open = await listen(t, server);
  const socket = await open();
  const pieces: Buffer[] = [];
  socket.on("data", (piece: Buffer) => pieces.push(piece));
  const request = (path: string, ...headers: readonly string[]): string => [`GET ${path} HTTP/1.1`, "Host: test", "Accept-Encoding: gzip", ...headers, "", ""].join("\r\n");
  socket.write(request("/long") + request("/short", "Connection: close"));
  await new Promise((resolve) => socket.once("close", resolve));
  assert.deepEqual(order, ["later", "at once"]);
  const text = Buffer.concat(pieces).toString("latin1");
  const bodies = text.split(/HTTP\/1\.1 200 OK\r\n[^]*?\r\n\r\n/).slice(1).map((body) => gunzipSync(Buffer.from(body, "latin1")).toString());
  assert.deepEqual(bodies, ["x".repeat(GZIP_AT_ONCE_MAX + 1), "short"]);
});

test("no value can end its header: such an answer is not sent", async (t) => {
  const server = createServer((asked, response) => {
    assert.throws(() => send(asked, response, { status: 200, headers: [["Location", "/a\r\nSet-Cookie: x"]], body: "true" }), { code: "ERR_INVALID_CHAR" });
    response.destroy();
  });
  const open = await listen(t, server);
  const socket = await open();
  let text = "";
  socket.on("data", (piece: Buffer) => (text += piece.toString("latin1")));
  socket.write(REQUEST);
  await new Promise((resolve) => socket.once("close", resolve));
  assert.equal(text, "");
});
