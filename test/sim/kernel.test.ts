import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/base/random.ts";
import { NodeClock } from "../../src/sim/clock.ts";
import { SnapshotDisk } from "../../src/sim/disk.ts";
import { EventQueue } from "../../src/sim/event-queue.ts";
import type { Host } from "../../src/sim/host.ts";
import { endpointOf, indexOfEndpoint, Network, QUIET_NETWORK } from "../../src/sim/network.ts";
import { Ledger } from "../../src/sim/ledger.ts";
import { Operator } from "../../src/sim/operator.ts";
import type { SimCodec } from "../../src/sim/sim-codec.ts";
import { fakeCluster, type FakeCluster, type FakeMachine } from "./fake-machine.ts";

const ROUGH = { delayUsMin: 100, delayUsMax: 5_000, tailPpm: 50_000, tailUs: 100_000, lossPpm: 100_000, duplicatePpm: 50_000, bandwidthBytesPerSecond: 10_000, zones: 1, zoneDelayUs: 0 };

function host({ sim }: FakeCluster, index: number): Host {
  return sim.hosts[index] as Host;
}

function machine({ machines }: FakeCluster, index: number): FakeMachine {
  return machines[index] as FakeMachine;
}

function kinds(of: FakeMachine): string[] {
  return of.inputs.map(({ input }) => input.kind);
}

test("the agenda gives events by time, equal times by insertion", () => {
  const random = new SeededRandom(7);
  const queue = new EventQueue();
  const expected: { atUs: number; order: number }[] = [];
  const taken: { atUs: number; order: number }[] = [];
  const take = (): void => {
    if (queue.pop()) taken.push({ atUs: queue.atUs, order: queue.payload as number });
  };
  for (let order = 0; order < 5_000; order += 1) {
    const atUs = queue.atUs + random.below(50);
    queue.push(atUs, 1, 2, order);
    expected.push({ atUs, order });
    if (random.below(3) === 0) take();
  }
  while (queue.size > 0) take();
  assert.equal(queue.nextAtUs, Infinity);
  assert.deepEqual(taken, expected.sort((a, b) => a.atUs - b.atUs || a.order - b.order));
});

test("a seed decides the whole run, another seed makes another one", () => {
  const hashOf = (seed: number): string => {
    const cluster = fakeCluster(20, 50, { seed, network: ROUGH, clockDriftPpmMax: 300 });
    cluster.sim.after(500_000, () => cluster.sim.stall(host(cluster, 3), 1_500_000));
    cluster.sim.after(700_000, () => cluster.sim.stop(host(cluster, 5), true));
    cluster.sim.after(900_000, () => cluster.sim.start(host(cluster, 5), true));
    cluster.sim.runUntil(3_000_000);
    assert.ok(cluster.sim.stats.datagramsLost > 0);
    return cluster.sim.traceHash;
  };
  assert.equal(hashOf(1), hashOf(1));
  assert.notEqual(hashOf(1), hashOf(2));
});

test("a paused process gets its deadlines first and then what waited, nothing in between", () => {
  const cluster = fakeCluster(2, 100);
  const { sim } = cluster;
  sim.runUntil(50_000);
  sim.stall(host(cluster, 0), 1_000_000);
  const before = machine(cluster, 0).inputs.length;
  sim.runUntil(999_999);
  assert.equal(machine(cluster, 0).inputs.length, before);
  sim.runUntil(1_000_000);
  const after = kinds(machine(cluster, 0)).slice(before);
  assert.equal(after[0], "wake");
  assert.ok(after.length > 1 && after.slice(1).every((kind) => kind === "message"));
});

test("a process that ended gets nothing; its restart is a new machine, and the old one is closed", () => {
  const cluster = fakeCluster(2, 100);
  const { sim } = cluster;
  const first = machine(cluster, 1);
  sim.runUntil(500_000);
  sim.stop(host(cluster, 1), false);
  const count = first.inputs.length;
  sim.runUntil(1_000_000);
  assert.ok(sim.stats.datagramsDropped > 0);
  sim.start(host(cluster, 1), true);
  sim.runUntil(2_000_000);
  assert.equal(first.inputs.length, count);
  assert.ok(first.closed && machine(cluster, 1) !== first && machine(cluster, 1).inputs.length > 0);
});

test("a wake is never early by the node's own clock, whatever its drift", () => {
  const cluster = fakeCluster(30, 7, { clockDriftPpmMax: 500 });
  cluster.sim.runUntil(1_000_000);
  for (const { inputs, spec } of cluster.machines) {
    let dueMs = spec.nowMs + 7;
    for (const { nowMs, input } of inputs) {
      if (input.kind !== "wake") continue;
      assert.ok(nowMs >= dueMs && nowMs < dueMs + 0.01, `${nowMs} for ${dueMs}`);
      dueMs = nowMs + 7;
    }
  }
});

test("a clock that jumps ahead makes deadlines due", () => {
  const cluster = fakeCluster(1, 10_000);
  cluster.sim.runUntil(1_000);
  cluster.sim.jumpClock(host(cluster, 0), 10_000);
  cluster.sim.runUntil(1_010);
  assert.deepEqual(kinds(machine(cluster, 0)), ["wake"]);
  const clock = new NodeClock(123.25, -250);
  for (const ms of [123.25, 200, 1e6 / 3]) assert.ok(clock.localMs(clock.virtualUs(ms)) >= ms && clock.localMs(clock.virtualUs(ms) - 1) < ms);
});

/** Node 0 dials node 1, sends one message, gets one back, and both close. */
function exchange(cluster: FakeCluster): void {
  machine(cluster, 0).react = (input, effect) => {
    if (input.kind === "join") {
      effect({ kind: "dial", stream: 1, to: endpointOf(1), timeoutMs: 5_000 });
      effect({ kind: "streamSend", stream: 1, bytes: new Uint8Array([6, 1]) });
    }
    if (input.kind === "streamMessage") effect({ kind: "streamClose", stream: 1 });
  };
  machine(cluster, 1).react = (input, effect) => {
    if (input.kind !== "streamMessage") return;
    effect({ kind: "streamSend", stream: input.stream, bytes: new Uint8Array([6, 2]) });
    effect({ kind: "streamClose", stream: input.stream });
  };
  cluster.sim.command(host(cluster, 0), (request) => ({ kind: "join", request, targets: [], ignoreOld: false, errors: [] }));
}

function failure(of: FakeMachine): string | undefined {
  for (const { input } of of.inputs) if (input.kind === "streamFailed") return input.error;
  return undefined;
}

test("a stream: opened, a message each way, closed without a word", () => {
  const cluster = fakeCluster(2, Infinity);
  exchange(cluster);
  cluster.sim.runUntil(30_000_000);
  assert.deepEqual(kinds(machine(cluster, 0)), ["join", "streamOpened", "streamMessage"]);
  assert.deepEqual(kinds(machine(cluster, 1)), ["streamMessage"]);
  assert.equal(host(cluster, 0).streams.size + host(cluster, 1).streams.size, 0);
  assert.equal(host(cluster, 1).acceptedCount, 0);
});

test("a stream to a host without the process is refused at once; to a host without power it times out", () => {
  for (const { power, error, byUs } of [{ power: false, error: "connection refused", byUs: 10_000 }, { power: true, error: "i/o timeout", byUs: 5_000_000 }]) {
    const cluster = fakeCluster(2, Infinity);
    cluster.sim.stop(host(cluster, 1), power);
    exchange(cluster);
    cluster.sim.runUntil(byUs - 1);
    assert.equal(failure(machine(cluster, 0)), power ? undefined : error);
    cluster.sim.runUntil(byUs);
    assert.equal(failure(machine(cluster, 0)), error);
  }
});

test("a stream survives losses and a short cut, and breaks on a long one", () => {
  for (const { forUs, expected } of [{ forUs: 2_000_000, expected: undefined }, { forUs: 60_000_000, expected: "i/o timeout" }]) {
    const cluster = fakeCluster(2, Infinity, { network: { ...QUIET_NETWORK, lossPpm: 200_000 } });
    const rule = { from: new Uint8Array([1, 0]), to: new Uint8Array([0, 1]), lossPpm: 1_000_000, delayUs: 0 };
    cluster.sim.network.addRule(rule);
    cluster.sim.after(forUs, () => cluster.sim.network.removeRule(rule));
    exchange(cluster);
    cluster.sim.runUntil(90_000_000);
    assert.equal(failure(machine(cluster, 0)), expected);
    assert.equal(kinds(machine(cluster, 1)).includes("streamMessage"), expected === undefined);
  }
});

test("a killed process resets its streams", () => {
  const cluster = fakeCluster(2, Infinity);
  exchange(cluster);
  machine(cluster, 1).react = () => {}; // It never answers.
  cluster.sim.runUntil(100_000);
  cluster.sim.stop(host(cluster, 1), false);
  cluster.sim.runUntil(200_000);
  assert.equal(failure(machine(cluster, 0)), "connection reset by peer");
});

test("one-way cuts are one-way, loopback never fails, a busy uplink delays and then drops", () => {
  const network = new Network({ ...QUIET_NETWORK, bandwidthBytesPerSecond: 1_000 }, 3, new SeededRandom(1));
  network.addRule({ from: new Uint8Array([1, 0, 0]), to: new Uint8Array([1, 1, 1]), lossPpm: 1_000_000, delayUs: 0 });
  assert.equal(network.transit(0, 1, 0, 0, false), -1);
  assert.ok(network.transit(0, 0, 0, 0, false) > 0);
  const first = network.transit(1, 0, 100, 0, false);
  assert.ok(first >= 100_000 && first < 102_000);
  assert.ok(network.transit(1, 0, 150, 0, false) >= 250_000);
  assert.equal(network.transit(1, 0, 100, 0, false), -1);
  assert.ok(network.transit(1, 0, 100, 0, true) >= 350_000);
});

test("addresses and indexes belong together", () => {
  for (const index of [0, 1, 255, 256, 70_000]) assert.equal(indexOfEndpoint(endpointOf(index), 100_000), index);
  assert.equal(indexOfEndpoint(endpointOf(5), 5), -1);
  assert.equal(indexOfEndpoint({ ip: "127.0.0.1", port: 7946 }, 5), -1);
  assert.equal(indexOfEndpoint({ ip: "10.0.0.1", port: 1 }, 5), -1);
});

test("a disk keeps what was flushed; the rest may be cut, also within a line", () => {
  let torn = 0;
  for (let seed = 0; seed < 50; seed += 1) {
    const disk = new SnapshotDisk();
    disk.append(["alive: a 1", "alive: b 2"], true);
    disk.append(["clock: 3", "clock: 4"], false);
    const whole = disk.text;
    disk.losePower(new SeededRandom(seed));
    assert.ok(disk.text.startsWith("alive: a 1\nalive: b 2\n"));
    assert.ok(whole.startsWith(disk.text));
    if (!disk.text.endsWith("\n")) {
      torn += 1;
      const before = disk.text;
      disk.append(["clock: 5"], false);
      assert.equal(disk.text, `${before}clock: 5\n`);
    }
  }
  assert.ok(torn > 0);
});

test("what a process writes while its disk is stalled is there afterwards, in order, unless the process ended meanwhile", () => {
  const disk = new SnapshotDisk();
  disk.append(["alive: a 1"], true);
  disk.stall();
  disk.append(["clock: 2"], false);
  disk.replace(["alive: b 3"]);
  disk.append(["clock: 4"], true);
  assert.equal(disk.text, "alive: a 1\n");
  disk.resume();
  assert.equal(disk.text, "alive: b 3\nclock: 4\n");
  disk.stall();
  disk.append(["clock: 5"], true);
  disk.dropWaiting();
  disk.append(["clock: 6"], true); // The next process, on the same stalled disk.
  disk.resume();
  assert.equal(disk.text, "alive: b 3\nclock: 4\nclock: 6\n");
});

test("a disk stall in a scenario lasts as long as the longest of those that overlap, and a killed process loses what waited", () => {
  const { sim, machines } = fakeCluster(1, Infinity);
  const host = sim.hosts[0] as (typeof sim.hosts)[number];
  const operator = new Operator(sim, new Ledger(1), true);
  const write = (line: string): void => {
    (machines[0] as FakeMachine).react = (_input, effect) => effect({ kind: "snapshot", lines: [line], flush: true });
    sim.command(host, (request) => ({ kind: "leave", request }));
  };
  operator.stallDisk(host, 10_000);
  operator.stallDisk(host, 4_000);
  write("clock: 1");
  sim.runUntil(5_000);
  assert.equal(host.disk.text, "");
  sim.runUntil(10_000);
  assert.equal(host.disk.text, "clock: 1\n");
  operator.stallDisk(host, 10_000);
  write("clock: 2");
  operator.kill(host, false);
  sim.runUntil(30_000);
  assert.equal(host.disk.text, "clock: 1\n");
});

/** Length-prefixed messages behind one byte that stands for a seal. */
const FAKE_CODEC: SimCodec = {
  encodePacket: (messages) => [new Uint8Array([0x55, ...messages.flatMap((message) => [message.length, ...message])])],
  openPacket: (packet) => {
    const messages: Uint8Array[] = [];
    for (let at = 1; at < packet.length; at += 1 + (packet[at] as number)) messages.push(packet.slice(at + 1, at + 1 + (packet[at] as number)));
    return packet[0] === 0x55 ? messages : null;
  },
  encodeStream: (message) => message,
  readStream: (bytes) => bytes,
};

test("the codec mode changes what is encoded but not what happens; a codec that damages messages is caught", () => {
  const run = (codecMode: "full" | "sampled" | "off", codec: SimCodec): FakeCluster => {
    const cluster = fakeCluster(10, 10, { codecMode, codec, network: ROUGH });
    exchange(cluster);
    cluster.sim.runUntil(2_000_000);
    return cluster;
  };
  const [full, sampled, off] = [run("full", FAKE_CODEC).sim, run("sampled", FAKE_CODEC).sim, run("off", FAKE_CODEC).sim];
  assert.equal(full.traceHash, off.traceHash);
  assert.equal(sampled.traceHash, off.traceHash);
  assert.ok(full.codec.encoded > sampled.codec.encoded && sampled.codec.encoded > 0);
  assert.equal(off.codec.encoded, 0);
  const damaging: SimCodec = { ...FAKE_CODEC, openPacket: (packet) => FAKE_CODEC.openPacket(packet.map((byte, i) => (i === 2 ? byte ^ 1 : byte))) };
  assert.equal(run("full", damaging).sim.violations[0]?.checker, "codec");
});

test("a node that throws is a violation and ends the run", () => {
  const cluster = fakeCluster(3, 10);
  machine(cluster, 1).react = () => {
    throw new Error("broken");
  };
  cluster.sim.runUntil(1_000_000);
  assert.equal(cluster.sim.violations.length, 1);
  assert.match(cluster.sim.violations[0]?.text ?? "", /node-1 threw: Error: broken/);
  assert.ok(cluster.sim.nowUs < 1_000_000);
});
