/**
 * What must hold after every step of every node (in large clusters the tables of some nodes are looked at, and less often: `tableStride`).
 * Each rule is stated as the protocol allows it, not stricter:
 *
 *  incarnation   In one run of a node, the incarnation it holds of a member never goes back while the member stays in its table.
 *                (A restarted member begins at 1 again, but others ignore that until it has refuted with a higher one; only a
 *                member that was forgotten may come back lower. Simulated members never change their address, the other exception.)
 *  own-incarnation is the same rule at the node itself.
 *  left          A table shows "left" only for a member that was asked to leave. One shown as left turns alive only with a higher
 *                incarnation that the member itself has announced, and in its own table not at all in the same run.
 *  events        The application hears of a member-join only when SWIM shows the member alive (or already suspect).
 *  lamport       The three Lamport clocks of a run never go back.
 *  once          A run delivers each user event and each query at most once.
 *  internal      Queries named `_serf_…` are never delivered.
 *  bounded       Broadcast queues stay within their bounds.
 */
import type { SerfEvent } from "../serf/types.ts";
import type { SwimState } from "../swim/types.ts";
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

/**
 * Up to this many nodes each change of each table is looked at. Above, one change in so many that the work per change stays the same, and
 * at so many nodes at most, evenly chosen, so that memory does not grow with the square of the cluster.
 */
const EVERY_CHANGE_NODES_MAX = 250;
const CHANGES_SKIPPED_DIVISOR = 16;

/** In a cluster of so many nodes the tables of each so-many-th are looked at row by row. */
export function tableStride(nodes: number): number {
  return nodes <= 4 * EVERY_CHANGE_NODES_MAX ? 1 : Math.ceil(nodes / EVERY_CHANGE_NODES_MAX);
}

/** What the table of one run of a node has shown so far, by index of the member. */
interface TableMemory {
  revision: number;
  scan: number;
  readonly incarnation: Float64Array;
  /** Scan in which the member was last in the table. */
  readonly seenInScan: Int32Array;
  /** Incarnation with which the table has shown the member as left since it last was alive; -1 when it has not. */
  readonly leftIncarnation: Float64Array;
}

/** Lamport clocks of a node. */
const CLOCKS = 3;

export class SafetyChecker implements SimObserver {
  readonly #sim: Simulation;
  readonly #ledger: Ledger;
  readonly #limits: SafetyLimits;
  // By node, of its present run. Looked at after each of hundreds of millions of steps: columns, since an object for each node would lie cold.
  /** The clocks as they were last seen: member, event, query. */
  readonly #clocks: Float64Array;
  /** Null when no process runs. */
  readonly #gauges: (Readings | null)[];
  /** Null: the tables of this node are not looked at. */
  readonly #tables: (TableMemory | null)[];
  /** Queries, and events that are not the script's. */
  readonly #delivered: (Set<string> | null)[];
  readonly #indexOf = new Map<string, number>();
  readonly #revisionStep: number;
  /** Highest incarnation that each member has held of itself. */
  readonly #announced: Float64Array;

  constructor(sim: Simulation, ledger: Ledger, limits: SafetyLimits) {
    this.#sim = sim;
    this.#ledger = ledger;
    this.#limits = limits;
    this.#clocks = new Float64Array(CLOCKS * sim.hosts.length);
    this.#gauges = sim.hosts.map(() => null);
    this.#tables = sim.hosts.map(() => null);
    this.#delivered = sim.hosts.map(() => null);
    this.#revisionStep = sim.hosts.length <= EVERY_CHANGE_NODES_MAX ? 1 : Math.ceil(sim.hosts.length / CHANGES_SKIPPED_DIVISOR);
    // Who looks at tables seldom, or not at all tables, may see a member's own announcement later than another's view of it.
    this.#announced = new Float64Array(sim.hosts.length).fill(this.#revisionStep === 1 && sim.place.count === 1 ? 0 : Infinity);
    for (const host of sim.hosts) this.#indexOf.set(host.name, host.index);
  }

  started(host: Host): void {
    const count = this.#sim.hosts.length;
    const makeTable = (): TableMemory => ({
      revision: -Infinity,
      scan: 1,
      incarnation: new Float64Array(count),
      seenInScan: new Int32Array(count),
      leftIncarnation: new Float64Array(count).fill(-1),
    });
    this.#forget(host);
    this.#gauges[host.index] = host.machine?.view.gauges ?? null;
    if (host.index % tableStride(count) === 0) this.#tables[host.index] = makeTable();
    this.#ledger.forgetDeliveries(host);
  }

  stopped(host: Host): void {
    this.#forget(host);
    this.#ledger.endedAtUs[host.index] = this.#sim.nowUs;
  }

  #forget({ index }: Host): void {
    this.#clocks.fill(0, CLOCKS * index, CLOCKS * (index + 1));
    this.#gauges[index] = null;
    this.#tables[index] = null;
    this.#delivered[index] = null;
  }

  stepped(node: number): void {
    const gauges = this.#gauges[node] ?? null;
    if (gauges === null) return;
    this.#checkClocks(node, gauges);
    this.#checkQueues(node, gauges);
    const table = this.#tables[node] ?? null;
    if (table !== null) this.#lookAtTable(this.#hostOf(node), table, gauges);
  }

  touch(node: number): number {
    return (this.#clocks[CLOCKS * node] as number) + (this.#gauges[node]?.memberClock ?? 0) + this.#ledger.touch(node);
  }

  #hostOf(node: number): Host {
    return this.#sim.hosts[node] as Host;
  }

  #lookAtTable(host: Host, memory: TableMemory, gauges: Readings): void {
    const { revision } = gauges.table;
    // A member's change moves the revision by one or two; a table that is looked at seldom still cannot go back unseen for long.
    if (Math.abs(revision - memory.revision) < this.#revisionStep) return;
    memory.revision = revision;
    this.#checkTable(host, memory, gauges);
  }

  #checkClocks(node: number, { memberClock, eventClock, queryClock }: Readings): void {
    const first = CLOCKS * node;
    this.#checkClock(node, first, "member", memberClock);
    this.#checkClock(node, first + 1, "event", eventClock);
    this.#checkClock(node, first + 2, "query", queryClock);
  }

  #checkClock(node: number, place: number, which: string, time: number): void {
    const before = this.#clocks[place] as number;
    if (time < before) this.#sim.violate("lamport", `${this.#hostOf(node).name}: ${which} clock ${before} → ${time}`);
    this.#clocks[place] = time;
  }

  #checkQueues(node: number, gauges: Readings): void {
    const { serfQueueMax } = this.#limits;
    const swimMax = this.#sim.hosts.length + SWIM_QUEUE_SPARE;
    if (gauges.swimQueued > swimMax) this.#sim.violate("bounded", `${this.#hostOf(node).name}: ${gauges.swimQueued} SWIM broadcasts queued`);
    const serfQueued = Math.max(gauges.intentsQueued, gauges.eventsQueued, gauges.queriesQueued);
    if (serfQueued > serfQueueMax) this.#sim.violate("bounded", `${this.#hostOf(node).name}: ${serfQueued} Serf broadcasts in one queue`);
  }

  #checkTable(host: Host, memory: TableMemory, gauges: Readings): void {
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
      if (member === host.index) this.#announced[member] = Math.max(incarnation, this.#announced[member] as number);
      this.#checkLeft(host, memory, member, table.stateAt(row), incarnation);
    }
  }

  #checkLeft(host: Host, memory: TableMemory, member: number, state: SwimState, incarnation: number): void {
    const left = memory.leftIncarnation[member] as number;
    const { name } = this.#sim.hosts[member] as Host;
    if (state === "left") {
      if (this.#ledger.leaveRun[member] === -1) this.#sim.violate("left", `${host.name} shows ${name} as left, which never left`);
      memory.leftIncarnation[member] = incarnation;
    } else if (state === "alive" && left >= 0) {
      memory.leftIncarnation[member] = -1;
      const cameBack = member !== host.index && incarnation > left && incarnation <= (this.#announced[member] as number);
      if (!cameBack) this.#sim.violate("left", `${host.name} shows ${name} as alive again (incarnation ${left} → ${incarnation}), which has left`);
    }
  }

  delivered(node: number, event: SerfEvent): void {
    switch (event.kind) {
      case "members": {
        const isLookedAt = this.#tables[node] !== null;
        if (!isLookedAt && event.type !== "member-failed") return;
        for (const { name } of event.members) this.#checkMemberEvent(this.#hostOf(node), isLookedAt, event.type, name);
        return;
      }
      case "user":
        return this.#checkUserEvent(node, event);
      case "query": {
        const { name } = this.#hostOf(node);
        if (event.name.startsWith("_serf_")) this.#sim.violate("internal", `${name} delivered the internal query ${event.name}`);
        this.#deliverOnce(node, `q ${event.lamportTime} ${event.name} ${event.sourceNode}`);
      }
    }
  }

  #checkMemberEvent(host: Host, isLookedAt: boolean, type: string, name: string): void {
    const member = this.#indexOf.get(name);
    if (member === undefined) return this.#sim.violate("left", `${host.name} reports ${type} of ${name}, which never existed`);
    if (type === "member-join" && isLookedAt && !isShownAlive(host, name)) this.#sim.violate("events", `${host.name} reports member-join of ${name}, which is not alive`);
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

  #checkUserEvent(node: number, event: Extract<SerfEvent, { readonly kind: "user" }>): void {
    const sent = this.#ledger.eventOf(event);
    if (sent === undefined) return this.#deliverOnce(node, `e ${event.lamportTime} ${event.name}`);
    if (!sent.deliver(node, event.lamportTime, this.#sim.nowUs)) this.#sim.violate("once", `${this.#hostOf(node).name} delivered ${event.name} twice in one run`);
  }

  #deliverOnce(node: number, key: string): void {
    const delivered = (this.#delivered[node] ??= new Set());
    if (delivered.has(key)) this.#sim.violate("once", `${this.#hostOf(node).name} delivered ${key} twice in one run`);
    delivered.add(key);
  }
}

function isShownAlive(host: Host, name: string): boolean {
  const table = host.machine?.view.gauges.table;
  if (table === undefined) return false;
  const state = table.stateOf(name);
  return state === "alive" || state === "suspect";
}
