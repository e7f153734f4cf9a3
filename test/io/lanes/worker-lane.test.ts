import assert from "node:assert/strict";
import { after, test, type TestContext } from "node:test";
import { drawHashKey } from "../../../src/io/entropy.ts";
import { InlineLane } from "../../../src/io/lanes/inline-lane.ts";
import { Lane, LaneHost, SETTLED_WAITING_MAX } from "../../../src/io/lanes/lane-host.ts";
import { STARTED_VERSION } from "../../../src/io/lanes/lane-protocol.ts";
import type { OpenedBatch, SealedPacket } from "../../../src/io/lanes/packet-lane.ts";
import { OVERTAKING_MAX, QUEUED_BYTES_MAX, QUEUED_PACKETS_MAX, SMALL_PACKET_BYTES, WorkerLane } from "../../../src/io/lanes/worker-lane.ts";
import { Metrics } from "../../../src/io/metrics.ts";
import { logText } from "../../../src/io/serf-agent-api.ts";
import { NodeSealer } from "../../../src/io/node-sealer.ts";
import type { ReceivedPacket } from "../../../src/io/udp-socket.ts";
import { encodePing, encodeUser } from "../../../src/wire/gossip-codec.ts";
import { packPacket } from "../../../src/wire/packet.ts";
import { encodeUserEvent } from "../../../src/wire/serf-codec.ts";

const KEY = new Uint8Array(32).fill(7);
const OTHER_KEY = new Uint8Array(16).fill(9);
const FORMAT = { compress: true, label: new Uint8Array(0), verifyIncoming: true, verifyOutgoing: true };
/** Far beyond what anything here takes: only a failure reaches it. */
const DEADLINE_MS = 10_000;
const LOOK_MS = 10;
const FROM = { ip: "127.0.0.1", port: 7946 };

interface Rig {
  readonly host: LaneHost;
  readonly lane: WorkerLane;
  readonly metrics: Metrics;
  readonly log: string[];
  lost: number;
}

/** Lanes end when the file ends, also when a test fails. */
const hosts: LaneHost[] = [];
after(() => Promise.all(hosts.map((host) => host.stop())));

async function rig(lanes: number, keys: readonly Uint8Array[] = [KEY]): Promise<Rig> {
  const metrics = new Metrics();
  const log: string[] = [];
  const hashKey = drawHashKey();
  const host = new LaneHost({ lanes, hashKey, log: { write: (level, text) => log.push(`${level} ${logText(text)}`) }, metrics });
  hosts.push(host);
  const made: { lost: number } = { lost: 0 };
  const overflow = (packets: number): void => {
    made.lost += packets;
  };
  const inline = new InlineLane({ sealer: new NodeSealer(keys), format: FORMAT, pool: 0, hashKey, overflow });
  const lane = await WorkerLane.start({ host, pool: 0, format: FORMAT, keys, inline, overflow, count: (name, delta) => metrics.count(name, delta) });
  await holds("all lanes are up", () => host.stats().every(({ up }) => up));
  return Object.assign(made, { host, lane, metrics, log });
}

/** Its payload does not shrink, so that its packet is not a small one. */
function event(serial: number): Uint8Array {
  const payload = new Uint8Array(SMALL_PACKET_BYTES).map((_, i) => Math.imul((serial << 8) + i + 1, 0x9e3779b1) >>> 13);
  return encodeUser(encodeUserEvent({ lamportTime: serial + 1, name: `event-${serial}`, payload, coalesce: false }));
}

function ping(seq: number): Uint8Array {
  return encodePing({ seq, node: "n".repeat(60), sourceAddr: Uint8Array.of(127, 0, 0, 1), sourcePort: 7946, sourceNode: "s".repeat(60) });
}

function packet(messages: readonly Uint8Array[], key = KEY): ReceivedPacket {
  const [bytes] = packPacket(messages, { ...FORMAT, crc: true, sealer: new NodeSealer([key]), encryptionVersion: 1 });
  return { from: FROM, bytes: bytes as Uint8Array };
}

/** Opens a batch and waits until every packet of it is answered for, by messages or by `lost`. */
function collect(r: Rig): { readonly seen: OpenedBatch["messages"][number][]; readonly until: (done: () => boolean) => Promise<void>; readonly sink: (opened: OpenedBatch) => void } {
  const seen: OpenedBatch["messages"][number][] = [];
  let check: () => void = () => undefined;
  const sink = (opened: OpenedBatch): void => {
    seen.push(...opened.messages);
    r.metrics.count("test.repeats", opened.repeats);
    r.metrics.count("test.shed", opened.shed);
    check();
  };
  const until = (done: () => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      // Packets may be lost without a word: look now and then, too.
      const look = setInterval(() => check(), 10);
      const deadline = setTimeout(() => {
        clearInterval(look); // It would keep the process alive.
        reject(new Error(`not done: ${seen.length} messages, ${r.lost} lost, ${r.log.join("; ")}`));
      }, DEADLINE_MS);
      check = () => {
        if (!done()) return;
        clearTimeout(deadline);
        clearInterval(look);
        resolve();
      };
      check();
    });
  return { seen, until, sink };
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

test("bursts go to the lanes and come back complete and in the socket's order", async (t: TestContext) => {
  for (const lanes of [1, 3]) {
    await t.test(`${lanes} lane(s)`, async () => {
      const r = await rig(lanes);
      const { seen, until, sink } = collect(r);
      const expected: string[] = [];
      let serial = 0;
      for (let burst = 0; burst < 40; burst += 1) {
        const packets: ReceivedPacket[] = [];
        for (let i = 0; i < 30; i += 1) {
          const messages = [event(serial), event(serial + 1), event(serial + 2)];
          serial += 3;
          expected.push(...messages.map(textOf));
          packets.push(packet(messages));
        }
        r.lane.open(packets, sink);
      }
      await until(() => seen.length === expected.length);
      assert.deepEqual(seen.map(({ bytes }) => textOf(bytes)), expected);
      assert.equal(r.lost, 0);
      assert.ok(r.metrics.counter("packets_offloaded") > 1000, "lanes did the work");
      assert.deepEqual(seen[0]?.from, FROM);
    });
  }
});

test("little work stays inline and is done at once", async () => {
  const r = await rig(1);
  const { seen, sink } = collect(r);
  r.lane.open([packet([event(1)])], sink);
  assert.equal(seen.length, 1);
  assert.equal(r.metrics.counter("packets_offloaded"), 0);
});

test("pings do not wait for the gossip before them, not even when no more of it can be queued; only a few of a turn overtake it", async () => {
  const r = await rig(1);
  const { seen, until, sink } = collect(r);
  const gossip = Array.from({ length: 100 }, (_, i) => packet([event(i)]));
  const pings = Array.from({ length: OVERTAKING_MAX + 2 }, (_, i) => packet([ping(i)]));
  assert.ok(pings.every(({ bytes }) => bytes.length <= SMALL_PACKET_BYTES));
  r.lane.open([...gossip, ...pings], sink);
  assert.deepEqual(seen.map(({ bytes }) => textOf(bytes)), pings.slice(0, OVERTAKING_MAX).map((_, i) => textOf(ping(i))));
  await until(() => seen.length === gossip.length + pings.length);
  assert.equal(r.metrics.counter("packets_inline"), OVERTAKING_MAX);

  while (r.lost === 0) r.lane.open(gossip, sink);
  const before = seen.length;
  r.lane.open([...gossip, packet([ping(0)])], sink);
  assert.deepEqual(seen.slice(before).map(({ bytes }) => textOf(bytes)), [textOf(ping(0))]);
});

test("repeats are left out once settled, and only then, whichever path settled them", async () => {
  const r = await rig(1);
  const { seen, until, sink } = collect(r);
  const burst = (): ReceivedPacket[] => Array.from({ length: 10 }, (_, i) => packet([event(2 * i), event(2 * i + 1)]));
  r.lane.open(burst(), sink);
  await until(() => seen.length === 20);
  r.lane.open(burst(), sink);
  await until(() => seen.length === 40);
  assert.equal(r.metrics.counter("test.repeats"), 0, "nothing was settled: every copy reaches the core");
  for (const { low, high } of seen.slice(0, 19)) r.lane.settle(low, high);
  r.lane.open(burst(), sink);
  await until(() => seen.length === 41);
  assert.equal(r.metrics.counter("test.repeats"), 19);
  assert.equal(textOf(seen[40]?.bytes ?? new Uint8Array()), textOf(event(19)));
  r.lane.open([packet([event(3)])], sink);
  assert.equal(r.metrics.counter("test.repeats"), 20, "the inline half knows it too");
});

test("a keyring change is in force in every lane when it resolves", { timeout: DEADLINE_MS }, async () => {
  const r = await rig(2);
  const { seen, until, sink } = collect(r);
  await r.lane.setKeys([OTHER_KEY, KEY]);
  r.lane.open(Array.from({ length: 300 }, (_, i) => packet([event(i)], OTHER_KEY)), sink);
  await until(() => seen.length === 300);
  await r.lane.setKeys([OTHER_KEY]);
  let drops = 0;
  await new Promise<void>((resolve) => {
    r.lane.open(Array.from({ length: 40 }, (_, i) => packet([event(i)])), (opened) => {
      drops += opened.drops.get("decrypt") ?? 0;
      if (drops === 40) resolve();
    });
  });
});

test("packing in a lane gives every target datagrams that open to the same messages", { timeout: DEADLINE_MS }, async () => {
  const r = await rig(1);
  const messages = Array.from({ length: 12 }, (_, i) => event(i));
  const targets = [1, 2, 3].map((last) => ({ ip: `127.0.0.${last}`, port: 1 }));
  const sealed = await new Promise<readonly SealedPacket[]>((resolve) => r.lane.pack([{ to: targets, messages, crc: true }, { to: targets.slice(0, 1), messages, crc: false }], resolve));
  assert.equal(r.metrics.counter("pack_batches"), 1);
  assert.deepEqual(sealed.map(({ to }) => to.ip), ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.1"]);
  assert.equal(new Set(sealed.map(({ bytes }) => textOf(bytes))).size, 4, "each has a nonce of its own");
  const { seen, sink, until } = collect(r);
  r.lane.open(sealed.map(({ bytes }) => ({ from: FROM, bytes: bytes.slice() })), sink);
  await until(() => seen.length === 48);
});

test("a lane that dies loses its packets, main goes inline, and a new lane takes over", async () => {
  const r = await rig(1);
  const { seen, sink, until } = collect(r);
  const burst = Array.from({ length: 200 }, (_, i) => packet([event(i)]));
  const [thread] = r.host.threads;
  assert.ok(thread !== undefined);
  r.lane.open(burst, sink);
  await thread.terminate();
  await until(() => seen.length + r.lost >= 200);
  // piscina tells of the death in its own time; whatever comes in before and after is answered for.
  const before = seen.length + r.lost;
  r.lane.open(burst, sink);
  await until(() => seen.length + r.lost >= before + 200);
  await holds("the lane is up again", () => r.host.stats().every(({ up, restarts }) => up && restarts > 0));
  const offloaded = r.metrics.counter("packets_offloaded");
  const then = seen.length;
  r.lane.open(burst, sink);
  await until(() => seen.length === then + 200);
  assert.equal(r.metrics.counter("packets_offloaded"), offloaded + 200);
  assert.equal(r.metrics.counter("muster.lane.restarts"), 1);
  assert.ok(r.log.some((line) => line.startsWith("err agent: packet lane 0 died")));
});

test("a lane whose thread dies while it loads is started again, too", async () => {
  const r = await rig(1);
  const { seen, sink, until } = collect(r);
  for (let kills = 1; kills <= 3; kills += 1) {
    await holds("a thread", () => r.host.threads.length > 0);
    await Promise.all(r.host.threads.map((thread) => thread.terminate()));
    await holds("a restart", () => (r.host.stats()[0]?.restarts ?? 0) >= kills);
    assert.equal(r.host.down, true);
    // Nothing waits for a lane that is not there.
    const then = seen.length;
    r.lane.open(Array.from({ length: 100 }, (_, i) => packet([event(i)])), sink);
    await until(() => seen.length === then + 100);
  }
  await holds("a lane is up", () => !r.host.down);
});

test("a lane that hangs is replaced, and its batches are given up", { timeout: DEADLINE_MS }, async (t: TestContext) => {
  let nowMs = 0;
  t.mock.method(performance, "now", () => nowMs);
  let kill: (() => void) | null = null;
  const log: string[] = [];
  const lane: Lane = new Lane({
    id: 0,
    hashKey: drawHashKey(),
    setups: new Map(),
    log: { write: (_, text) => log.push(logText(text)) },
    metrics: new Metrics(),
    run: ({ port }) => {
      port.postMessage({ kind: "ready", version: STARTED_VERSION });
      return { ended: new Promise((_, reject) => (kill = () => reject(new Error("killed")))), kill: () => kill?.() };
    },
    freed: () => undefined,
  });
  t.after(() => lane.stop());
  await holds("the lane is up", () => lane.up);
  nowMs += 100_000;
  lane.check();
  assert.equal(lane.up, true, "idle is not hanging");
  const answer = new Promise((resolve) => lane.send(new ArrayBuffer(16), resolve));
  nowMs += 10_000;
  lane.check();
  assert.equal(await answer, null);
  assert.equal(lane.up, false);
  assert.match(log.join(), /packet lane 0 died \(killed\)/);
});

test("settled hashes that wait for a lane without work are bounded: the oldest are forgotten, and counted, the newest are told", async (t: TestContext) => {
  const metrics = new Metrics();
  const lane = new Lane({
    id: 0, hashKey: drawHashKey(), setups: new Map(), log: { write: () => undefined }, metrics,
    run: () => ({ ended: new Promise(() => undefined), kill: () => undefined }),
    freed: () => undefined,
  });
  t.after(() => lane.stop());
  for (let i = 0; i < SETTLED_WAITING_MAX; i += 1) lane.settle(i, i + 1);
  assert.equal(lane.takeSettled().length, 2 * SETTLED_WAITING_MAX);
  const settled = 10 * SETTLED_WAITING_MAX + 1;
  for (let i = 0; i < settled; i += 1) lane.settle(i, i + 1);
  const told = lane.takeSettled();
  assert.ok(told.length <= 2 * SETTLED_WAITING_MAX);
  assert.equal(metrics.counter("muster.lane.settled_forgotten") + told.length / 2, settled);
  const first = told[0] as number;
  assert.deepEqual(told, Array.from({ length: 2 * (settled - first) }, (_, i) => first + (i >> 1) + (i & 1)), "what is told is the end of it, without a gap");
});

test("more than can be queued is dropped, gossip behind a long queue is shed, all of it counted", async () => {
  const r = await rig(1);
  const { seen, sink, until } = collect(r);
  const burst = Array.from({ length: 100 }, () => packet([event(1)]));
  for (let i = 0; i < 120; i += 1) r.lane.open(burst, sink);
  assert.ok(r.lost > 0 && r.lost <= 12_000 - QUEUED_PACKETS_MAX, `${r.lost} packets dropped`);
  const shed = (): number => r.metrics.counter("test.shed");
  await until(() => seen.length + shed() + r.lost === 12_000);
  assert.ok(shed() > 0, "a queue this long makes the lane leave gossip out");
});

test("the bytes that can be queued are bounded too, on either path", async () => {
  const size = 60_000;
  const fitting = Math.floor(QUEUED_BYTES_MAX / size);
  const burst = Array.from({ length: fitting + 100 }, () => ({ from: FROM, bytes: new Uint8Array(size) }));
  const r = await rig(1);
  r.lane.open(burst, () => undefined);
  assert.equal(r.lost, 100);

  let lost = 0;
  const inline = new InlineLane({ sealer: new NodeSealer([KEY]), format: FORMAT, pool: 0, hashKey: drawHashKey(), overflow: (packets) => (lost += packets) });
  inline.open(burst, () => undefined);
  assert.equal(lost, 100);
  await inline.stop();
});

/** Looks every few ms; fails, and lets the file end, when that takes too long. Counts looks: a test replaces the clock. */
async function holds(what: string, condition: () => boolean): Promise<void> {
  for (let looks = 0; !condition(); looks += 1) {
    assert.ok(looks * LOOK_MS < DEADLINE_MS, `waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
