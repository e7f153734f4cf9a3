import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeSealer } from "../../../src/io/node-sealer.ts";
import { rehearsalActs } from "../../../src/io/rehearsal/acts.ts";
import { practiseOnWire } from "../../../src/io/rehearsal/wire-practice.ts";
import { SerfAgent } from "../../../src/io/serf-agent.ts";
import { streamCodec } from "../../../src/io/stream-codec.ts";
import { testOptions } from "../support/agents.ts";

const FORMAT = { compress: true, label: new Uint8Array(0), verifyIncoming: true, verifyOutgoing: true };
const codec = streamCodec(FORMAT, new NodeSealer([]), null);

/** An act is a turn: the system does its part between two. */
async function perform<Result>(acts: AsyncGenerator<unknown, Result>): Promise<Result> {
  for (;;) {
    const { done, value } = await acts.next();
    if (done === true) return value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("streams and datagrams go through the system, and no socket stays open", async () => {
  const before = await socketsLeft();
  const { exchanges, datagrams } = await perform(practiseOnWire(codec));
  assert.equal(exchanges, 3);
  assert.ok(datagrams > 0);
  assert.deepEqual(await socketsLeft(), before);
});

test("practice that is ended early closes its sockets", async () => {
  const before = await socketsLeft();
  const acts = practiseOnWire(codec);
  for (let i = 0; i < 2; i += 1) await acts.next();
  assert.ok(openSockets().length > before.length);
  await acts.return({ exchanges: 0, datagrams: 0 });
  assert.deepEqual(await socketsLeft(), before);
});

test("a peer that cannot be reached does not hold up the practice", async () => {
  const silent = { ...codec, encode: () => new Promise<Uint8Array>(() => undefined) };
  const { exchanges } = await perform(practiseOnWire(silent));
  assert.equal(exchanges, 0);
});

test("the rehearsal as the agent has it: all acts end, and leave no socket", async () => {
  const before = await socketsLeft();
  await perform(rehearsalActs(testOptions("real", "127.0.14.94"), (options) => SerfAgent.start(options), true));
  assert.deepEqual(await socketsLeft(), before);
});

function openSockets(): string[] {
  return process.getActiveResourcesInfo().filter((resource) => /TCP|UDP/.test(resource));
}

/** Closed handles are gone two turns later. */
async function socketsLeft(): Promise<string[]> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  return openSockets();
}
