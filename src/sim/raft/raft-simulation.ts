/**
 * A Raft cluster in virtual time: production cores, one agenda of events, all randomness from one seed. The driver below does what the
 * contract of `src/raft/types.ts` asks of one; checkers look at every effect.
 */
import { assert } from "../../base/assert.ts";
import { SeededRandom, chance } from "../../base/random.ts";
import type { AfterDurable, CallFailure, RaftEffect, RaftInput, RaftReply, RaftTiming, SendEffect, SnapshotMeta } from "../../raft/types.ts";
import type { RaftConfiguration } from "../../wire/raft-messages.ts";
import { EventQueue } from "../event-queue.ts";
import { TraceHash } from "../trace-hash.ts";
import { SimKv, encodeState, type KvState } from "./kv.ts";
import { RaftNetwork, type Call } from "./raft-network.ts";
import { RaftSafety, demand, nodeOf } from "./raft-safety.ts";
import { RaftServer, simTiming, type CreateRaft } from "./raft-server.ts";

/** What the driver may do wrong, to see that a checker notices. */
export type DriverMistake = "voteNotPersisted" | "ackBeforeDurable" | "movingSnapshot";

export interface RaftSimOptions {
  readonly seed: number;
  readonly nodes: number;
  /** `raft_multiplier`. */
  readonly multiplier: number;
  readonly create: CreateRaft;
  readonly mistake: DriverMistake | null;
  /** A line for each step; null: none. */
  readonly trace: ((line: string) => void) | null;
}

const EVENT = { wake: 0, request: 1, response: 2, failed: 3, timeout: 4, commit: 5, input: 6, connectionClosed: 7, channelClosed: 8, task: 9 } as const;

interface Delayed {
  readonly life: number;
  readonly input: RaftInput;
}

const COMMIT_MIN_US = 150;
const COMMIT_SPREAD_US = 4000;
const TASK_SPREAD_US = 30_000;
const STREAM_SPREAD_US = 400_000;
/** One of so many starts finds the newest snapshot damaged. */
const DAMAGED_SNAPSHOTS = 12;
const REPLY_NONE = 0;

export class RaftSimulation {
  readonly agenda = new EventQueue();
  readonly random: SeededRandom;
  readonly network: RaftNetwork;
  readonly servers: readonly RaftServer[];
  readonly safety: RaftSafety;
  readonly timing: RaftTiming;
  readonly trace = new TraceHash();
  readonly #mistake: DriverMistake | null;
  readonly #traceLine: ((line: string) => void) | null;
  readonly #replies = new Map<number, (reply: RaftReply, server: RaftServer) => void>();
  #lastRequest = REPLY_NONE;
  #snapshots = 0;
  readonly #out: RaftEffect[] = [];
  readonly counters = new Map<string, number>();
  /** Somebody was just elected. */
  onElected: (server: RaftServer) => void = () => {};
  /** A server has just applied something. */
  onApplied: (server: RaftServer) => void = () => {};
  /** A server has just synced its vote for another. */
  onVote: (server: RaftServer) => void = () => {};
  steps = 0;

  constructor(options: RaftSimOptions) {
    this.random = new SeededRandom(options.seed);
    this.network = new RaftNetwork(this.random.fork());
    this.timing = simTiming(options.multiplier);
    this.#mistake = options.mistake;
    this.#traceLine = options.trace;
    this.servers = Array.from({ length: options.nodes }, (_, node) => new RaftServer(node, this.timing, options.create, this.random.fork()));
    for (const server of this.servers) server.disk.forgetsVotes = options.mistake === "voteNotPersisted";
    this.safety = new RaftSafety(this.servers.map((server) => server.disk));
  }

  get nowUs(): number {
    return this.agenda.atUs;
  }

  /** Runs until the virtual time `untilUs`. */
  runUntil(untilUs: number): void {
    while (this.agenda.nextAtUs <= untilUs) {
      this.agenda.pop();
      this.#event();
    }
  }

  /** Does something at a virtual time. */
  at(atUs: number, task: () => void): void {
    this.agenda.push(Math.max(atUs, this.agenda.atUs), EVENT.task, 0, task);
  }

  start(node: number): void {
    const server = this.server(node);
    if (server.raft !== null) return;
    if (chance(this.random, 1, DAMAGED_SNAPSHOTS)) server.disk.damageNewestSnapshot();
    server.start();
    this.safety.restarted(node);
    if (server.disk.newestSnapshot !== null) this.safety.restored(node, server.disk.newestSnapshot.state, server.kv);
    this.#say(`start ${server.id}`);
    this.#input(server, { kind: "wake" });
  }

  kill(node: number): void {
    const server = this.server(node);
    if (server.raft === null) return;
    this.#say(`kill ${server.id}`);
    server.kill();
    this.closeConnections((from, to) => from === node || to === node);
  }

  /** Connections close, on both sides, unless the word does not get through. */
  closeConnections(which: (from: number, to: number) => boolean): void {
    for (const { id, from, to, channel } of this.network.close((connection) => which(connection.from, connection.to))) {
      const calls = this.network.callsOn(id);
      const delayUs = 100 + this.random.below(900);
      for (const call of calls) this.#fail(call, this.network.isCut(to, from) ? "timeout" : "closed", delayUs);
      if (!this.network.isCut(from, to)) this.agenda.push(this.nowUs + delayUs, EVENT.connectionClosed, to, id);
      if (!this.network.isCut(to, from)) this.agenda.push(this.nowUs + delayUs, EVENT.channelClosed, from, { life: this.server(from).life, peer: `n${to}`, channel });
    }
  }

  /** The others lose their connections with `node`; it notices nothing before its calls time out. */
  breakFor(node: number): void {
    for (const { id, from, to, channel } of this.network.close((connection) => connection.from === node || connection.to === node)) {
      for (const call of this.network.callsOn(id)) this.#fail(call, call.from === node ? "timeout" : "closed", call.from === node ? call.deadlineUs - this.nowUs : 0);
      if (from === node) this.agenda.push(this.nowUs, EVENT.connectionClosed, to, id);
      else this.agenda.push(this.nowUs, EVENT.channelClosed, from, { life: this.server(from).life, peer: `n${to}`, channel });
    }
  }

  server(node: number): RaftServer {
    return this.servers[node] as RaftServer;
  }

  /** A TimeoutNow of some earlier leader arrives, however late: an election at once, in which no lease counts. */
  timeoutNow(node: number): void {
    const header = { protocolVersion: 3, id: "", address: "" };
    this.#input(this.server(node), { kind: "request", call: this.network.nextCallId(), connection: 0, message: { kind: "timeoutNow", header } });
  }

  /** Gives a command to a server; `done` gets the reply, never when the process dies first. */
  command(node: number, make: (request: number) => RaftInput, done: (reply: RaftReply, server: RaftServer) => void): void {
    this.#lastRequest += 1;
    this.#replies.set(this.#lastRequest, done);
    this.#input(this.server(node), make(this.#lastRequest));
  }

  /** As `command` for several proposals at once. */
  propose(node: number, commands: readonly Uint8Array[], done: (reply: RaftReply, server: RaftServer, which: number) => void): void {
    const empty = new Uint8Array(0);
    const proposals = commands.map((data, which) => {
      this.#lastRequest += 1;
      this.#replies.set(this.#lastRequest, (reply, server) => done(reply, server, which));
      return { request: this.#lastRequest, type: 0, data, extensions: empty } as const;
    });
    this.#input(this.server(node), { kind: "propose", proposals });
  }

  forget(): void {
    this.#replies.clear();
  }

  #event(): void {
    const { kind, node, payload } = this.agenda;
    this.steps += 1;
    this.trace.word(kind * 64 + node);
    this.trace.number(this.agenda.atUs);
    if (kind === EVENT.task) return (payload as () => void)();
    const server = this.server(node);
    if (server.pausedUntilUs > this.nowUs && kind !== EVENT.commit && kind !== EVENT.timeout) {
      if (kind === EVENT.wake && payload !== server.wakeAtUs) return;
      if (kind === EVENT.wake) server.wakeAtUs = server.pausedUntilUs;
      this.agenda.push(server.pausedUntilUs, kind, node, kind === EVENT.wake ? server.pausedUntilUs : payload);
      return;
    }
    switch (kind) {
      case EVENT.wake:
        if (payload !== server.wakeAtUs) return;
        server.wakeAtUs = Infinity;
        return this.#input(server, { kind: "wake" });
      case EVENT.request:
        return this.#request(payload as Call);
      case EVENT.response:
        return this.#response(payload as Call);
      case EVENT.timeout:
        if (this.network.take((payload as Call).id) !== null) this.#fail(payload as Call, "timeout", 0);
        return;
      case EVENT.failed: {
        const { life, call, failure, error } = payload as Call;
        if (server.life === life) this.#input(server, { kind: "failed", call, failure: failure ?? "unreachable", error });
        return;
      }
      case EVENT.commit:
        return this.#commitDone(server, payload as number);
      case EVENT.input: {
        const { life, input } = payload as Delayed;
        if (server.life !== life) return;
        // Whatever the core appended meanwhile is refused, too: its log goes back to what is on disk.
        if (input.kind === "appendRefused") this.safety.restarted(node);
        return this.#input(server, input);
      }
      case EVENT.connectionClosed:
        return this.#input(server, { kind: "connectionClosed", connection: payload as number });
      case EVENT.channelClosed: {
        const { life, peer, channel } = payload as { life: number; peer: string; channel: SendEffect["channel"] };
        if (server.life !== life) return;
        if (channel === "heartbeat" || channel === "replication") server.closedAfter.set(nodeOf(peer), this.network.lastCallId);
        this.#input(server, { kind: "channelClosed", peer, channel });
        return this.safety.lease(server, this.nowUs);
      }
    }
  }

  #later(server: RaftServer, afterUs: number, input: RaftInput): void {
    this.agenda.push(this.nowUs + afterUs, EVENT.input, server.node, { life: server.life, input } satisfies Delayed);
  }

  #input(server: RaftServer, input: RaftInput): void {
    const { raft, life } = server;
    if (raft === null) return;
    const out = this.#out;
    out.length = 0;
    const preVote = input.kind === "request" && input.message.kind === "requestPreVote";
    const before = preVote ? raft.status(0) : null;
    server.step(input, this.nowUs, out);
    if (this.#traceLine !== null) this.#say(`${server.id} ${JSON.stringify(input, shorten)} -> ${out.map((effect) => JSON.stringify(effect, shorten)).join(" ")}`);
    if (before !== null) {
      const { term, role } = raft.status(0);
      // Who only asks for pre-votes itself may leave it to the other: that is no loss.
      const same = role === before.role || (before.role === "preCandidate" && role === "follower");
      demand(term === before.term && same, () => `pre-vote: one disturbed ${server.id}: ${before.role} of term ${before.term} became ${role} of ${term}`);
    }
    // Effects may lead to commands of clients, which step this or another core: take the array away first.
    const effects = out.splice(0);
    for (const effect of effects) if (server.life === life && server.raft !== null) this.#effect(server, effect);
    this.#planWake(server);
  }

  #planWake(server: RaftServer): void {
    if (server.raft === null) return;
    const dueMs = server.raft.wakeAtMs;
    if (dueMs === Infinity) return;
    const dueUs = Math.max(this.nowUs, dueMs === -Infinity ? this.nowUs : server.clock.virtualUs(dueMs));
    if (dueUs >= server.wakeAtUs) return;
    server.wakeAtUs = dueUs;
    this.agenda.push(dueUs, EVENT.wake, server.node, dueUs);
  }

  #effect(server: RaftServer, effect: RaftEffect): void {
    switch (effect.kind) {
      case "append":
        this.safety.appended(server.node, effect);
        if (!server.disk.enqueue(effect)) return;
        if (this.#mistake === "ackBeforeDurable") {
          for (const after of effect.afterDurable) this.#afterDurable(server, after);
          this.#later(server, 0, { kind: "durable", seq: effect.seq });
        }
        if (server.disk.writing.length === 0) this.#beginCommit(server);
        return;
      case "compact":
        return server.disk.compact(effect.upTo);
      case "readLog": {
        const { read, from, to, bytesMax } = effect;
        return this.#later(server, this.random.below(TASK_SPREAD_US), { kind: "logRead", read, entries: server.disk.read(from, to, Math.min(bytesMax, 4096)) });
      }
      case "send":
      case "answer":
        return this.#afterDurable(server, effect);
      case "receiveSnapshot":
        return this.#receiveSnapshot(server, effect.call, effect.message.lastLogIndex);
      case "dialCheck":
        return this.#dial(server, effect.call, nodeAt(effect.to.address), effect.timeoutMs);
      case "forgetPeer":
        return;
      case "apply":
        for (const entry of effect.entries) {
          this.safety.applies(server.node, server.kv, entry);
          server.kv.apply(entry);
          this.safety.applied(server.node, server.kv);
        }
        this.onApplied(server);
        return this.#later(server, this.random.below(TASK_SPREAD_US), { kind: "applied", index: server.kv.index });
      case "takeSnapshot":
        return this.#takeSnapshot(server, effect);
      case "restore": {
        const stored = server.disk.snapshot(effect.meta.id);
        assert(stored !== null, "a snapshot that is to be restored is in the store");
        this.safety.snapshot(server.node, stored.state, effect.meta.index);
        server.kv = new SimKv(stored.state);
        this.safety.restored(server.node, stored.state, server.kv);
        return this.#later(server, this.random.below(TASK_SPREAD_US), { kind: "restored", index: effect.meta.index });
      }
      case "reply": {
        const done = this.#replies.get(effect.request);
        this.#replies.delete(effect.request);
        return done?.(effect.result, server);
      }
      case "roleChanged":
        this.trace.word(effect.term);
        if (effect.role !== "leader") return;
        this.#count("elections");
        this.safety.elected(server.node, effect.term, (server.raft as NonNullable<typeof server.raft>).status(0).lastIndex);
        return this.onElected(server);
      case "count":
        return this.#count(effect.name);
      case "configurationChanged":
      case "log":
      case "sample":
        return;
    }
  }

  #count(name: string): void {
    this.counters.set(name, (this.counters.get(name) ?? 0) + 1);
  }

  #beginCommit(server: RaftServer): void {
    const refused = server.disk.beginCommit();
    if (refused > 0) return this.#later(server, 100, { kind: "appendRefused", seq: refused, error: "no space" });
    const tookUs = COMMIT_MIN_US + this.random.below(COMMIT_SPREAD_US);
    const doneUs = Math.max(this.nowUs + tookUs, server.stalledUntilUs);
    this.agenda.push(doneUs, EVENT.commit, server.node, server.life);
  }

  #commitDone(server: RaftServer, life: number): void {
    if (server.life !== life || server.raft === null) return;
    if (server.stalledUntilUs > this.nowUs) {
      this.agenda.push(server.stalledUntilUs, EVENT.commit, server.node, life);
      return;
    }
    const done = server.disk.endCommit();
    if (server.disk.hasQueued) this.#beginCommit(server);
    const seq = done.at(-1)?.seq ?? 0;
    if (this.#mistake === "ackBeforeDurable") return;
    for (const append of done) for (const after of append.afterDurable) this.#afterDurable(server, after);
    if (server.pausedUntilUs > this.nowUs) this.#later(server, server.pausedUntilUs - this.nowUs, { kind: "durable", seq });
    else this.#input(server, { kind: "durable", seq });
    if (done.some(({ hardState }) => hardState !== null && hardState.lastVoteTerm === hardState.currentTerm && hardState.lastVoteCandidate !== server.address)) this.onVote(server);
  }

  #afterDurable(server: RaftServer, effect: AfterDurable): void {
    if (effect.kind === "send") return this.#send(server, effect);
    const call = this.network.call(effect.call);
    if (call === null || call.to !== server.node) return;
    call.response = effect.message;
    call.error = effect.error;
    const delayUs = this.network.delayUs(call.to, call.from);
    if (delayUs !== null) this.agenda.push(this.nowUs + delayUs, EVENT.response, call.from, call);
    if (delayUs === null || this.nowUs + delayUs > call.deadlineUs) this.#awaitTimeout(call);
  }

  #send(server: RaftServer, effect: SendEffect): void {
    const to = nodeAt(effect.to.address);
    const connection = this.network.connect(server.node, to, effect.channel);
    const id = this.network.nextCallId();
    const deadlineUs = this.nowUs + effect.timeoutMs * 1000;
    const { call, channel, message, snapshotId } = effect;
    const sent: Call = { id, from: server.node, life: server.life, to, call, channel, message, snapshotId, deadlineUs, connection, response: null, error: "", failure: null };
    this.network.add(sent);
    const delayUs = this.network.delayUs(server.node, to);
    if (delayUs !== null) this.agenda.push(this.nowUs + delayUs, EVENT.request, to, sent);
    if (delayUs === null || this.nowUs + delayUs > deadlineUs) this.#awaitTimeout(sent);
  }

  #awaitTimeout(call: Call): void {
    this.agenda.push(Math.max(this.nowUs, call.deadlineUs), EVENT.timeout, call.from, call);
  }

  #request(call: Call): void {
    const server = this.server(call.to);
    // One that timed out may still arrive, but not on a connection that has closed.
    if (call.failure === "closed") return;
    if (this.network.isCut(call.from, call.to)) return this.#awaitTimeout(call);
    if (server.raft === null) {
      if (this.network.take(call.id) !== null) this.#fail(call, "refused", this.network.delayUs(call.to, call.from) ?? call.deadlineUs - this.nowUs);
      return;
    }
    this.trace.word(call.call);
    this.#input(server, { kind: "request", call: call.id, connection: call.connection, message: call.message });
    // Not answered at once: the disk may take long.
    if (call.response === null && call.error === "" && this.network.call(call.id) !== null) this.#awaitTimeout(call);
  }

  #response(call: Call): void {
    const server = this.server(call.from);
    if (this.network.take(call.id) === null || server.life !== call.life) return;
    if (call.response === null) return this.#fail(call, "error", 0);
    if (call.id > (server.closedAfter.get(call.to) ?? Infinity)) server.closedAfter.delete(call.to);
    this.#input(server, { kind: "response", call: call.call, message: call.response });
  }

  #fail(call: Call, failure: CallFailure, afterUs: number): void {
    call.failure = failure;
    this.agenda.push(this.nowUs + Math.max(0, afterUs), EVENT.failed, call.from, call);
  }

  #dial(server: RaftServer, call: number, to: number, timeoutMs: number): void {
    if (this.network.rejecting.has(to)) return this.#later(server, 100, { kind: "dialed", call, outcome: "refused" });
    const thereUs = this.network.delayUs(server.node, to);
    const backUs = this.network.delayUs(to, server.node);
    if (thereUs === null || backUs === null) return this.#later(server, timeoutMs * 1000, { kind: "dialed", call, outcome: "unknown" });
    const { life } = server;
    this.at(this.nowUs + thereUs, () => {
      const outcome = this.server(to).raft === null ? "refused" : "connected";
      if (server.life === life) this.#later(server, backUs, { kind: "dialed", call, outcome });
    });
  }

  #takeSnapshot(server: RaftServer, { index, term, configuration, configurationIndex }: { index: number; term: number; configuration: RaftConfiguration; configurationIndex: number }): void {
    const moving = server.kv;
    const held = moving.hold();
    const { life } = server;
    this.at(this.nowUs + this.random.below(STREAM_SPREAD_US), () => {
      if (server.life !== life || server.raft === null) return;
      if (chance(this.random, 1, 50)) return this.#input(server, { kind: "snapshotFailed", error: "injected" });
      const state: KvState = encodeState(this.#mistake === "movingSnapshot" ? { ...moving.hold(), index } : held);
      this.safety.snapshot(server.node, state, index);
      this.#snapshots += 1;
      const meta: SnapshotMeta = { id: `${term}-${index}-${this.#snapshots}`, index, term, configuration, configurationIndex, size: 64 };
      server.disk.store({ meta, state, alone: false });
      this.#count("snapshots");
      this.#input(server, { kind: "snapshotTaken", meta });
    });
  }

  #receiveSnapshot(server: RaftServer, id: number, index: number): void {
    const call = this.network.call(id);
    const source = call === null ? null : this.server(call.from).disk.snapshot(call.snapshotId);
    const { life } = server;
    this.at(this.nowUs + this.random.below(STREAM_SPREAD_US), () => {
      if (server.life !== life || server.raft === null) return;
      const broken = call === null || source === null || this.network.call(id) === null || this.network.isCut(call.from, server.node) || chance(this.random, 1, 20);
      if (broken) return this.#input(server, { kind: "snapshotReceived", call: id, meta: null, error: "stream broke" });
      assert(source.meta.index === index, "the stream is the one announced");
      this.#snapshots += 1;
      const meta = { ...source.meta, id: `${source.meta.term}-${index}-${this.#snapshots}` };
      server.disk.store({ meta, state: source.state, alone: true });
      this.#count("installations");
      this.#input(server, { kind: "snapshotReceived", call: id, meta, error: "" });
    });
  }

  #say(line: string): void {
    this.#traceLine?.(`${(this.nowUs / 1e6).toFixed(6)} ${line}`);
  }
}

function nodeAt(address: string): number {
  return Number(address.slice("10.0.0.".length, address.indexOf(":"))) - 1;
}

function shorten(key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return `${value.length}B`;
  if (key === "header" || key === "configuration" || key === "extensions") return undefined;
  return value;
}
