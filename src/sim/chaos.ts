/** Random faults: what a cluster meets in a bad year, within a minute and a half. */
import type { Host } from "./host.ts";
import type { Operator } from "./operator.ts";
import type { ChaosWeights } from "./scenario.ts";
import type { Simulation } from "./simulation.ts";

/** At most this share of the hosts is down at one time, so that a cluster remains. */
const DOWN_PER_MILLE_MAX = 400;
const CUT_PPM = 1_000_000;
const SECOND_US = 1_000_000;

export class Chaos {
  readonly #sim: Simulation;
  readonly #operator: Operator;
  readonly #endUs: number;
  readonly #everyUs: number;
  readonly #weights: readonly (readonly [keyof ChaosWeights, number])[];
  readonly #total: number;

  constructor(sim: Simulation, operator: Operator, spec: { readonly forUs: number; readonly everyUs: number; readonly weights: ChaosWeights }) {
    this.#sim = sim;
    this.#operator = operator;
    this.#endUs = sim.nowUs + spec.forUs;
    this.#everyUs = Math.max(1, Math.round(spec.everyUs));
    this.#weights = Object.entries(spec.weights) as [keyof ChaosWeights, number][];
    this.#total = this.#weights.reduce((sum, [, weight]) => sum + weight, 0);
  }

  /** Schedules the first fault; each one schedules the next. */
  run(): void {
    const delayUs = 1 + this.#sim.scriptRandom.below(2 * this.#everyUs);
    if (this.#sim.nowUs + delayUs >= this.#endUs) return;
    this.#sim.after(delayUs, () => {
      this.#strike(this.#draw());
      this.run();
    });
  }

  #draw(): keyof ChaosWeights {
    let ticket = this.#sim.scriptRandom.below(this.#total);
    for (const [kind, weight] of this.#weights) {
      if (ticket < weight) return kind;
      ticket -= weight;
    }
    return "event";
  }

  #strike(kind: keyof ChaosWeights): void {
    const operator = this.#operator;
    const random = this.#sim.scriptRandom;
    const running = operator.runningHosts;
    const host = running[random.below(Math.max(1, running.length))];
    if (host === undefined) return;
    switch (kind) {
      case "pause":
        return operator.pause(host, this.#duration(15 * SECOND_US));
      case "cut":
        operator.disturb([host], this.#sim.hosts, CUT_PPM, 0, this.#duration(20 * SECOND_US));
        return operator.disturb(this.#sim.hosts, [host], CUT_PPM, 0, this.#duration(20 * SECOND_US));
      case "oneWay":
        return operator.disturb(this.#some(running), this.#some(running), CUT_PPM, 0, this.#duration(20 * SECOND_US));
      case "partition":
        return operator.partition(2, this.#duration(20 * SECOND_US));
      case "loss":
        return operator.disturb(this.#some(running), this.#sim.hosts, random.below(200_000), random.below(50_000), this.#duration(20 * SECOND_US));
      case "kill":
      case "powerOff":
        return this.#mayStop() ? operator.kill(host, kind === "powerOff") : undefined;
      case "leave":
        return this.#mayStop() ? operator.leave(host) : undefined;
      case "restart": {
        const stopped = operator.stoppedHosts;
        const back = stopped[random.below(Math.max(1, stopped.length))];
        return back === undefined ? undefined : operator.restart(back, random.below(2) === 0);
      }
      case "event":
        return operator.sendEvent(host, random.below(64));
      case "query":
        return operator.sendQuery(host);
      case "tags":
        return operator.changeTags(host);
      case "disk":
        return operator.stallDisk(host, this.#duration(30 * SECOND_US));
      case "clock":
        return this.#sim.jumpClock(host, random.below(20_000));
    }
  }

  /** Some time up to `usMax`, but no fault outlives the chaos. */
  #duration(usMax: number): number {
    return Math.min(1 + this.#sim.scriptRandom.below(usMax), Math.max(1, this.#endUs - this.#sim.nowUs));
  }

  #some(hosts: readonly Host[]): Host[] {
    return this.#operator.select({ kind: "random", count: 1 + this.#sim.scriptRandom.below(Math.max(1, Math.ceil(hosts.length / 4))) }, hosts);
  }

  #mayStop(): boolean {
    const count = this.#sim.hosts.length;
    return (this.#operator.runningHosts.length - 1) * 1000 >= count * (1000 - DOWN_PER_MILLE_MAX);
  }
}
