import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { LogHub } from "../../../src/io/log-hub.ts";
import { Metrics } from "../../../src/io/metrics.ts";
import { drill, PINGS_PER_ROUND, ROUNDS } from "../../../src/io/rehearsal/drill.ts";
import type { Lesson } from "../../../src/io/rehearsal/lesson.ts";
import { SerfAgent } from "../../../src/io/serf-agent.ts";
import type { SerfAgentOptions } from "../../../src/io/serf-agent-api.ts";
import { testOptions } from "../support/agents.ts";

const CASES: Readonly<Record<string, Partial<SerfAgentOptions>>> = {
  plain: {},
  sealed: { keys: [randomBytes(16)], label: "pool" },
  "without compression, and with addresses that may not come near": { compression: false, allowedCidrs: ["192.0.2.0/24"] },
};
const TURNS_MAX = 10_000;
/** A packet takes some turns; where the system gives them none, the drill goes on without. */
const LOST_MAX = ROUNDS / 4;
/** An event on its stream takes that much at least. */
const RECORD_BYTES = 80;
/** Every other round brings a packet of twenty. */
const EVENTS_PER_ROUND = 10;

for (const [name, more] of Object.entries(CASES)) {
  test(`a drill brings packets through the system and events to a client, and leaves nothing behind: ${name}`, async () => {
    const before = await left();
    const log = new LogHub();
    const metrics = new Metrics();
    const lessons: Lesson[] = [];
    const acts = drill(testOptions("real", "127.0.14.95", { ...more, log, metrics }), (options) => SerfAgent.start(options));
    let result = await acts.next();
    for (let turn = 0; turn < TURNS_MAX && result.done !== true; turn += 1) {
      lessons.push(result.value);
      await new Promise((resolve) => setImmediate(resolve));
      result = await acts.next();
    }
    assert.ok(result.done === true);
    const { answered, bytes } = result.value;
    assert.ok(answered > (ROUNDS - LOST_MAX) * PINGS_PER_ROUND && answered <= ROUNDS * PINGS_PER_ROUND, String(answered));
    assert.ok(bytes > (ROUNDS - LOST_MAX) * EVENTS_PER_ROUND * RECORD_BYTES, String(bytes));
    // Packets are made before what is busy is optimized: their making is not.
    assert.equal(lessons.indexOf("speed"), lessons.lastIndexOf("shapes") + 1);
    assert.deepEqual([log.backlog(), [...metrics.counters]], [[], []]);
    assert.deepEqual(await left(), before);
  });
}

test("a drill that is ended early closes its sockets", async () => {
  const before = await left();
  const acts = drill(testOptions("real", "127.0.14.96"), (options) => SerfAgent.start(options));
  while ((await acts.next()).value !== "speed");
  assert.ok(open().length > before.length);
  await acts.return({ answered: 0, bytes: 0 });
  assert.deepEqual(await left(), before);
});

function open(): string[] {
  return process.getActiveResourcesInfo().filter((resource) => /TCP|UDP|Timeout/u.test(resource));
}

/** Closed handles are gone some turns later. */
async function left(): Promise<string[]> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  return open();
}
