/** The production node with its one pool, dressed for the simulation. */
import type { Endpoint } from "../base/endpoint.ts";
import type { PoolConfig, PoolEffect, PoolInput } from "../serf/types.ts";
import { Pool } from "../serf/pool.ts";
import { MemberRecords } from "../swim/member-records.ts";
import type { AdoptedMember, AdoptedMembers } from "../swim/adopted-members.ts";
import { KnownSort, Repeat } from "../swim/messages.ts";
import type { SwimProfile } from "../swim/types.ts";
import type { Matcher } from "../wire/matcher.ts";
import { SIM_PORT } from "./network.ts";
import type { SharedMessage, SharedMessages } from "./shared-messages.ts";
import { isIn, type ShardPlace } from "./shards/place.ts";
import type { MachineFactory, MachineSpec, PoolView, SimMachine, Toucher } from "./sim-machine.ts";

/** What a scenario chooses about the nodes; the rest is the agent's configuration by default. */
export interface ClusterSettings {
  readonly profile: SwimProfile;
  readonly matcher: Matcher;
  /** Bytes that sealing adds to each datagram. */
  readonly packetOverheadBytes: number;
  readonly overrides: Partial<PoolConfig>;
}

/** A factory of nodes that share what members announce about themselves, and their gossip when there is `messages`. `place`: the nodes of one shard. */
export function clusterFactory(settings: ClusterSettings, messages: SharedMessages | null = null, place: ShardPlace | null = null): MachineFactory {
  const records = messages?.records ?? new MemberRecords();
  return (spec, out) => {
    // A node elsewhere is made for a moment, to be looked at: it receives nothing.
    const isHere = place === null || isIn(place, spec.index);
    return new ClusterMachine(spec, settings, records, isHere ? messages : null, spec.index - (place?.first ?? 0), out);
  };
}

/** The agent's defaults (serf-protocol §6, §10.1), with coalescing off: it would hide deliveries from the checkers for seconds. */
function poolConfig({ name, advertise, tags, restored, snapshot }: MachineSpec, { profile, packetOverheadBytes, overrides }: ClusterSettings): PoolConfig {
  return {
    name,
    advertise,
    bindPort: SIM_PORT,
    protocol: 5,
    tags,
    profile,
    packetOverheadBytes: () => packetOverheadBytes,
    encrypted: () => false,
    logLevel: "err",
    broadcastTimeoutMs: 5_000,
    leavePropagateDelayMs: 1_000,
    reapIntervalMs: 15_000,
    reconnectIntervalMs: 30_000,
    reconnectTimeoutMs: 24 * 3_600_000,
    tombstoneTimeoutMs: 24 * 3_600_000,
    recentIntentTimeoutMs: 300_000,
    queueCheckIntervalMs: 30_000,
    queueDepthWarning: 128,
    queueDepthMax: 4_096,
    eventBufferSize: 512,
    queryBufferSize: 512,
    queryTimeoutMult: 16,
    queryResponseSizeMax: 1_024,
    querySizeMax: 1_024,
    userEventSizeMax: 512,
    coordinates: true,
    resolveConflicts: true,
    coalesceMembers: null,
    coalesceUserEvents: null,
    restored,
    snapshot,
    rejoinAfterLeave: false,
    ...overrides,
  };
}

const WAKE: PoolInput = { kind: "wake" };

class ClusterMachine implements SimMachine {
  readonly view: PoolView;
  readonly #pool: Pool;
  readonly #messages: SharedMessages | null;
  /** Among the nodes that share the messages. */
  readonly #index: number;
  readonly takesEvents: boolean;
  readonly toucher: Toucher;

  constructor(spec: MachineSpec, settings: ClusterSettings, records: MemberRecords, messages: SharedMessages | null, index: number, out: PoolEffect[]) {
    const pool = new Pool(poolConfig(spec, settings), spec.random, settings.matcher, spec.nowMs, out, records);
    this.#pool = pool;
    this.toucher = pool.makeTouch();
    this.#messages = messages;
    this.#index = index;
    if (messages !== null) {
      pool.watchRegress((slot) => messages.regress(slot, index));
      pool.watchEvents((number, isHeld) => messages.setHeld(number, index, isHeld));
    }
    // Each step of a node with a snapshot file ends with lines for it.
    this.takesEvents = !pool.writesSnapshot;
    this.view = { gauges: pool.gauges, members: () => pool.members() };
  }

  get wakeAtMs(): number {
    return this.#pool.wakeAtMs;
  }

  step(input: PoolInput, nowMs: number, out: PoolEffect[]): boolean {
    return this.#pool.step(input, nowMs, out);
  }

  wake(nowMs: number, out: PoolEffect[]): void {
    this.#pool.step(WAKE, nowMs, out);
  }

  stepEvents(messages: readonly SharedMessage[], from: Endpoint, nowMs: number, out: PoolEffect[]): void {
    this.#pool.stepEvents(messages, from, nowMs, out);
  }

  isRepeat(number: number): boolean {
    const messages = this.#messages;
    if (messages === null) return false;
    if (messages.isSettled(number, this.#index)) return true;
    const known = messages.at(number);
    // Nearly all that is left are new; the few that came in another form, whose bit is not set, a step recognises as well.
    if (known.sort === KnownSort.userEvent) return false;
    const repeat = this.#pool.judgeRepeat(known);
    if (repeat === Repeat.lasting) messages.settle(known, this.#index);
    return repeat !== Repeat.no;
  }

  get letsEventsWait(): boolean {
    return this.#messages !== null && this.takesEvents && this.#pool.isGossiping;
  }

  get leavesOutSettled(): boolean {
    return this.#messages !== null;
  }

  get self(): AdoptedMember {
    return this.#pool.self;
  }

  adopt(members: AdoptedMembers): void {
    this.#pool.adopt(members);
  }

  close(): void {
    this.#pool.close();
    this.#messages?.forgetNode(this.#index);
  }
}
