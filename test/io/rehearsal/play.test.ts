import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { LogHub } from "../../../src/io/log-hub.ts";
import { Metrics } from "../../../src/io/metrics.ts";
import { play, type PlayResult } from "../../../src/io/rehearsal/play.ts";
import { SerfAgent } from "../../../src/io/serf-agent.ts";
import type { SerfAgentOptions } from "../../../src/io/serf-agent-api.ts";
import { startAgent, testOptions } from "../support/agents.ts";

const CASES: Readonly<Record<string, Partial<SerfAgentOptions>>> = {
  plain: {},
  sealed: { keys: [randomBytes(16)], label: "pool" },
  "as the agent command starts it": { profile: "lan", coalesce: true, streamLane: true, packetWorkers: 1, laneStats: true, tags: new Map([["role", "web"]]), snapshotPath: "/nowhere/snapshot", tagsFile: "/nowhere/tags" },
};

async function perform(acts: AsyncGenerator<void, PlayResult>): Promise<PlayResult> {
  for (;;) {
    const { done, value } = await acts.next();
    if (done === true) return value;
    await new Promise((resolve) => setImmediate(resolve)); // An act is a turn: what is too much for one goes on in the next.
  }
}

for (const [name, more] of Object.entries(CASES)) {
  test(`the play goes the whole way and leaves nothing behind: ${name}`, async () => {
    const log = new LogHub();
    const metrics = new Metrics();
    const timers = openTimers();
    const { members, eventTime, bytes } = await perform(play(testOptions("real", "127.0.14.91", { ...more, log, metrics }), (options) => SerfAgent.start(options)));
    // Both agents and those that were only announced; the events of a packet and of clients; answers and stream records.
    assert.equal(members, 6);
    assert.ok(eventTime >= 4, String(eventTime));
    assert.ok(bytes > 10_000, String(bytes));
    assert.deepEqual([log.backlog(), [...metrics.counters]], [[], []]);
    assert.equal(openTimers(), timers);
  });
}

test("a play that is ended early stops its agents", async () => {
  const timers = openTimers();
  const acts = play(testOptions("real", "127.0.14.92"), (options) => SerfAgent.start(options));
  for (let i = 0; i < 5; i += 1) await acts.next();
  assert.ok(openTimers() > timers);
  await acts.return({ members: 0, eventTime: 0, bytes: 0 });
  assert.equal(openTimers(), timers);
});

test("an agent that practises shows nothing of it", async (t) => {
  const { agent, log, metrics, events } = await startAgent(t, "practising", "127.0.14.93", { rehearse: true });
  const counters = new Map(metrics.counters);
  const lines = log.backlog().length;
  await perform(play(testOptions("practising", "127.0.14.93"), (options) => SerfAgent.start(options)));
  assert.deepEqual(agent.members().map(({ name }) => name), ["practising"]);
  assert.equal(agent.stats().get("serf")?.get("event_time"), "1");
  assert.deepEqual([metrics.counters, log.backlog().length, events.length], [counters, lines, 0]);
});

function openTimers(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;
}
