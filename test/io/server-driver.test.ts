import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryLogStore } from "../../src/io/lanes/memory-log-store.ts";
import { CALLS_MAX, ServerDriver, type ServerNetwork } from "../../src/io/server-driver.ts";
import type { RpcOutcome } from "../../src/api/rpc/types.ts";
import { PARKED_MAX } from "../../src/node/server/calls.ts";
import type { Server } from "../../src/node/server/server.ts";
import { Bench, getArgs } from "../node/server/bench.ts";

const NO_NETWORK: ServerNetwork = {
  raft: () => undefined, call: () => undefined, forget: () => undefined, abandon: () => undefined, askPeers: () => undefined, close: () => Promise.resolve(),
};

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
