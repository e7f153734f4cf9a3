/** Plays one scenario with one seed, judges it, and tells what came out. */
import { assert } from "../base/assert.ts";
import { countUpTo } from "../base/sorted.ts";
import { Chaos } from "./chaos.ts";
import { EventBoard, Ledger } from "./ledger.ts";
import { LivenessChecker, PROBLEMS_MAX } from "./liveness.ts";
import { Operator } from "./operator.ts";
import { percentile, sortWhole } from "./percentile.ts";
import { eventReport, joined, type Outcome, type RunReport } from "./run-report.ts";
import { advance, collect, playAlone, share, type RunScript } from "./run-script.ts";
import { SafetyChecker } from "./safety.ts";
import type { Action, Scenario, Step } from "./scenario.ts";
import type { Shard } from "./shards/shard.ts";
import { Simulation, type SimulationOptions, type Violation } from "./simulation.ts";

/** How often the liveness checkers look: often at first, to see how fast agreement came; a long wait is not made longer by that. */
const POLL_US = 100_000;
const POLL_SLOW_US = 1_000_000;
const POLL_SLOW_AFTER_US = 10_000_000;
const MS = 1_000;

export type RunOptions = Pick<SimulationOptions, "seed" | "factory" | "codec" | "codecMode" | "acceptTimeoutMs" | "readSnapshot" | "trace" | "messages"> & {
  /** The shard that this run is of; by default it has all nodes. */
  readonly shard?: Shard | null;
  readonly eventBufferSize: number;
  readonly serfQueueMax: number;
  /** Told now and then how far the run is, in virtual ms. */
  readonly progress: ((virtualMs: number) => void) | null;
};

export class ScenarioRun {
  readonly sim: Simulation;
  readonly ledger: Ledger;
  readonly operator: Operator;
  readonly #scenario: Scenario;
  readonly #options: RunOptions;
  readonly #liveness: LivenessChecker;
  readonly #shard: Shard | null;
  /** A checker of some shard has complained. */
  #isOver = false;

  constructor(scenario: Scenario, options: RunOptions) {
    this.#scenario = scenario;
    this.#options = options;
    const { nodes, network, clockDriftPpmMax, expect } = scenario;
    const { shard = null } = options;
    this.#shard = shard;
    this.sim = new Simulation({ ...options, nodes, network, clockDriftPpmMax, crossing: shard?.crossing ?? null });
    const { first, end } = this.sim.place;
    this.ledger = new Ledger(nodes, end - first, shard === null ? boardFor(scenario) : new EventBoard(shard.board, nodes));
    this.operator = new Operator(this.sim, this.ledger, scenario.steps.some(({ action }) => action.kind === "restart" || action.kind === "chaos"));
    this.#liveness = new LivenessChecker(this.sim, this.ledger, { eventBufferSize: options.eventBufferSize, leftIsLeft: expect.leftIsLeft });
    this.sim.observe(new SafetyChecker(this.sim, this.ledger, { serfQueueMax: options.serfQueueMax, noFalseFailures: expect.noFalseFailures }));
    this.sim.observe(this.operator);
    if (scenario.start === "converged") this.operator.startConverged();
    for (const step of scenario.steps) this.sim.after(step.atMs * MS, () => this.#perform(step));
  }

  get shard(): Shard | null {
    return this.#shard;
  }

  /** Plays a run that has all nodes. */
  run(): RunReport {
    return playAlone(this.script()) as RunReport;
  }

  /** The report is the first shard's to make, and null in the others. */
  *script(): RunScript<RunReport | null> {
    const { expect, durationMs, settledMs = 0 } = this.#scenario;
    if (this.#shard !== null) yield* this.#agree(this.#shard);
    yield* this.#play(expect.faultsEndMs * MS);
    const convergedUs = yield* this.#await("convergence", expect.convergedWithinMs, () => this.#liveness.viewProblems());
    if (convergedUs >= 0) {
      yield* this.#await("convergence", expect.convergedWithinMs, () => this.#liveness.memberProblems());
      if (expect.eventsWithinMs !== Infinity) yield* this.#await("completeness", expect.eventsWithinMs, () => this.#liveness.eventProblems());
      if (expect.quietWithinMs !== Infinity) yield* this.#await("quiescence", expect.quietWithinMs, () => this.#liveness.queueProblems());
    }
    yield* this.#play(durationMs * MS);
    if (convergedUs >= 0) yield* this.#play(expect.faultsEndMs * MS + convergedUs + settledMs * MS);
    const own = this.#outcome();
    const outcomes = yield* collect(own, [own.latenciesMs.buffer, own.detectionMs.buffer]);
    if (outcomes === null) return null;
    for (const outcome of outcomes) if (outcome !== own) this.ledger.takeOver(outcome);
    return this.#report(convergedUs < 0 ? -1 : convergedUs / 1e6, joined(outcomes));
  }

  /** Shards refer to members by their places in the records. */
  *#agree({ crossing, fingerprint }: Shard): RunScript<void> {
    const prints = yield* share(fingerprint());
    assert(prints.every((print) => print === prints[0]), "the shards have different records");
    crossing.seal();
  }

  *#play(untilUs: number): RunScript<void> {
    const { sim } = this;
    // What is due at this very moment, such as the first steps of the script.
    if (!this.#isOver) this.#isOver = yield* advance(sim, Math.min(untilUs, sim.nowUs));
    while (sim.nowUs < untilUs && !this.#isOver) {
      this.#isOver = yield* advance(sim, Math.min(untilUs, sim.nowUs + POLL_US));
      this.#noteRejoins();
      this.#options.progress?.(sim.nowUs / MS);
    }
  }

  /** Plays on until `problems` finds none: the time that took in µs, or -1 when it was too long (a violation). */
  *#await(checker: string, withinMs: number, problems: () => string[]): RunScript<number> {
    const { sim } = this;
    const startUs = sim.nowUs;
    for (;;) {
      if (this.#isOver) return -1;
      sim.settle();
      const found = (yield* share(problems())).flat();
      if (found.length === 0) return sim.nowUs - startUs;
      if (sim.nowUs - startUs >= withinMs * MS) {
        if (sim.place.index === 0) sim.violate(checker, `not within ${withinMs / 1000} s: ${found.slice(0, PROBLEMS_MAX).join("; ")}`);
        this.#isOver = true;
        return -1;
      }
      const pollUs = sim.nowUs - startUs < POLL_SLOW_AFTER_US ? POLL_US : POLL_SLOW_US;
      yield* this.#play(Math.min(sim.nowUs + pollUs, startUs + withinMs * MS));
    }
  }

  /** Processes that came back with their snapshot join by themselves: they count as members once they know others. */
  #noteRejoins(): void {
    for (const host of this.sim.hosts) {
      if (host.joinedAtUs < 0 && host.machine !== null && host.machine.view.gauges.table.size > 1) host.joinedAtUs = this.sim.nowUs;
    }
  }

  #perform({ action, overMs }: Step): void {
    const { operator, sim } = this;
    const spread = <T>(items: readonly T[], act: (item: T) => void): void => {
      items.forEach((item, i) => (overMs === 0 ? act(item) : sim.after(Math.floor((overMs * MS * i) / items.length), () => act(item))));
    };
    this.#performAction(action, spread, operator);
  }

  #performAction(action: Action, spread: <T>(items: readonly T[], act: (item: T) => void) => void, operator: Operator): void {
    const { sim } = this;
    switch (action.kind) {
      case "start":
        return spread(operator.select(action.nodes, operator.stoppedHosts), (host) => operator.start(host));
      case "join":
        return spread(operator.select(action.nodes, operator.runningHosts), (host) => operator.join(host, action.to));
      case "leave":
        return spread(operator.select(action.nodes, operator.runningHosts), (host) => operator.leave(host));
      case "kill":
        return spread(operator.select(action.nodes, operator.runningHosts), (host) => operator.kill(host, action.power));
      case "restart":
        return spread(operator.select(action.nodes, operator.stoppedHosts), (host) => operator.restart(host, action.snapshot));
      case "pause":
        return spread(operator.select(action.nodes, operator.runningHosts), (host) => operator.pause(host, action.forMs * MS));
      case "stallDisk":
        return spread(operator.select(action.nodes, sim.hosts), (host) => operator.stallDisk(host, action.forMs * MS));
      case "starve":
        return this.#starve(action);
      case "disturb": {
        const from = operator.select(action.from, sim.hosts);
        const to = operator.select(action.to, sim.hosts);
        operator.disturb(from, to, action.lossPpm, action.delayMs * MS, action.forMs * MS);
        if (action.both) operator.disturb(to, from, action.lossPpm, action.delayMs * MS, action.forMs * MS);
        return;
      }
      case "partition":
        return operator.partition(action.groups, action.forMs * MS);
      case "zoneCut":
        return operator.cutZones(action.forMs * MS);
      case "network":
        return sim.network.configure({ ...sim.network.config, ...action.change });
      case "jumpClock":
        return spread(operator.select(action.nodes, operator.runningHosts), (host) => sim.jumpClock(host, action.byMs));
      case "tags":
        return spread(operator.select(action.nodes, operator.runningHosts), (host) => operator.changeTags(host));
      case "events":
      case "queries": {
        const hosts = operator.select(action.nodes, operator.runningHosts);
        if (hosts.length === 0) return;
        const senders = Array.from({ length: action.count }, () => hosts[sim.scriptRandom.below(hosts.length)] as (typeof hosts)[number]);
        return spread(senders, (host) => (action.kind === "events" ? operator.sendEvent(host, action.bytes) : operator.sendQuery(host)));
      }
      case "chaos": {
        const { forMs, everyMs, weights } = action;
        return new Chaos(sim, operator, { forUs: forMs * MS, everyUs: everyMs * MS, weights }).run();
      }
    }
  }

  #starve(action: Extract<Action, { readonly kind: "starve" }>): void {
    const { sim, operator } = this;
    const endUs = sim.nowUs + action.forMs * MS;
    for (const host of operator.select(action.nodes, operator.runningHosts)) {
      const turn = (): void => {
        const pausedUs = Math.min(action.pausedMs * MS, endUs - sim.nowUs);
        if (pausedUs <= 0) return;
        operator.pause(host, pausedUs);
        sim.after(pausedUs + action.runningMs * MS, turn);
      };
      turn();
    }
  }

  /** What came of this shard's nodes, once nothing more will. */
  #outcome(): Outcome {
    const { sim, ledger } = this;
    sim.settle();
    const { first, end } = sim.place;
    const { events, queriesSent, queryAcks, queryResponses } = ledger;
    const latenciesUs = new Float64Array(events.length * (end - first));
    const owing = this.#liveness.owing();
    let owed = 0;
    let delivered = 0;
    for (let host = first; host < end; host += 1) {
      for (const event of events) {
        if (!owing.isOwed(event, host)) continue;
        owed += 1;
        const at = event.deliveredAtUs(host);
        if (at < 0) continue;
        latenciesUs[delivered] = at - event.atUs;
        delivered += 1;
      }
    }
    return {
      traceHash: sim.traceHash,
      nowUs: sim.nowUs,
      stats: sim.stats,
      encoded: sim.codec.encoded,
      violations: sim.violations,
      falseFailures: ledger.falseFailures,
      eventsSent: events.length,
      owed,
      latenciesMs: sortWhole(latenciesUs.subarray(0, delivered)).map((us) => us / MS),
      detectionMs: Float64Array.from(ledger.detectionMs).sort(),
      queries: { sent: queriesSent, acks: queryAcks, responses: queryResponses },
    };
  }

  /** Complaints about all that came out. */
  #judge({ detectionMs, latenciesMs, owed, nowUs }: Outcome): Violation[] {
    const { detectedWithinMs, eventLatency } = this.#scenario.expect;
    const violations: Violation[] = [];
    const violate = (checker: string, text: string): void => void violations.push({ atUs: nowUs, checker, text });
    const slowestDetectionMs = detectionMs.at(-1) ?? 0;
    if (detectedWithinMs !== null && slowestDetectionMs > detectedWithinMs) violate("detection", `somebody was reported as failed ${slowestDetectionMs} ms after its end, not within ${detectedWithinMs} ms`);
    if (violations.length > 0 || eventLatency === null) return violations;
    const { fastMs, fastPpm, allMs } = eventLatency;
    const fast = countUpTo(latenciesMs, fastMs);
    const slowestMs = latenciesMs.at(-1) ?? 0;
    if (fast * 1e6 < owed * fastPpm) violate("latency", `${fast} of ${owed} deliveries within ${fastMs} ms`);
    if (latenciesMs.length < owed || slowestMs > allMs) violate("latency", `${latenciesMs.length} of ${owed} delivered, the slowest after ${slowestMs} ms`);
    return violations;
  }

  #report(convergedAfterSeconds: number, outcome: Outcome): RunReport {
    const { detectionMs, falseFailures, queries, traceHash, nowUs, encoded, violations } = outcome;
    const { steps, datagrams, datagramsLost, messages, bytes, streams } = outcome.stats;
    return {
      scenario: this.#scenario.name,
      seed: this.#options.seed,
      nodes: this.#scenario.nodes,
      codec: this.sim.codec.mode,
      threads: this.sim.place.count,
      traceHash,
      virtualSeconds: nowUs / 1e6,
      convergedAfterSeconds,
      falseFailures,
      detections: detectionMs.length,
      detectionP50Ms: percentile(detectionMs, 500),
      detectionP90Ms: percentile(detectionMs, 900),
      detectionP99Ms: percentile(detectionMs, 990),
      detectionMaxMs: detectionMs.at(-1) ?? 0,
      events: eventReport(outcome),
      queries,
      steps,
      datagrams,
      datagramsLost,
      messages,
      bytes,
      streams,
      encoded,
      violations: violations.length > 0 ? violations : this.#judge(outcome),
    };
  }
}

function boardFor(scenario: Scenario): EventBoard {
  const board = new EventBoard(new ArrayBuffer(EventBoard.bytes(scenario)), scenario.nodes);
  board.clear();
  return board;
}
