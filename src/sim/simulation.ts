/**
 * The deterministic simulation kernel: one agenda, one virtual clock, one seeded network, and any number of production nodes.
 *
 * Problem: a cluster's failures depend on timing, losses and pauses that no test on real sockets can repeat. Idea: nodes are machines
 * without clock, sockets and randomness of their own, so everything they meet is an input that this file orders. Guarantees:
 *  1. The same options and the same script of actions give the same inputs in the same order: equal trace hashes.
 *  2. No input reaches a process that does not run, is paused (it gets it afterwards) or is an earlier run's.
 *  3. A wake is never early by the node's own clock.
 *  4. Between inputs that nobody else can see, a node may be given user events later than they came, with the time of then (`inboxes.ts`): before its next
 *     input, and before anybody looks at it who has called `settle`.
 * The codec mode never changes what happens. Violations are collected, not thrown, save an exception from a node, which is one.
 */
import type { Endpoint } from "../base/endpoint.ts";
import { SeededRandom } from "../base/random.ts";
import type { PoolEffect, PoolInput, RestoredSnapshot, SerfEvent } from "../serf/types.ts";
import { KnownSort } from "../swim/messages.ts";
import type { SwimInput } from "../swim/types.ts";
import { Datagram } from "./datagram.ts";
import { EventQueue } from "./event-queue.ts";
import { HostTimes } from "./host-times.ts";
import { Inboxes } from "./inboxes.ts";
import { Host, RECEIVE_BUFFER_BYTES, type CommandListener } from "./host.ts";
import { indexOfEndpoint, Network, type NetworkConfig } from "./network.ts";
import { CodecCheck, type CodecMode, type SimCodec } from "./sim-codec.ts";
import type { SharedMessage, SharedMessages } from "./shared-messages.ts";
import type { MachineFactory, SimMachine, Toucher } from "./sim-machine.ts";
import type { Crossing, CrossingWorld } from "./shards/crossing.ts";
import { wholeOf, type ShardPlace } from "./shards/place.ts";
import { SET_IS_OLD } from "./settled-bits.ts";
import { StreamNet, type CrossingStream, type Segment, type StreamEnd, type StreamWorld } from "./streams.ts";
import { surveyBytes, type Survey } from "./survey.ts";
import { TraceHash } from "./trace-hash.ts";

export interface SimulationOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly network: NetworkConfig;
  readonly factory: MachineFactory;
  readonly codec: SimCodec | null;
  readonly codecMode: CodecMode;
  /** How long an accepted stream may take, in ms (the profile's TCP timeout). */
  readonly acceptTimeoutMs: number;
  /** Each clock runs fast or slow by up to this much. */
  readonly clockDriftPpmMax: number;
  /** What the nodes share of their gossip, decoded once; repeats are left out before a node sees them. Null: nothing. Never changes what happens. */
  readonly messages: SharedMessages | null;
  /** Reads a snapshot file back, as the agent does at its start. */
  readonly readSnapshot: (text: string) => RestoredSnapshot;
  /** Receives one readable line per delivered input; null spares the work. */
  readonly trace: ((line: string) => void) | null;
  /** The way to the other shards, when this simulation has some of the nodes only; needs `messages`. Null: all nodes are here. */
  readonly crossing?: Crossing | null;
}

export interface Violation {
  readonly atUs: number;
  /** Name of the checker, and what it saw. */
  readonly checker: string;
  readonly text: string;
}

/** Looks on while a simulation runs; must not change it from within `stepped` and `delivered`. Nodes have numbers there: to look at a host is to read cold memory. */
export interface SimObserver {
  started?(host: Host): void;
  /** The process ended: killed, left, or by its own wish. */
  stopped?(host: Host): void;
  /** After each step of a node. */
  stepped?(node: number): void;
  /** What the step delivered to the application, after that. */
  delivered?(node: number, event: SerfEvent): void;
  /** Reads what it will look at after the next step of the node, which is read ahead; the sum means nothing. */
  touch?(node: number): number;
}

export interface SimStats {
  steps: number;
  datagrams: number;
  datagramsLost: number;
  /** Arrived where nobody runs or the receive buffer was full. */
  datagramsDropped: number;
  messages: number;
  bytes: number;
  streams: number;
}

const EventKind = { wake: 0, datagram: 1, call: 2, stream: 3, command: 4, stallEnd: 5 } as const;

const WAKES_AT_ONCE_MAX = 1_000;
/** So much later than possible a deadline may come out, in virtual time. */
const ROUNDING_US = 1;
/** The memory of fewer nodes lies in the processor's caches anyway. */
const TOUCHED_NODES_MIN = 1_000;
/** So long after new user events: what is read ahead is what these look at. While only suspicions and deaths are gossiped it costs more than it spares. */
const TOUCHED_US = 100_000;
/** What comes from one shard in a run is less. */
const ARRIVALS_MAX = 2 ** 48;
const HASHED_START = 15;
/** Input kinds as they enter the trace hash; they begin above the event kinds. */
const HASHED_STREAM: Readonly<Record<string, number>> = { streamOpened: 16, streamMessage: 17, streamFailed: 18 };

interface StreamDelivery {
  readonly end: StreamEnd;
  readonly input: SwimInput;
}

export class Simulation implements StreamWorld, CrossingWorld {
  readonly options: SimulationOptions;
  readonly hosts: readonly Host[];
  readonly network: Network;
  readonly violations: Violation[] = [];
  readonly stats: SimStats = { steps: 0, datagrams: 0, datagramsLost: 0, datagramsDropped: 0, messages: 0, bytes: 0, streams: 0 };
  readonly codec: CodecCheck;
  /** Source for whoever scripts this run; apart from those of the network and of the nodes. */
  readonly scriptRandom: SeededRandom;
  readonly #queue = new EventQueue();
  readonly #times: HostTimes;
  /** By node: 1 when its process leaves out what is settled among the shared messages. */
  readonly #leavesOut: Uint8Array;
  /** By node: 1 while user events may wait for its next input. */
  readonly #letsWait: Uint8Array;
  readonly #inboxes: Inboxes;
  /** The time at which what is being handed over came; -1 when nothing is. */
  #cameAtUs = -1;
  readonly #crossing: Crossing | null;
  /** By shard, how much has come from it. */
  readonly #arrived: Float64Array;
  readonly #streams: StreamNet;
  readonly #hash = new TraceHash();
  readonly #codecRandom: SeededRandom;
  readonly #observers: SimObserver[] = [];
  readonly #effects: PoolEffect[] = [];
  /** New user events of the datagram that is being received. */
  readonly #fresh: SharedMessage[] = [];
  /** The first node of this shard: among shared messages nodes are counted from it. */
  readonly #firstHere: number;
  /** By slot of the shared records, 1 + the host of its first variant, once that was looked for: to read addresses is to read cold memory. */
  readonly #hostsBySlot: Int32Array;
  /** Of the hosts. */
  readonly #endpoints: readonly Endpoint[];
  readonly #touchesNext: boolean;
  /** So long the node that is next is read ahead. */
  #touchUntilUs = -1;
  // By node; densely, so that they are found at once.
  /** `machine` of each host. */
  readonly #machines: (SimMachine | null)[];
  /** Wakes in a row after which the process wanted to be woken at the same moment. */
  readonly #wakesAtOnce: Uint16Array;
  readonly #touchers: (Toucher | null)[];
  /** Keeps what `#touchNext` reads from being left out as useless. */
  touched = 0;

  constructor(options: SimulationOptions) {
    this.options = options;
    const { crossing = null } = options;
    this.#crossing = crossing;
    this.#firstHere = crossing?.place.first ?? 0;
    this.#arrived = new Float64Array(crossing?.place.count ?? 0);
    const random = new SeededRandom(options.seed);
    this.network = new Network(options.network, options.nodes, forkedTimes(random.fork(), crossing?.place.index ?? 0));
    this.scriptRandom = random.fork();
    this.#codecRandom = random.fork();
    this.codec = new CodecCheck(options.codecMode, options.codec, options.nodes);
    const drift = options.clockDriftPpmMax;
    const hosts: Host[] = [];
    const times = new HostTimes(options.nodes);
    for (let i = 0; i < options.nodes; i += 1) {
      // Own clocks start apart, so that nothing can lean on equal times at different nodes.
      times.setClock(i, 1_000 + random.below(1_000_000), random.below(2 * drift + 1) - drift);
      hosts.push(new Host(i, times, random.fork()));
    }
    this.#times = times;
    this.#leavesOut = new Uint8Array(options.nodes);
    this.#letsWait = new Uint8Array(options.nodes);
    this.#inboxes = new Inboxes(options.nodes);
    this.hosts = hosts;
    this.#endpoints = hosts.map(({ endpoint }) => endpoint);
    this.#touchers = hosts.map(() => null);
    this.#machines = hosts.map(() => null);
    this.#wakesAtOnce = new Uint16Array(options.nodes);
    this.#hostsBySlot = new Int32Array(options.nodes);
    this.#touchesNext = options.nodes >= TOUCHED_NODES_MIN;
    this.#streams = new StreamNet(this, this.network, hosts, options.acceptTimeoutMs);
    crossing?.attach(this);
  }

  /** The nodes that are here. */
  get place(): ShardPlace {
    return this.#crossing?.place ?? wholeOf(this.hosts.length);
  }

  /** Virtual time, in µs: of what a node is given now. */
  get nowUs(): number {
    return this.#cameAtUs >= 0 ? this.#cameAtUs : this.#queue.atUs;
  }

  get traceHash(): string {
    return this.#hash.hex;
  }

  observe(observer: SimObserver): void {
    this.#observers.push(observer);
  }

  violate(checker: string, text: string): void {
    this.violations.push({ atUs: this.nowUs, checker, text });
  }

  /** Calls `run` after `delayUs` of virtual time. */
  after(delayUs: number, run: () => void): void {
    this.#queue.push(this.nowUs + delayUs, EventKind.call, 0, run);
  }

  /** Runs until the agenda has nothing more before `untilUs`, or until a violation. */
  runUntil(untilUs: number): void {
    this.playUntil(untilUs);
    this.settle();
  }

  /** As `runUntil`, but events may still wait for their nodes: whoever looks at nodes calls `settle` first. */
  playUntil(untilUs: number): void {
    const queue = this.#queue;
    while (queue.nextAtUs <= untilUs && this.violations.length === 0) this.#handleNext(queue);
    if (this.violations.length === 0) this.pass(untilUs);
  }

  /** Gives all nodes what waits for them. */
  settle(): void {
    for (let node = 0; node < this.hosts.length; node += 1) this.#settle(node);
  }

  #handleNext(queue: EventQueue): void {
    queue.pop();
    if (queue.atUs < this.#touchUntilUs) this.touched = this.#touchNext();
    if (queue.kind === EventKind.call) (queue.payload as () => void)();
    else this.#dispatch(queue.node, queue.kind, queue.payload);
  }

  /** For the node whose turn is next, unless this input sends something that arrives before. */
  #touchNext(): number {
    const queue = this.#queue;
    if (queue.size === 0) return 0;
    const kind = queue.nextKind;
    if (kind !== EventKind.datagram && kind !== EventKind.wake) return 0;
    const node = queue.nextNode;
    const toucher = this.#touchers[node];
    if (toucher === null || toucher === undefined) return 0;
    if (kind === EventKind.datagram && this.#isLeftAlone(node, queue.nextPayload as Datagram)) return 0; // Goes no further.
    if (kind === EventKind.wake && this.#times.deadlineUs(node) > queue.nextAtUs) return 0;
    let read = (this.#machines[node]?.takesEvents === true ? 1 : 0) + this.#inboxes.touch(node);
    const observers = this.#observers;
    for (let i = 0; i < observers.length; i += 1) read += observers[i]?.touch?.(node) ?? 0;
    return read + toucher.read();
  }

  /** Reads what one of the next events, most likely number `place` from 0, will make its node look at. Changes nothing. */
  readAhead(place: number): void {
    const toucher = this.#touchers[this.#queue.nodeSoon(place)];
    if (toucher !== null && toucher !== undefined) this.touched = toucher.read();
  }

  /** Time of the next event, in µs; Infinity when there is none. */
  get nextAtUs(): number {
    return this.#queue.nextAtUs;
  }

  /** For a shard: handles what happens before `limitUs`, until a violation. */
  runBefore(limitUs: number): void {
    const queue = this.#queue;
    while (queue.nextAtUs < limitUs && this.violations.length === 0) this.#handleNext(queue);
  }

  /** Nothing more happens until `untilUs`. */
  pass(untilUs: number): void {
    if (this.#queue.atUs < untilUs) this.#queue.atUs = untilUs;
  }

  isElsewhere({ index }: Host): boolean {
    return this.#crossing !== null && this.#crossing.isElsewhere(index);
  }

  sendAcross(stream: CrossingStream, to: Host, segment: Segment, atUs: number): void {
    this.#crossing?.sendSegment(stream, to, segment, atUs);
  }

  arriveDatagram(shard: number, atUs: number, target: number, datagram: Datagram): void {
    this.#arrive(shard, atUs, EventKind.datagram, target, datagram);
  }

  arriveSegment(shard: number, atUs: number, stream: CrossingStream, to: Host, segment: Segment): void {
    this.#arrive(shard, atUs, EventKind.call, 0, () => this.#streams.receive(stream, to, segment));
  }

  /** At equal times what came from other shards is first, in the order of their numbers: when it came must not matter. */
  #arrive(shard: number, atUs: number, kind: number, node: number, payload: unknown): void {
    const count = this.#arrived[shard] as number;
    this.#arrived[shard] = count + 1;
    this.#queue.push(atUs, kind, node, payload, (shard - this.#arrived.length) * ARRIVALS_MAX + count);
  }

  /** Starts a process on a host, with what its disk holds when `snapshot` is wanted. */
  start(host: Host, snapshot: boolean): void {
    host.run += 1;
    host.powered = true;
    host.leaving = false;
    host.left = false;
    host.startedAtUs = this.nowUs;
    host.joinedAtUs = -1;
    const nowMs = this.#times.localMs(host.index, this.nowUs);
    const restored = snapshot && host.disk.text !== "" ? this.options.readSnapshot(host.disk.text) : null;
    const { index, name, endpoint, tags } = host;
    const random = host.random.fork();
    if (!this.isElsewhere(host)) this.#record(host.index, HASHED_START);
    empty(this.#effects);
    const machine = this.options.factory({ index, name, advertise: endpoint, tags, restored, snapshot, random, nowMs }, this.#effects);
    if (this.isElsewhere(host)) {
      // Made here too, to give the node its place in the records, which must be the same in all shards.
      host.elsewhere = machine.self;
      machine.close();
      return;
    }
    host.machine = machine;
    this.#machines[index] = machine;
    this.#wakesAtOnce[index] = 0;
    this.#times.setDeafUntilUs(index, 0);
    this.#leavesOut[index] = machine.leavesOutSettled ? 1 : 0;
    this.#touchers[index] = machine.toucher ?? null;
    for (const observer of this.#observers) observer.started?.(host);
    this.#afterStep(index);
    this.#scheduleWake(index);
  }

  /** Ends the process. `power`: the whole machine goes down, connections break silently and the disk may lose what was not flushed. */
  stop(host: Host, power: boolean): void {
    if (!host.running) return;
    this.#settle(host.index);
    host.machine?.close();
    host.machine = null;
    this.#machines[host.index] = null;
    host.elsewhere = null;
    this.#touchers[host.index] = null;
    this.#letsWait[host.index] = 0;
    host.powered = !power;
    this.#times.setWakeAtUs(host.index, Infinity);
    this.#times.setDeafUntilUs(host.index, Infinity);
    host.backlog.length = 0;
    host.backlogBytes = 0;
    host.commands.clear();
    host.disk.dropWaiting();
    if (power) host.disk.losePower(this.scriptRandom);
    this.#streams.abandon(host);
    for (const observer of this.#observers) observer.stopped?.(host);
  }

  /** The process does nothing until `untilUs`; what arrives meanwhile waits for it. */
  stall(host: Host, untilUs: number): void {
    if (host.machine === null || untilUs <= this.#times.deafUntilUs(host.index)) return;
    this.#settle(host.index);
    this.#times.setDeafUntilUs(host.index, untilUs);
    this.#queue.push(untilUs, EventKind.stallEnd, host.index, host.run);
  }

  /** The machine was suspended for a moment that nobody else noticed: its own clock is ahead from now on. */
  jumpClock(host: Host, ms: number): void {
    this.#settle(host.index); // By the clock of before.
    this.#times.jumpAhead(host.index, ms);
    this.#scheduleWake(host.index);
  }

  /** Gives a command to a running node; the listener hears its reply and what follows. */
  command(host: Host, makeInput: (request: number) => PoolInput, listener: CommandListener | null = null): void {
    if (host.machine === null) return;
    const request = host.nextRequest;
    host.nextRequest += 1;
    if (listener !== null) host.commands.set(request, listener);
    this.#dispatch(host.index, EventKind.command, { run: host.run, input: makeInput(request) });
  }

  deliver(end: StreamEnd, input: SwimInput): void {
    this.#dispatch(end.host.index, EventKind.stream, { end, input } satisfies StreamDelivery);
  }

  #dispatch(node: number, kind: number, payload: unknown): void {
    if (kind === EventKind.stallEnd) return this.#endStall(this.hosts[node] as Host, payload as number);
    if (this.#times.isDeaf(node, this.nowUs)) return this.#hold(this.hosts[node] as Host, kind, payload);
    switch (kind) {
      case EventKind.wake:
        return this.#wake(node);
      case EventKind.datagram:
        return this.#receive(node, payload as Datagram);
      case EventKind.stream:
        this.#settle(node);
        return this.#receiveStream(this.hosts[node] as Host, payload as StreamDelivery);
      case EventKind.command: {
        const host = this.hosts[node] as Host;
        const { run, input } = payload as { readonly run: number; readonly input: PoolInput };
        this.#settle(node);
        if (run === host.run) this.#step(node, input);
        return this.#scheduleWake(node);
      }
    }
  }

  #hold(host: Host, kind: number, payload: unknown): void {
    if (host.machine === null) {
      if (kind === EventKind.datagram) this.stats.datagramsDropped += 1;
      return;
    }
    if (kind === EventKind.wake) return; // The end of the stall looks at the deadline itself.
    if (kind === EventKind.datagram) {
      const { size } = payload as Datagram;
      if (host.backlogBytes + size > RECEIVE_BUFFER_BYTES) {
        this.stats.datagramsDropped += 1;
        return;
      }
      host.backlogBytes += size;
    }
    host.backlog.push({ kind, payload });
  }

  /** A process that slept finds its timers due before it reads its sockets: that is the order of an event loop, and the harder one. */
  #endStall(host: Host, run: number): void {
    if (host.run !== run || host.machine === null || this.#times.isDeaf(host.index, this.nowUs)) return;
    host.stallEndedAtUs = this.nowUs;
    this.#times.setWakeAtUs(host.index, this.nowUs);
    this.#wake(host.index);
    const waiting = host.backlog.splice(0);
    host.backlogBytes = 0;
    for (const { kind, payload } of waiting) this.#dispatch(host.index, kind, payload);
  }

  #wake(node: number): void {
    const times = this.#times;
    if (this.nowUs !== times.wakeAtUs(node)) return; // A stale entry: an earlier deadline has come up since.
    times.setWakeAtUs(node, Infinity);
    const deadlineUs = times.deadlineUs(node);
    if (deadlineUs > this.nowUs + ROUNDING_US) return this.#enterWake(node, deadlineUs); // It has moved since, as after each answered ping.
    const machine = this.#machines[node] ?? null;
    if (machine === null) return;
    this.#settle(node);
    const nowMs = times.localMs(node, this.nowUs);
    if (machine.wakeAtMs > nowMs) return this.#scheduleWake(node);
    this.#record(node, EventKind.wake);
    empty(this.#effects);
    this.stats.steps += 1;
    try {
      machine.wake(nowMs, this.#effects);
    } catch (error) {
      this.#violateByThrow(node, error);
    }
    this.#afterStep(node);
    // Asking again for the present moment is fine as long as it ends: one deadline may make another one due.
    const againMs = machine.wakeAtMs;
    const wakes = againMs <= nowMs ? (this.#wakesAtOnce[node] as number) + 1 : 0;
    this.#wakesAtOnce[node] = wakes;
    if (wakes > WAKES_AT_ONCE_MAX) this.violate("wake", `${this.#nameOf(node)} asks to be woken at ${nowMs} again and again`);
    if (this.#machines[node] !== null) this.#scheduleWakeAt(node, againMs);
  }

  #nameOf(node: number): string {
    return (this.hosts[node] as Host).name;
  }

  /** The node leaves out each message of the datagram. False also when that takes a closer look. */
  #isAllRepeats(node: number, { settledSet }: Datagram): boolean {
    const { messages } = this.options;
    return settledSet !== null && messages !== null && this.#leavesOut[node] === 1 && messages.areSettled(settledSet, node - this.#firstHere);
  }

  #receive(node: number, datagram: Datagram): void {
    let { messages } = datagram;
    if (datagram.packets !== null) {
      const opened = this.codec.openPacket(datagram.packets, messages);
      if (opened === null) return this.violate("codec", `a datagram from ${this.hosts[datagram.from]?.name} to ${this.hosts[node]?.name} did not survive the codec`);
      messages = opened;
    }
    this.#record(node, EventKind.datagram);
    datagram.hashInto(this.#hash);
    this.stats.messages += messages.length;
    // As half of the gossip is, and its node is not even looked at.
    if (this.#mayWait(node, datagram) ? this.#putAway(node, datagram) : this.#isAllRepeats(node, datagram)) return;
    const machine = this.#machines[node] ?? null;
    if (machine === null) return;
    this.#settle(node);
    const isOpened = datagram.packets !== null; // Then what the codec made of it is to be decoded.
    const areTogether = !isOpened && this.options.trace === null && machine.takesEvents === true;
    const fresh = this.#fresh;
    let steps = 0;
    for (let i = 0; i < messages.length; i += 1) {
      const number = datagram.numberAt(i);
      if (number >= 0 && machine.isRepeat(number)) continue;
      const same = datagram.known(number);
      steps += 1;
      if (areTogether && same !== null && same.sort === KnownSort.userEvent && same.number >= 0) {
        fresh.push(same);
        continue;
      }
      if (fresh.length > 0) this.#stepEvents(node, datagram.from);
      this.#step(node, { kind: "message", from: this.#endpoints[datagram.from] as Endpoint, bytes: messages[i] as Uint8Array, known: isOpened ? null : same });
      if (this.#machines[node] !== machine || this.violations.length > 0) return;
      // Most likely settled now, which costs little to find out while all that this depends on is at hand: many more copies will come.
      if (same !== null && same.slot >= 0) machine.isRepeat(number);
    }
    if (fresh.length > 0) this.#stepEvents(node, datagram.from);
    if (steps > 0) this.#scheduleWake(node); // What only repeats brought moves no deadline.
  }

  /** The node need not be looked at because of this datagram. */
  #isLeftAlone(node: number, datagram: Datagram): boolean {
    return this.#mayWait(node, datagram) || this.#isAllRepeats(node, datagram);
  }

  #mayWait(node: number, { isOfEvents, packets }: Datagram): boolean {
    return isOfEvents && packets === null && this.#letsWait[node] === 1 && this.options.trace === null;
  }

  /** Keeps what the node does not leave out of a datagram of user events for its next input; false if that is not possible. */
  #putAway(node: number, datagram: Datagram): boolean {
    const { messages } = this.options;
    const { held, settledSet } = datagram;
    if (messages === null || held === null || settledSet === null) return false;
    const { nowUs } = this;
    const place = node - this.#firstHere;
    // Each of these messages has a row of its own, and all still have their numbers.
    let left = messages.unsettled(settledSet, place);
    if (left <= 0) return left !== SET_IS_OLD;
    for (let i = 0; left > 0; i += 1) {
      const number = held[i] as number;
      if (messages.isSettled(number, place)) continue;
      messages.retain(number);
      this.#inboxes.put(node, nowUs, datagram.from, number);
      left -= 1;
    }
    if (this.#touchesNext) this.#touchUntilUs = nowUs + TOUCHED_US;
    return true;
  }

  /** Gives a node the user events that wait for it, as if each had been given when it came. */
  #settle(node: number): void {
    const inboxes = this.#inboxes;
    const { messages } = this.options;
    if (messages === null || inboxes.isEmpty(node)) return;
    const machine = this.#machines[node] ?? null;
    const fresh = this.#fresh;
    while (inboxes.take(node)) {
      this.#cameAtUs = inboxes.atUs;
      for (let i = 0; i < inboxes.count; i += 1) {
        const number = inboxes.numberAt(i);
        if (machine?.isRepeat(number) === false) fresh.push(messages.at(number));
      }
      if (fresh.length > 0) this.#stepEvents(node, inboxes.from);
      for (let i = 0; i < inboxes.count; i += 1) messages.release(inboxes.numberAt(i));
    }
    this.#cameAtUs = -1;
  }

  /** Gives the user events in `#fresh` to a node, as so many steps. */
  #stepEvents(node: number, from: number): void {
    const machine = this.#machines[node] ?? null;
    if (machine === null) return;
    const fresh = this.#fresh;
    empty(this.#effects);
    this.stats.steps += fresh.length;
    if (this.#touchesNext) this.#touchUntilUs = this.nowUs + TOUCHED_US;
    try {
      machine.stepEvents?.(fresh, this.#endpoints[from] as Endpoint, this.#times.localMs(node, this.nowUs), this.#effects);
    } catch (error) {
      this.#violateByThrow(node, error);
    }
    empty(fresh);
    this.#afterStep(node);
  }

  #receiveStream(host: Host, { end, input }: StreamDelivery): void {
    if (end.run !== host.run) return;
    // What waited in a stall may concern a stream that the core has closed since.
    if (input.kind !== "streamFailed" && !end.isOpen) return;
    let passed = input;
    this.#record(host.index, HASHED_STREAM[input.kind] as number);
    if (input.kind === "streamMessage") {
      const { bytes: sent, state = null } = input;
      // What is in a full state shows in what its receiver says; only its size is the same in bytes and by reference.
      this.#hash.number(state?.size ?? sent.length);
      const bytes = this.codec.passStream(state ?? sent, (length) => this.#codecRandom.below(length + 1));
      if (bytes === null) return this.violate("codec", `a stream message to ${host.name} did not survive the codec`);
      if (bytes instanceof Uint8Array) passed = { ...input, bytes, state: null };
    }
    this.#step(host.index, passed as PoolInput);
    this.#scheduleWake(host.index);
  }

  #step(node: number, input: PoolInput): void {
    const machine = this.#machines[node] ?? null;
    if (machine === null) return;
    const nowMs = this.#times.localMs(node, this.nowUs);
    const { trace } = this.options;
    if (trace !== null) trace(`${(this.nowUs / 1000).toFixed(3)} ${this.#nameOf(node)} ${describeInput(input)}`);
    empty(this.#effects);
    this.stats.steps += 1;
    try {
      machine.step(input, nowMs, this.#effects);
    } catch (error) {
      this.#violateByThrow(node, error);
    }
    this.#afterStep(node);
  }

  #violateByThrow(node: number, error: unknown): void {
    this.violate("no-throw", `${this.#nameOf(node)} threw: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }

  #afterStep(node: number): void {
    const effects = this.#effects;
    const observers = this.#observers;
    for (let i = 0; i < observers.length; i += 1) observers[i]?.stepped?.(node);
    // Before anything is sent.
    let isMore = false;
    for (let i = 0; i < effects.length; i += 1) {
      const effect = effects[i] as PoolEffect;
      const { kind } = effect;
      if (kind === "event") this.#deliver(node, effect.event);
      else if (kind !== "count" && kind !== "log") isMore = true;
    }
    // Nothing in here steps a node at once: replies and events schedule what they cause.
    if (isMore) for (let i = 0; i < effects.length; i += 1) this.#apply(node, effects[i] as PoolEffect);
  }

  #deliver(node: number, event: SerfEvent): void {
    const observers = this.#observers;
    for (let i = 0; i < observers.length; i += 1) observers[i]?.delivered?.(node, event);
  }

  #apply(node: number, effect: PoolEffect): void {
    const { kind } = effect;
    if (kind === "event" || kind === "count" || kind === "log") return;
    if (kind === "packet") this.#sendDatagram(node, effect);
    else this.#applyAtHost(this.hosts[node] as Host, effect);
  }

  #applyAtHost(host: Host, effect: Exclude<PoolEffect, { readonly kind: "event" | "count" | "log" | "packet" }>): void {
    switch (effect.kind) {
      case "dial":
        this.stats.streams += 1;
        return this.#streams.dial(host, effect.stream, effect.to, effect.timeoutMs);
      case "streamSend":
        this.stats.bytes += effect.state?.size ?? effect.bytes.length;
        return this.#streams.send(host, effect.stream, effect.bytes, effect.state ?? null);
      case "streamClose":
        return this.#streams.close(host, effect.stream);
      case "snapshot":
        return host.disk.append(effect.lines, effect.flush);
      case "snapshotCompact":
        return host.disk.replace(effect.lines);
      case "reply":
      case "queryAck":
      case "queryResponse":
      case "queryDone":
        return this.#answer(host, effect);
      case "keyring": {
        // Simulated nodes carry no keyring; the answer is the agent's for such a node.
        const answer: PoolInput = { kind: "keyringDone", token: effect.token, error: "No keyring to modify (encryption not enabled)", keys: [] };
        return this.#later(host, answer);
      }
      case "stop":
        return this.#stopSoon(host);
    }
  }

  // A function that makes another one which knows its parameters puts these into an object whenever it is called: what makes one stands apart from what runs often.

  #stopSoon(host: Host): void {
    if (this.#crossing !== null) this.violate("shards", `${host.name} ends by itself, which the other shards cannot know`);
    this.after(0, () => this.stop(host, false));
  }

  #answer(host: Host, effect: Extract<PoolEffect, { readonly request: number }>): void {
    const listener = host.commands.get(effect.request);
    if (listener === undefined) return;
    const { run } = host;
    this.after(0, () => {
      if (host.run === run) listener(effect);
    });
  }

  #later(host: Host, input: PoolInput): void {
    this.#queue.push(this.nowUs, EventKind.command, host.index, { run: host.run, input });
  }

  #sendDatagram(from: number, effect: Extract<PoolEffect, { readonly kind: "packet" }>): void {
    const { messages: shared } = this.options;
    // Made when the packet was filled, or for what is sent by itself, now.
    const survey = (effect.survey ?? shared?.survey(effect.messages) ?? surveyBytes(effect.messages)) as Survey;
    const datagram = new Datagram(from, effect.messages, this.codec.encodePacket(effect.messages, effect.crc), shared, survey);
    const { stats, network } = this;
    const { to, slots } = effect;
    for (let i = 0; i < to.length; i += 1) {
      stats.datagrams += 1;
      stats.bytes += datagram.size;
      const target = this.#targetOf(to[i] as Endpoint, slots === undefined ? -1 : (slots[i] as number));
      const delayUs = target < 0 ? -1 : network.transit(from, target, datagram.size, this.nowUs, false);
      if (delayUs < 0) {
        stats.datagramsLost += 1;
        continue;
      }
      this.#post(datagram, target, this.nowUs + delayUs);
      if (!network.isDuplicated()) continue;
      const againUs = network.transit(from, target, datagram.size, this.nowUs, false);
      if (againUs >= 0) this.#post(datagram, target, this.nowUs + againUs);
    }
  }

  /** The host at an endpoint, which is that of the first variant in `slot` unless that is -1; -1 where none is. */
  #targetOf(to: Endpoint, slot: number): number {
    const known = slot < 0 ? 0 : (this.#hostsBySlot[slot] ?? 0);
    if (known > 0) return known - 1;
    const host = indexOfEndpoint(to, this.hosts.length);
    if (slot >= 0 && slot < this.#hostsBySlot.length) this.#hostsBySlot[slot] = host + 1;
    return host;
  }

  #post(datagram: Datagram, target: number, atUs: number): void {
    const crossing = this.#crossing;
    if (crossing === null || !crossing.isElsewhere(target)) {
      this.#queue.push(atUs, EventKind.datagram, target, datagram);
      return;
    }
    const { packets, messages, from } = datagram;
    if (packets === null) return crossing.sendDatagram(datagram, target, atUs);
    // What the codec made of it crosses as bytes.
    const opened = this.codec.openPacket(packets, messages);
    if (opened === null) return this.violate("codec", `a datagram from ${this.hosts[from]?.name} did not survive the codec`);
    crossing.sendDatagram(new Datagram(from, opened, null, null, surveyBytes(opened)), target, atUs);
  }

  #scheduleWake(node: number): void {
    const machine = this.#machines[node] ?? null;
    if (machine !== null) this.#scheduleWakeAt(node, machine.wakeAtMs);
  }

  #scheduleWakeAt(node: number, wakeAtMs: number): void {
    const times = this.#times;
    const atUs = wakeAtMs === Infinity ? Infinity : Math.max(this.nowUs, times.virtualUs(node, wakeAtMs));
    this.#letsWait[node] = this.#machines[node]?.letsEventsWait === true ? 1 : 0;
    times.setDeadlineUs(node, atUs);
    // An entry that is too early only looks and goes back to sleep: cheaper than one more entry for each moved deadline.
    if (atUs < times.wakeAtUs(node)) this.#enterWake(node, atUs);
  }

  #enterWake(node: number, atUs: number): void {
    if (atUs === Infinity) return;
    this.#times.setWakeAtUs(node, atUs);
    this.#queue.push(atUs, EventKind.wake, node, null);
  }

  #record(node: number, kind: number): void {
    this.#hash.number(this.nowUs);
    this.#hash.word((kind << 24) ^ node);
  }
}

/** Setting the length leaves optimised code. */
function empty(array: unknown[]): void {
  while (array.length > 0) array.pop();
}

/** A source of its own for each shard; the first one has `random` itself. */
function forkedTimes(random: SeededRandom, times: number): SeededRandom {
  let forked = random;
  for (let i = 0; i < times; i += 1) forked = forked.fork();
  return forked;
}

function describeInput(input: PoolInput): string {
  switch (input.kind) {
    case "message":
      return `message from=${input.from.ip} type=${input.bytes[0]} bytes=${input.bytes.length}`;
    case "streamMessage":
      return `streamMessage stream=${input.stream} from=${input.from.ip} type=${input.bytes[0]} bytes=${input.bytes.length}`;
    case "streamFailed":
      return `streamFailed stream=${input.stream} error=${input.error}`;
    case "streamOpened":
      return `streamOpened stream=${input.stream}`;
    default:
      return input.kind;
  }
}
