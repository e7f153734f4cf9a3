/**
 * One member of a SWIM group, as memberlist does it (SWIM: Das, Gupta, Motivala 2002; Lifeguard: Dadgar, Phillips, Currey 2018).
 * `step` takes one input and the time and appends what to do; `wakeAtMs` says when it wants to be woken. See `types.ts`.
 *
 * Where we leave the original on purpose:
 * 1. A gossip round is one plaintext for all its targets; its messages count as sent once per target.
 * 2. The retransmit limit follows the cluster's size at the time of sending, and has a floor per profile.
 * 3. A pause of our own process moves all verdicts: what waits in the socket is heard first.
 * 4. System and user messages share a crowded packet by budget.
 * 5. The first broadcast after silence goes out at once instead of at the next tick.
 * 6. A push/pull that taught much is followed by another soon.
 * 7. A member that left stays known for a quarter of an hour (`prober.ts`).
 * 8. Members are found for probes and gossip whenever there are eligible ones.
 */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { formatEndpoint, ipFromBytes, ipToBytes, type Endpoint } from "../base/endpoint.ts";
import type { Random } from "../base/random.ts";
import { decodePacketMessage, encodeAck, encodeUser } from "../wire/gossip-codec.ts";
import { MessageType, type PacketMessage, type Ping } from "../wire/gossip-messages.ts";
import type { AdoptedMember, AdoptedMembers } from "./adopted-members.ts";
import { Awareness } from "./awareness.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";
import { count, isAllowedFrom, log, type Core } from "./core.ts";
import { Exchanges, type SyncPurpose } from "./exchanges.ts";
import { Gossiper } from "./gossiper.ts";
import { Joiner } from "./joiner.ts";
import { MemberRecords } from "./member-records.ts";
import { MemberTable, StateCode } from "./member-table.ts";
import { Membership } from "./membership.ts";
import { KnownSort, Repeat, type KnownMessage } from "./messages.ts";
import { Outbox } from "./outbox.ts";
import { PendingReplies, replyDone } from "./pending-replies.ts";
import { pickMembers } from "./pick.ts";
import { Prober } from "./prober.ts";
import { Relays } from "./relays.ts";
import { Suspicions } from "./suspicion.ts";
import { SyncSchedule } from "./sync-schedule.ts";
import { retransmitFloor } from "./timing.ts";
import type { RequestId, SwimConfig, SwimDelegate, SwimEffect, SwimInput, SwimMember } from "./types.ts";

/** Longest metadata that a member may announce, in bytes. */
export const META_BYTES_MAX = 512;
/** A wake this much later than asked for is a pause of our own process, in ms; below it, timers of a busy machine jitter. */
export const PAUSE_MS_MIN = 100;

/** No slot: nobody is left out of a choice. */
const NOBODY = -1;

export class Swim<Out> {
  readonly #core: Core;
  readonly #outbox: Outbox;
  readonly #suspicions = new Suspicions();
  readonly #membership: Membership;
  readonly #prober: Prober;
  readonly #relays: Relays;
  readonly #gossiper: Gossiper;
  readonly #exchanges: Exchanges;
  readonly #syncs: SyncSchedule;
  readonly #joiner: Joiner;
  readonly #pending = new PendingReplies();
  readonly #picked: number[] = [];
  /** When we expected the driver back at the latest. */
  #expectedAtMs = Infinity;
  #leaveRequested = false;
  /** The earliest of our timers, and whether none may have moved since it was looked for: most inputs are pings, which move none. */
  #timersAtMs = Infinity;
  #areTimersRead = false;
  /** The same of those that neither acks nor accusations move. */
  #othersAtMs = Infinity;
  #areOthersRead = false;

  /**
   * Enters ourselves with incarnation 1. `records` may be shared by nodes of one process. Effects of `SwimEffect` and of the
   * delegate's own kind go to the same `out`.
   */
  constructor(
    config: SwimConfig,
    random: Random,
    delegate: SwimDelegate<Out | SwimEffect>,
    nowMs: number,
    out: (Out | SwimEffect)[],
    records: MemberRecords = new MemberRecords(),
  ) {
    const { profile } = config;
    const table = new MemberTable(records);
    this.#core = {
      config,
      random,
      delegate,
      records,
      table,
      awareness: new Awareness(profile.awarenessMaxMultiplier),
      broadcasts: new BroadcastQueue(
        profile.retransmitMult,
        () => table.size,
        (nodes) => retransmitFloor(nodes, profile.gossipNodes, profile.retransmitMargin),
        records.messages,
        () => records.expected,
      ),
      selfAddr: ipToBytes(config.advertise.ip) ?? EMPTY_BYTES,
      selfSlot: -1,
      left: false,
      seq: 0,
    };
    const core = this.#core;
    this.#outbox = new Outbox(core);
    this.#membership = new Membership(core, this.#outbox, this.#suspicions);
    this.#exchanges = new Exchanges(core, this.#membership, {
      pingAnswered: (seq) => this.#prober.tcpAnswered(seq),
      syncEnded: (purpose, error, learned, at, effects) => this.#syncEnded(purpose, error, learned, at, effects),
      syncServed: (learned, at) => this.#syncs.served(learned, at),
    });
    this.#prober = new Prober(core, this.#membership, this.#outbox, this.#exchanges, nowMs);
    this.#relays = new Relays(core, this.#outbox);
    this.#gossiper = new Gossiper(core, this.#outbox, nowMs);
    this.#joiner = new Joiner(core, this.#exchanges);
    this.#syncs = new SyncSchedule(profile, random, () => table.size, nowMs);
    this.#announce(config.meta, 0, nowMs, out as SwimEffect[]);
  }

  /** When the next `wake` is due, in ms of the clock given to `step`; in the past when something waits to be said after silence. A late wake is safe. */
  get wakeAtMs(): number {
    if (!this.#areTimersRead) this.#readTimers();
    return Math.min(this.#timersAtMs, this.#gossiper.nextAtMs);
  }

  /** Reads what each message and each round of gossip looks at: see `serf/pool-touch.ts`. */
  touch(): number {
    return this.#expectedAtMs + this.#timersAtMs + this.#core.broadcasts.finished.length + (this.#leaveRequested ? 1 : 0);
  }

  /** What the parts share; for `serf/pool-touch.ts`. */
  get core(): Core {
    return this.#core;
  }

  /** All but the gossip timer, which wakes and sleeps with queues that the layer above fills too. */
  #readTimers(): void {
    if (!this.#areOthersRead) {
      this.#othersAtMs = Math.min(this.#relays.nextAtMs, this.#exchanges.nextAtMs, this.#pending.nextAtMs, this.#syncs.nextAtMs);
      this.#areOthersRead = true;
    }
    this.#timersAtMs = Math.min(this.#othersAtMs, this.#prober.nextAtMs, this.#suspicions.nextAtMs);
    this.#areTimersRead = true;
  }

  /** Any timer may move. */
  #forgetTimers(): void {
    this.#areTimersRead = false;
    this.#areOthersRead = false;
  }

  /**
   * Applies one input. Effects are in the order to run them. Never throws on what a peer sent. True when the input was a message that is
   * settled now: a further copy would change nothing, so whoever drives us may drop it unseen (`wire/repeat-filter.ts`).
   */
  step(input: SwimInput, nowMs: number, out: (Out | SwimEffect)[]): boolean {
    const effects = out as SwimEffect[]; // The machine only adds; what the caller's array may hold beyond that is its delegate's.
    this.#noticePause(nowMs);
    if (input.kind !== "wake" && input.kind !== "message") this.#forgetTimers();
    let settled = false;
    switch (input.kind) {
      case "wake":
        this.#wake(nowMs, effects);
        break;
      case "message":
        settled = this.#receive(input.bytes, input.from, input.known ?? null, nowMs, effects);
        break;
      case "streamOpened":
        this.#exchanges.opened(input.stream, nowMs, effects);
        break;
      case "streamMessage":
        this.#exchanges.message(input.stream, input.bytes, input.state ?? null, input.from, nowMs, effects);
        break;
      case "streamFailed":
        this.#exchanges.failed(input.stream, input.error, nowMs, effects);
        break;
      case "join":
        this.#joiner.start(input.request, input.targets, nowMs, effects);
        break;
      case "leave":
        this.#leave(input.request, input.timeoutMs, nowMs, effects);
        break;
      case "updateMeta":
        this.#updateMeta(input.request, input.meta, input.timeoutMs, nowMs, effects);
        break;
    }
    this.#settle(effects);
    this.#expectedAtMs = Math.max(nowMs, this.wakeAtMs);
    return settled;
  }

  /**
   * As `step`, for user events of one datagram that nodes of this process share, one after the other. The delegate's part is as in `step`; what a
   * step looks at besides is looked at once.
   */
  stepKnownEvents(messages: readonly KnownMessage[], from: Endpoint, nowMs: number, out: (Out | SwimEffect)[]): void {
    const effects = out as SwimEffect[];
    this.#noticePause(nowMs);
    const isAllowed = isAllowedFrom(this.#core, from);
    for (let i = 0; i < messages.length; i += 1) {
      if (isAllowed) this.#core.delegate.knownEvent(messages[i] as KnownMessage, nowMs, effects);
      else count("memberlist.drop.address", effects);
    }
    this.#settle(effects);
    this.#expectedAtMs = Math.max(nowMs, this.wakeAtMs);
  }

  /** Members without allocation; see `MemberTableView`. */
  get table(): MemberTable {
    return this.#core.table;
  }

  /** Views of all known members, whatever their state, in no particular order. */
  members(): SwimMember[] {
    const { table } = this.#core;
    const views: SwimMember[] = [];
    for (let row = 0; row < table.size; row += 1) views.push(table.view(table.slotAt(row)));
    return views;
  }

  member(name: string): SwimMember | null {
    const slot = this.#core.table.slotOf(name);
    return slot < 0 ? null : this.#core.table.view(slot);
  }

  /** Members that are alive or suspect, ourselves included: what Serf calls alive when it sizes a query. */
  get aliveCount(): number {
    return this.#core.table.livingCount;
  }

  /** Known members of every state. */
  get nodeCount(): number {
    return this.#core.table.size;
  }

  /** 0 is healthy. */
  get healthScore(): number {
    return this.#core.awareness.score;
  }

  /** Broadcasts of SWIM's own that wait to be gossiped. */
  get queuedBroadcasts(): number {
    return this.#core.broadcasts.length;
  }

  /** Members of each state, for metrics. */
  get stateCounts(): { readonly alive: number; readonly suspect: number; readonly dead: number; readonly left: number } {
    const { table } = this.#core;
    return {
      alive: table.countOf(StateCode.alive),
      suspect: table.countOf(StateCode.suspect),
      dead: table.countOf(StateCode.dead),
      left: table.countOf(StateCode.left),
    };
  }

  /** Sends a message of the layer above straight to somebody, as one datagram with nothing else in it. */
  sendUser(to: Endpoint, payload: Uint8Array, out: (Out | SwimEffect)[]): void {
    this.#outbox.sendBare(to, [encodeUser(payload)], false, out as SwimEffect[]);
  }

  /** Takes over the members as known to everybody for long: nothing is said or asked about them. For a simulation that starts converged. */
  adopt(members: AdoptedMembers): void {
    const { table, random, broadcasts } = this.#core;
    table.adopt(members, random);
    broadcasts.prune(0);
    broadcasts.finished.length = 0;
  }

  /** Ourselves, as the shared records name us. */
  get self(): AdoptedMember {
    const { table, selfSlot } = this.#core;
    return { slot: selfSlot, variant: table.variant(selfSlot), incarnation: table.incarnation(selfSlot) };
  }

  /** Lets go of the shared records; the machine must not be used afterwards. For a node that ends while others of its process go on. */
  close(): void {
    this.#core.table.close();
    this.#core.broadcasts.close();
  }

  /** Asks for a push/pull soon: the layer above knows that it misses something. At most one per `earlySyncMs`. */
  requestSync(nowMs: number): void {
    this.#forgetTimers();
    this.#syncs.request(nowMs);
  }

  /** Something waits for the next round of gossip, which is at most an interval away. */
  get isGossiping(): boolean {
    return this.#gossiper.nextAtMs !== Infinity;
  }

  /** A wake now could at most be a round of gossip, as four of five are: no other timer needs to be looked at. */
  isOnlyGossipDue(nowMs: number): boolean {
    return this.#areTimersRead && this.#timersAtMs > nowMs;
  }

  #wake(nowMs: number, out: SwimEffect[]): void {
    if (this.isOnlyGossipDue(nowMs)) {
      this.#gossiper.wake(nowMs, out);
      return;
    }
    const areOthersDue = !this.#areOthersRead || this.#othersAtMs <= nowMs;
    if (areOthersDue) {
      this.#relays.wake(nowMs, out);
      this.#exchanges.wake(nowMs, out);
    }
    const isOnlyBegun = this.#prober.wake(nowMs, out);
    // After the prober, whose verdict may be the last confirmation that a suspicion waits for.
    this.#membership.expireSuspicions(nowMs, out);
    if (areOthersDue) {
      if (this.#syncs.due(nowMs)) this.#sync(nowMs, out);
      this.#pending.wake(nowMs, out);
    }
    this.#gossiper.wake(nowMs, out);
    if (areOthersDue || !isOnlyBegun) this.#forgetTimers();
    else this.#areTimersRead = false;
  }

  /** After a pause of our own, acks and refutations wait in our socket: whoever we judge gets the lost time back. */
  #noticePause(nowMs: number): void {
    const lateMs = nowMs - this.#expectedAtMs;
    if (lateMs < PAUSE_MS_MIN) return;
    const { probeTimeoutMs, forgivesPauses } = this.#core.config.profile;
    if (!forgivesPauses) return;
    this.#forgetTimers();
    // What was due at the very moment we fell asleep needs some time too: the socket is read after this step.
    const graceMs = Math.min(lateMs, probeTimeoutMs);
    this.#prober.postpone(lateMs + graceMs);
    this.#suspicions.postpone(lateMs + graceMs, nowMs);
    if (lateMs >= probeTimeoutMs) this.#core.awareness.apply(1);
  }

  #settle(out: SwimEffect[]): void {
    const { finished } = this.#core.broadcasts;
    if (finished.length === 0) return;
    this.#forgetTimers();
    for (const token of finished) this.#pending.finished(token, out);
    finished.length = 0;
  }

  // Datagrams

  /** Whether the message would change anything, whoever it came from. */
  judgeRepeat(known: KnownMessage): Repeat {
    const { sort, slot, time } = known;
    if (slot >= 0) {
      // Nearly all the gossip of a storm of joins ends here, and is judged from a few numbers.
      if (sort === KnownSort.alive && slot !== this.#core.selfSlot && this.#core.table.holds(slot, known.variant, time)) return Repeat.lasting;
      if (sort === KnownSort.join) return this.#core.delegate.judgeRepeat(known);
    }
    const { message } = known;
    switch (message?.kind) {
      case "alive":
        return slot >= 0 && this.#membership.isIdleAlive(slot, known.variant, message) ? Repeat.lasting : Repeat.no;
      case "suspect":
        return slot >= 0 && this.#membership.isIdleSuspect(slot, message) ? this.#membership.howLongIdle(slot, message) : Repeat.no;
      case "dead":
        return slot >= 0 && this.#membership.isIdleDead(slot, message) ? this.#membership.howLongIdle(slot, message) : Repeat.no;
      case "user":
        return this.#core.delegate.judgeRepeat(known);
      default:
        return Repeat.no;
    }
  }

  #receive(bytes: Uint8Array, from: Endpoint, given: KnownMessage | null, nowMs: number, out: SwimEffect[]): boolean {
    if (!isAllowedFrom(this.#core, from)) {
      count("memberlist.drop.address", out);
      return false;
    }
    const known = given !== null && given.message !== null && given.number >= 0 ? given : null;
    // What comes by the ten thousand is looked at where it lies.
    if (known === null && bytes[0] === MessageType.user) return this.#core.delegate.userMessage(bytes, 1, from, nowMs, out);
    const decoded = known?.message === undefined ? decodePacketMessage(bytes) : null;
    if (decoded?.ok === false) {
      count("memberlist.drop.undecodable", out);
      log(this.#core, "err", `${decoded.error} from=${formatEndpoint(from)}`, out);
      return false;
    }
    const message = (decoded?.value ?? known?.message) as PacketMessage;
    switch (message.kind) {
      case "ping":
        this.#answerPing(message, from, out);
        return false;
      case "indirectPing":
        this.#forgetTimers();
        this.#relays.start(message, answerTo(message.sourceAddr, message.sourcePort, from), nowMs, out);
        return false;
      case "ack":
        this.#areTimersRead = false;
        if (!this.#prober.ack(message.seq, message.payload, nowMs, out)) this.#relayAck(message.seq, out);
        return false;
      case "nack":
        if (!this.#prober.nack(message.seq)) count("memberlist.drop.lateAck", out);
        return false;
      case "suspect":
        this.#areTimersRead = false;
        this.#membership.suspect(message, nowMs, out, known);
        return known === null && this.#membership.isSettledSuspect(message);
      case "alive": {
        this.#areTimersRead = false;
        const claim = message.port === 0 ? { ...message, port: this.#core.config.bindPort } : message;
        this.#membership.alive(claim, false, 0, nowMs, out, claim === message ? known : null);
        return known === null && this.#membership.isSettledAlive(claim); // Whoever knows it asks `judgeRepeat`.
      }
      case "dead":
        this.#areTimersRead = false;
        this.#membership.dead(message, 0, nowMs, out, known);
        return known === null && this.#membership.isSettledDead(message);
      case "user":
        return this.#core.delegate.userMessage(message.payload, 0, from, nowMs, out, known);
    }
  }

  #relayAck(seq: number, out: SwimEffect[]): void {
    this.#forgetTimers();
    if (!this.#relays.ack(seq, out)) count("memberlist.drop.lateAck", out);
  }

  #answerPing({ node, seq, sourceAddr, sourcePort }: Ping, from: Endpoint, out: SwimEffect[]): void {
    if (node !== "" && node !== this.#core.config.name) {
      log(this.#core, "warn", `Got ping for unexpected node '${node}' from=${formatEndpoint(from)}`, out);
      count("memberlist.drop.pingForOther", out);
      return;
    }
    this.#outbox.send(answerTo(sourceAddr, sourcePort, from), encodeAck({ seq, payload: this.#core.delegate.ackPayload() }), out);
  }

  // Push/pull

  /** One push/pull with a random member. */
  #sync(nowMs: number, out: SwimEffect[]): void {
    pickMembers(this.#core, "alive", 1, NOBODY, nowMs, this.#picked);
    const slot = this.#picked[0];
    if (slot === undefined) return;
    const { name, endpoint } = this.#core.table.record(slot);
    log(this.#core, "debug", `Initiating push/pull sync with: ${name} ${formatEndpoint(endpoint)}`, out);
    this.#exchanges.sync(endpoint, null, nowMs, out);
  }

  #syncEnded({ contact, to }: SyncPurpose, error: string | null, learned: number, nowMs: number, out: SwimEffect[]): void {
    if (error === null) this.#syncs.ended(learned, nowMs);
    if (contact === null) {
      if (error !== null) log(this.#core, "err", `Push/Pull with ${formatEndpoint(to)} failed: ${error}`, out);
    } else if (error === null) this.#joiner.succeeded(contact, nowMs, out);
    else this.#joiner.failed(contact, error, nowMs, out);
  }

  // Commands

  /** Enters ourselves, or a change of ourselves; true when a broadcast was queued. */
  #announce(meta: Uint8Array, token: number, nowMs: number, out: SwimEffect[]): boolean {
    const { config, selfAddr } = this.#core;
    const { name, advertise, versions } = config;
    const claim = { node: name, incarnation: this.#membership.nextIncarnation(), addr: selfAddr, port: advertise.port, meta, versions };
    return this.#membership.alive(claim, true, token, nowMs, out);
  }

  #leave(request: RequestId, timeoutMs: number, nowMs: number, out: SwimEffect[]): void {
    const core = this.#core;
    if (this.#leaveRequested) {
      replyDone(request, [], out);
      return;
    }
    this.#leaveRequested = true;
    core.left = true;
    const { name } = core.config;
    const token = this.#pending.token();
    const waits = this.#membership.anyOther;
    const accusation = { node: name, incarnation: core.table.incarnation(core.selfSlot), from: name };
    const queued = this.#membership.dead(accusation, token, nowMs, out);
    if (waits && queued) this.#pending.wait(token, { request, timeoutError: "timeout waiting for leave broadcast" }, nowMs + timeoutMs);
    else replyDone(request, [], out);
  }

  #updateMeta(request: RequestId, meta: Uint8Array, timeoutMs: number, nowMs: number, out: SwimEffect[]): void {
    if (meta.length > META_BYTES_MAX) {
      replyDone(request, [`node metadata exceeds the limit of ${META_BYTES_MAX} bytes`], out);
      return;
    }
    const token = this.#pending.token();
    const waits = this.#membership.anyOther;
    const queued = this.#announce(meta, token, nowMs, out);
    const timeoutError = "timeout waiting for update broadcast";
    if (!queued) replyDone(request, [timeoutError], out);
    else if (waits) this.#pending.wait(token, { request, timeoutError }, nowMs + timeoutMs);
    else replyDone(request, [], out);
  }
}

/** Where an answer goes: the source named in the message, else the sender of the datagram. */
function answerTo(sourceAddr: Uint8Array | null, sourcePort: number, from: Endpoint): Endpoint {
  if (sourceAddr === null || sourceAddr.length === 0 || sourcePort === 0) return from;
  const ip = ipFromBytes(sourceAddr);
  return ip === "" ? from : { ip, port: sourcePort };
}
