/**
 * What a node has once called settled is not judged again. Here it is: in clusters with faults, where members die, are forgotten, move on and come back,
 * each claim that a bit makes is compared with what the node says now. Mistakes in taking bits back must show.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/base/random.ts";
import { prepare } from "../../src/cli/sim/play.ts";
import { Pool } from "../../src/serf/pool.ts";
import type { Scenario, Selector, Step } from "../../src/sim/scenario.ts";
import { SCENARIOS } from "../../src/sim/scenarios.ts";
import { SharedMessages, type SharedMessage } from "../../src/sim/shared-messages.ts";
import { Repeat } from "../../src/swim/messages.ts";
import { Swim } from "../../src/swim/swim.ts";
import type { SwimEffect } from "../../src/swim/types.ts";
import { encodeAlive, encodeDead, encodeSuspect } from "../../src/wire/gossip-codec.ts";
import { patched } from "../support/patched.ts";
import { RecordingDelegate, SERF_VERSIONS, swimConfig } from "../swim/fake-network.ts";

interface Comparison {
  /** Times that a bit said "settled", and that the node did not say so then. */
  readonly claims: number;
  readonly wrong: number;
}

const ALL: Selector = { kind: "all" };

function builtIn(name: string, nodes: number): Scenario {
  const scenario = SCENARIOS.get(name)?.build(nodes, 1);
  assert.ok(scenario !== undefined);
  return scenario;
}

/** A cluster that forms, announces new tags all at once after ten seconds, and then suffers `steps`. */
function talkative(nodes: number, steps: readonly Step[], durationMs: number): Scenario {
  const calm = builtIn("steady", nodes);
  const tags: Step = { atMs: 10_000, overMs: 0, action: { kind: "tags", nodes: ALL } };
  const expect = { ...calm.expect, faultsEndMs: durationMs, convergedWithinMs: 600_000, noFalseFailures: false };
  return { ...calm, steps: [...calm.steps, tags, ...steps], expect, durationMs };
}

/** Some processes end and others start in their place before the talk of the tags is over. */
function replaced(nodes: number): Scenario {
  const steps: readonly Step[] = [
    { atMs: 10_400, overMs: 0, action: { kind: "kill", nodes: { kind: "share", perMille: 200 }, power: false } },
    { atMs: 10_500, overMs: 0, action: { kind: "restart", nodes: ALL, snapshot: false } },
  ];
  return talkative(nodes, steps, 20_000);
}

/** Nodes 1 to 3 sleep with the talk of the tags in their queues, and go on with it when everybody has forgotten node 5, which has died meanwhile. */
function outlived(nodes: number): Scenario {
  const steps: readonly Step[] = [
    { atMs: 10_300, overMs: 0, action: { kind: "pause", nodes: { kind: "range", first: 1, last: 3 }, forMs: 40_000 } },
    { atMs: 11_000, overMs: 0, action: { kind: "kill", nodes: { kind: "range", first: 5, last: 5 }, power: true } },
  ];
  return talkative(nodes, steps, 60_000);
}

/** Plays a scenario in which the bits are kept and looked at, but every node is asked each time. */
function compare(scenario: Scenario): Comparison {
  let claims = 0;
  let wrong = 0;
  let claimed = false;
  const { isSettled } = SharedMessages.prototype;
  const { judgeRepeat } = Pool.prototype;
  // The dead are forgotten early: while there is talk of them.
  const run = prepare(scenario, { seed: 1, codec: "off", original: false, tuning: { gossipToTheDeadMs: 0 } });
  patched(SharedMessages.prototype, {
    isSettled(this: SharedMessages, number: number, node: number): boolean {
      claimed = isSettled.call(this, number, node);
      return false;
    },
  }, () => patched(Pool.prototype, {
    judgeRepeat(this: Pool, known): Repeat {
      const repeat = judgeRepeat.call(this, known);
      if (claimed) claims += 1;
      if (claimed && repeat === Repeat.no) wrong += 1;
      return repeat;
    },
  }, () => run.run()));
  return { claims, wrong };
}

const TROUBLED: readonly Scenario[] = [builtIn("mixed-faults", 20), builtIn("flapping", 40), builtIn("swarm", 30), replaced(40), outlived(10)];

test("what a node has called settled, it calls settled whenever it is asked again, in clusters with faults", () => {
  for (const scenario of TROUBLED) {
    const { claims, wrong } = compare(scenario);
    assert.ok(claims > 1_000, `${scenario.name}: ${claims}`);
    assert.equal(wrong, 0, scenario.name);
  }
});

function wrongOf(): number {
  return TROUBLED.reduce((sum, scenario) => sum + compare(scenario).wrong, 0);
}

test("mistake: what was settled stays so when the member is forgotten", () => {
  assert.ok(patched(SharedMessages.prototype, { regress: () => {} }, wrongOf) > 0);
});

test("mistake: what was settled stays so for the next process of the node", () => {
  assert.ok(patched(SharedMessages.prototype, { forgetNode: () => {} }, wrongOf) > 0);
});

test("an accusation is settled for good only when the member can come back with a newer incarnation alone", () => {
  const messages = new SharedMessages(4);
  const out: SwimEffect[] = [];
  const swim = new Swim<SwimEffect>(swimConfig("self", { ip: "10.0.0.1", port: 7946 }), new SeededRandom(1), new RecordingDelegate(), 0, out, messages.records);
  const judge = (bytes: Uint8Array): Repeat => swim.judgeRepeat(messages.known(messages.bytesOf(messages.hold(bytes))) as SharedMessage);
  const hear = (bytes: Uint8Array): unknown => swim.step({ kind: "message", from: { ip: "10.0.0.2", port: 7946 }, bytes }, 1, out);
  const alive = (incarnation: number): Uint8Array => encodeAlive({ incarnation, node: "a", addr: Uint8Array.of(10, 0, 0, 2), port: 7946, meta: new Uint8Array(0), versions: SERF_VERSIONS });
  const suspect = (incarnation: number, from: string): Uint8Array => encodeSuspect({ incarnation, node: "a", from });
  const dead = (incarnation: number): Uint8Array => encodeDead({ incarnation, node: "a", from: "b" });
  const judged = (): Repeat[] => [alive(3), suspect(3, "b"), dead(3), suspect(7, "b"), dead(7)].map(judge);
  const { no, now, lasting } = Repeat;

  assert.deepEqual(judged(), [no, now, now, now, now], "nobody is known by that name");
  hear(alive(3));
  assert.deepEqual(judged(), [lasting, no, no, no, no], "alive");
  hear(suspect(3, "b"));
  assert.deepEqual(judged(), [lasting, lasting, no, now, no], "suspect");
  hear(dead(3));
  assert.deepEqual(judged(), [lasting, lasting, lasting, now, now], "dead");
  hear(alive(5));
  assert.deepEqual(judged(), [lasting, lasting, lasting, no, no], "back, with an incarnation that is not high enough for all");
});
