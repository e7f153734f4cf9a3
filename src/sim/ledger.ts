/**
 * What the script of a simulation did and what each node made of it: the truth that the checkers compare with. User events and queries
 * of a script have unique names, so that a delivery can be told from any other.
 */
import type { SerfEvent } from "../serf/types.ts";
import type { Host } from "./host.ts";
import type { Scenario } from "./scenario.ts";

const DELIVERED_KEPT = 1_024;
/** What is delivered now was mostly sent so many events ago, in a burst: a line of eight events each. */
const TOUCHED_NEAR = 12;
const TOUCHED_FAR = 20;

/** The places of one event: the times of its delivery by host, `stride` apart, and its Lamport time behind those of all hosts; -1 for what is not known. */
interface EventPlaces {
  readonly times: Float64Array;
  readonly first: number;
  readonly stride: number;
  readonly hosts: number;
}

export class SentEvent {
  readonly id: number;
  readonly name: string;
  readonly origin: Host;
  readonly atUs: number;
  /** The sender had joined the others by then. */
  readonly byMember: boolean;
  readonly #places: EventPlaces;
  readonly #hostsHere: number;
  #deliveries = 0;

  /** `hostsHere`: so many hosts tell this ledger of their deliveries. */
  constructor(id: number, origin: Host, atUs: number, places: EventPlaces, hostsHere: number) {
    this.id = id;
    this.name = `event-${id}`;
    this.origin = origin;
    this.atUs = atUs;
    this.byMember = origin.joinedAtUs >= 0;
    this.#places = places;
    this.#hostsHere = hostsHere;
  }

  /** Virtual time of delivery at a host, in µs; -1 where it has not arrived (yet) in the present run. */
  deliveredAtUs(host: number): number {
    return this.#at(host);
  }

  /** It has arrived at every host there is (in this shard). */
  get isEverywhere(): boolean {
    return this.#deliveries === this.#hostsHere;
  }

  /** Lamport time of the event, known once some node has delivered it; 0 before. */
  get lamportTime(): number {
    return Math.max(0, this.#at(this.#places.hosts));
  }

  /** False when this run of the host has had it before. */
  deliver(host: number, lamportTime: number, atUs: number): boolean {
    if (this.#at(host) !== -1) return false;
    this.#put(this.#places.hosts, lamportTime);
    this.#put(host, atUs);
    this.#deliveries += 1;
    return true;
  }

  forget(host: number): void {
    if (this.#at(host) === -1) return;
    this.#put(host, -1);
    this.#deliveries -= 1;
  }

  #at(host: number): number {
    const { times, first, stride } = this.#places;
    return times[first + host * stride] as number;
  }

  #put(host: number, value: number): void {
    const { times, first, stride } = this.#places;
    times[first + host * stride] = value;
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

/**
 * Where the ledgers of all shards write when events were delivered; a shard writes of its own hosts only. What a host was given lies side by side: of events that
 * are sent at about the same time it mostly gets several at once.
 */
export class EventBoard {
  readonly #times: Float64Array;
  readonly #hosts: number;
  readonly #events: number;

  static bytes({ steps, nodes }: Scenario): number {
    return 8 * (nodes + 1) * steps.reduce((sum, { action }) => sum + (action.kind === "events" ? action.count : 0), 0);
  }

  /** `memory` has `bytes` bytes and is nobody else's; who makes it clears it once. */
  constructor(memory: ArrayBufferLike, hosts: number) {
    this.#times = new Float64Array(memory);
    this.#hosts = hosts;
    this.#events = this.#times.length / (hosts + 1);
  }

  clear(): void {
    this.#times.fill(-1);
  }

  /** Null when there is no place for one more than the script has said. */
  placesOf(event: number): EventPlaces | null {
    if (event >= this.#events) return null;
    return { times: this.#times, first: event, stride: this.#events, hosts: this.#hosts };
  }
}

export class Ledger {
  readonly faults: Fault[] = [];
  readonly events: SentEvent[] = [];
  readonly #byName = new Map<string, SentEvent>();
  /** Events that were delivered lately, and what they are: nodes that share messages deliver the very same one. By Lamport time. */
  readonly #delivered = new Array<unknown>(DELIVERED_KEPT).fill(null);
  readonly #deliveredAs = new Array<SentEvent | undefined>(DELIVERED_KEPT).fill(undefined);
  readonly #hostCount: number;
  readonly #hostsHere: number;
  readonly #board: EventBoard | null;
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

  /** `hostsHere` of the hosts, and a `board`: where the ledgers of several shards write side by side. */
  constructor(hostCount: number, hostsHere = hostCount, board: EventBoard | null = null) {
    this.#hostCount = hostCount;
    this.#hostsHere = hostsHere;
    this.#board = board;
    this.endedAtUs = new Float64Array(hostCount).fill(-1);
    this.leaveRun = new Int32Array(hostCount).fill(-1);
  }

  sendEvent(origin: Host, atUs: number): SentEvent {
    const id = this.events.length;
    const places = this.#board?.placesOf(id) ?? { times: new Float64Array(this.#hostCount + 1).fill(-1), first: 0, stride: 1, hosts: this.#hostCount };
    const sent = new SentEvent(id, origin, atUs, places, this.#hostsHere);
    this.events.push(sent);
    this.#byName.set(sent.name, sent);
    return sent;
  }

  /** The sent event that a delivered one is; undefined when it is not the script's. */
  eventOf(delivered: Extract<SerfEvent, { readonly kind: "user" }>): SentEvent | undefined {
    const place = delivered.lamportTime % DELIVERED_KEPT;
    if (this.#delivered[place] === delivered) return this.#deliveredAs[place];
    const sent = this.#byName.get(delivered.name);
    this.#delivered[place] = delivered;
    this.#deliveredAs[place] = sent;
    return sent;
  }

  /** Reads where the next deliveries at a host will most likely be noted; the sum means nothing. */
  touch(host: number): number {
    const { events } = this;
    return (events[events.length - TOUCHED_NEAR]?.deliveredAtUs(host) ?? 0) + (events[events.length - TOUCHED_FAR]?.deliveredAtUs(host) ?? 0);
  }

  noteFault(what: Fault["what"], fromUs: number, forUs = 0): void {
    if (this.faults.length < FAULTS_MAX) this.faults.push({ what, fromUs, toUs: fromUs + forUs });
  }

  /** Takes over what another shard has found. */
  takeOver({ detectionMs }: { readonly detectionMs: Float64Array }): void {
    for (const ms of detectionMs) this.detectionMs.push(ms);
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
