import assert from "node:assert/strict";
import { mock, test } from "node:test";
import type { LogAppend, LogEvents, LogStore } from "../../src/io/lanes/log-store.ts";
import { MemoryLogStore } from "../../src/io/lanes/memory-log-store.ts";
import { CALLS_MAX, ServerDriver, type ServerDriverHooks, type ServerNetwork } from "../../src/io/server-driver.ts";
import type { RpcOutcome } from "../../src/api/rpc/types.ts";
import { PARKED_MAX } from "../../src/node/server/calls.ts";
import type { Server } from "../../src/node/server/server.ts";
import { Bench, getArgs, putArgs } from "../node/server/bench.ts";

const NO_NETWORK: ServerNetwork = {
  raft: () => undefined, call: () => undefined, forget: () => undefined, abandon: () => undefined, askPeers: () => undefined, close: () => Promise.resolve(),
};

const NO_HOOKS: ServerDriverHooks = {
  log: () => undefined, count: () => undefined, sample: () => undefined, roleChanged: () => undefined, userEvent: () => undefined, fatal: () => undefined,
};

/** A disk that takes what it gets and is done when the test says so. */
class SlowLog implements LogStore {
  readonly #memory: MemoryLogStore;
  readonly #events: LogEvents;
  readonly appends: LogAppend[] = [];
  #durable = 0;

  constructor(events: LogEvents) {
    this.#memory = new MemoryLogStore(events);
    this.#events = events;
  }

  get found(): LogStore["found"] {
    return this.#memory.found;
  }

  get snapshots(): LogStore["snapshots"] {
    return this.#memory.snapshots;
  }

  get pendingBytes(): number {
    return this.appends.length - this.#durable;
  }

  /** Entries of each write that was begun. */
  get sizes(): number[] {
    return this.appends.map(({ entries }) => entries.length);
  }

  append(append: LogAppend): void {
    this.appends.push(append);
  }

  finish(): void {
    this.#durable = this.appends.length;
    this.#events.durable((this.appends.at(-1) as LogAppend).seq);
  }

  compact(): void {}

  read(): Promise<never[]> {
    return Promise.resolve([]);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("calls that come while a write is on its way to the disk become one write behind it, at once when that is done and else after a moment", async (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const driver = new ServerDriver(Bench.alone().node.server, NO_HOOKS);
  t.after(() => driver.close());
  const log = new SlowLog(driver.logEvents);
  driver.start(log, NO_NETWORK);
  const answered: string[] = [];
  const put = async (key: string): Promise<void> => {
    driver.call("KVS.Apply", putArgs(key, "1"), ({ ok }) => answered.push(ok ? key : `${key} failed`));
    await turn();
  };
  await put("a");
  assert.deepEqual(log.sizes, [1], "an idle disk is not waited for");
  await put("b");
  await put("c");
  assert.deepEqual(log.sizes, [1]);
  log.finish();
  assert.deepEqual([log.sizes, answered], [[1, 2], ["a"]]);
  await put("d");
  await put("e");
  mock.timers.tick(10);
  assert.deepEqual(log.sizes, [1, 2, 2], "no longer than that");
  for (let i = 0; i < 128; i += 1) void put("x");
  await turn();
  assert.deepEqual(log.sizes, [1, 2, 2, 128], "nor when there are many");
  await put("f");
  log.finish();
  log.finish();
  assert.deepEqual([log.sizes, answered], [[1, 2, 2, 128, 1], ["a", "b", "c", "d", "e", ...Array.from({ length: 128 }, () => "x"), "f"]]);
});

test("whoever throws at an outcome loses that outcome: the server goes on", async (t) => {
  const said: string[] = [];
  const driver = new ServerDriver(new Bench().add("a").server, {
    log: (level, text) => said.push(`${level} ${text}`), count: () => undefined, sample: () => undefined, roleChanged: () => undefined, userEvent: () => undefined, fatal: () => undefined,
  });
  t.after(() => driver.close());
  driver.start(new MemoryLogStore(driver.logEvents), NO_NETWORK);
  const call = (done: (answer: unknown) => void): unknown => driver.call("Status.Leader", { datacenter: "dc1" }, (outcome) => done(outcome.ok ? outcome.value : outcome.error));
  call(() => {
    throw new Error("cannot be encoded");
  });
  const answers: unknown[] = [];
  call((answer) => answers.push(answer));
  assert.deepEqual(answers, [""]);
  assert.deepEqual(said.filter((line) => line.startsWith("err")), ['err agent.server: an answer could not be given: error="Error: cannot be encoded"']);
});

test("calls that have no outcome are bounded; one more is refused at once and counted, and there is room again when one ends", async (t) => {
  let refused = 0;
  const taken: number[] = [];
  // A server that never answers.
  const server = { step: ({ kind }: { readonly kind: string }) => void (kind === "call" && taken.push(1)), wakeAtMs: Infinity, proposals: { gathered: false } } as unknown as Server;
  const driver = new ServerDriver(server, {
    log: () => undefined, count: (name, delta) => void (name === "rpc.calls.refused" && (refused += delta)), sample: () => undefined, roleChanged: () => undefined, userEvent: () => undefined, fatal: () => undefined,
  });
  t.after(() => driver.close());
  const outcomes: RpcOutcome[] = [];
  const call = (): { cancel(): void } => driver.call("KVS.Get", getArgs("k"), (outcome) => outcomes.push(outcome));
  const first = call();
  for (let i = 1; i < CALLS_MAX; i += 1) call();
  assert.deepEqual([outcomes.length, refused, taken.length], [0, 0, CALLS_MAX]);
  const beyond = call();
  assert.deepEqual([outcomes, refused, taken.length], [[{ ok: false, error: "Too many requests are waiting to be written" }], 1, CALLS_MAX]);
  beyond.cancel();
  first.cancel();
  call();
  assert.deepEqual([outcomes.length, taken.length], [1, CALLS_MAX + 1]);
  assert.ok(PARKED_MAX < CALLS_MAX, "without a leader most of them are refused long before");
});
