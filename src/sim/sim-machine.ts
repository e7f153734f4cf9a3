/**
 * What the simulation drives: a `NodeMachine` that lets itself be looked at. The production node is wrapped into this by
 * `cluster-machine.ts`; tests of the kernel bring small machines of their own.
 */
import type { Endpoint } from "../base/endpoint.ts";
import type { Random } from "../base/random.ts";
import type { NodeMachine } from "../node/types.ts";
import type { Member, RestoredSnapshot } from "../serf/types.ts";
import type { MemberTableView } from "../swim/types.ts";

/** The simulation's view into one pool; reading must not change anything nor allocate (except `members`). */
export interface PoolView {
  readonly table: MemberTableView;
  readonly memberClock: number;
  readonly eventClock: number;
  readonly queryClock: number;
  /** User events below this Lamport time are ignored by this node (restored snapshot, join without replay). */
  readonly eventTimeMin: number;
  /** Messages waiting to be gossiped: SWIM's own and the three queues of Serf. */
  readonly swimQueued: number;
  readonly intentsQueued: number;
  readonly eventsQueued: number;
  readonly queriesQueued: number;
  members(): readonly Member[];
}

export interface SimMachine extends NodeMachine {
  readonly view: PoolView;
  /** The process has ended: lets go of what it shares with the other nodes of the simulation. */
  close(): void;
}

/** Everything one run of a node is made from. */
export interface MachineSpec {
  readonly index: number;
  readonly name: string;
  readonly advertise: Endpoint;
  readonly tags: ReadonlyMap<string, string>;
  readonly restored: RestoredSnapshot | null;
  readonly snapshot: boolean;
  readonly random: Random;
  /** The node's own clock now, in ms. */
  readonly nowMs: number;
}

export type MachineFactory = (spec: MachineSpec) => SimMachine;

/** All simulated nodes have one pool, of this name. */
export const POOL_NAME = "lan";
