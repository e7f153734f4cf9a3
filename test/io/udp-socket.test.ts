import assert from "node:assert/strict";
import { createSocket, Socket } from "node:dgram";
import { test, type TestContext } from "node:test";
import { AllowList } from "../../src/io/network.ts";
import { RECEIVE_BUFFER_BYTES, SEND_QUEUE_BYTES_MAX, BATCH_PACKETS_MAX, UdpSocket, type ReceivedPacket } from "../../src/io/udp-socket.ts";
import { within } from "./support/agents.ts";

interface Bound {
  readonly socket: UdpSocket;
  readonly batches: ReceivedPacket[][];
  readonly counts: Map<string, number>;
  /** Resolves once so many packets have come. */
  received(packets: number): Promise<void>;
}

async function bind(t: TestContext, ip: string, cidrs: readonly string[] | null = null): Promise<Bound> {
  const allow = AllowList.parse(cidrs);
  assert.ok(allow.ok);
  const batches: ReceivedPacket[][] = [];
  const counts = new Map<string, number>();
  let wake = (): void => undefined;
  const socket = await UdpSocket.bind({ ip, port: 0 }, allow.value, {
    packets: (batch) => {
      batches.push(batch);
      wake();
    },
    count: (name, delta) => {
      counts.set(name, (counts.get(name) ?? 0) + delta);
      wake();
    },
  });
  t.after(() => socket.close());
  const received = (packets: number): Promise<void> =>
    within(
      new Promise((resolve) => {
        wake = () => {
          if (batches.flat().length >= packets) resolve();
        };
        wake();
      }),
      `${packets} packets`,
    );
  return { socket, batches, counts, received };
}

test("packets of one turn come as one batch, in order, with their sender; a node can send to itself", async (t) => {
  const a = await bind(t, "127.0.14.61");
  const to = { ip: "127.0.14.61", port: a.socket.port };
  for (let i = 0; i < 20; i += 1) a.socket.send(Uint8Array.of(i), to);
  await a.received(20);
  assert.deepEqual(a.batches.flat().map(({ bytes }) => bytes[0]), Array.from({ length: 20 }, (_, i) => i));
  assert.ok(a.batches.length < 20, `${a.batches.length} batches`);
  assert.deepEqual(a.batches[0]?.[0]?.from, to);
});

test("addresses outside the allow list are counted and dropped", async (t) => {
  const a = await bind(t, "127.0.14.62", ["127.0.14.63/32"]);
  const stranger = createSocket("udp4");
  t.after(() => stranger.close());
  await new Promise<void>((resolve) => stranger.bind({ address: "127.0.14.64" }, () => resolve()));
  const friend = await bind(t, "127.0.14.63");
  stranger.send(Uint8Array.of(1), a.socket.port, "127.0.14.62");
  await within(
    new Promise<void>((resolve) => {
      const look = (): void => (a.counts.has("memberlist.udp.refused_address") ? resolve() : void setImmediate(look));
      look();
    }),
    "a refused packet",
  );
  friend.socket.send(Uint8Array.of(2), { ip: "127.0.14.62", port: a.socket.port });
  await a.received(1);
  assert.deepEqual(a.batches.flat().map(({ bytes }) => bytes[0]), [2]);
});

test("what cannot be sent is counted, never thrown", async (t) => {
  const a = await bind(t, "127.0.14.65");
  a.socket.send(Uint8Array.of(1), { ip: "", port: 7946 });
  a.socket.send(Uint8Array.of(1), { ip: "127.0.0.1", port: 0 });
  a.socket.send(Uint8Array.of(1), { ip: "127.0.0.1", port: 70_000 });
  a.socket.send(new Uint8Array(70_000), { ip: "127.0.14.65", port: a.socket.port });
  await within(
    new Promise<void>((resolve) => {
      const look = (): void => ((a.counts.get("memberlist.udp.send_error") ?? 0) >= 2 ? resolve() : void setImmediate(look));
      look();
    }),
    "two send errors",
  );
  await a.socket.close();
  a.socket.send(Uint8Array.of(1), { ip: "127.0.0.1", port: 9 });
});

test("while the network takes nothing, so many bytes wait to be sent and no more; what comes then is dropped and counted", async (t) => {
  const a = await bind(t, "127.0.14.68");
  // Loopback takes everything at once: a network that is stuck must be played.
  let waitingBytes = 0;
  t.mock.method(Socket.prototype, "send", ({ length }: Uint8Array) => void (waitingBytes += length));
  t.mock.method(Socket.prototype, "getSendQueueSize", () => waitingBytes);
  const to = { ip: "127.0.0.1", port: 9 };
  const packet = new Uint8Array(1400);
  const fitting = Math.floor(SEND_QUEUE_BYTES_MAX / packet.length) + 1;
  const dropped = (): number => a.counts.get("memberlist.udp.send_dropped") ?? 0;
  for (let i = 0; i < fitting; i += 1) a.socket.send(packet, to);
  assert.equal(dropped(), 0);
  for (let i = 0; i < 10_000; i += 1) a.socket.send(packet, to);
  assert.equal(dropped(), 10_000);
  assert.equal(waitingBytes, fitting * packet.length);
  assert.ok(waitingBytes <= SEND_QUEUE_BYTES_MAX + packet.length);
  // The network moves again.
  waitingBytes = 0;
  a.socket.send(packet, to);
  assert.deepEqual([dropped(), waitingBytes], [10_000, packet.length]);
});

test("packets that one turn of the loop hands on are bounded; the rest of the turn is dropped and counted", async (t) => {
  const a = await bind(t, "127.0.14.69");
  // The socket reads a few hundred packets a turn at most: a turn with more must be played, through the socket's own event.
  const heard: Socket[] = [];
  t.mock.method(Socket.prototype, "on", function (this: Socket, ...args: Parameters<Socket["addListener"]>) {
    heard.push(this);
    return this.addListener(...args);
  });
  const b = await bind(t, "127.0.14.70");
  t.mock.restoreAll();
  const [socket] = heard;
  assert.ok(socket !== undefined);
  const from = { address: "127.0.14.69", port: a.socket.port, family: "IPv4" as const, size: 1 };
  for (let i = 0; i < BATCH_PACKETS_MAX + 10; i += 1) socket.emit("message", Buffer.of(1), from);
  assert.equal(b.counts.get("memberlist.udp.receive_dropped"), 10);
  await b.received(BATCH_PACKETS_MAX);
  assert.deepEqual(b.batches.map(({ length }) => length), [BATCH_PACKETS_MAX]);
});

test("the receive buffer is asked for and read back", async (t) => {
  const { socket } = await bind(t, "127.0.14.66");
  const granted = socket.receiveBufferBytes;
  assert.ok(granted > 0 && granted <= 2 * RECEIVE_BUFFER_BYTES, `${granted}`);
});

test("a taken address is refused with the system's error", async (t) => {
  const a = await bind(t, "127.0.14.67");
  const allow = AllowList.parse(null);
  assert.ok(allow.ok);
  const hooks = { packets: () => undefined, count: () => undefined };
  await assert.rejects(UdpSocket.bind({ ip: "127.0.14.67", port: a.socket.port }, allow.value, hooks), { code: "EADDRINUSE" });
});
