/** The checkers are tested by machines that misbehave: each fault must be caught by the rule that is meant for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Member, SerfEvent } from "../../src/serf/types.ts";
import type { Host } from "../../src/sim/host.ts";
import { Ledger, type SentEvent } from "../../src/sim/ledger.ts";
import { LivenessChecker } from "../../src/sim/liveness.ts";
import { SafetyChecker } from "../../src/sim/safety.ts";
import type { Simulation } from "../../src/sim/simulation.ts";
import { fakeCluster, type FakeMachine, type FakeView } from "./fake-machine.ts";

const QUEUE_MAX = 100;

interface Stage {
  readonly sim: Simulation;
  readonly ledger: Ledger;
  readonly liveness: LivenessChecker;
  readonly machines: FakeMachine[];
  readonly hosts: readonly Host[];
  /** Makes node 0 take a step in which it shows its view and delivers these events. */
  step(...events: SerfEvent[]): void;
  /** Name of the checker that complained, or none. */
  readonly caught: string;
}

/** Three silent machines that know each other as alive with incarnation 5. */
function stage(noFalseFailures = false): Stage {
  const cluster = fakeCluster(3, Infinity);
  const { sim, machines } = cluster;
  const ledger = new Ledger(3);
  sim.observe(new SafetyChecker(sim, ledger, { serfQueueMax: QUEUE_MAX, noFalseFailures }));
  const begin = (machine: FakeMachine): void => {
    machine.view.rows = sim.hosts.map(({ name }) => ({ name, incarnation: 5, state: "alive" }));
  };
  for (const host of sim.hosts) {
    sim.stop(host, false);
    sim.start(host, true);
    host.joinedAtUs = 0;
  }
  machines.forEach(begin);
  const self: Stage = {
    sim,
    ledger,
    liveness: new LivenessChecker(sim, ledger, { eventBufferSize: 512, leftIsLeft: true }),
    machines,
    hosts: sim.hosts,
    step(...events) {
      const machine = machines[0] as FakeMachine;
      machine.view.revision += 1;
      machine.react = (_input, effect) => events.forEach((event) => effect({ kind: "event", event }));
      sim.command(sim.hosts[0] as Host, (request) => ({ kind: "leave", request }));
    },
    get caught() {
      return sim.violations.map(({ checker }) => checker).join(",");
    },
  };
  self.step();
  assert.equal(self.caught, "");
  return self;
}

function view(stage: Stage): FakeView {
  return (stage.machines[0] as FakeMachine).view;
}

function change(stage: Stage, member: number, fields: Partial<FakeView["rows"][number]>): void {
  Object.assign(view(stage).rows[member] as object, fields);
}

function userEvent(name: string, lamportTime = 3): SerfEvent {
  return { kind: "user", lamportTime, name, payload: null, coalesce: false };
}

function memberEvent(type: "member-join" | "member-leave" | "member-failed", name: string): SerfEvent {
  return { kind: "members", type, members: [{ name } as Member] };
}

function leave(of: Stage, member: number): void {
  const host = of.hosts[member] as Host;
  of.ledger.leaveRun[member] = host.run;
  host.leaving = true;
  host.left = true;
}

test("an incarnation that goes back is caught, at others and at oneself; after the member was forgotten it may", () => {
  for (const member of [0, 1]) {
    const bad = stage();
    change(bad, member, { incarnation: 4 });
    bad.step();
    assert.equal(bad.caught, "incarnation");
  }
  const good = stage();
  const rows = [...view(good).rows];
  view(good).rows = rows.slice(0, 1);
  good.step();
  view(good).rows = rows;
  change(good, 1, { incarnation: 1 });
  good.step();
  assert.equal(good.caught, "");
});

test("a member shown as left that never left is caught", () => {
  const bad = stage();
  change(bad, 1, { state: "left" });
  bad.step();
  assert.equal(bad.caught, "left");
});

test("a left member that comes back alive without having said so is caught; one that came back with a new run is not", () => {
  for (const { incarnation, announced, expected } of [
    { incarnation: 6, announced: 6, expected: "" },
    { incarnation: 6, announced: 5, expected: "left" },
    { incarnation: 5, announced: 6, expected: "left" },
  ]) {
    const play = stage();
    leave(play, 1);
    change(play, 1, { state: "left" });
    play.step(memberEvent("member-leave", "node-1"));
    play.sim.stop(play.hosts[1] as Host, false);
    play.sim.start(play.hosts[1] as Host, true);
    const returned = (play.machines[1] as FakeMachine).view;
    returned.rows = [{ name: "node-1", incarnation: announced, state: "alive" }];
    returned.revision += 1;
    play.sim.command(play.hosts[1] as Host, (request) => ({ kind: "leave", request }));
    change(play, 1, { state: "alive", incarnation });
    play.step(memberEvent("member-join", "node-1"));
    assert.equal(play.caught, expected);
  }
});

test("a node that has left and shows itself alive again in the same run is caught", () => {
  const play = stage();
  leave(play, 0);
  change(play, 0, { state: "left" });
  play.step();
  change(play, 0, { state: "alive", incarnation: 6 });
  play.step();
  assert.equal(play.caught, "left");
});

test("a member-join of a member that is not alive is caught", () => {
  const bad = stage();
  change(bad, 1, { state: "dead" });
  bad.step(memberEvent("member-join", "node-1"));
  assert.equal(bad.caught, "events");
});

test("a member that nobody ever started is caught", () => {
  const bad = stage();
  change(bad, 2, { name: "ghost" });
  bad.step();
  assert.equal(bad.caught, "left");
});

test("each Lamport clock that goes back is caught", () => {
  for (const clock of ["memberClock", "eventClock", "queryClock"] as const) {
    const bad = stage();
    view(bad)[clock] = 9;
    bad.step();
    view(bad)[clock] = 8;
    bad.step();
    assert.equal(bad.caught, "lamport");
  }
});

test("an event or a query delivered twice by one run is caught; another run may deliver it again", () => {
  const bad = stage();
  const { name } = bad.ledger.sendEvent(bad.hosts[1] as Host, 0);
  bad.step(userEvent(name));
  assert.equal(bad.caught, "");
  bad.step(userEvent(name));
  assert.equal(bad.caught, "once");

  const foreign = stage();
  foreign.step(userEvent("from elsewhere", 3), userEvent("from elsewhere", 4), userEvent("from elsewhere", 3));
  assert.equal(foreign.caught, "once");

  const query: SerfEvent = { kind: "query", token: 1, lamportTime: 2, name: "q", payload: null, sourceNode: "node-1", deadlineMs: 0 };
  const twice = stage();
  twice.step(query, query);
  assert.equal(twice.caught, "once");

  const again = stage();
  const event = again.ledger.sendEvent(again.hosts[1] as Host, 0);
  again.step(userEvent(event.name));
  again.sim.stop(again.hosts[0] as Host, false);
  again.sim.start(again.hosts[0] as Host, true);
  again.step(userEvent(event.name));
  assert.equal(again.caught, "");
});

test("an internal query that reaches the application is caught", () => {
  const bad = stage();
  bad.step({ kind: "query", token: 1, lamportTime: 2, name: "_serf_ping", payload: null, sourceNode: "node-1", deadlineMs: 0 });
  assert.equal(bad.caught, "internal");
});

test("queues that grow beyond their bounds are caught", () => {
  for (const [queue, bound] of [["swimQueued", 4], ["intentsQueued", QUEUE_MAX], ["eventsQueued", QUEUE_MAX], ["queriesQueued", QUEUE_MAX]] as const) {
    const play = stage();
    view(play)[queue] = bound;
    play.step();
    assert.equal(play.caught, "");
    view(play)[queue] = bound + 1;
    play.step();
    assert.equal(play.caught, "bounded");
  }
});

test("a false failure is counted, and caught where none may be; a true one is measured", () => {
  const strict = stage(true);
  strict.step(memberEvent("member-failed", "node-2"));
  assert.equal(strict.caught, "false-failure");

  const counting = stage();
  counting.sim.runUntil(60_000_000);
  counting.step(memberEvent("member-failed", "node-2"));
  assert.equal(counting.caught, "");
  assert.equal(counting.ledger.falseFailures, 1);

  const dead = stage(true);
  dead.sim.stop(dead.hosts[2] as Host, false);
  dead.sim.runUntil(5_000_000);
  dead.step(memberEvent("member-failed", "node-2"));
  assert.equal(dead.caught, "");
  assert.deepEqual(dead.ledger.detectionMs, [5_000]);
});

test("views that disagree with the truth are problems: lost, called dead, still alive, failed instead of left", () => {
  const play = stage();
  assert.deepEqual(play.liveness.viewProblems(), []);
  change(play, 1, { state: "dead" });
  assert.deepEqual(play.liveness.viewProblems(), ["node-0 shows node-1 as dead: it is alive"]);
  view(play).rows.pop();
  assert.equal(play.liveness.viewProblems().length, 2);

  const killed = stage();
  killed.sim.stop(killed.hosts[2] as Host, false);
  assert.deepEqual(killed.liveness.viewProblems(), ["node-0 shows node-2 as alive: it is gone", "node-1 shows node-2 as alive: it is gone"]);
  for (const { view } of killed.machines) (view.rows[2] as { state: string }).state = "dead";
  assert.deepEqual(killed.liveness.viewProblems(), []);
  leave(killed, 2);
  assert.equal(killed.liveness.viewProblems().length, 2);
});

function deliverEverywhere({ hosts }: Stage, event: SentEvent, lamportTime: number): void {
  for (const { index } of hosts) event.deliver(index, lamportTime, 2_000_000);
}

test("an event that somebody never got is a problem, within the retained window and only for those who lived through it", () => {
  const play = stage();
  play.sim.runUntil(1_000_000);
  const event = play.ledger.sendEvent(play.hosts[0] as Host, play.sim.nowUs);
  deliverEverywhere(play, event, 10);
  assert.deepEqual(play.liveness.eventProblems(), []);
  event.forget(2);
  assert.equal(play.liveness.eventProblems().length, 1);
  (play.machines[2] as FakeMachine).view.eventTimeMin = 11;
  assert.deepEqual(play.liveness.eventProblems(), []);
  (play.machines[2] as FakeMachine).view.eventTimeMin = 0;
  (play.hosts[2] as Host).joinedAtUs = 1_500_000;
  assert.deepEqual(play.liveness.eventProblems(), []);
  (play.hosts[2] as Host).joinedAtUs = 0;
  deliverEverywhere(play, play.ledger.sendEvent(play.hosts[0] as Host, play.sim.nowUs), 10 + 512 + 1);
  assert.deepEqual(play.liveness.eventProblems(), []);
});

test("a queue that never empties is a problem", () => {
  const play = stage();
  assert.deepEqual(play.liveness.queueProblems(), []);
  view(play).eventsQueued = 1;
  assert.equal(play.liveness.queueProblems().length, 1);
});
