/**
 * What must hold after every step of every node. Each rule is stated as the protocol allows it, not stricter:
 *
 *  incarnation   In one run of a node, the incarnation it holds of a member never goes back while the member stays in its table.
 *                (A restarted member begins at 1 again, but others ignore that until it has refuted with a higher one; only a
 *                member that was forgotten may come back lower. Simulated members never change their address, the other exception.)
 *  own-incarnation is the same rule at the node itself.
 *  left          A table shows "left" only for a member that was asked to leave, and one shown as left turns alive only after that
 *                member has started a new run. The same holds for the member events given to the application, once SWIM too shows
 *                the member as left (one that is leaving and suspected is reported as left, but may still object).
 *  lamport       The three Lamport clocks of a run never go back.
 *  once          A run delivers each user event and each query at most once.
 *  internal      Queries named `_serf_…` are never delivered.
 *  bounded       Broadcast queues stay within their bounds.
 */
import type { NodeEffect } from "../node/types.ts";
import type { SerfEvent } from "../serf/types.ts";
import type { Host } from "./host.ts";
import type { Ledger } from "./ledger.ts";
import type { Readings } from "./sim-machine.ts";
import type { Simulation, SimObserver } from "./simulation.ts";

export interface SafetyLimits {
  /** Each of Serf's queues. */
  readonly serfQueueMax: number;
  /** No member may be declared failed while it runs: for scenarios without losses, cuts, stalls and restarts. */
  readonly noFalseFailures: boolean;
}

/** SWIM's queue holds at most one broadcast per member name, and one under the node's own address (refutations). */
const SWIM_QUEUE_SPARE = 1;
/** A process that has just started or come out of a stall may still be called failed by those who missed it. */
const SETTLED_US = 30_000_000;

/** What one run of a node has shown so far, by index of the member. */
interface Memory {
  revision: number;
  scan: number;
  readonly incarnation: Float64Array;
  /** Scan in which the member was last in the table. */
  readonly seenInScan: Int32Array;
  /** 1 where the table, or a member event, has shown the member as left since it last was alive. */
  readonly tableLeft: Uint8Array;
  readonly eventLeft: Uint8Array;
  memberClock: number;
  eventClock: number;
  queryClock: number;
  readonly delivered: Set<string>;
}

export class SafetyChecker implements SimObserver {
  readonly #sim: Simulation;
  readonly #ledger: Ledger;
  readonly #limits: SafetyLimits;
  readonly #memories: (Memory | null)[];
  readonly #indexOf = new Map<string, number>();

  constructor(sim: Simulation, ledger: Ledger, limits: SafetyLimits) {
    this.#sim = sim;
    this.#ledger = ledger;
    this.#limits = limits;
    this.#memories = sim.hosts.map(() => null);
    for (const host of sim.hosts) this.#indexOf.set(host.name, host.index);
  }

  started(host: Host): void {
    const count = this.#sim.hosts.length;
    this.#memories[host.index] = {
      revision: -1,
      scan: 1,
      incarnation: new Float64Array(count),
      seenInScan: new Int32Array(count),
      tableLeft: new Uint8Array(count),
      eventLeft: new Uint8Array(count),
      memberClock: 0,
      eventClock: 0,
      queryClock: 0,
      delivered: new Set(),
    };
    this.#ledger.forgetDeliveries(host);
  }

  stopped(host: Host): void {
    this.#memories[host.index] = null;
    this.#ledger.endedAtUs[host.index] = this.#sim.nowUs;
  }

  stepped(host: Host, effects: readonly NodeEffect[]): void {
    const memory = this.#memories[host.index];
    const gauges = host.machine?.view.gauges;
    if (memory === null || memory === undefined || gauges === undefined) return;
    this.#checkClocks(host, memory, gauges);
    this.#checkQueues(host, gauges);
    const { revision } = gauges.table;
    if (revision !== memory.revision) {
      memory.revision = revision;
      this.#checkTable(host, memory, gauges);
    }
    for (const { effect } of effects) if (effect.kind === "event") this.#checkEvent(host, memory, effect.event);
  }

  #checkClocks(host: Host, memory: Memory, gauges: Readings): void {
    const { memberClock, eventClock, queryClock } = gauges;
    if (memberClock < memory.memberClock) this.#sim.violate("lamport", `${host.name}: member clock ${memory.memberClock} → ${memberClock}`);
    if (eventClock < memory.eventClock) this.#sim.violate("lamport", `${host.name}: event clock ${memory.eventClock} → ${eventClock}`);
    if (queryClock < memory.queryClock) this.#sim.violate("lamport", `${host.name}: query clock ${memory.queryClock} → ${queryClock}`);
    memory.memberClock = memberClock;
    memory.eventClock = eventClock;
    memory.queryClock = queryClock;
  }

  #checkQueues(host: Host, gauges: Readings): void {
    const { serfQueueMax } = this.#limits;
    const swimMax = this.#sim.hosts.length + SWIM_QUEUE_SPARE;
    if (gauges.swimQueued > swimMax) this.#sim.violate("bounded", `${host.name}: ${gauges.swimQueued} SWIM broadcasts queued`);
    const serfQueued = Math.max(gauges.intentsQueued, gauges.eventsQueued, gauges.queriesQueued);
    if (serfQueued > serfQueueMax) this.#sim.violate("bounded", `${host.name}: ${serfQueued} Serf broadcasts in one queue`);
  }

  #checkTable(host: Host, memory: Memory, gauges: Readings): void {
    const { table } = gauges;
    const before = memory.scan;
    memory.scan += 1;
    for (let row = 0; row < table.size; row += 1) {
      const name = table.nameAt(row);
      const member = this.#indexOf.get(name);
      if (member === undefined) {
        this.#sim.violate("left", `${host.name} knows a member ${name} that never existed`);
        continue;
      }
      const incarnation = table.incarnationAt(row);
      const held = memory.incarnation[member] as number;
      if (memory.seenInScan[member] === before && incarnation < held) {
        this.#sim.violate("incarnation", `${host.name}: incarnation of ${name} ${held} → ${incarnation}`);
      }
      memory.incarnation[member] = incarnation;
      memory.seenInScan[member] = memory.scan;
      const state = table.stateAt(row);
      if (state === "left") {
        if (this.#ledger.leaveRun[member] === -1) this.#sim.violate("left", `${host.name} shows ${name} as left, which never left`);
        memory.tableLeft[member] = 1;
      } else if (state === "alive" && memory.tableLeft[member] === 1) {
        memory.tableLeft[member] = 0;
        if (this.#isGoneForGood(member)) this.#sim.violate("left", `${host.name} shows ${name} as alive again, which has left`);
      }
    }
  }

  /** The member's newest run is one that was asked to leave. */
  #isGoneForGood(member: number): boolean {
    return this.#ledger.leaveRun[member] === (this.#sim.hosts[member] as Host).run;
  }

  #checkEvent(host: Host, memory: Memory, event: SerfEvent): void {
    switch (event.kind) {
      case "members":
        for (const { name } of event.members) this.#checkMemberEvent(host, memory, event.type, name);
        return;
      case "user":
        return this.#checkUserEvent(host, memory, event);
      case "query": {
        if (event.name.startsWith("_serf_")) this.#sim.violate("internal", `${host.name} delivered the internal query ${event.name}`);
        this.#deliverOnce(host, memory, `q ${event.lamportTime} ${event.name} ${event.sourceNode}`);
      }
    }
  }

  #checkMemberEvent(host: Host, memory: Memory, type: string, name: string): void {
    const member = this.#indexOf.get(name);
    if (member === undefined) return this.#sim.violate("left", `${host.name} reports ${type} of ${name}, which never existed`);
    // A member that was leaving when it was declared dead is reported as left too, and may still object.
    if (type === "member-leave" && isShownAs(host, name, "left")) memory.eventLeft[member] = 1;
    if (type === "member-join") {
      const wasLeft = memory.eventLeft[member] === 1;
      memory.eventLeft[member] = 0;
      if (wasLeft && this.#isGoneForGood(member)) this.#sim.violate("left", `${host.name} reports member-join of ${name}, which has left`);
    }
    if (type === "member-failed") this.#judgeFailure(host, member);
  }

  #judgeFailure(host: Host, member: number): void {
    const { nowUs } = this.#sim;
    const accused = this.#sim.hosts[member] as Host;
    const ledger = this.#ledger;
    if (!accused.running) {
      const endedUs = ledger.endedAtUs[member] as number;
      if (endedUs >= 0) ledger.detectionMs.push((nowUs - endedUs) / 1000);
      return;
    }
    const disturbedUs = this.#sim.network.isDisturbed ? nowUs : ledger.disturbedUntilUs;
    const quietSinceUs = Math.max(accused.startedAtUs, accused.stallEndedAtUs, host.startedAtUs, host.stallEndedAtUs, disturbedUs);
    const isFalse = !accused.leaving && !accused.isStalled(nowUs) && (this.#limits.noFalseFailures || nowUs - quietSinceUs > SETTLED_US);
    if (!isFalse) return;
    ledger.falseFailures += 1;
    if (this.#limits.noFalseFailures) this.#sim.violate("false-failure", `${host.name} declares ${accused.name} failed, which runs undisturbed`);
  }

  #checkUserEvent(host: Host, memory: Memory, event: Extract<SerfEvent, { readonly kind: "user" }>): void {
    const sent = this.#ledger.eventByName(event.name);
    if (sent === undefined) return this.#deliverOnce(host, memory, `e ${event.lamportTime} ${event.name}`);
    if (sent.deliveredUs[host.index] !== -1) return this.#sim.violate("once", `${host.name} delivered ${event.name} twice in one run`);
    sent.lamportTime = event.lamportTime;
    sent.deliveredUs[host.index] = this.#sim.nowUs;
  }

  #deliverOnce(host: Host, memory: Memory, key: string): void {
    if (memory.delivered.has(key)) this.#sim.violate("once", `${host.name} delivered ${key} twice in one run`);
    memory.delivered.add(key);
  }
}

function isShownAs(host: Host, name: string, state: string): boolean {
  const table = host.machine?.view.gauges.table;
  if (table === undefined) return false;
  for (let row = 0; row < table.size; row += 1) if (table.nameAt(row) === name) return table.stateAt(row) === state;
  return false;
}
