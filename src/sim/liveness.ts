/**
 * What must have come true once faults have stopped: views agree with the truth, events have reached everybody, queues are empty.
 * `problems` looks at one moment; the runner asks again until the list is empty or the bound of the scenario has passed.
 */
import type { Host } from "./host.ts";
import type { Ledger, SentEvent } from "./ledger.ts";
import { tableStride } from "./safety.ts";
import type { Simulation } from "./simulation.ts";

/** A list of problems is for a person: the first few say enough. */
export const PROBLEMS_MAX = 8;

export interface LivenessRules {
  /** Size of the event ring: what is older than this many Lamport times need not arrive. */
  readonly eventBufferSize: number;
  /** A member that left must be shown as left; else failed will do (others may have missed its leave during a cut). */
  readonly leftIsLeft: boolean;
}

/** What decides to whom an event is owed, read once from all nodes: a large cluster has ten million pairs of an event and a node. */
export class Owing {
  /** By host: Infinity where nothing is owed. */
  readonly #joinedAtUs: Float64Array;
  readonly #eventTimeMin: Float64Array;

  constructor(hosts: readonly Host[]) {
    this.#joinedAtUs = new Float64Array(hosts.length).fill(Infinity);
    this.#eventTimeMin = new Float64Array(hosts.length);
    for (const { index, machine, leaving, joinedAtUs } of hosts) {
      if (machine === null || leaving || joinedAtUs < 0) continue;
      this.#joinedAtUs[index] = joinedAtUs;
      this.#eventTimeMin[index] = machine.view.gauges.eventTimeMin;
    }
  }

  /**
   * The node was a running member when the event was sent and still is the same run, and does not ignore events of that time. What somebody sent
   * before it had joined is older than all that most members have seen (its clock is at the beginning): they ignore it and do not pass it on.
   */
  isOwed({ byMember, atUs, lamportTime }: SentEvent, host: number): boolean {
    return byMember && (this.#joinedAtUs[host] as number) < atUs && lamportTime >= (this.#eventTimeMin[host] as number);
  }
}

export class LivenessChecker {
  readonly #sim: Simulation;
  readonly #ledger: Ledger;
  readonly #rules: LivenessRules;
  /** In large clusters the views of each so-many-th node are compared row by row, and those of all others by their counts. */
  readonly #stride: number;
  readonly #viewers: readonly Host[];
  readonly #indexOf = new Map<string, number>();

  constructor(sim: Simulation, ledger: Ledger, rules: LivenessRules) {
    this.#sim = sim;
    this.#ledger = ledger;
    this.#rules = rules;
    this.#stride = tableStride(sim.hosts.length);
    for (const host of sim.hosts) this.#indexOf.set(host.name, host.index);
    this.#viewers = sim.hosts.filter(({ index }) => index % this.#stride === 0);
  }

  /** Every live member is alive in every live view, every other one is not. Empty when all is well. */
  viewProblems(): string[] {
    const problems: string[] = [];
    const indexOf = this.#indexOf;
    const state = new Array<string>(this.#sim.hosts.length);
    if (this.#stride > 1) problems.push(...this.#countProblems());
    if (problems.length > 0) return problems;
    for (const viewer of this.#viewers) {
      if (viewer.machine === null || viewer.leaving) continue;
      state.fill("absent");
      const { table } = viewer.machine.view.gauges;
      for (let row = 0; row < table.size; row += 1) state[indexOf.get(table.nameAt(row)) as number] = table.stateAt(row);
      for (const member of this.#sim.hosts) {
        const problem = this.#judge(member, state[member.index] as string);
        if (problem !== null) problems.push(`${viewer.name} shows ${member.name} as ${state[member.index]}: ${problem}`);
        if (problems.length >= PROBLEMS_MAX) return problems;
      }
    }
    return problems;
  }

  /** The same question to Serf's member lists, which the application sees. */
  memberProblems(): string[] {
    const problems: string[] = [];
    const status = new Array<string>(this.#sim.hosts.length);
    for (const viewer of this.#viewers) {
      if (viewer.machine === null || viewer.leaving) continue;
      status.fill("absent");
      for (const member of viewer.machine.view.members()) status[this.#indexOf.get(member.name) as number] = member.status;
      for (const member of this.#sim.hosts) {
        const seen = status[member.index] as string;
        const problem = this.#judge(member, seen === "failed" ? "dead" : seen);
        if (problem !== null) problems.push(`${viewer.name} lists ${member.name} as ${seen}: ${problem}`);
        if (problems.length >= PROBLEMS_MAX) return problems;
      }
    }
    return problems;
  }

  /** Every live view holds as many members for alive or suspect as there are. */
  #countProblems(): string[] {
    let alive = 0;
    for (const host of this.#sim.hosts) if (host.running && !host.leaving) alive += 1;
    for (const { name, machine, leaving } of this.#sim.hosts) {
      if (machine === null || leaving) continue;
      const shown = machine.view.gauges.aliveCount;
      if (shown !== alive) return [`${name} shows ${shown} members of ${alive}`];
    }
    return [];
  }

  #judge(member: Host, seen: string): string | null {
    if (member.running && !member.leaving) return seen === "alive" ? null : "it is alive";
    if (member.left && this.#rules.leftIsLeft) return seen === "left" || seen === "absent" ? null : "it left";
    return seen === "alive" || seen === "suspect" || seen === "leaving" ? "it is gone" : null;
  }

  /** Each event of the retained window that some node still holds is with every node that has been a member since before it was sent. */
  eventProblems(): string[] {
    const problems: string[] = [];
    const newest = this.#newestEventTime();
    const owing = this.owing();
    for (const event of this.#ledger.events) {
      if (event.isEverywhere || event.lamportTime === 0 || event.lamportTime < newest - this.#rules.eventBufferSize || !this.#isHeld(event)) continue;
      for (const host of this.#sim.hosts) {
        if (!owing.isOwed(event, host.index) || event.deliveredAtUs(host.index) !== -1) continue;
        problems.push(`${host.name} never got ${event.name} (Lamport time ${event.lamportTime}) of ${event.origin.name}`);
        if (problems.length >= PROBLEMS_MAX) return problems;
      }
    }
    return problems;
  }

  /** Some running node has it, so that it can still be passed on: an event may die with the only node that ever had it. */
  #isHeld(event: SentEvent): boolean {
    return this.#sim.hosts.some((host) => host.running && !host.leaving && event.deliveredAtUs(host.index) !== -1);
  }

  /** To whom events are owed, as it is now. */
  owing(): Owing {
    return new Owing(this.#sim.hosts);
  }

  /** Nothing is left to gossip anywhere (serf#606: a set of messages that feeds itself would never end). */
  queueProblems(): string[] {
    const problems: string[] = [];
    for (const { name, machine } of this.#sim.hosts) {
      if (machine === null) continue;
      const { swimQueued, intentsQueued, eventsQueued, queriesQueued } = machine.view.gauges;
      if (swimQueued + intentsQueued + eventsQueued + queriesQueued === 0) continue;
      problems.push(`${name} still has ${swimQueued} SWIM broadcasts, ${intentsQueued} intents, ${eventsQueued} events, ${queriesQueued} queries queued`);
      if (problems.length >= PROBLEMS_MAX) break;
    }
    return problems;
  }

  #newestEventTime(): number {
    let newest = 0;
    for (const event of this.#ledger.events) newest = Math.max(newest, event.lamportTime);
    return newest;
  }
}
