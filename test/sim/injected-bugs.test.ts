/**
 * The checkers against mistakes in the production node: each is made by replacing one method for the time of a run, must be caught by the rule that is
 * meant for it, and the same run without it must pass. (That a filter which takes pings and acks for gossip is caught stands in `lanes.test.ts`.)
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prepare } from "../../src/cli/sim/play.ts";
import { EventRing } from "../../src/serf/event-ring.ts";
import { QUIET_NETWORK } from "../../src/sim/network.ts";
import type { RunReport } from "../../src/sim/run-report.ts";
import type { Action, Expectation, Scenario, Selector, Step } from "../../src/sim/scenario.ts";
import { SCENARIOS } from "../../src/sim/scenarios.ts";
import { BroadcastQueue } from "../../src/swim/broadcast-queue.ts";
import { Exchanges } from "../../src/swim/exchanges.ts";
import { MemberTable } from "../../src/swim/member-table.ts";
import { Membership } from "../../src/swim/membership.ts";
import { Suspicions } from "../../src/swim/suspicion.ts";
import { decodePacketMessage, encodeAlive } from "../../src/wire/gossip-codec.ts";
import { patched } from "../support/patched.ts";

const ALL: Selector = { kind: "all" };
const FORM_MS = 10_000;

function at(atMs: number, action: Action, overMs = 0): Step {
  return { atMs, overMs, action };
}

function only(node: number): Selector {
  return { kind: "range", first: node, last: node };
}

/** A small cluster that forms within ten seconds; then `steps`. */
function scenario(nodes: number, endMs: number, steps: readonly Step[], expect: Partial<Expectation> = {}): Scenario {
  const bounds = { faultsEndMs: endMs, convergedWithinMs: 60_000, quietWithinMs: 30_000, eventsWithinMs: 60_000 };
  return {
    name: "injected",
    about: "",
    profile: "lan",
    nodes,
    network: QUIET_NETWORK,
    clockDriftPpmMax: 200,
    steps: [at(0, { kind: "start", nodes: ALL }), at(0, { kind: "join", nodes: { kind: "others" }, to: only(0) }, 2_000), ...steps],
    expect: { ...bounds, noFalseFailures: false, leftIsLeft: false, detectedWithinMs: null, eventLatency: null, ...expect },
    durationMs: endMs,
  };
}

type Play = () => RunReport;

function play(script: Scenario, options: Partial<Parameters<typeof prepare>[1]> = {}): Play {
  return () => prepare(script, { seed: 1, codec: "off", original: false, ...options }).run();
}

/** A run with other methods in a class. */
function mutant<T extends object>(target: T, methods: Partial<T>, run: Play): Play {
  return () => patched(target, methods, run);
}

function isCaughtBy(checkers: readonly string[], sound: Play, broken: Play): void {
  const { violations } = sound();
  assert.deepEqual(violations, [], "without the mistake the run passes");
  const caught = broken().violations.map(({ checker }) => checker);
  assert.ok(caught.length > 0, "the mistake is caught");
  assert.ok(checkers.includes(caught[0] as string), `by ${caught[0] as string}`);
}

/** Node 3 cannot be heard for ten seconds: suspected, it must refute once it is back. */
const ACCUSED = scenario(10, FORM_MS + 10_000, [at(FORM_MS, { kind: "disturb", from: only(3), to: ALL, both: false, lossPpm: 1_000_000, delayMs: 0, forMs: 10_000 })]);

test("mistake: a refutation does not raise the incarnation", () => {
  const { setIncarnation } = MemberTable.prototype;
  const { queue } = BroadcastQueue.prototype;
  const table = mutant(MemberTable.prototype, {
    setIncarnation(this: MemberTable, slot: number, incarnation: number) {
      // A refutation is the only thing that raises one's own incarnation here.
      setIncarnation.call(this, slot, this.record(slot).name === ownName(this) ? 1 : incarnation);
    },
  }, play(ACCUSED));
  const broken = mutant(BroadcastQueue.prototype, {
    queue(this: BroadcastQueue, key: number, message: Uint8Array, token?: number) {
      const decoded = decodePacketMessage(message);
      const isRefutation = decoded.ok && decoded.value.kind === "alive" && decoded.value.incarnation > 1;
      queue.call(this, key, isRefutation ? encodeAlive({ ...decoded.value, incarnation: 1 }) : message, token);
    },
  }, table);
  isCaughtBy(["convergence"], play(ACCUSED), broken);
});

const owners = new WeakMap<MemberTable, string>();

/** The name that a table was given first: a node enters itself before it knows anybody. */
function ownName(table: MemberTable): string {
  const known = owners.get(table);
  if (known !== undefined) return known;
  assert.equal(table.size, 1, "asked before anybody else is known");
  const name = table.nameAt(0);
  owners.set(table, name);
  return name;
}

test("mistake: a suspicion is not confirmed by others", () => {
  const crash = SCENARIOS.get("crash-1pct")?.build(20, 1);
  assert.ok(crash !== undefined);
  const broken = mutant(Suspicions.prototype, { confirm: () => false, wouldConfirm: () => false }, play(crash));
  isCaughtBy(["detection"], play(crash), broken);
});

test("mistake: the event buffer is believed to reach one time further back", () => {
  // A ring of four, and many events on a slow and unsteady network: copies arrive when their slot has just been taken by another.
  const script: Scenario = {
    ...scenario(10, FORM_MS + 20_000, [at(FORM_MS, { kind: "events", nodes: ALL, count: 400, bytes: 16 }, 15_000)], { eventsWithinMs: Infinity }),
    network: { ...QUIET_NETWORK, delayUsMax: 400_000 },
  };
  const overrides = { eventBufferSize: 4 };
  const { witness } = EventRing.prototype;
  const broken = mutant(EventRing.prototype, {
    witness(this: EventRing, clock, lamportTime, name, payload) {
      clock.witness(lamportTime);
      const late = { time: clock.time - 1, witness: () => {} } as unknown as typeof clock;
      return witness.call(this, late, lamportTime, name, payload);
    },
  }, play(script, { overrides, filterRepeats: false }));
  isCaughtBy(["once"], play(script, { overrides, filterRepeats: false }), broken);
});

test("mistake: the retransmit limit is ignored", () => {
  const { take } = BroadcastQueue.prototype;
  const script = scenario(8, FORM_MS, []);
  // No transmission counts, so nothing is ever finished.
  const broken = mutant(BroadcastQueue.prototype, {
    take(this: BroadcastQueue, overhead: number, limit: number, _targets: number, into: Uint8Array[]) {
      return take.call(this, overhead, limit, 0, into);
    },
  }, play(script));
  isCaughtBy(["quiescence"], play(script), broken);
});

test("mistake: a push/pull does not merge members that left", () => {
  // Node 2 hears nothing for three seconds, in which node 5 leaves and all gossip about that ends: only a push/pull can tell it.
  const deaf = at(FORM_MS, { kind: "disturb", from: ALL, to: only(2), both: false, lossPpm: 1_000_000, delayMs: 0, forMs: 3_000 });
  const script = scenario(10, FORM_MS + 3_000, [deaf, at(FORM_MS + 200, { kind: "leave", nodes: only(5) })], { leftIsLeft: true });
  const tuning = { pushPullIntervalMs: 1_000 };
  const { message } = Exchanges.prototype;
  const { dead } = Membership.prototype;
  let merging = false;
  const quiet = mutant(Membership.prototype, {
    dead(this: Membership, accusation, token, nowMs, out) {
      return merging && accusation.from === accusation.node ? false : dead.call(this, accusation, token, nowMs, out);
    },
  }, play(script, { tuning }));
  const broken = mutant(Exchanges.prototype, {
    message(this: Exchanges, stream, bytes, state, from, nowMs, out) {
      merging = true;
      message.call(this, stream, bytes, state, from, nowMs, out);
      merging = false;
    },
  }, quiet);
  isCaughtBy(["convergence"], play(script, { tuning }), broken);
});
