/**
 * What the script of a simulation did and what each node made of it: the truth that the checkers compare with. User events and queries
 * of a script have unique names, so that a delivery can be told from any other.
 */
import type { Host } from "./host.ts";

export class SentEvent {
  readonly id: number;
  readonly name: string;
  readonly origin: Host;
  readonly atUs: number;
  /** The sender had joined the others by then. */
  readonly byMember: boolean;
  /** Lamport time of the event, known once some node has delivered it; 0 before. */
  lamportTime = 0;
  /** Virtual time of delivery by host, in µs; -1 where it has not arrived (yet) in the present run. */
  readonly deliveredUs: Float64Array;
  #deliveries = 0;

  constructor(id: number, origin: Host, atUs: number, hostCount: number) {
    this.id = id;
    this.name = `event-${id}`;
    this.origin = origin;
    this.atUs = atUs;
    this.byMember = origin.joinedAtUs >= 0;
    this.deliveredUs = new Float64Array(hostCount).fill(-1);
  }

  /** It has arrived at every host there is. */
  get isEverywhere(): boolean {
    return this.#deliveries === this.deliveredUs.length;
  }

  /** False when this run of the host has had it before. */
  deliver(host: number, lamportTime: number, atUs: number): boolean {
    if (this.deliveredUs[host] !== -1) return false;
    this.lamportTime = lamportTime;
    this.deliveredUs[host] = atUs;
    this.#deliveries += 1;
    return true;
  }

  forget(host: number): void {
    if (this.deliveredUs[host] === -1) return;
    this.deliveredUs[host] = -1;
    this.#deliveries -= 1;
  }
}

/** Something that was done to the cluster, for the timeline of a report. */
export interface Fault {
  readonly what: "start" | "restart" | "leave" | "kill" | "power off" | "pause" | "disk stall" | "link disturbed" | "partition" | "zone cut";
  readonly fromUs: number;
  readonly toUs: number;
}

/** A timeline has no room for more; later ones are not kept. */
const FAULTS_MAX = 20_000;

export class Ledger {
  readonly faults: Fault[] = [];
  readonly events: SentEvent[] = [];
  readonly #byName = new Map<string, SentEvent>();
  readonly #hostCount: number;
  queriesSent = 0;
  queryAcks = 0;
  queryResponses = 0;
  /** Members declared failed although they ran undisturbed for a while: no pause, and no cut anywhere. */
  falseFailures = 0;
  /** When the last cut or extra loss ended, in µs. */
  disturbedUntilUs = 0;
  /** Members declared failed that were indeed gone, and the time from their end to each report. */
  readonly detectionMs: number[] = [];
  /** When the last process of each host ended, in µs; -1 if none has. */
  readonly endedAtUs: Float64Array;
  /** By host: the last run that was asked to leave. */
  readonly leaveRun: Int32Array;

  constructor(hostCount: number) {
    this.#hostCount = hostCount;
    this.endedAtUs = new Float64Array(hostCount).fill(-1);
    this.leaveRun = new Int32Array(hostCount).fill(-1);
  }

  sendEvent(origin: Host, atUs: number): SentEvent {
    const sent = new SentEvent(this.events.length, origin, atUs, this.#hostCount);
    this.events.push(sent);
    this.#byName.set(sent.name, sent);
    return sent;
  }

  eventByName(name: string): SentEvent | undefined {
    return this.#byName.get(name);
  }

  noteFault(what: Fault["what"], fromUs: number, forUs = 0): void {
    if (this.faults.length < FAULTS_MAX) this.faults.push({ what, fromUs, toUs: fromUs + forUs });
  }

  sendQuery(): string {
    this.queriesSent += 1;
    return `query-${this.queriesSent}`;
  }

  /** A new process starts: what the one before it had delivered does not count for it. */
  forgetDeliveries(host: Host): void {
    for (const event of this.events) event.forget(host.index);
  }
}
