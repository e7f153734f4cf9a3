/**
 * What the simulation drives: a node with one pool that lets itself be looked at. The production pool is wrapped into this by
 * `cluster-machine.ts`; tests of the kernel bring small machines of their own.
 */
import type { Endpoint } from "../base/endpoint.ts";
import type { Random } from "../base/random.ts";
import type { PoolGauges } from "../serf/gauges.ts";
import type { AdoptedMember, AdoptedMembers } from "../swim/adopted-members.ts";
import type { Member, PoolEffect, PoolInput, RestoredSnapshot } from "../serf/types.ts";
import type { SharedMessage } from "./shared-messages.ts";

/** The simulation's view into one pool; reading changes nothing, and the gauges do not allocate. */
export interface PoolView {
  readonly gauges: Readings;
  members(): readonly Member[];
}

/** The readings of `PoolGauges`, as an interface: tests of the checkers bring their own. */
export type Readings = Pick<PoolGauges, keyof PoolGauges>;

/** Fetches into the processor's caches what the next input of a node will make it look at: see `serf/pool-touch.ts`. */
export interface Toucher {
  /** Changes nothing, and the sum means nothing. */
  read(): number;
}

export interface SimMachine {
  readonly view: PoolView;
  /** As those of `Pool`. */
  readonly wakeAtMs: number;
  step(input: PoolInput, nowMs: number, out: PoolEffect[]): boolean;
  /** The same for the input `wake`, when it is due. */
  wake(nowMs: number, out: PoolEffect[]): void;
  /** The shared message with this number would change nothing at this node now, and so need not be given to it. */
  isRepeat(number: number): boolean;
  /** Messages that are settled at this node (`SharedMessages.isSettled`) are repeats, always: nobody needs to ask. */
  readonly leavesOutSettled: boolean;
  /** Null or absent: what it looks at is little, or nobody knows. */
  readonly toucher?: Toucher | null;
  /** User events of one datagram may be given together; absent: each wants a step of its own. */
  readonly takesEvents?: boolean;
  /** As a step for each of these messages, all of them user events. */
  stepEvents?(messages: readonly SharedMessage[], from: Endpoint, nowMs: number, out: PoolEffect[]): void;
  /** User events that come before the next input would not make it want to be woken earlier, nor have any effect but to be delivered. */
  readonly letsEventsWait?: boolean;
  /** The node itself, as the records that all nodes share name it. */
  readonly self: AdoptedMember;
  /** The node begins as a member of long standing among these; before any input. */
  adopt(members: AdoptedMembers): void;
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

/** Starts a process; what it wants done at once goes to `out`. */
export type MachineFactory = (spec: MachineSpec, out: PoolEffect[]) => SimMachine;
