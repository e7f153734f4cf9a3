/**
 * The Serf layer of one pool (reference: serf-protocol §7, §8): what it does with each message and each change of membership. It sits on
 * SWIM as its delegate and sends through it; commands and timers are in `pool.ts`.
 */
import { assert } from "../base/assert.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";
import type { Endpoint } from "../base/endpoint.ts";
import { ipFromBytes, ipToBytes } from "../base/endpoint.ts";
import type { Random } from "../base/random.ts";
import { encodeUtf8, utf8Length } from "../base/utf8.ts";
import { CROWDED_BYTES } from "../swim/broadcast-queue.ts";
import type { MemberRecord, MemberRecords } from "../swim/member-records.ts";
import { countOf } from "../swim/core.ts";
import { KnownSort, Repeat, type KnownMessage } from "../swim/messages.ts";
import { pushPullScaleNs, queryTimeoutNs } from "../swim/timing.ts";
import type { StateArrays } from "../swim/state-arrays.ts";
import type { SwimDelegate, SwimMember, UpperState } from "../swim/types.ts";
import type { Matcher } from "../wire/matcher.ts";
import { copyBytes, intLength } from "../wire/msgpack.ts";
import {
  decodeSerfMessage,
  decodeSerfPushPull,
  encodeFilter,
  encodeJoin,
  encodeLeave,
  encodeQuery,
  encodeSerfPushPull,
  encodeUserEventPacket,
  viewUserEventPacket,
  queryConcerns,
} from "../wire/serf-codec.ts";
import { QueryFlag, SerfMessageType, type QueryMessage, type Relay, type SerfMessage, type SerfPushPull, type UserEventMessage } from "../wire/serf-messages.ts";
import { CoalescerChain } from "./coalescer.ts";
import { Coordinates } from "./coordinates.ts";
import { EventGaps } from "./event-gaps.ts";
import { EventRing, type EventVerdict, type HeldSlot } from "./event-ring.ts";
import { INTERNAL_PREFIX, InternalQueries } from "./internal-queries.ts";
import { LAMPORT_TIME_MAX, LamportClock } from "./lamport-clock.ts";
import { Membership, type MembershipHost } from "./membership.ts";
import type { Row } from "./member-table.ts";
import { NameVote } from "./name-conflict.ts";
import { QueryResponder, sendUser, type AnswerableQuery } from "./query-responder.ts";
import { QueryRing, type QueryVerdict } from "./query-ring.ts";
import { QueryTracker, type QuerySink } from "./query-tracker.ts";
import { Reporter } from "./reporter.ts";
import { SerfQueues } from "./serf-queues.ts";
import { lengthOfState, SerfSharedState } from "./shared-state.ts";
import type { StatusTimes } from "./status-times.ts";
import { SNAPSHOT_COMPACT_MIN_BYTES, SnapshotWriter } from "./snapshot.ts";
import type { Member, MemberEventType, PoolConfig, PoolEffect, QueryParams, SerfEvent } from "./types.ts";

/** Queries exist from this Serf protocol on. */
const QUERY_PROTOCOL_MIN = 4;
const QUERY_IDS = 2 ** 31;
const RELAY_FACTOR_MAX = 255;
const NS_PER_MS = 1_000_000;
/** Not looked up by its name for each of a hundred thousand events a second. */
const EVENT_COUNTED = countOf("serf.events");
const NO_ROW = -1;

type EventEffect = Extract<PoolEffect, { readonly kind: "event" }>;
type RemoteClocks = Pick<SerfPushPull, "lamportTime" | "eventTime" | "queryTime">;

export const DEFAULT_QUERY_PARAMS: QueryParams = { filterNodes: [], filterTags: new Map(), requestAck: false, relayFactor: 0, timeoutMs: 0 };

/** What the Serf layer needs of the pool around it. */
export interface SerfHost {
  isRunning(): boolean;
  /** Members that SWIM holds for alive or suspect, ourselves included. */
  aliveCount(): number;
  prune(name: string, atMs: number): void;
  /** A join that does not want old events is under way. */
  isIgnoringOldEvents(): boolean;
  /** The vote about our name is lost: the node must stop. */
  nameLost(nowMs: number, out: PoolEffect[]): void;
}

/** What became of a query of ours. */
export type QueryStart =
  | { readonly ok: true; readonly lamportTime: number; readonly id: number; readonly timeoutMs: number }
  | { readonly ok: false; readonly error: string };

export class Serf implements SwimDelegate<PoolEffect>, MembershipHost {
  readonly report: Reporter;
  readonly membership: Membership;
  readonly eventClock = new LamportClock();
  readonly queryClock = new LamportClock();
  readonly events: EventRing;
  readonly gaps: EventGaps;
  readonly queues: SerfQueues;
  readonly tracker: QueryTracker;
  readonly responder: QueryResponder;
  readonly internal: InternalQueries;
  readonly coordinates: Coordinates | null;
  readonly coalescers: CoalescerChain;
  readonly snapshot: SnapshotWriter | null;
  tags: ReadonlyMap<string, string>;
  /** SWIM has told something that may move a timer of this layer; whoever reads the timers takes it back. Probes and suspicions, most of what a node hears, are not told. */
  isStirred = false;
  readonly #config: PoolConfig;
  readonly #random: Random;
  readonly #records: MemberRecords;
  readonly #matcher: Matcher;
  readonly #host: SerfHost;
  readonly #queries: QueryRing;
  #voting = false;

  constructor(config: PoolConfig, random: Random, matcher: Matcher, records: MemberRecords, host: SerfHost) {
    this.#config = config;
    this.#random = random;
    this.#records = records;
    this.#matcher = matcher;
    this.#host = host;
    this.tags = config.tags;
    this.report = new Reporter(config.logLevel);
    const { name, queryResponseSizeMax: responseSizeMax, encrypted, restored } = config;
    const pruneDelayMs = config.broadcastTimeoutMs + config.leavePropagateDelayMs;
    const { recentIntentTimeoutMs, reconnectTimeoutMs, tombstoneTimeoutMs } = config;
    this.membership = new Membership({ name, recentIntentTimeoutMs, reconnectTimeoutMs, tombstoneTimeoutMs, pruneDelayMs }, this, this.report, records);
    this.events = new EventRing(config.eventBufferSize, records.sharing);
    this.#queries = new QueryRing(config.queryBufferSize, restored === null ? 0 : restored.queryClock + 1);
    this.queues = new SerfQueues(
      { profile: config.profile, depthWarning: config.queueDepthWarning, depthMax: config.queueDepthMax },
      () => this.membership.table.size,
      this.report,
      records.messages,
      records.expected,
    );
    this.tracker = new QueryTracker(this.report);
    this.responder = new QueryResponder({ name, responseSizeMax }, this.membership, random, this.report);
    this.internal = new InternalQueries({ name, encrypted, responseSizeMax }, this.membership, this.responder, this.report);
    const { profile } = config;
    const pushPullIntervalMs = (): number => pushPullScaleNs(profile.pushPullIntervalMs * NS_PER_MS, this.membership.table.size) / NS_PER_MS;
    this.gaps = new EventGaps({ gossipIntervalMs: profile.gossipIntervalMs, pushPullIntervalMs }, this.events, restored?.eventClock ?? 0);
    this.coordinates = config.coordinates ? new Coordinates(name, random, this.report) : null;
    this.coalescers = new CoalescerChain(config.coalesceMembers, config.coalesceUserEvents);
    const writerConfig = { rejoinAfterLeave: config.rejoinAfterLeave, compactMinBytes: SNAPSHOT_COMPACT_MIN_BYTES };
    this.snapshot = config.snapshot ? new SnapshotWriter(writerConfig, restored) : null;
    // Incremented first: a message stamped 0 could not be told from none.
    this.membership.clock.increment();
    this.eventClock.increment();
    this.queryClock.increment();
    if (restored === null) return;
    this.membership.clock.witness(restored.clock);
    this.eventClock.witness(restored.eventClock);
    this.queryClock.witness(restored.queryClock);
    this.events.raiseMinTime(restored.eventClock + 1);
  }

  /** Reads what each message looks at in here: see `pool-touch.ts`. */
  touch(): number {
    const { finished } = this.queues.intents;
    return this.queryClock.time + finished.length + (this.snapshot === null ? 0 : 1) + (this.#voting ? 1 : 0) + (this.report.wantsDebug ? 1 : 0);
  }

  // Membership, as SWIM sees it.

  memberJoined(member: MemberRecord, nowMs: number, out: PoolEffect[], slot: number, variant: number): void {
    this.isStirred = true;
    this.membership.joined(member, nowMs, out, { row: slot, variant, record: member });
  }

  memberLeft(member: SwimMember, nowMs: number, out: PoolEffect[]): void {
    this.isStirred = true;
    this.membership.gone(member.name, nowMs, out);
  }

  memberUpdated(member: SwimMember, nowMs: number, out: PoolEffect[]): void {
    this.isStirred = true;
    this.membership.updated(member, nowMs, out);
  }

  memberConflict(existing: SwimMember, other: SwimMember, nowMs: number, out: PoolEffect[]): void {
    this.isStirred = true;
    const { name, resolveConflicts } = this.#config;
    if (existing.name !== name) {
      const claimants = `both ${existing.ip}:${existing.port} and ${other.ip}:${other.port} are claiming`;
      this.report.log("warn", `serf: Name conflict for '${existing.name}' ${claimants}`, out);
      return;
    }
    const where = `${other.ip}:${other.port}. Names must be unique! (Resolution enabled: ${resolveConflicts})`;
    this.report.log("err", `serf: Node name conflicts with another node at ${where}`, out);
    if (resolveConflicts && !this.#voting) this.#startVote(existing, nowMs, out);
  }

  #startVote(self: SwimMember, nowMs: number, out: PoolEffect[]): void {
    const vote = new NameVote(self, this.report, (won, endMs, endOut) => {
      this.#voting = false;
      if (!won) this.#host.nameLost(endMs, endOut);
    });
    const payload = encodeUtf8(this.#config.name);
    const started = this.startQuery(`${INTERNAL_PREFIX}conflict`, payload, DEFAULT_QUERY_PARAMS, vote, nowMs, out);
    if (started.ok) this.#voting = true;
    else this.report.log("err", `serf: Failed to start name resolution query: ${started.error}`, out);
  }

  vetoMerge(): string | null {
    return null;
  }

  ackPayload(): Uint8Array | null {
    return this.coordinates?.ackPayload() ?? null;
  }

  pingCompleted(member: MemberRecord, rttMs: number, payload: Uint8Array | null, _nowMs: number, out: PoolEffect[]): void {
    this.coordinates?.measured(member.name, rttMs, payload, out);
  }

  takeBroadcasts(overhead: number, limit: number, targets: number, into: Uint8Array[]): number {
    return this.queues.take(overhead, limit, targets, into);
  }

  hasBroadcasts(): boolean {
    return !this.queues.isEmpty;
  }

  // Host of membership.

  memberEvent(type: MemberEventType, member: Member, nowMs: number, out: PoolEffect[]): void {
    this.#emit({ kind: "members", type, members: [member] }, nowMs, out);
  }

  isRunning(): boolean {
    return this.#host.isRunning();
  }

  broadcastJoin(lamportTime: number, out: PoolEffect[]): void {
    this.queues.add(this.queues.intents, encodeJoin({ lamportTime, node: this.#config.name }), out);
  }

  tellLeave({ name, endpoint }: MemberRecord, lamportTime: number, out: PoolEffect[]): void {
    if (endpoint.ip !== "") sendUser(endpoint, encodeLeave({ lamportTime, node: name, prune: false }), out);
  }

  forgotten(name: string): void {
    this.coordinates?.forget(name);
  }

  prune(name: string, atMs: number): void {
    this.#host.prune(name, atMs);
  }

  // Messages.

  judgeRepeat({ upper, slot, sort, time }: KnownMessage): Repeat {
    if (sort === KnownSort.join) return slot >= 0 && this.membership.isSettledRow(time, slot) ? Repeat.lasting : Repeat.no;
    const message = upper as SerfMessage; // Decoded as `userMessage` would.
    switch (message.kind) {
      case "leave":
        return slot >= 0 && message.node !== this.#config.name && this.membership.isSettledRow(message.lamportTime, slot) ? Repeat.lasting : Repeat.no;
      case "query":
        return this.#queries.isRepeat(this.queryClock, message.lamportTime, message.id) ? Repeat.now : Repeat.no;
      default:
        return Repeat.no;
    }
  }

  userMessage(message: Uint8Array, start: 0 | 1, _from: Endpoint | null, nowMs: number, out: PoolEffect[], known: KnownMessage | null = null): boolean {
    this.isStirred = true;
    const decoded = known === null ? decodeSerfMessage(message, start) : null;
    if (decoded?.ok === false) {
      const type = message[start];
      const known = type !== undefined && type <= SerfMessageType.relay;
      this.report.log("warn", known ? `serf: Failed to decode message of type ${type}: ${decoded.error}` : `serf: Received message of unknown type: ${type}`, out);
      this.report.count("serf.msg.malformed", out);
      return false;
    }
    const { intents, queries } = this.queues;
    const value = decoded === null ? (known?.upper as SerfMessage) : decoded.value;
    if (this.report.wantsDebug) this.#traceMessage(value, out);
    switch (value.kind) {
      case "leave":
        if (this.membership.leaveIntent(value.lamportTime, value.node, value.prune, nowMs, out)) this.#passOn(intents, message, start, known, out);
        return this.membership.isSettled(value.lamportTime, value.node);
      case "join":
        if (this.membership.joinIntent(value.lamportTime, value.node, nowMs, known?.slot ?? null)) this.#passOn(intents, message, start, known, out);
        return known === null && this.membership.isSettled(value.lamportTime, value.node);
      case "userEvent": {
        const verdict = this.#userEvent(value, nowMs, out, known);
        if (verdict === "new") {
          this.#passOn(this.queues.events, message, start, known, out);
          this.#noticeCrowd(nowMs);
        }
        return verdict !== "full";
      }
      case "query": {
        const verdict = this.#query(value, nowMs, out);
        if (verdict === "new" && (value.flags & QueryFlag.noBroadcast) === 0) this.#passOn(queries, message, start, known, out);
        return verdict !== "full";
      }
      case "queryResponse":
        this.tracker.received(value, nowMs, out);
        return false;
      case "relay":
        this.#relay(value, out);
        return false;
    }
  }

  /** Apart from `userMessage`, as nearly all that thousands of simulated nodes are given. */
  knownEvent(known: KnownMessage, nowMs: number, out: PoolEffect[]): void {
    this.isStirred = true;
    const event = known.upper as UserEventMessage;
    if (this.report.wantsDebug) this.#traceMessage(event, out);
    if (this.#userEvent(event, nowMs, out, known) !== "new") return;
    this.queues.addKnown(this.queues.events, known, out);
    this.#noticeCrowd(nowMs);
  }

  #traceMessage(message: SerfMessage, out: PoolEffect[]): void {
    switch (message.kind) {
      case "leave":
        this.report.log("debug", `serf: messageLeaveType: ${message.node}`, out);
        return;
      case "join":
        this.report.log("debug", `serf: messageJoinType: ${message.node}`, out);
        return;
      case "userEvent":
        this.report.log("debug", `serf: messageUserEventType: ${message.name}`, out);
        return;
      case "query":
        this.report.log("debug", `serf: messageQueryType: ${message.name}`, out);
        return;
      case "queryResponse":
        this.report.log("debug", `serf: messageQueryResponseType: ${message.from}`, out);
        return;
      case "relay": // Logged with its destination.
    }
  }

  /** The received bytes go on unchanged. */
  #passOn(queue: SerfQueues["intents"], message: Uint8Array, start: 0 | 1, known: KnownMessage | null, out: PoolEffect[]): void {
    if (known !== null) this.queues.addKnown(queue, known, out);
    else if (start === 1) this.queues.addPacket(queue, message, out);
    else this.queues.add(queue, message, out);
  }

  #relay({ destAddr, destPort, message }: Relay, out: PoolEffect[]): void {
    const ip = ipFromBytes(destAddr);
    if (ip === "" || destPort === 0 || message.length === 0) {
      this.report.count("serf.relay.bad_destination", out);
      return;
    }
    if (this.report.wantsDebug) this.report.log("debug", `serf: Relaying response to addr: ${ip}:${destPort}`, out);
    sendUser({ ip, port: destPort }, copyBytes(message, 0, message.length), out);
  }

  // User events.

  /** Fires a user event of ours; "" or why not. */
  fireUserEvent(name: string, payload: Uint8Array | null, coalesce: boolean, nowMs: number, out: PoolEffect[]): string {
    const limit = this.#config.userEventSizeMax;
    if (utf8Length(name) + (payload?.length ?? 0) > limit) return tooLarge("user event", limit, "before");
    const event: UserEventMessage = { kind: "userEvent", lamportTime: this.eventClock.time, name, payload, coalesce };
    const { sharing } = this.#records;
    // The queue of a node that shares nothing copies it, and nothing else is encoded before.
    const message = sharing === null ? viewUserEventPacket(event) : encodeUserEventPacket(event);
    // Without the packet's type.
    if (message.length - 1 > limit) return tooLarge("encoded user event", limit, "after");
    this.eventClock.increment();
    const known = sharing === null ? null : sharing.at(sharing.hold(message));
    this.#userEvent(event, nowMs, out, known);
    this.#passOn(this.queues.events, message, 1, known, out);
    if (known !== null) sharing?.release(known.number);
    this.#noticeCrowd(nowMs);
    return "";
  }

  /** A queue that has no room for all sends of its events stays within a packet of its bound; below that, each is sent as often as it takes. */
  #noticeCrowd(nowMs: number): void {
    const { events } = this.queues;
    if (events.bytes > CROWDED_BYTES - this.#config.profile.packetSizeBytes) this.gaps.crowded(nowMs);
  }

  /** Only a new event is delivered, and its bytes should be passed on. */
  #userEvent({ lamportTime, name, payload, coalesce }: Omit<UserEventMessage, "kind">, nowMs: number, out: PoolEffect[], known: KnownMessage | null): EventVerdict {
    const verdict = this.events.witness(this.eventClock, lamportTime, name, payload, known);
    if (verdict === "old") {
      this.report.log("warn", `serf: received old event ${name} from time ${lamportTime} (current: ${this.eventClock.time})`, out);
    } else if (verdict === "full") this.report.count("serf.events.refused", out);
    if (verdict !== "new") return verdict;
    this.gaps.seen(lamportTime, nowMs);
    out.push(EVENT_COUNTED);
    const effect = (known?.upperEffect ?? { kind: "event", event: { kind: "user", lamportTime, name, payload, coalesce } }) as EventEffect;
    if (known !== null) known.upperEffect = effect;
    this.#tell(effect, nowMs, out);
    return verdict;
  }

  #emit(event: SerfEvent, nowMs: number, out: PoolEffect[]): void {
    this.#tell({ kind: "event", event }, nowMs, out);
  }

  #tell(effect: EventEffect, nowMs: number, out: PoolEffect[]): void {
    const { event } = effect;
    this.snapshot?.event(event, this.membership.clock.time);
    if (this.coalescers.passes(event)) out.push(effect);
    else this.#coalesce(event, nowMs, out);
  }

  /** Apart from `#tell`, which would make an object for what the function knows in each of its calls. */
  #coalesce(event: SerfEvent, nowMs: number, out: PoolEffect[]): void {
    this.coalescers.add(event, nowMs, (shown) => out.push({ kind: "event", event: shown }));
  }

  // Queries.

  /** Default time a query runs: grows with the logarithm of the cluster, as gossip does. */
  defaultQueryTimeoutMs(): number {
    const { profile, queryTimeoutMult } = this.#config;
    return queryTimeoutNs(profile.gossipIntervalMs * NS_PER_MS, queryTimeoutMult, this.#host.aliveCount()) / NS_PER_MS;
  }

  startQuery(name: string, payload: Uint8Array | null, params: QueryParams, sink: QuerySink, nowMs: number, out: PoolEffect[]): QueryStart {
    const { advertise, name: sourceNode, protocol, querySizeMax } = this.#config;
    if (protocol < QUERY_PROTOCOL_MIN) return { ok: false, error: "Feature not supported" };
    const lamportTime = this.queryClock.time;
    const query: QueryMessage = {
      kind: "query",
      lamportTime,
      id: this.#random.below(QUERY_IDS),
      addr: ipToBytes(advertise.ip) ?? EMPTY_BYTES,
      port: advertise.port,
      sourceNode,
      filters: encodeFilters(params),
      flags: params.requestAck ? QueryFlag.ack : 0,
      relayFactor: Math.max(0, Math.min(RELAY_FACTOR_MAX, Math.trunc(params.relayFactor))),
      timeoutMs: params.timeoutMs === 0 ? this.defaultQueryTimeoutMs() : params.timeoutMs,
      name,
      payload,
    };
    const message = encodeQuery(query);
    if (message.length > querySizeMax) return { ok: false, error: `query exceeds limit of ${querySizeMax} bytes` };
    if (this.tracker.isFull) return { ok: false, error: "too many queries are running" };
    const { id, timeoutMs } = query;
    const alive = this.#host.aliveCount();
    this.tracker.start({ lamportTime, id, wantsAcks: params.requestAck, alive, deadlineMs: nowMs + timeoutMs }, sink);
    this.#query(query, nowMs, out);
    this.queues.add(this.queues.queries, message, out);
    return { ok: true, lamportTime, id, timeoutMs };
  }

  /** Only a new query is handled; its bytes should be passed on unless it says otherwise. */
  #query(query: QueryMessage, nowMs: number, out: PoolEffect[]): QueryVerdict {
    const { lamportTime, id, name, payload, sourceNode, flags } = query;
    const verdict = this.#queries.witness(this.queryClock, lamportTime, id);
    if (verdict === "old") {
      this.report.log("warn", `serf: received old query ${name} from time ${lamportTime} (current: ${this.queryClock.time})`, out);
    } else if (verdict === "full") this.report.count("serf.queries.refused", out);
    if (verdict !== "new") return verdict;
    this.report.count("serf.queries", out);
    if (!queryConcerns(query.filters, this.#config.name, this.tags, this.#matcher)) return verdict;

    const answerable: AnswerableQuery = { query: originOf(query), deadlineMs: nowMs + query.timeoutMs, answered: false };
    if ((flags & QueryFlag.ack) !== 0) this.responder.ack(answerable, out);
    this.snapshot?.query(lamportTime);
    if (name.startsWith(INTERNAL_PREFIX)) this.internal.handle(name, payload, answerable, nowMs, out);
    else {
      const token = this.responder.remember(answerable);
      this.#emit({ kind: "query", token, lamportTime, name, payload, sourceNode, deadlineMs: answerable.deadlineMs }, nowMs, out);
    }
    return verdict;
  }

  // Push/pull.

  localState(): Uint8Array {
    const { table } = this.membership;
    const statusTimes = new Map<string, number>();
    for (const row of table.rows()) statusTimes.set(table.info(row).name, this.#toldTime(row));
    return encodeSerfPushPull({
      lamportTime: this.membership.clock.time,
      statusTimes,
      leftMembers: this.membership.leftNames(),
      eventTime: this.eventClock.time,
      events: this.events.encodedSlots,
      queryTime: this.queryClock.time,
    });
  }

  /**
   * Receivers take these times for joins. The time of a leave that is under way must not reach anybody as one before the leave itself
   * does: it would be refused as old, and the member would end as failed. (The original has this hole.)
   */
  #toldTime(row: Row): number {
    const { table } = this.membership;
    const time = table.statusTime(row);
    return table.status(row) === "leaving" ? Math.max(0, time - 1) : time;
  }

  sharedState(_join: boolean, arrays: StateArrays): SerfSharedState {
    const { table, clock, leftRows } = this.membership;
    const times = table.copyTimes(arrays);
    const timesLength = table.timesLength + (table.count("leaving") > 0 ? this.#lowerTold(times) : 0);
    const parts = { lamportTime: clock.time, eventTime: this.eventClock.time, queryTime: this.queryClock.time, times, leftRows, events: this.events.slots };
    return new SerfSharedState(parts, lengthOfState(parts, timesLength, this.#records), this.#records);
  }

  /** Puts in what is told of members that are leaving; returns by how many bytes it is longer. */
  #lowerTold(times: StatusTimes): number {
    let longer = 0;
    for (let row = 0; row < times.length; row += 1) {
      if (!times.has(row)) continue;
      const told = this.#toldTime(row);
      longer += intLength(told) - intLength(times.at(row));
      times.lower(row, told);
    }
    return longer;
  }

  mergeSharedState(state: UpperState, join: boolean, nowMs: number, out: PoolEffect[]): void {
    assert(state instanceof SerfSharedState, "a state of another kind");
    this.isStirred = true;
    const { parts } = state;
    this.#witnessClocks(parts);
    const left = new Set(parts.leftRows);
    const { times } = parts;
    for (const row of left) this.#mergeLeft(this.#records.nameAt(row), times.has(row) ? times.at(row) : 0, nowMs, out);
    // Our clock has seen all our times.
    if (!times.agreesWith(this.membership.table.statusTimes.parts)) this.#mergeTimes(times, left, nowMs, out);
    this.#mergeEvents(parts, join, nowMs, out);
  }

  #mergeTimes(times: StatusTimes, left: ReadonlySet<Row>, nowMs: number, out: PoolEffect[]): void {
    const self = this.#host.isRunning() ? this.#records.slotOf(this.#config.name) : NO_ROW;
    for (let row = 0; row < times.length; row += 1) {
      if (!times.has(row) || (left.size > 0 && left.has(row))) continue;
      if (row === self) this.membership.objectTo(times.at(row), nowMs, out);
      else this.membership.joinIntentOf(times.at(row), row, this.#records, nowMs);
    }
  }

  mergeRemoteState(state: Uint8Array, join: boolean, nowMs: number, out: PoolEffect[]): void {
    this.isStirred = true;
    if (state.length === 0) {
      this.report.log("err", "serf: Remote state is zero bytes", out);
      return;
    }
    if (state[0] !== SerfMessageType.pushPull) {
      this.report.log("err", `serf: Remote state has bad type prefix: ${state[0]}`, out);
      return;
    }
    const decoded = decodeSerfPushPull(state, (index) => this.events.encodedSlot(index));
    if (!decoded.ok) {
      this.report.log("err", `serf: Failed to decode push/pull message: ${decoded.error}`, out);
      return;
    }
    this.#merge(decoded.value, join, nowMs, out);
  }

  #merge(remote: SerfPushPull, join: boolean, nowMs: number, out: PoolEffect[]): void {
    this.#witnessClocks(remote);
    const left = new Set(remote.leftMembers);
    for (const name of left) this.#mergeLeft(name, remote.statusTimes.get(name) ?? 0, nowMs, out);
    for (const [name, lamportTime] of remote.statusTimes) {
      if (left.has(name)) continue;
      if (name === this.#config.name && this.#host.isRunning()) this.membership.objectTo(lamportTime, nowMs, out);
      else this.membership.joinIntent(lamportTime, name, nowMs);
    }
    this.#mergeEvents(remote, join, nowMs, out);
  }

  /** One less: no message with the clock's current time has been sent yet. */
  #witnessClocks({ lamportTime, eventTime, queryTime }: RemoteClocks): void {
    if (lamportTime > 0) this.membership.clock.witness(lamportTime - 1);
    if (eventTime > 0) this.eventClock.witness(eventTime - 1);
    if (queryTime > 0) this.queryClock.witness(queryTime - 1);
  }

  /** A peer lists the member as left. */
  #mergeLeft(name: string, toldTime: number, nowMs: number, out: PoolEffect[]): void {
    // One more, because the time on record is that of the intent itself; but not for a member that we too hold for left: else two nodes
    // would push each other's times up for ever, until they outrun the join with which the member comes back.
    const status = this.membership.status(name);
    // SWIM has merged the same peer's members already: who is alive to us after that has come back since, and the list is out of date. The
    // original shows such a member as leaving for ever, because nothing tells the member so that it could object. Nor is it kept for a member
    // unknown to us: the time it comes with may be that of the join with which the member has just come back. For that reason it is
    // not kept for one that is leaving to us either: with that time we would refuse the very join that ends it. Ourselves: we object.
    if ((status === "alive" || status === "none" || status === "leaving") && name !== this.#config.name) return;
    const isNews = status !== "left";
    this.membership.leaveIntent(Math.min(toldTime + (isNews ? 1 : 0), LAMPORT_TIME_MAX), name, false, nowMs, out);
  }

  #mergeEvents(remote: Pick<SerfPushPull, "eventTime"> & { readonly events: readonly (HeldSlot | null)[] }, join: boolean, nowMs: number, out: PoolEffect[]): void {
    if (join && this.#host.isIgnoringOldEvents()) this.events.raiseMinTime(remote.eventTime);
    for (const slot of remote.events) {
      if (slot === null || this.events.holdsSame(this.eventClock, slot)) continue;
      const { lamportTime, known = null } = slot;
      for (let i = 0; i < slot.events.length; i += 1) {
        const { name, payload } = slot.events[i] as (typeof slot.events)[number];
        const event = { lamportTime, name, payload, coalesce: false };
        const same = known?.[i] ?? null;
        // Whoever told it may have let go of its message since.
        const verdict = this.#userEvent(event, nowMs, out, same !== null && same.number >= 0 ? same : null);
        // Gossip has missed us, so it may have missed others: what a periodic exchange brought is passed on like news. The original keeps it
        // to itself, and the next node waits for its own push/pull (minutes, in a large cluster). Not on a join, where we are what is new.
        if (verdict === "new" && !join) this.queues.addPacket(this.queues.events, encodeUserEventPacket(event), out);
      }
    }
    // What is missing now came before us: the contact has told all that it knows.
    if (join && remote.eventTime > 0) this.gaps.settle(remote.eventTime - 1);
  }
}

function originOf({ lamportTime, id, addr, port, sourceNode, relayFactor }: QueryMessage): AnswerableQuery["query"] {
  return { lamportTime, id, addr, port, sourceNode, relayFactor };
}

function encodeFilters({ filterNodes, filterTags }: QueryParams): Uint8Array[] | null {
  const filters: Uint8Array[] = [];
  if (filterNodes.length > 0) filters.push(encodeFilter({ kind: "nodes", nodes: filterNodes }));
  for (const [tag, expr] of filterTags) filters.push(encodeFilter({ kind: "tag", tag, expr }));
  return filters.length === 0 ? null : filters;
}

/** By itself: written where it is needed twice, the limit is made a text of for each event that is within it. */
function tooLarge(what: string, limit: number, when: "before" | "after"): string {
  return `${what} exceeds configured limit of ${limit} bytes ${when} encoding`;
}
