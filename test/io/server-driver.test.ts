import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryLogStore } from "../../src/io/lanes/memory-log-store.ts";
import { ServerDriver, type ServerNetwork } from "../../src/io/server-driver.ts";
import { Bench } from "../node/server/bench.ts";

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
