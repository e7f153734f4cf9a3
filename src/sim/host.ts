/** One simulated machine: its clock, its disk, and the process that may run on it. */
import type { Endpoint } from "../base/endpoint.ts";
import type { SeededRandom } from "../base/random.ts";
import type { PoolEffect } from "../serf/types.ts";
import type { AdoptedMember } from "../swim/adopted-members.ts";
import { SnapshotDisk } from "./disk.ts";
import type { HostTimes } from "./host-times.ts";
import { endpointOf } from "./network.ts";
import type { SimMachine } from "./sim-machine.ts";
import type { StreamEnd } from "./streams.ts";

/** Receives what a command brings: its reply, and for a query all that follows. */
export type CommandListener = (effect: Extract<PoolEffect, { readonly request: number }>) => void;

/** Datagrams that wait for a stalled process: the receive buffer that `io` asks for. What exceeds it is lost. */
export const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;

export class Host {
  readonly index: number;
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly #times: HostTimes;
  readonly random: SeededRandom;
  readonly disk = new SnapshotDisk();
  diskStalledUntilUs = 0;
  tags: ReadonlyMap<string, string> = new Map();

  /** The running process; null when none runs, and when it runs in another shard of the simulation. */
  machine: SimMachine | null = null;
  /** What another shard runs here; null when it runs nothing. */
  elsewhere: AdoptedMember | null = null;
  /** Counts the processes started here: tells input for an earlier one from input for this one. */
  run = 0;
  startedAtUs = 0;
  /** When this run was first told that it had joined the others, in µs; -1 before. The first node of a cluster joins nobody. */
  joinedAtUs = -1;
  /** The machine has power: its kernel refuses connections when no process runs. */
  powered = true;
  /** Lamport-free truth: this run was asked to leave, and whether it has finished leaving. */
  leaving = false;
  left = false;

  /** When this host last came out of a stall, in µs; -1 before any. */
  stallEndedAtUs = -1;
  /** Pairs of event kind and payload that wait for the end of the stall. */
  readonly backlog: { readonly kind: number; readonly payload: unknown }[] = [];
  backlogBytes = 0;

  readonly streams = new Map<number, StreamEnd>();
  nextAcceptedStream = -1;
  acceptedCount = 0;
  nextRequest = 1;
  readonly commands = new Map<number, CommandListener>();

  constructor(index: number, times: HostTimes, random: SeededRandom) {
    this.index = index;
    this.name = `node-${index}`;
    this.endpoint = endpointOf(index);
    this.#times = times;
    this.random = random;
  }

  get running(): boolean {
    return this.machine !== null || this.elsewhere !== null;
  }

  /** A process runs here that does nothing now. */
  isStalled(nowUs: number): boolean {
    return this.machine !== null && nowUs < this.#times.deafUntilUs(this.index);
  }

  /** The host's own time in ms at the virtual time `atUs`. */
  localMs(atUs: number): number {
    return this.#times.localMs(this.index, atUs);
  }
}
