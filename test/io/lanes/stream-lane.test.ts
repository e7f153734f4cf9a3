import assert from "node:assert/strict";
import { connect, createServer, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { AllowList } from "../../../src/io/network.ts";
import { OPEN_INLINE_BYTES_MAX, SEAL_INLINE_BYTES_MAX, STREAM_TASKS_MAX, StreamLane } from "../../../src/io/lanes/stream-lane.ts";
import type { StreamResult, StreamTask } from "../../../src/io/lanes/stream-worker.ts";
import { NodeSealer } from "../../../src/io/node-sealer.ts";
import { streamCodec } from "../../../src/io/stream-codec.ts";
import { Streams } from "../../../src/io/streams.ts";
import { decodeStreamMessage, encodePushPull } from "../../../src/wire/gossip-codec.ts";
import { encodeStream, StreamReader } from "../../../src/wire/stream.ts";
import { within } from "../support/agents.ts";

const IP = "127.0.40.51";
const KEYS = [new Uint8Array(32).fill(3)];
const FORMAT = { compress: true, label: Uint8Array.of(1, 2, 3), verifyIncoming: true, verifyOutgoing: true };
const SMALL = encodePushPull({ join: false, nodes: [], userState: null });
/** Texts that hardly repeat, so that it stays large when it is compressed. */
const LARGE = encodePushPull({
  join: false,
  userState: null,
  nodes: Array.from({ length: 3000 }, (_, i) => ({
    name: `node-${(i * 2654435761) >>> 0}-${(i * 40503) % 65521}`, addr: Uint8Array.of(127, 1, i >>> 8, i & 255), port: 7946, meta: new Uint8Array(0), incarnation: i, state: 0, versions: Uint8Array.of(1, 5, 2, 2, 5, 5),
  })),
});

type Run = (task: StreamTask) => Promise<StreamResult>;
type Told = readonly [kind: "message" | "failed" | "opened", stream: number, what: string];

/** Streams over a lane that may be a fake; the core is played by the test. */
class Side {
  readonly streams: Streams;
  readonly counts = new Map<string, number>();
  readonly #told: Told[] = [];
  #wake: () => void = () => undefined;

  constructor(t: TestContext, run: Run, timeoutMs = 10_000) {
    const allow = AllowList.parse(null);
    assert.ok(allow.ok);
    const tell = (...told: Told): void => {
      this.#told.push(told);
      this.#wake();
    };
    this.streams = new Streams(streamCodec(FORMAT, new NodeSealer(KEYS), { run }), { timeoutMs, allow: allow.value }, {
      opened: (stream) => tell("opened", stream, ""),
      message: (stream, _from, bytes) => {
        const decoded = decodeStreamMessage(bytes);
        tell("message", stream, decoded.ok && decoded.value.kind === "pushPull" ? `${decoded.value.nodes.length} nodes` : "something else");
      },
      failed: (stream, error) => tell("failed", stream, error),
      log: () => undefined,
      count: (name, delta) => this.counts.set(name, (this.counts.get(name) ?? 0) + delta),
    });
    t.after(() => this.streams.shutdown());
  }

  async next(): Promise<Told> {
    if (this.#told.length === 0) await within(new Promise<void>((resolve) => (this.#wake = resolve)), "something told");
    return this.#told.shift() as Told;
  }

  get silent(): boolean {
    return this.#told.length === 0;
  }
}

function realLane(t: TestContext): StreamLane {
  const lane = new StreamLane();
  t.after(() => lane.stop());
  return lane;
}

/** Does the work at once, on this thread: a lane that has become none. */
const inline: Run = async (task) => {
  const sealer = new NodeSealer(task.keys);
  if (task.kind === "seal") return encodeStream(task.message, { ...task.format, sealer, initiator: task.initiator, encryptionVersion: 1 });
  const reader = new StreamReader({ sealer, label: task.format.label, acceptor: false, verifyIncoming: true });
  return reader.push(task.bytes)[0] ?? reader.failure ?? { error: "nothing", answer: false };
};

const closed = (socket: Socket): Promise<void> => within(new Promise((resolve) => (socket.closed ? resolve() : socket.once("close", () => resolve()))), "connection closed");

test("large messages are sealed and opened in the thread, both ways; short ones never go there", async (t) => {
  const lane = realLane(t);
  const kinds: string[] = [];
  const run: Run = (task) => {
    kinds.push(task.kind);
    return lane.run(task);
  };
  const [server, client] = [new Side(t, run), new Side(t, run)];
  const port = await server.streams.listen({ ip: IP, port: 0 });
  for (const [message, expected, work] of [[SMALL, "0 nodes", []], [LARGE, "3000 nodes", ["seal", "open", "seal", "open"]]] as const) {
    assert.equal(message.length > SEAL_INLINE_BYTES_MAX, work.length > 0);
    const stream = work.length + 1;
    client.streams.dial(stream, { ip: IP, port }, 10_000);
    await client.next();
    client.streams.send(stream, message);
    const [kind, accepted, what] = await server.next();
    assert.deepEqual([kind, what], ["message", expected]);
    // As the core does: the answer, and the end of the stream at once.
    server.streams.send(accepted, message);
    server.streams.close(accepted);
    assert.deepEqual(await client.next(), ["message", stream, expected]);
    client.streams.close(stream);
    assert.deepEqual(kinds, work);
  }
  await within(until(() => server.streams.open + client.streams.open === 0), "all streams are gone");
});

test("an undecodable large message is answered as a short one is", async (t) => {
  const lane = realLane(t);
  const server = new Side(t, (task) => lane.run(task));
  const port = await server.streams.listen({ ip: IP, port: 0 });
  const foreign = new NodeSealer([new Uint8Array(16)]);
  const socket = connect({ host: IP, port });
  t.after(() => socket.destroy());
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.write(encodeStream(LARGE, { ...FORMAT, sealer: foreign, initiator: true, encryptionVersion: 1 }));
  await closed(socket);
  const reader = new StreamReader({ sealer: new NodeSealer(KEYS), label: FORMAT.label, acceptor: false, verifyIncoming: true });
  const decoded = decodeStreamMessage(reader.push(Buffer.concat(chunks))[0] ?? new Uint8Array(0));
  assert.equal(decoded.ok && decoded.value.kind === "err" && decoded.value.error, "No installed keys could decrypt the message");
  assert.equal(server.silent, true);
});

test("a thread that dies with a message breaks that stream, is counted, and the next message finds another thread", async (t) => {
  const lane = realLane(t);
  const server = new Side(t, inline);
  const port = await server.streams.listen({ ip: IP, port: 0 });
  let dying = true;
  const client = new Side(t, async (task) => {
    const result = lane.run(task);
    if (dying) {
      dying = false;
      result.catch(() => undefined);
      await within(until(async () => (await lane.threads()).length > 0), "a thread");
      for (const thread of await lane.threads()) await thread.terminate();
    }
    return result;
  });
  client.streams.dial(1, { ip: IP, port }, 10_000);
  await client.next();
  client.streams.send(1, LARGE);
  assert.deepEqual(await client.next(), ["failed", 1, "internal error"]);
  assert.equal(client.counts.get("memberlist.tcp.lane_failed"), 1);
  client.streams.dial(2, { ip: IP, port }, 10_000);
  await client.next();
  client.streams.send(2, LARGE);
  assert.equal((await server.next())[2], "3000 nodes");
});

test("a lane that fails for a peer's message closes its connection; the core hears of nothing", async (t) => {
  const server = new Side(t, () => Promise.reject(new Error("dead")));
  const port = await server.streams.listen({ ip: IP, port: 0 });
  const socket = connect({ host: IP, port });
  t.after(() => socket.destroy());
  socket.on("error", () => undefined);
  socket.resume().write(await inline({ kind: "seal", message: LARGE, initiator: true, format: FORMAT, keys: KEYS }) as Uint8Array);
  await closed(socket);
  await within(until(() => server.streams.open === 0), "the stream is gone");
  assert.equal(server.counts.get("memberlist.tcp.lane_failed"), 1);
  assert.equal(server.silent, true);
});

test("an answer that is whole is heard although its sender closed; a peer that dialled and is gone is not", async (t) => {
  const answer = await inline({ kind: "seal", message: LARGE, initiator: false, format: FORMAT, keys: KEYS }) as Uint8Array;
  const held: (() => void)[] = [];
  const hold: Run = async (task) => {
    await new Promise<void>((resolve) => held.push(resolve));
    return inline(task);
  };
  const raw = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.end(answer, () => socket.destroySoon());
  });
  t.after(() => raw.close());
  const rawPort = await new Promise<number>((resolve) => raw.listen(0, IP, () => resolve((raw.address() as { readonly port: number }).port)));
  const client = new Side(t, hold);
  client.streams.dial(1, { ip: IP, port: rawPort }, 10_000);
  await client.next();
  await within(until(() => held.length === 1), "the answer is being opened");
  held.pop()?.();
  assert.deepEqual(await client.next(), ["message", 1, "3000 nodes"]);
  client.streams.close(1);

  const server = new Side(t, hold);
  const port = await server.streams.listen({ ip: IP, port: 0 });
  const peer = connect({ host: IP, port });
  peer.on("error", () => undefined);
  peer.write(await inline({ kind: "seal", message: LARGE, initiator: true, format: FORMAT, keys: KEYS }) as Uint8Array);
  await within(until(() => held.length === 1), "the request is being opened");
  peer.resetAndDestroy();
  await closed(peer);
  // A later connection is heard after the reset of the first.
  connect({ host: IP, port }).on("error", () => undefined).resume().end(encodeStream(SMALL, { ...FORMAT, sealer: new NodeSealer(KEYS), initiator: true, encryptionVersion: 1 }));
  assert.deepEqual(await server.next(), ["message", -2, "0 nodes"]);
  server.streams.close(-2);
  await within(until(() => server.streams.open === 1), "only the reset stream is left");
  held.pop()?.();
  await within(until(() => server.streams.open === 0), "the stream is gone");
  assert.equal(server.silent, true);
});

test("a lane that is too slow does not outlive the deadline of its stream", async (t) => {
  const server = new Side(t, () => new Promise(() => undefined), 50);
  const port = await server.streams.listen({ ip: IP, port: 0 });
  const socket = connect({ host: IP, port });
  t.after(() => socket.destroy());
  socket.on("error", () => undefined);
  socket.resume().write(await inline({ kind: "seal", message: LARGE, initiator: true, format: FORMAT, keys: KEYS }) as Uint8Array);
  await closed(socket);
  assert.equal(server.silent, true);
});

test(`beyond ${STREAM_TASKS_MAX} waiting messages a lane refuses`, async (t) => {
  const lane = realLane(t);
  const task: StreamTask = { kind: "seal", message: LARGE, initiator: true, format: FORMAT, keys: KEYS };
  const results = await Promise.allSettled(Array.from({ length: STREAM_TASKS_MAX + 3 }, () => lane.run(task)));
  assert.equal(results.filter(({ status }) => status === "rejected").length, 3);
  assert.ok((await lane.run(task)) instanceof Uint8Array, "and goes on afterwards");
});

test("what is left over for the lane is what costs time: length, or growth when it is inflated", () => {
  const sealer = new NodeSealer(KEYS);
  const plainOf = (length: number): Uint8Array => encodePushPull({ join: false, nodes: [], userState: new Uint8Array(length) });
  const wire = (length: number, compress: boolean): Uint8Array => encodeStream(plainOf(length), { ...FORMAT, compress, sealer, initiator: true, encryptionVersion: 1 });
  const read = (bytes: Uint8Array): StreamReader => {
    const reader = new StreamReader({ sealer, label: FORMAT.label, acceptor: true, verifyIncoming: true, inlineBytesMax: OPEN_INLINE_BYTES_MAX });
    for (const byte of [bytes.subarray(0, 5), bytes.subarray(5)]) reader.push(byte);
    assert.equal(reader.failure, null);
    return reader;
  };
  for (const [length, compress, deferred] of [[1000, false, false], [40_000, false, true], [100_000, true, false], [1_000_000, true, true]] as const) {
    const bytes = wire(length, compress);
    const reader = read(bytes);
    assert.equal(reader.deferred !== null, deferred, `${length} bytes, compressed: ${compress}`);
    if (reader.deferred === null) continue;
    assert.equal(reader.buffered, bytes.length - FORMAT.label.length - 2);
    const whole = new StreamReader({ sealer, label: FORMAT.label, acceptor: false, verifyIncoming: true });
    assert.ok(Buffer.from(plainOf(length)).equals(whole.push(reader.deferred)[0] ?? new Uint8Array(0)));
  }
});

/** Looks again and again, without waiting longer than a turn. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}
