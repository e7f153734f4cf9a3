/** Plays one scenario with one seed, judges it, and tells what came out. */
import { countUpTo } from "../base/sorted.ts";
import { Chaos } from "./chaos.ts";
import { Ledger } from "./ledger.ts";
import { LivenessChecker } from "./liveness.ts";
import { Operator } from "./operator.ts";
import { percentile, sortedNumbers } from "./percentile.ts";
import { SafetyChecker } from "./safety.ts";
import type { Action, Scenario, Step } from "./scenario.ts";
import { Simulation, type SimulationOptions, type Violation } from "./simulation.ts";

/** How often the liveness checkers look: often at first, to see how fast agreement came; a long wait is not made longer by that. */
const POLL_US = 100_000;
const POLL_SLOW_US = 1_000_000;
const POLL_SLOW_AFTER_US = 10_000_000;
const MS = 1_000;

export type RunOptions = Pick<SimulationOptions, "seed" | "factory" | "codec" | "codecMode" | "acceptTimeoutMs" | "readSnapshot" | "trace" | "messages"> & {
  readonly eventBufferSize: number;
  readonly serfQueueMax: number;
  /** Told now and then how far the run is, in virtual ms. */
  readonly progress: ((virtualMs: number) => void) | null;
};

export interface EventReport {
  readonly sent: number;
  /** Pairs of an event and a node that was owed it, and how many of them arrived in 2 s and in 10 s, and at all. */
  readonly pairs: number;
  readonly within2s: number;
  readonly within10s: number;
  readonly delivered: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface RunReport {
  readonly scenario: string;
  readonly seed: number;
  readonly nodes: number;
  readonly codec: string;
  readonly traceHash: string;
  readonly virtualSeconds: number;
  /** Virtual seconds from the end of the faults until every view was right; -1 when that never came. */
  readonly convergedAfterSeconds: number;
  readonly falseFailures: number;
  readonly detections: number;
  readonly detectionP50Ms: number;
  readonly detectionP90Ms: number;
  readonly detectionP99Ms: number;
  readonly detectionMaxMs: number;
  readonly events: EventReport;
  readonly queries: { readonly sent: number; readonly acks: number; readonly responses: number };
  readonly steps: number;
  readonly datagrams: number;
  readonly datagramsLost: number;
  readonly messages: number;
  readonly bytes: number;
  readonly streams: number;
  readonly encoded: number;
  readonly violations: readonly Violation[];
}

/** Of pairs of an event and a node that was owed it: how many there were, and the latencies of those that came, in ms, sorted. */
interface Latencies {
  readonly owed: number;
  readonly sorted: Float64Array;
}

export class ScenarioRun {
  readonly sim: Simulation;
  readonly ledger: Ledger;
  readonly operator: Operator;
  readonly #scenario: Scenario;
  readonly #options: RunOptions;
  readonly #liveness: LivenessChecker;

  constructor(scenario: Scenario, options: RunOptions) {
    this.#scenario = scenario;
    this.#options = options;
    const { nodes, network, clockDriftPpmMax, expect } = scenario;
    this.sim = new Simulation({ ...options, nodes, network, clockDriftPpmMax });
    this.ledger = new Ledger(nodes);
    this.operator = new Operator(this.sim, this.ledger, scenario.steps.some(({ action }) => action.kind === "restart" || action.kind === "chaos"));
    this.#liveness = new LivenessChecker(this.sim, this.ledger, { eventBufferSize: options.eventBufferSize, leftIsLeft: expect.leftIsLeft });
    this.sim.observe(new SafetyChecker(this.sim, this.ledger, { serfQueueMax: options.serfQueueMax, noFalseFailures: expect.noFalseFailures }));
    this.sim.observe(this.operator);
    if (scenario.start === "converged") this.operator.startConverged();
    for (const step of scenario.steps) this.sim.after(step.atMs * MS, () => this.#perform(step));
  }

  run(): RunReport {
    const { expect, durationMs, settledMs = 0 } = this.#scenario;
    this.#play(expect.faultsEndMs * MS);
    const { sim } = this;
    const convergedUs = this.#await("convergence", expect.convergedWithinMs, () => this.#liveness.viewProblems());
    if (convergedUs >= 0) {
      this.#await("convergence", expect.convergedWithinMs, () => this.#liveness.memberProblems());
      if (expect.eventsWithinMs !== Infinity) this.#await("completeness", expect.eventsWithinMs, () => this.#liveness.eventProblems());
      if (expect.quietWithinMs !== Infinity) this.#await("quiescence", expect.quietWithinMs, () => this.#liveness.queueProblems());
    }
    this.#play(durationMs * MS);
    if (convergedUs >= 0) this.#play(expect.faultsEndMs * MS + convergedUs + settledMs * MS);
    if (sim.violations.length === 0) this.#judgeDetection();
    const latencies = this.#latencies();
    if (sim.violations.length === 0) this.#judgeLatency(latencies);
    return this.#report(convergedUs < 0 ? -1 : convergedUs / 1e6, this.#reportEvents(latencies));
  }

  #play(untilUs: number): void {
    const { sim } = this;
    sim.runUntil(Math.min(untilUs, sim.nowUs)); // What is due at this very moment, such as the first steps of the script.
    while (sim.nowUs < untilUs && sim.violations.length === 0) {
      sim.runUntil(Math.min(untilUs, sim.nowUs + POLL_US));
      this.#noteRejoins();
      this.#options.progress?.(sim.nowUs / MS);
    }
  }

  /** Plays on until `problems` finds none: the time that took in µs, or -1 when it was too long (a violation). */
  #await(checker: string, withinMs: number, problems: () => string[]): number {
    const { sim } = this;
    const startUs = sim.nowUs;
    for (;;) {
      if (sim.violations.length > 0) return -1;
      const found = problems();
      if (found.length === 0) return sim.nowUs - startUs;
      if (sim.nowUs - startUs >= withinMs * MS) {
        sim.violate(checker, `not within ${withinMs / 1000} s: ${found.join("; ")}`);
        return -1;
      }
      const pollUs = sim.nowUs - startUs < POLL_SLOW_AFTER_US ? POLL_US : POLL_SLOW_US;
      this.#play(Math.min(sim.nowUs + pollUs, startUs + withinMs * MS));
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

  /** What came of the events, once nothing more will. */
  #latencies(): Latencies {
    const { hosts } = this.sim;
    const { events } = this.ledger;
    const latencies = new Float64Array(events.length * hosts.length);
    const owing = this.#liveness.owing();
    let owed = 0;
    let delivered = 0;
    for (const event of events) {
      const { deliveredUs, atUs } = event;
      for (let host = 0; host < hosts.length; host += 1) {
        if (!owing.isOwed(event, host)) continue;
        owed += 1;
        const at = deliveredUs[host] as number;
        if (at < 0) continue;
        latencies[delivered] = (at - atUs) / MS;
        delivered += 1;
      }
    }
    return { owed, sorted: latencies.subarray(0, delivered).sort() };
  }

  #judgeDetection(): void {
    const { detectedWithinMs } = this.#scenario.expect;
    const slowestMs = this.ledger.detectionMs.reduce((slowest, ms) => Math.max(slowest, ms), 0);
    if (detectedWithinMs !== null && slowestMs > detectedWithinMs) this.sim.violate("detection", `somebody was reported as failed ${slowestMs} ms after its end, not within ${detectedWithinMs} ms`);
  }

  #judgeLatency({ owed, sorted }: Latencies): void {
    const bar = this.#scenario.expect.eventLatency;
    if (bar === null) return;
    const fast = countUpTo(sorted, bar.fastMs);
    const slowestMs = sorted.at(-1) ?? 0;
    if (fast * 1e6 < owed * bar.fastPpm) this.sim.violate("latency", `${fast} of ${owed} deliveries within ${bar.fastMs} ms`);
    if (sorted.length < owed || slowestMs > bar.allMs) this.sim.violate("latency", `${sorted.length} of ${owed} delivered, the slowest after ${slowestMs} ms`);
  }

  #reportEvents({ owed, sorted }: Latencies): EventReport {
    return {
      sent: this.ledger.events.length,
      pairs: owed,
      within2s: countUpTo(sorted, 2_000),
      within10s: countUpTo(sorted, 10_000),
      delivered: sorted.length,
      p50Ms: percentile(sorted, 500),
      p90Ms: percentile(sorted, 900),
      p99Ms: percentile(sorted, 990),
      maxMs: sorted.at(-1) ?? 0,
    };
  }

  #report(convergedAfterSeconds: number, events: EventReport): RunReport {
    const { sim, ledger } = this;
    const detection = sortedNumbers(ledger.detectionMs);
    const { steps, datagrams, datagramsLost, messages, bytes, streams } = sim.stats;
    return {
      scenario: this.#scenario.name,
      seed: this.#options.seed,
      nodes: this.#scenario.nodes,
      codec: sim.codec.mode,
      traceHash: sim.traceHash,
      virtualSeconds: sim.nowUs / 1e6,
      convergedAfterSeconds,
      falseFailures: ledger.falseFailures,
      detections: detection.length,
      detectionP50Ms: percentile(detection, 500),
      detectionP90Ms: percentile(detection, 900),
      detectionP99Ms: percentile(detection, 990),
      detectionMaxMs: detection.at(-1) ?? 0,
      events,
      queries: { sent: ledger.queriesSent, acks: ledger.queryAcks, responses: ledger.queryResponses },
      steps,
      datagrams,
      datagramsLost,
      messages,
      bytes,
      streams,
      encoded: sim.codec.encoded,
      violations: sim.violations,
    };
  }
}
