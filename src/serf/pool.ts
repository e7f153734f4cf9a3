/**
 * One gossip pool: SWIM and Serf as one machine (see `types.ts`). Here are the commands, the timers, and what spans both layers:
 * joining, leaving, rejoining from a snapshot, waiting for a broadcast.
 *
 * Differences from the original, on purpose:
 * 1. A leave completes when its broadcast times out (as newer versions do), and no command blocks another.
 * 2. Events are effects: no consumer can hold up gossip (S-082).
 */
import { assert } from "../base/assert.ts";
import { Deadlines } from "../base/deadlines.ts";
import { formatEndpoint, ipToBytes, type Endpoint } from "../base/endpoint.ts";
import { shuffle, type Random } from "../base/random.ts";
import { MemberRecords } from "../swim/member-records.ts";
import type { AdoptedMember, AdoptedMembers } from "../swim/adopted-members.ts";
import type { KnownMessage, Repeat } from "../swim/messages.ts";
import { Swim } from "../swim/swim.ts";
import type { JoinTarget, RequestId, SwimConfig } from "../swim/types.ts";
import type { Matcher } from "../wire/matcher.ts";
import { encodeKeyRequest, encodeLeave } from "../wire/serf-codec.ts";
import { encodeTags, tagsError } from "../wire/serf-tags.ts";
import { decodeBase64 } from "../wire/go-base64.ts";
import { PoolGauges } from "./gauges.ts";
import { keyQueryName } from "./internal-queries.ts";
import { EMPTY_KEY_RESULT, KeyCollector } from "./key-collector.ts";
import { PoolTouch } from "./pool-touch.ts";
import { DEFAULT_QUERY_PARAMS, Serf } from "./serf.ts";
import type { Member, PoolConfig, PoolEffect, PoolInput, PoolReplyValue, RestoredSnapshot } from "./types.ts";
import type { Coordinate } from "./vivaldi.ts";

/** How often the member clock is written to the snapshot while nothing else happens. */
const SNAPSHOT_CLOCK_INTERVAL_MS = 500;
/** Memberlist versions spoken below every Serf protocol. */
const MEMBERLIST_VERSIONS = [1, 5, 2] as const;
const SERF_PROTOCOL_MIN = 2;
const SERF_PROTOCOL_MAX = 5;

type Input<Kind extends PoolInput["kind"]> = Extract<PoolInput, { readonly kind: Kind }>;
type State = "alive" | "leaving" | "left" | "shutdown";
type Timer = "reap" | "reconnect" | "queueCheck" | "snapshotClock" | "leaveSettled" | `prune:${string}` | `broadcast:${number}`;
/** What to do when SWIM has carried out a request of ours. */
type SwimDone = (nodes: number, errors: readonly string[], nowMs: number, out: PoolEffect[]) => void;
type BroadcastDone = (isTimeout: boolean, nowMs: number, out: PoolEffect[]) => void;

const WAKE = { kind: "wake" } as const;
const NOTHING: PoolReplyValue = { kind: "none" };
const NO_ERRORS: readonly string[] = [];

export class Pool {
  readonly #config: PoolConfig;
  readonly #random: Random;
  readonly #serf: Serf;
  readonly #swim: Swim<PoolEffect>;
  /** Readings without allocation. */
  readonly gauges: PoolGauges;
  readonly #timers = new Deadlines<Timer>();
  readonly #swimRequests = new Map<RequestId, SwimDone>();
  #lastSwimRequest = 0;
  readonly #broadcasts = new Map<number, BroadcastDone>();
  #lastBroadcast = 0;
  #joinsIgnoringOld = 0;
  /** `wakeAtMs` as it was last found, and whether nothing has been stepped since: drivers ask several times between two inputs. */
  #wakeAtMs = Infinity;
  #isWakeRead = false;
  /** The earliest of the timers that are not SWIM's, and whether none may have moved since it was looked for. */
  #timersAtMs = Infinity;
  #areTimersRead = false;
  #state: State = "alive";

  /** `records` may be shared by the pools of one process: what members announce is then kept once. */
  constructor(config: PoolConfig, random: Random, matcher: Matcher, nowMs: number, out: PoolEffect[], records: MemberRecords = new MemberRecords()) {
    assert(SERF_PROTOCOL_MIN <= config.protocol && config.protocol <= SERF_PROTOCOL_MAX, "unknown Serf protocol version");
    const meta = encodeTags(config.tags, config.protocol);
    assert(tagsError(meta) === null, "tags are too long");
    this.#config = config;
    this.#random = random;
    const { restored } = config;
    this.#serf = new Serf(config, random, matcher, records, {
      isRunning: () => this.#state === "alive",
      aliveCount: () => this.#swim.aliveCount,
      prune: (name, atMs) => this.#timers.set(`prune:${name}`, atMs),
      isIgnoringOldEvents: () => this.#joinsIgnoringOld > 0,
      nameLost: (_atMs, at) => this.#stop("name conflict lost", at),
    });
    const versions = Uint8Array.of(...MEMBERLIST_VERSIONS, SERF_PROTOCOL_MIN, SERF_PROTOCOL_MAX, config.protocol);
    this.#swim = new Swim(swimConfig(config, versions, meta), random, this.#serf, nowMs, out, records);
    this.gauges = new PoolGauges(this.#swim, this.#serf);
    this.#repeat("reap", config.reapIntervalMs, nowMs);
    this.#repeat("reconnect", config.reconnectIntervalMs, nowMs);
    this.#repeat("queueCheck", config.queueCheckIntervalMs, nowMs);
    if (config.snapshot) this.#timers.set("snapshotClock", nowMs + SNAPSHOT_CLOCK_INTERVAL_MS);
    if (restored !== null) this.#restore(restored, nowMs, out);
    this.#settle(0, nowMs, out);
  }

  /** When the next `wake` is due, in ms of the clock given to `step`. A late wake is safe. */
  get wakeAtMs(): number {
    if (!this.#isWakeRead) {
      this.#wakeAtMs = this.#earliestTimer();
      this.#isWakeRead = true;
    }
    return this.#wakeAtMs;
  }

  #earliestTimer(): number {
    if (!this.#areTimersRead || this.#serf.isStirred) {
      this.#serf.isStirred = false;
      const { tracker, coalescers, gaps } = this.#serf;
      this.#timersAtMs = Math.min(this.#timers.nextAtMs, tracker.wakeAtMs, coalescers.wakeAtMs, gaps.wakeAtMs);
      this.#areTimersRead = true;
    }
    return Math.min(this.#swim.wakeAtMs, this.#timersAtMs);
  }

  /** Applies one input. Effects are appended in the order to run them. Never throws on what a peer sent. The result is that of `Swim.step`. */
  step(input: PoolInput, nowMs: number, out: PoolEffect[]): boolean {
    const start = out.length;
    let settled = false;
    this.#isWakeRead = false;
    switch (input.kind) {
      case "wake":
        this.#wake(nowMs, out);
        break;
      case "message":
      case "streamOpened":
      case "streamMessage":
      case "streamFailed":
        settled = this.#swim.step(input, nowMs, out);
        break;
      case "keyringDone":
        this.#areTimersRead = false;
        this.#serf.internal.keyringDone(input.token, input.error, input.keys, nowMs, out);
        break;
      case "shutdown":
        this.#areTimersRead = false;
        this.#shutdown(out);
        break;
      default:
        assert(input.request >= 0, "requests of callers are not negative");
        this.#areTimersRead = false;
        this.#command(input, nowMs, out);
    }
    this.#settle(start, nowMs, out);
    return settled;
  }

  /** As a `step` for each of these messages of one datagram, all of them user events that nodes of this process share. */
  stepEvents(messages: readonly KnownMessage[], from: Endpoint, nowMs: number, out: PoolEffect[]): void {
    const start = out.length;
    this.#isWakeRead = false;
    if (this.#serf.isStirred) this.#areTimersRead = false;
    this.#swim.stepKnownEvents(messages, from, nowMs, out);
    this.#serf.isStirred = false;
    this.#settle(start, nowMs, out);
    this.#readEventTimers();
  }

  /** Of the timers, events start these two at most. */
  #readEventTimers(): void {
    const { coalescers, gaps } = this.#serf;
    if (this.#areTimersRead) this.#timersAtMs = Math.min(this.#timersAtMs, coalescers.wakeAtMs, gaps.wakeAtMs);
  }

  /** As a `step` with a command `userEvent`; its reply is the result. */
  fire(name: string, payload: Uint8Array | null, coalesce: boolean, nowMs: number, out: PoolEffect[]): string {
    const start = out.length;
    this.#isWakeRead = false;
    if (this.#serf.isStirred) this.#areTimersRead = false;
    const error = this.#serf.fireUserEvent(name, payload, coalesce, nowMs, out);
    this.#serf.isStirred = false;
    this.#settle(start, nowMs, out);
    this.#readEventTimers();
    return error;
  }

  /** A round of gossip is due, and before any timer that a user event could start: one that comes meanwhile moves no wake. */
  get isGossiping(): boolean {
    return this.#swim.isGossiping && this.#config.coalesceUserEvents === null;
  }

  /** For a process of thousands of pools. */
  makeTouch(): PoolTouch {
    return new PoolTouch(this, this.#swim, this.#serf);
  }

  /** Whether lines for the snapshot may come of an input. */
  get writesSnapshot(): boolean {
    return this.#serf.snapshot !== null;
  }

  /** The pool begins as a member of long standing among `members` of the shared records; before any input. For a simulation. */
  adopt(members: AdoptedMembers): void {
    this.#isWakeRead = false;
    this.#areTimersRead = false;
    this.#swim.adopt(members);
    this.#serf.membership.adopt(members);
  }

  get self(): AdoptedMember {
    return this.#swim.self;
  }

  /** Whether a message would change anything: see `Repeat`. */
  judgeRepeat(known: KnownMessage): Repeat {
    return this.#swim.judgeRepeat(known);
  }

  /** `listener` is told the slot of each member whose row regresses, in either layer, until `close`. */
  watchRegress(listener: (slot: number) => void): void {
    this.#swim.table.onRegress = listener;
    this.#serf.membership.table.onRegress = listener;
  }

  /** `listener` is told which shared messages of user events are held: see `EventRing.onHeld`. */
  watchEvents(listener: (number: number, isHeld: boolean) => void): void {
    this.#serf.events.onHeld = listener;
  }

  /** Lets go of what is shared with other pools of the process. No input may follow. */
  close(): void {
    this.#serf.events.close();
    this.#swim.close();
    this.#serf.membership.close();
    this.#serf.queues.close();
  }

  #command(input: Exclude<PoolInput, { readonly kind: "wake" | "message" | "streamOpened" | "streamMessage" | "streamFailed" | "keyringDone" | "shutdown" }>, nowMs: number, out: PoolEffect[]): void {
    switch (input.kind) {
      case "join":
        this.#join(input, nowMs, out);
        return;
      case "leave":
        this.#leave(input.request, nowMs, out);
        return;
      case "forceLeave":
        this.#forceLeave(input, nowMs, out);
        return;
      case "userEvent": {
        const error = this.#serf.fireUserEvent(input.name, input.payload, input.coalesce, nowMs, out);
        reply(input.request, NOTHING, error, out);
        return;
      }
      case "query":
        this.#query(input, nowMs, out);
        return;
      case "respond":
        this.#respond(input, nowMs, out);
        return;
      case "setTags":
        this.#setTags(input, nowMs, out);
        return;
      case "keys":
        this.#keys(input, nowMs, out);
    }
  }

  // Reads.

  get config(): PoolConfig {
    return this.#config;
  }

  members(): Member[] {
    const { table } = this.#serf.membership;
    return Array.from(table.rows(), (row) => table.member(row));
  }

  /** Grows with each change of what `members` gives. */
  get memberChanges(): number {
    return this.#serf.membership.table.changes;
  }

  member(name: string): Member | null {
    const { table } = this.#serf.membership;
    const row = table.find(name);
    return row === undefined ? null : table.member(row);
  }

  /** The last known coordinate of a node; null when it is unknown or coordinates are off. */
  coordinate(name: string): Coordinate | null {
    return this.#serf.coordinates?.get(name) ?? null;
  }

  /** Section `serf` of the agent's statistics. */
  stats(): Map<string, string> {
    const { membership, eventClock, queryClock, queues, coordinates } = this.#serf;
    const stats: [string, number | boolean][] = [
      ["coordinate_resets", coordinates?.resets ?? 0],
      ["encrypted", this.#config.encrypted()],
      ["event_queue", queues.events.length],
      ["event_time", eventClock.time],
      ["failed", membership.failedCount],
      ["health_score", this.#swim.healthScore],
      ["intent_queue", queues.intents.length],
      ["left", membership.leftCount],
      ["member_time", membership.clock.time],
      ["members", membership.table.size],
      ["query_queue", queues.queries.length],
      ["query_time", queryClock.time],
    ];
    return new Map(stats.map(([name, value]) => [name, String(value)]));
  }

  // Time.

  #wake(nowMs: number, out: PoolEffect[]): void {
    if (this.#swim.wakeAtMs <= nowMs) this.#swim.step(WAKE, nowMs, out);
    // Most wakes are for a round of gossip or a probe, and need none of our timers.
    if (!this.#areTimersRead || this.#serf.isStirred || this.#timersAtMs <= nowMs) this.#wakeTimers(nowMs, out);
  }

  #wakeTimers(nowMs: number, out: PoolEffect[]): void {
    this.#areTimersRead = false;
    for (let timer = this.#timers.popDue(nowMs); timer !== undefined; timer = this.#timers.popDue(nowMs)) this.#timer(timer, nowMs, out);
    this.#serf.tracker.wake(nowMs, out);
    if (this.#serf.gaps.wake(nowMs)) {
      this.#serf.report.count("serf.events.gap_sync", out);
      this.#swim.requestSync(nowMs);
    }
    this.#serf.coalescers.wake(nowMs, (event) => out.push({ kind: "event", event }));
  }

  #timer(timer: Timer, nowMs: number, out: PoolEffect[]): void {
    const { reapIntervalMs, reconnectIntervalMs, queueCheckIntervalMs } = this.#config;
    switch (timer) {
      case "reap":
        this.#repeat("reap", reapIntervalMs, nowMs);
        this.#serf.membership.reap(nowMs, out);
        this.#serf.membership.confrontLeaving(out);
        return;
      case "reconnect":
        this.#repeat("reconnect", reconnectIntervalMs, nowMs);
        this.#reconnect(nowMs, out);
        return;
      case "queueCheck":
        this.#repeat("queueCheck", queueCheckIntervalMs, nowMs);
        this.#serf.queues.check(out);
        return;
      case "snapshotClock":
        this.#timers.set("snapshotClock", nowMs + SNAPSHOT_CLOCK_INTERVAL_MS);
        this.#serf.snapshot?.clock(this.#serf.membership.clock.time);
        return;
      case "leaveSettled":
        this.#becomeLeft(nowMs, out);
        return;
      default:
        if (timer.startsWith("prune:")) this.#serf.membership.pruneDue(timer.slice("prune:".length), nowMs, out);
        else this.#broadcastEnded(Number(timer.slice("broadcast:".length)), true, nowMs, out);
    }
  }

  /** A configured interval may be tiny, or 0; a timer that is due again at once would hold the step for ever. */
  #repeat(timer: Timer, intervalMs: number, nowMs: number): void {
    this.#timers.set(timer, nowMs + Math.max(1, intervalMs));
  }

  /** After each step: answers of SWIM to our own requests, broadcasts that have gone out, lines for the snapshot. */
  #settle(start: number, nowMs: number, out: PoolEffect[]): void {
    if (this.#swimRequests.size > 0) this.#takeSwimReplies(start, nowMs, out);
    const { finished } = this.#serf.queues.intents;
    while (finished.length > 0) this.#broadcastEnded(finished.shift() as number, false, nowMs, out);
    const change = this.#serf.snapshot?.take() ?? null;
    if (change === null) return;
    if (change.kind === "compact") out.push({ kind: "snapshotCompact", lines: change.lines });
    else out.push({ kind: "snapshot", lines: change.lines, flush: change.flush });
  }

  /** SWIM's replies to requests of ours are not for the driver. What they set off may bring the next. */
  #takeSwimReplies(start: number, nowMs: number, out: PoolEffect[]): void {
    for (let i = start; i < out.length; i += 1) {
      const effect = out[i] as PoolEffect;
      if (effect.kind !== "reply" || effect.request >= 0) continue;
      out.splice(i, 1);
      i -= 1;
      this.#areTimersRead = false;
      const done = this.#swimRequests.get(effect.request);
      this.#swimRequests.delete(effect.request);
      done?.(effect.value.kind === "joined" ? effect.value.nodes : 0, effect.errors, nowMs, out);
    }
  }

  #swimRequest(done: SwimDone): RequestId {
    this.#lastSwimRequest -= 1;
    this.#swimRequests.set(this.#lastSwimRequest, done);
    return this.#lastSwimRequest;
  }

  /** Queues an intent and reports when it has been sent often enough, or after the broadcast timeout. */
  #broadcastIntent(message: Uint8Array, done: BroadcastDone, nowMs: number, out: PoolEffect[]): void {
    this.#lastBroadcast += 1;
    this.#broadcasts.set(this.#lastBroadcast, done);
    this.#timers.set(`broadcast:${this.#lastBroadcast}`, nowMs + this.#config.broadcastTimeoutMs);
    this.#serf.queues.add(this.#serf.queues.intents, message, out, this.#lastBroadcast);
  }

  #broadcastEnded(token: number, isTimeout: boolean, nowMs: number, out: PoolEffect[]): void {
    this.#areTimersRead = false;
    const done = this.#broadcasts.get(token);
    this.#broadcasts.delete(token);
    this.#timers.delete(`broadcast:${token}`);
    done?.(isTimeout, nowMs, out);
  }

  // Joining.

  #join({ request, targets, ignoreOld, errors }: Input<"join">, nowMs: number, out: PoolEffect[]): void {
    if (this.#state !== "alive") {
      reply(request, NOTHING, "Serf can't Join after Leave or Shutdown", out);
      return;
    }
    if (ignoreOld) this.#joinsIgnoringOld += 1;
    const done: SwimDone = (nodes, swimErrors, doneMs, doneOut) => {
      if (ignoreOld) this.#joinsIgnoringOld -= 1;
      if (nodes > 0) this.#serf.membership.announceJoin(doneMs, doneOut);
      doneOut.push({ kind: "reply", request, value: { kind: "joined", nodes }, errors: nodes > 0 ? [] : [...errors, ...swimErrors] });
    };
    if (targets.length === 0) done(0, [], nowMs, out);
    else this.#swim.step({ kind: "join", request: this.#swimRequest(done), targets }, nowMs, out);
  }

  #reconnect(nowMs: number, out: PoolEffect[]): void {
    if (this.#state !== "alive") return;
    const failed = this.#serf.membership.pickReconnect(this.#random, out);
    if (failed === null || failed.endpoint.ip === "") return;
    const { name, endpoint: to } = failed;
    this.#serf.report.log("info", `serf: attempting reconnect to ${name} ${formatEndpoint(to)}`, out);
    const ignored: SwimDone = () => {};
    this.#swim.step({ kind: "join", request: this.#swimRequest(ignored), targets: [{ name, to }] }, nowMs, out);
  }

  #restore({ alive, unknownLines }: RestoredSnapshot, nowMs: number, out: PoolEffect[]): void {
    for (const line of unknownLines) this.#serf.report.log("warn", `serf: Unrecognized snapshot line: ${line}`, out);
    if (alive.length === 0) return;
    const previous = alive.filter(({ name }) => name !== this.#config.name);
    this.#rejoin(shuffle([...previous], this.#random), nowMs, out);
  }

  /** Tries the nodes of the last run one after the other until one answers. */
  #rejoin(previous: RestoredSnapshot["alive"], nowMs: number, out: PoolEffect[]): void {
    const [next, ...rest] = previous;
    if (this.#state !== "alive") return;
    if (next === undefined) {
      this.#serf.report.log("warn", "serf: Failed to re-join any previously known node", out);
      return;
    }
    const { name, addr } = next;
    this.#serf.report.log("info", `serf: Attempting re-join to previously known node: ${name}: ${addr}`, out);
    const to = parseAddress(addr);
    if (to === null) {
      this.#rejoin(rest, nowMs, out);
      return;
    }
    const done: SwimDone = (nodes, _errors, doneMs, doneOut) => {
      if (nodes > 0) this.#serf.report.log("info", `serf: Re-joined to previously known node: ${name}: ${addr}`, doneOut);
      else this.#rejoin(rest, doneMs, doneOut);
    };
    const target: JoinTarget = { name, to };
    this.#swim.step({ kind: "join", request: this.#swimRequest(done), targets: [target] }, nowMs, out);
  }

  // Leaving.

  #leave(request: RequestId, nowMs: number, out: PoolEffect[]): void {
    switch (this.#state) {
      case "left":
        reply(request, NOTHING, "", out);
        return;
      case "leaving":
        reply(request, NOTHING, "Leave already in progress", out);
        return;
      case "shutdown":
        reply(request, NOTHING, "Leave called after Shutdown", out);
        return;
      case "alive":
        this.#becomeLeaving(request, nowMs, out);
    }
  }

  #leaveRequest: RequestId = 0;

  #becomeLeaving(request: RequestId, nowMs: number, out: PoolEffect[]): void {
    this.#state = "leaving";
    this.#leaveRequest = request;
    const { membership, snapshot, report } = this.#serf;
    snapshot?.leave();
    const { name, broadcastTimeoutMs, leavePropagateDelayMs } = this.#config;
    const message = this.#leaveIntent(name, false, nowMs, out);

    const leaveSwim = (isTimeout: boolean, atMs: number, at: PoolEffect[]): void => {
      if (isTimeout) report.log("warn", "serf: timeout while waiting for graceful leave", at);
      const done: SwimDone = (_nodes, errors, doneMs, doneOut) => {
        for (const error of errors) report.log("warn", `serf: timeout waiting for leave broadcast: ${error}`, doneOut);
        // We stay up: probes from nodes that have not heard yet must still be answered.
        this.#timers.set("leaveSettled", doneMs + leavePropagateDelayMs);
      };
      this.#swim.step({ kind: "leave", request: this.#swimRequest(done), timeoutMs: broadcastTimeoutMs }, atMs, at);
    };
    if (membership.hasOtherAlive) this.#broadcastIntent(message, leaveSwim, nowMs, out);
    else leaveSwim(false, nowMs, out);
  }

  #becomeLeft(_nowMs: number, out: PoolEffect[]): void {
    if (this.#state === "leaving") this.#state = "left";
    reply(this.#leaveRequest, NOTHING, "", out);
  }

  /** Takes in a leave intent of ours about `node`; the message to broadcast. */
  #leaveIntent(node: string, prune: boolean, nowMs: number, out: PoolEffect[]): Uint8Array {
    const { membership } = this.#serf;
    const lamportTime = membership.clock.time;
    membership.clock.increment();
    membership.leaveIntent(lamportTime, node, prune, nowMs, out);
    return encodeLeave({ lamportTime, node, prune });
  }

  #forceLeave({ request, node, prune }: Input<"forceLeave">, nowMs: number, out: PoolEffect[]): void {
    const message = this.#leaveIntent(node, prune, nowMs, out);
    if (!this.#serf.membership.hasOtherAlive) {
      reply(request, NOTHING, "", out);
      return;
    }
    const done: BroadcastDone = (isTimeout, _atMs, at) => reply(request, NOTHING, isTimeout ? "timed out broadcasting node removal" : "", at);
    this.#broadcastIntent(message, done, nowMs, out);
  }

  /** The node must go down without a leave. */
  #stop(reason: string, out: PoolEffect[]): void {
    this.#shutdown(out);
    out.push({ kind: "stop", reason });
  }

  #shutdown(out: PoolEffect[]): void {
    if (this.#state === "shutdown") return;
    if (this.#state !== "left") this.#serf.report.log("warn", "serf: Shutdown without a Leave", out);
    this.#state = "shutdown";
    this.#serf.coalescers.flush((event) => out.push({ kind: "event", event }));
    this.#serf.snapshot?.flush();
  }

  // The other commands.

  #query({ request, name, payload, params }: Input<"query">, nowMs: number, out: PoolEffect[]): void {
    const at = out.length;
    const sink = {
      ack: (from: string, to: PoolEffect[]) => to.push({ kind: "queryAck", request, from }),
      response: (from: string, answer: Uint8Array | null, _nowMs: number, to: PoolEffect[]) => to.push({ kind: "queryResponse", request, from, payload: answer }),
      done: (_nowMs: number, to: PoolEffect[]) => to.push({ kind: "queryDone", request }),
    };
    const started = this.#serf.startQuery(name, payload, params, sink, nowMs, out);
    if (!started.ok) {
      reply(request, NOTHING, started.error, out);
      return;
    }
    const { lamportTime, id, timeoutMs } = started;
    out.splice(at, 0, { kind: "reply", request, value: { kind: "query", lamportTime, id, timeoutMs }, errors: [] });
  }

  #respond({ request, token, payload }: Input<"respond">, nowMs: number, out: PoolEffect[]): void {
    const { responder } = this.#serf;
    const answerable = responder.find(token);
    const error = answerable === undefined ? "response is past the deadline" : responder.respond(answerable, payload, nowMs, out);
    reply(request, NOTHING, error === "" ? "" : `failed to respond to key query: ${error}`, out);
  }

  #setTags({ request, tags }: Input<"setTags">, nowMs: number, out: PoolEffect[]): void {
    const meta = encodeTags(tags, this.#config.protocol);
    const tooLong = tagsError(meta);
    if (tooLong !== null) {
      reply(request, NOTHING, tooLong, out);
      return;
    }
    this.#serf.tags = tags;
    const done: SwimDone = (_nodes, errors, _doneMs, doneOut) => doneOut.push({ kind: "reply", request, value: NOTHING, errors });
    this.#swim.step({ kind: "updateMeta", request: this.#swimRequest(done), meta, timeoutMs: this.#config.broadcastTimeoutMs }, nowMs, out);
  }

  #keys({ request, operation, key }: Input<"keys">, nowMs: number, out: PoolEffect[]): void {
    const raw = decodeBase64(key);
    if (!raw.ok) {
      out.push({ kind: "reply", request, value: { kind: "keys", result: EMPTY_KEY_RESULT }, errors: [raw.error] });
      return;
    }
    const collector = new KeyCollector(this.#swim.aliveCount, this.#serf.report, (result, errors, to) =>
      to.push({ kind: "reply", request, value: { kind: "keys", result }, errors }),
    );
    const started = this.#serf.startQuery(keyQueryName(operation), encodeKeyRequest(raw.value), DEFAULT_QUERY_PARAMS, collector, nowMs, out);
    if (!started.ok) out.push({ kind: "reply", request, value: { kind: "keys", result: EMPTY_KEY_RESULT }, errors: [started.error] });
  }
}

/** Written out: V8 gives each copy that is made by spreading a shape of its own, and what thousands of nodes of one process read becomes slow. */
function swimConfig({ name, advertise, bindPort, profile, packetOverheadBytes, mergeSliceNodes, logLevel }: PoolConfig, versions: Uint8Array, meta: Uint8Array): SwimConfig {
  return { name, advertise, bindPort, versions, meta, profile, packetOverheadBytes, mergeSliceNodes, logLevel };
}

function reply(request: RequestId, value: PoolReplyValue, error: string, out: PoolEffect[]): void {
  out.push({ kind: "reply", request, value, errors: error === "" ? NO_ERRORS : [error] });
}

/** Reads the `ip:port` of a snapshot line. */
function parseAddress(text: string): Endpoint | null {
  const colon = text.lastIndexOf(":");
  const host = text.slice(0, Math.max(0, colon));
  const ip = host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
  const port = text.slice(colon + 1);
  if (ipToBytes(ip) === null || !/^[0-9]{1,5}$/.test(port)) return null;
  return Number(port) <= 0xffff ? { ip, port: Number(port) } : null;
}
