import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { test } from "node:test";
import { Statsd, statsdLine, Statsite } from "../../src/io/statsd.ts";
import { nextLoopbackIp } from "../support/loopback.ts";

test("a line is name, value with six digits and type; what would break it becomes _", () => {
  assert.equal(statsdLine("serf-agent", "memberlist.msg.alive", 1, "c"), "serf-agent.memberlist.msg.alive:1.000000|c\n");
  assert.equal(statsdLine("serf-agent", "agent.invoke.a b|c:d\n", 1.5, "ms"), "serf-agent.agent.invoke.a_b_c_d_:1.500000|ms\n");
});

test("measurements go out in packets that fit a datagram", async () => {
  const ip = nextLoopbackIp();
  const server = createSocket("udp4");
  const packets: string[] = [];
  server.on("message", (message) => packets.push(message.toString()));
  await new Promise<void>((resolve) => server.bind(0, ip, resolve));
  const statsd = new Statsd({ ip, port: server.address().port }, "p");
  statsd.count("c", 2);
  statsd.sample("s", 0.25);
  statsd.gauge("g", 7);
  for (let i = 0; i < 100; i += 1) statsd.count(`counter.${i}.${"x".repeat(20)}`, 1);
  while (packets.join("").split("\n").length < 104) await once(server, "message");
  assert.ok(packets[0]?.startsWith("p.c:2.000000|c\np.s:0.250000|ms\np.g:7.000000|g\n"));
  assert.ok(packets.length > 2);
  for (const packet of packets) assert.ok(packet.length <= 1400 && packet.endsWith("\n"));
  statsd.stop();
  server.close();
});

test("statsite gets the same lines over one connection, and again after it went away", async () => {
  const ip = nextLoopbackIp();
  const server = createServer().listen(0, ip);
  await once(server, "listening");
  const statsite = new Statsite({ ip, port: (server.address() as AddressInfo).port }, "p");
  statsite.count("early", 1);
  const receive = async (): Promise<[Socket, string]> => {
    const [socket] = (await once(server, "connection")) as [Socket];
    const [chunk] = (await once(socket, "data")) as [Buffer];
    return [socket, chunk.toString()];
  };
  const [socket, text] = await receive();
  assert.equal(text, "p.early:1.000000|c\n");
  socket.destroy();
  const again = receive();
  const sending = setInterval(() => statsite.count("late", 1), 50);
  const [second, late] = await again;
  clearInterval(sending);
  assert.match(late, /^(p\.late:1\.000000\|c\n)+$/);
  assert.ok(statsite.dropped > 0); // In between there was nobody.
  second.destroy();
  statsite.stop();
  server.close();
});

test("a statsite that does not read costs bounded memory: further packets are dropped and counted", async (t) => {
  const ip = nextLoopbackIp();
  const sockets: Socket[] = [];
  const server = createServer({ pauseOnConnect: true }, (socket) => sockets.push(socket)).listen(0, ip);
  await once(server, "listening");
  const statsite = new Statsite({ ip, port: (server.address() as AddressInfo).port }, "p");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    statsite.stop();
    server.close();
  });
  const name = "x".repeat(500);
  let lines = 0;
  // The system takes some megabytes of its own.
  for (; statsite.dropped === 0 && lines < 200_000; lines += 1) {
    statsite.count(name, 1);
    if (lines % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(statsite.dropped > 0);
  const before = statsite.dropped;
  for (let i = 0; i < 1000; i += 1) statsite.count(name, 1);
  assert.ok(statsite.dropped - before > 400, "nothing is taken any more: two such lines make a packet");
});
