import assert from "node:assert/strict";
import { test } from "node:test";
import { CROWDED_SLICE_MS, GOSSIP_QUEUE_MAX, NodeRuntime, QUEUED_BYTES_MAX, SLICE_MS, URGENT_QUEUE_MAX, type PlainMessage, type PoolPort } from "../../src/io/node-runtime.ts";
import type { NodeMachine, PoolName } from "../../src/node/types.ts";
import type { PoolEffect, PoolInput } from "../../src/serf/types.ts";
import { MessageType } from "../../src/wire/gossip-messages.ts";
import { wallMs } from "../../src/io/clock.ts";
import { within } from "./support/agents.ts";

/** A machine that notes its inputs and answers as told; a step takes `stepMs` of the test's clock. */
class FakeMachine implements NodeMachine {
  wakeAtMs = Infinity;
  readonly inputs: PoolInput[] = [];
  readonly fired: string[] = [];
  wakes = 0;
  depth = 0;
  answer: (input: PoolInput) => readonly PoolEffect[] = () => [];
  settles: (type: number) => boolean = () => false;
  onStep = (): void => undefined;
  onWake = (): void => {
    this.wakeAtMs = Infinity;
  };

  step(_pool: PoolName, input: PoolInput, _nowMs: number, out: PoolEffect[]): boolean {
    this.depth += 1;
    assert.equal(this.depth, 1, "a core runs to completion");
    this.inputs.push(input);
    this.onStep();
    for (const effect of this.answer(input)) out.push(effect);
    this.depth -= 1;
    return input.kind === "message" && this.settles(input.bytes[0] as number);
  }

  fire(_pool: PoolName, name: string, _payload: Uint8Array | null, _coalesce: boolean, _nowMs: number, out: PoolEffect[]): string {
    this.depth += 1;
    assert.equal(this.depth, 1, "a core runs to completion");
    this.fired.push(name);
    this.onStep();
    out.push({ kind: "count", name: "fired", delta: 1 });
    this.depth -= 1;
    return name === "" ? "no name" : "";
  }

  wake(): void {
    this.wakes += 1;
    this.onWake();
  }
}

class FakePort implements PoolPort {
  readonly applied: PoolEffect[] = [];
  flushes = 0;
  onApply: (effect: PoolEffect) => void = () => undefined;

  apply(effect: PoolEffect): void {
    this.applied.push(effect);
    this.onApply(effect);
  }

  /** Hashes declared settled; null: nothing may be. */
  settled: Set<string> | null = null;

  settle(low: number, high: number): void {
    assert.ok(this.settled !== null, "nothing is settled here");
    this.settled.add(`${low} ${high}`);
  }

  leavesOut(low: number, high: number): boolean {
    return this.settled?.has(`${low} ${high}`) === true;
  }

  flush(): void {
    this.flushes += 1;
  }
}

function setUp(): { machine: FakeMachine; port: FakePort; runtime: NodeRuntime; clock: { nowMs: number }; dropped: number[] } {
  const machine = new FakeMachine();
  const clock = { nowMs: 0 };
  const dropped: number[] = [];
  const runtime = new NodeRuntime(machine, { now: () => clock.nowMs, dropped: (messages) => dropped.push(messages) });
  const port = new FakePort();
  runtime.attach("lan", port);
  return { machine, port, runtime, clock, dropped };
}

const from = { ip: "127.0.0.1", port: 1 };
const message = (type: number): PlainMessage => ({ kind: "message", from, bytes: Uint8Array.of(type), low: 0, high: 0 });
const types = (machine: FakeMachine): number[] => machine.inputs.map((input) => (input.kind === "message" ? (input.bytes[0] as number) : -1));
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("effects run in order; an input caused by an effect waits for the others; packets go once per turn", () => {
  const { machine, port, runtime } = setUp();
  machine.answer = (input) => (input.kind === "streamOpened" ? [{ kind: "streamClose", stream: 1 }, { kind: "streamClose", stream: 2 }] : []);
  port.onApply = (effect) => {
    if (effect.kind === "streamClose") runtime.submit("lan", { kind: "streamFailed", stream: effect.stream, error: "x" });
  };
  runtime.submit("lan", { kind: "streamOpened", stream: 9 });
  assert.deepEqual(machine.inputs.map(({ kind }) => kind), ["streamOpened", "streamFailed", "streamFailed"]);
  assert.deepEqual(port.applied.map((effect) => effect.kind === "streamClose" && effect.stream), [1, 2]);
  assert.equal(port.flushes, 1);
});

test("a command resolves with its own reply", async () => {
  const { machine, runtime } = setUp();
  machine.answer = (input) => (input.kind === "leave" ? [{ kind: "reply", request: input.request, value: { kind: "none" }, errors: [`r${input.request}`] }] : []);
  const replies = await Promise.all([runtime.request("lan", (request) => ({ kind: "leave", request })), runtime.request("lan", (request) => ({ kind: "leave", request }))]);
  assert.deepEqual(replies.map(({ errors }) => errors[0]), ["r1", "r2"]);
});

test("a command hears once: at once, later, when it was given inside another's reply, or that the runtime has stopped", () => {
  const { machine, port, runtime } = setUp();
  const heard: string[] = [];
  const order = (label: string, then = (): void => undefined): void => {
    const request = runtime.takeRequest();
    const done = (): void => {
      heard.push(`${label} done`);
      then();
    };
    runtime.order("lan", { kind: "leave", request }, { request, done, failed: ({ message }) => heard.push(`${label} ${message}`) });
  };
  const replyTo = (...requests: readonly number[]): void => {
    machine.answer = () => requests.map((request) => ({ kind: "reply", request, value: { kind: "none" }, errors: [] }));
  };
  order("1");
  order("2");
  assert.deepEqual(heard, [], "nobody has answered");
  replyTo(2, 3, 1, 3);
  order("3", () => order("4"));
  assert.deepEqual(heard.splice(0), ["2 done", "3 done", "1 done"]);
  replyTo();
  port.onApply = () => runtime.stop(new Error("stopped"));
  machine.answer = () => [{ kind: "stop", reason: "" }];
  order("5");
  assert.deepEqual(heard.splice(0), ["4 stopped", "5 stopped"]);
  order("6");
  assert.deepEqual(heard, ["6 stopped"]);
});

test("copies in one batch: once the first is settled the others are left out; unsettled ones are all applied", () => {
  const { machine, port, runtime } = setUp();
  port.settled = new Set();
  machine.settles = (type) => type === 4;
  const hashed = (type: number, low: number): PlainMessage => ({ ...message(type), low, high: 1 });
  runtime.deliver("lan", [hashed(4, 1), hashed(3, 2), hashed(4, 1), hashed(3, 2), message(8), message(8), hashed(4, 3)]);
  runtime.deliver("lan", [hashed(4, 1), hashed(4, 3), hashed(3, 2)]);
  assert.deepEqual(types(machine), [4, 3, 3, 8, 8, 4, 3]);
});

test("probes overtake gossip", () => {
  const { machine, runtime } = setUp();
  runtime.deliver("lan", [message(MessageType.user), message(MessageType.alive), message(MessageType.ping), message(MessageType.ack)]);
  assert.deepEqual(types(machine), [MessageType.ping, MessageType.ack, MessageType.user, MessageType.alive]);
});

test("a huge batch is done in slices; a command that comes between does not wait for its end", async () => {
  const { machine, runtime, clock } = setUp();
  machine.onStep = () => {
    clock.nowMs += 0.25;
  };
  const count = 200;
  runtime.deliver("lan", Array.from({ length: count }, () => message(MessageType.user)));
  const firstSlice = machine.inputs.length;
  assert.ok(firstSlice >= SLICE_MS / 0.25 && firstSlice < count / 4, `first slice of ${firstSlice}`);
  runtime.submit("lan", { kind: "streamOpened", stream: 1 });
  assert.equal(machine.inputs[firstSlice]?.kind, "streamOpened");
  for (let turn = 0; turn < count && machine.inputs.length <= count; turn += 1) await nextTurn();
  assert.equal(machine.inputs.length, count + 1);
});

test("while the socket is full, slices are short, so that it is emptied before the kernel drops what it holds", () => {
  const stepMs = 1 / 64;
  const firstSlice = (crowded: boolean): number => {
    const { machine, runtime, clock } = setUp();
    machine.onStep = () => {
      clock.nowMs += stepMs;
    };
    runtime.crowded = true;
    runtime.crowded = crowded;
    runtime.deliver("lan", Array.from({ length: 1000 }, () => message(MessageType.user)));
    runtime.stop(new Error("stopped"));
    return machine.inputs.length;
  };
  assert.equal(firstSlice(true), CROWDED_SLICE_MS / stepMs);
  assert.equal(firstSlice(false), SLICE_MS / stepMs);
});

test("gossip beyond the queue's bound is dropped and told; probes still get in", async () => {
  const { machine, runtime, clock, dropped } = setUp();
  machine.onStep = () => {
    clock.nowMs += 1;
  };
  runtime.deliver("lan", [...Array.from({ length: GOSSIP_QUEUE_MAX + 100 }, () => message(MessageType.user)), message(MessageType.ping)]);
  assert.deepEqual(dropped, [100]);
  assert.equal(types(machine)[0], MessageType.ping);
  runtime.stop(new Error("stopped"));
  const before = machine.inputs.length;
  await nextTurn();
  assert.equal(machine.inputs.length, before, "nothing is applied after the stop");
});

test("a flood of pings is bounded as well", () => {
  const { runtime, clock, dropped, machine } = setUp();
  machine.onStep = () => {
    clock.nowMs += 1;
  };
  runtime.deliver("lan", Array.from({ length: URGENT_QUEUE_MAX }, () => message(MessageType.ping)));
  assert.deepEqual(dropped, []);
  const room = machine.inputs.length;
  runtime.deliver("lan", Array.from({ length: room + 1 }, () => message(MessageType.ping)));
  assert.deepEqual(dropped, [1]);
  runtime.stop(new Error("stopped"));
});

test("the bytes of waiting gossip are bounded too (memberlist#363: a packet may inflate a thousandfold); probes still get in", () => {
  const { machine, runtime, clock, dropped } = setUp();
  machine.onStep = () => {
    clock.nowMs += 1;
  };
  const large: PlainMessage = { kind: "message", from, bytes: new Uint8Array(1024 * 1024).fill(MessageType.user), low: 0, high: 0 };
  const fitting = QUEUED_BYTES_MAX / large.bytes.length;
  runtime.deliver("lan", [...new Array<PlainMessage>(fitting + 5).fill(large), message(MessageType.ping)]);
  assert.deepEqual(dropped, [5]);
  assert.equal(types(machine)[0], MessageType.ping);
  runtime.stop(new Error("stopped"));
});

test("the machine is woken when it asked to be, also between the slices of a flood", async () => {
  const { machine, runtime, clock } = setUp();
  const woken = new Promise<void>((resolve) => {
    machine.onWake = () => {
      machine.wakeAtMs = Infinity;
      resolve();
    };
  });
  machine.onStep = () => {
    clock.nowMs += 0.5;
  };
  machine.wakeAtMs = 5;
  runtime.deliver("lan", Array.from({ length: 100 }, () => message(MessageType.user)));
  await within(woken, "wake during the flood");
  assert.ok(machine.inputs.length < 100, "before the flood is over");
  runtime.stop(new Error("stopped"));
});

test("an earlier deadline moves the timer, a late one waits", async () => {
  const machine = new FakeMachine();
  const runtime = new NodeRuntime(machine, { now: () => performance.now(), dropped: () => undefined });
  const woken = new Promise<number>((resolve) => {
    machine.onWake = () => {
      machine.wakeAtMs = Infinity;
      resolve(performance.now());
    };
  });
  machine.wakeAtMs = performance.now() + 3_600_000;
  runtime.submit("lan", { kind: "streamOpened", stream: 1 });
  const dueMs = performance.now() + 20;
  machine.wakeAtMs = dueMs;
  runtime.submit("lan", { kind: "streamOpened", stream: 2 });
  assert.equal(machine.wakes, 0);
  assert.ok((await within(woken, "wake")) >= dueMs);
  runtime.stop(new Error("stopped"));
});

test("the wall clock stands still during a turn, also one that fails", (t) => {
  const { machine, port, runtime } = setUp();
  let nowMs = 0;
  t.mock.method(Date, "now", () => (nowMs += 1));
  const seen: number[] = [];
  machine.answer = () => [{ kind: "count", name: "a", delta: 1 }, { kind: "count", name: "b", delta: 1 }];
  port.onApply = () => seen.push(wallMs());
  runtime.deliver("lan", [message(MessageType.user), message(MessageType.user)]);
  assert.deepEqual(seen, [1, 1, 1, 1]);
  runtime.deliver("lan", [message(MessageType.user)]);
  assert.deepEqual(seen.slice(4), [2, 2]);
  machine.onStep = () => {
    throw new Error("broken");
  };
  assert.throws(() => runtime.deliver("lan", [message(MessageType.user)]), /broken/);
  assert.equal(wallMs(), 3);
  assert.equal(wallMs(), 4);
});

test("an event is fired at once when nothing comes before it, after the timers that are due; else nothing is done", () => {
  const { machine, port, runtime, clock } = setUp();
  machine.wakeAtMs = clock.nowMs;
  const fired = (name: string): string | null => runtime.fire("lan", name, null, false);
  assert.deepEqual([fired("a"), fired("")], ["", "no name"]);
  assert.deepEqual([machine.fired, machine.wakes, port.applied.length, port.flushes], [["a", ""], 1, 2, 2]);

  // From within a turn, as a listener does it, and behind probes that wait.
  const inside: (string | null)[] = [];
  port.onApply = () => inside.push(fired("b"));
  machine.answer = () => [{ kind: "count", name: "c", delta: 1 }];
  runtime.submit("lan", { kind: "streamOpened", stream: 1 });
  port.onApply = () => undefined;
  machine.onStep = () => {
    clock.nowMs += SLICE_MS / 10;
  };
  runtime.deliver("lan", Array.from({ length: 20 }, () => message(MessageType.ping)));
  inside.push(fired("c"));
  runtime.stop(new Error("stopped"));
  inside.push(fired("d"));
  assert.deepEqual([inside, machine.fired], [[null, null, null], ["a", ""]]);
});
