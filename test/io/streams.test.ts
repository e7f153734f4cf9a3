import assert from "node:assert/strict";
import { connect, createServer, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { AllowList } from "../../src/io/network.ts";
import { NodeSealer } from "../../src/io/node-sealer.ts";
import { ACCEPTED_STREAMS_MAX, PUSH_PULLS_MAX, STREAM_INPUT_BYTES_MAX, Streams, type StreamHooks } from "../../src/io/streams.ts";
import { decodeStreamMessage, encodeAck, encodePing, encodePushPull } from "../../src/wire/gossip-codec.ts";
import { encodeStream, StreamReader } from "../../src/wire/stream.ts";
import { within } from "./support/agents.ts";

const IP = "127.0.14.51";
const PUSH_PULL = encodePushPull({ join: false, nodes: [], userState: null });
const PING = encodePing({ seq: 7, node: "", sourceAddr: null, sourcePort: 0, sourceNode: "" });
const ACK = encodeAck({ seq: 7, payload: null });

type Told = { readonly kind: "opened" | "message" | "failed"; readonly stream: number; readonly text: string };

/** A side of streams that notes what it hears; `next` waits for the next thing told. */
class Side {
  readonly streams: Streams;
  readonly counts = new Map<string, number>();
  readonly told: Told[] = [];
  #waiting: (() => void) | null = null;

  constructor(t: TestContext, options: { readonly timeoutMs?: number; readonly keys?: readonly Uint8Array[]; readonly onMessage?: (side: Side, stream: number) => void } = {}) {
    const sealer = new NodeSealer(options.keys ?? []);
    const label = new Uint8Array(0);
    const allow = AllowList.parse(null);
    assert.ok(allow.ok);
    const tell = (told: Told): void => {
      this.told.push(told);
      this.#waiting?.();
    };
    const hooks: StreamHooks = {
      opened: (stream) => tell({ kind: "opened", stream, text: "" }),
      message: (stream, _from, bytes) => {
        const decoded = decodeStreamMessage(bytes);
        tell({ kind: "message", stream, text: decoded.ok ? (decoded.value.kind === "err" ? decoded.value.error : decoded.value.kind) : decoded.error });
        options.onMessage?.(this, stream);
      },
      failed: (stream, text) => tell({ kind: "failed", stream, text }),
      log: () => undefined,
      count: (name, delta) => this.counts.set(name, (this.counts.get(name) ?? 0) + delta),
    };
    const codec = {
      decoder: (initiated: boolean) => new StreamReader({ sealer, label, acceptor: !initiated, verifyIncoming: true }),
      encode: (message: Uint8Array, initiator: boolean) => encodeStream(message, { compress: true, sealer, label, initiator, encryptionVersion: 1, verifyOutgoing: true }),
    };
    this.streams = new Streams(codec, { timeoutMs: options.timeoutMs ?? 10_000, allow: allow.value }, hooks);
    t.after(() => this.streams.shutdown());
  }

  async next(): Promise<Told> {
    if (this.told.length === 0) await within(new Promise<void>((resolve) => (this.#waiting = resolve)), "something told");
    this.#waiting = null;
    return this.told.shift() as Told;
  }
}

/** Answers every message with an ack and closes, as the core does. */
const answer = (side: Side, stream: number): void => {
  side.streams.send(stream, ACK);
  side.streams.close(stream);
};

function rawConnect(t: TestContext, port: number): Socket {
  const socket = connect({ host: IP, port, allowHalfOpen: true });
  socket.on("error", () => undefined);
  socket.once("end", () => socket.end());
  t.after(() => socket.destroy());
  return socket;
}

const closed = (socket: Socket): Promise<void> => within(new Promise((resolve) => (socket.closed ? resolve() : socket.once("close", () => resolve()))), "connection closed");

/** Waits until the server has noticed what its peers did. */
function openStreams(side: Side, count: number): Promise<void> {
  return within(
    new Promise<void>((resolve) => {
      const look = (): void => (side.streams.open === count ? resolve() : void setImmediate(look));
      look();
    }),
    `${count} open streams`,
  );
}

test("request and answer over a dialled stream, encrypted too", async (t) => {
  for (const keys of [[], [new Uint8Array(16)]]) {
    const server = new Side(t, { keys, onMessage: answer });
    const client = new Side(t, { keys });
    const port = await server.streams.listen({ ip: IP, port: 0 });
    client.streams.dial(1, { ip: IP, port }, 5000);
    assert.deepEqual(await client.next(), { kind: "opened", stream: 1, text: "" });
    client.streams.send(1, PING);
    assert.deepEqual(await server.next(), { kind: "message", stream: -1, text: "ping" });
    assert.deepEqual(await client.next(), { kind: "message", stream: 1, text: "ack" });
    client.streams.close(1);
  }
});

test("a dial that is refused, or not answered in time, fails once with Go's words", async (t) => {
  const client = new Side(t, {});
  client.streams.dial(1, { ip: IP, port: 1 }, 5000);
  assert.deepEqual(await client.next(), { kind: "failed", stream: 1, text: `dial tcp ${IP}:1: connect: connection refused` });
  client.streams.dial(2, { ip: "", port: 0 }, 5000);
  assert.equal((await client.next()).kind, "failed");

  const mute = createServer(() => undefined);
  t.after(() => mute.close());
  const port = await new Promise<number>((resolve) => mute.listen(0, IP, () => resolve((mute.address() as { readonly port: number }).port)));
  client.streams.dial(3, { ip: IP, port }, 50);
  assert.equal((await client.next()).kind, "opened");
  assert.deepEqual(await client.next(), { kind: "failed", stream: 3, text: "i/o timeout" });
  assert.equal(client.told.length, 0);
});

test("a peer that closes without an answer is an EOF", async (t) => {
  const server = createServer((socket) => socket.end());
  t.after(() => server.close());
  const port = await new Promise<number>((resolve) => server.listen(0, IP, () => resolve((server.address() as { readonly port: number }).port)));
  const client = new Side(t, {});
  client.streams.dial(1, { ip: IP, port }, 5000);
  assert.equal((await client.next()).kind, "opened");
  client.streams.send(1, PING);
  assert.deepEqual(await client.next(), { kind: "failed", stream: 1, text: "EOF" });
});

test("a client that half-closes after its request still gets the answer", async (t) => {
  const server = new Side(t, { onMessage: answer });
  const socket = rawConnect(t, await server.streams.listen({ ip: IP, port: 0 }));
  socket.end(PING);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  await closed(socket);
  assert.ok(Buffer.concat(chunks).length > 0);
});

test("bytes split anywhere arrive whole", async (t) => {
  const server = new Side(t, { onMessage: answer });
  const socket = rawConnect(t, await server.streams.listen({ ip: IP, port: 0 }));
  socket.setNoDelay(true);
  for (const byte of PING) await new Promise<void>((resolve) => socket.write(Uint8Array.of(byte), () => resolve()));
  assert.equal((await server.next()).text, "ping");
});

test("what cannot be decoded is answered with an err message, unknown types are closed silently; the core hears of neither", async (t) => {
  const server = new Side(t, { keys: [new Uint8Array(16)] });
  const port = await server.streams.listen({ ip: IP, port: 0 });
  const plain = rawConnect(t, port);
  plain.end(PING);
  const chunks: Buffer[] = [];
  plain.on("data", (chunk) => chunks.push(chunk));
  await closed(plain);
  const reader = new StreamReader({ sealer: new NodeSealer([new Uint8Array(16)]), label: new Uint8Array(0), acceptor: false, verifyIncoming: true });
  const decoded = decodeStreamMessage(reader.push(Buffer.concat(chunks))[0] ?? new Uint8Array(0));
  assert.equal(decoded.ok && decoded.value.kind === "err" && decoded.value.error, "Encryption is configured but remote state is not encrypted");
  assert.equal(server.told.length, 0);
  assert.equal(server.counts.get("memberlist.tcp.undecodable"), 1);
});

test("a peer that dribbles is cut off at the deadline, whatever it still sends", async (t) => {
  const server = new Side(t, { timeoutMs: 80 });
  const socket = rawConnect(t, await server.streams.listen({ ip: IP, port: 0 }));
  const dribble = setInterval(() => socket.write(Uint8Array.of(0)), 10);
  t.after(() => clearInterval(dribble));
  socket.write(PUSH_PULL.subarray(0, 3));
  await closed(socket);
  await openStreams(server, 0);
  assert.equal(server.told.length, 0);
});

test(`push/pulls beyond ${PUSH_PULLS_MAX} at once are closed, others go on; slots come back`, async (t) => {
  const server = new Side(t, {});
  const port = await server.streams.listen({ ip: IP, port: 0 });
  const sockets = Array.from({ length: PUSH_PULLS_MAX }, () => rawConnect(t, port));
  for (const socket of sockets) socket.write(PUSH_PULL);
  for (let i = 0; i < PUSH_PULLS_MAX; i += 1) assert.equal((await server.next()).text, "pushPull");
  const extra = rawConnect(t, port);
  extra.resume().write(PUSH_PULL);
  await closed(extra);
  assert.equal(server.counts.get("memberlist.tcp.refused_push_pull"), 1);
  rawConnect(t, port).write(PING);
  assert.equal((await server.next()).text, "ping");
  const freed = Promise.race(sockets.map((socket) => new Promise<void>((resolve) => socket.resume().once("close", () => resolve()))));
  server.streams.close(-1);
  await within(freed, "the served peer is closed");
  await openStreams(server, PUSH_PULLS_MAX); // The others and the ping.
  rawConnect(t, port).write(PUSH_PULL);
  assert.equal((await server.next()).text, "pushPull");
});

test(`of more than ${ACCEPTED_STREAMS_MAX} connections the oldest silent one makes room (slowloris); those being served stay`, async (t) => {
  const server = new Side(t, {});
  const port = await server.streams.listen({ ip: IP, port: 0 });
  const served = rawConnect(t, port);
  served.write(PUSH_PULL);
  assert.equal((await server.next()).text, "pushPull");
  const oldest = rawConnect(t, port);
  await openStreams(server, 2);
  for (let i = 2; i < ACCEPTED_STREAMS_MAX; i += 1) rawConnect(t, port);
  await openStreams(server, ACCEPTED_STREAMS_MAX);
  rawConnect(t, port).write(PING);
  assert.equal((await server.next()).text, "ping");
  await closed(oldest.resume());
  assert.equal(server.counts.get("memberlist.tcp.evicted"), 1);
  assert.equal(served.closed, false);
});

test("connections that are all being served leave no room for another", async (t) => {
  const server = new Side(t, {});
  const port = await server.streams.listen({ ip: IP, port: 0 });
  for (let i = 0; i < ACCEPTED_STREAMS_MAX; i += 1) rawConnect(t, port).write(PING);
  for (let i = 0; i < ACCEPTED_STREAMS_MAX; i += 1) assert.equal((await server.next()).text, "ping");
  await closed(rawConnect(t, port).resume());
  assert.equal(server.counts.get("memberlist.tcp.refused_busy"), 1);
  assert.equal(server.streams.open, ACCEPTED_STREAMS_MAX);
});

test("incomplete messages of all peers together are bounded: whoever holds most is closed", async (t) => {
  const server = new Side(t, {});
  const port = await server.streams.listen({ ip: IP, port: 0 });
  // A push/pull without nodes that announces 20 MiB of user state.
  const head = Uint8Array.of(6, 0x82, 0xa5, ...Buffer.from("Nodes"), 0, 0xac, ...Buffer.from("UserStateLen"), 0xce, 0x01, 0x40, 0, 0);
  const largest = rawConnect(t, port);
  const bytes = (STREAM_INPUT_BYTES_MAX / 3) | 0;
  const others = [rawConnect(t, port), rawConnect(t, port)];
  const small = rawConnect(t, port);
  await openStreams(server, 4);
  small.write(PING.subarray(0, 3));
  largest.write(Buffer.concat([head, new Uint8Array(bytes + 1000)]));
  for (const other of others) other.write(Buffer.concat([head, new Uint8Array(bytes)]));
  await Promise.race([largest, ...others].map((socket) => closed(socket.resume())));
  assert.equal(server.counts.get("memberlist.tcp.evicted"), 1);
  small.write(PING.subarray(3));
  assert.equal((await server.next()).text, "ping");
});
