/**
 * The leader's side of replication: brings each follower's log up to ours, pipelined and in batches, by snapshot where the entries are
 * gone; and the heartbeats, which say that we lead and prove that we still do.
 */
import { assert } from "../base/assert.ts";
import { encodeConfiguration } from "../wire/raft-configuration.ts";
import type { AppendEntriesResponse, InstallSnapshotResponse, LogEntry, RaftResponse, RaftServer } from "../wire/raft-messages.ts";
import { voters } from "./configuration.ts";
import type { Context } from "./context.ts";
import { takeEntries } from "./log.ts";
import { Progress } from "./progress.ts";
import { reachedByQuorum } from "./quorum.ts";
import type { CallFailure, Channel, OutgoingCall } from "./types.ts";

/** Bytes of entries read from disk for one follower at a time. */
export const READ_AHEAD_BYTES_MAX = 1_048_576;
/** A request that carries entries may take this long: the originals' transport timeout. */
export const REPLICATION_TIMEOUT_MS = 10_000;
/** A heartbeat follows after a random part of [T, 2T) of the heartbeat timeout divided by this. */
const HEARTBEAT_DIVISOR = 10;

export interface ReplicatorHost {
  /** A peer has a newer term: we lead no longer. */
  newerTerm(term: number): void;
  /** A follower matched more, or confirmed that we lead. */
  progressed(): void;
}

interface Sent {
  readonly peer: Progress;
  readonly kind: "heartbeat" | "append" | "snapshot";
  readonly epoch: number;
  readonly round: number;
  readonly sentMs: number;
  readonly prevIndex: number;
  /** What a success makes the follower match. */
  readonly lastIndex: number;
  readonly commit: number;
}

export class Replicator {
  readonly #context: Context;
  readonly #host: ReplicatorHost;
  readonly #peers = new Map<string, Progress>();
  readonly #calls = new Map<OutgoingCall, Sent>();
  /** Counts checks of our leadership; a request carries the newest one. */
  #round = 0;

  constructor(context: Context, host: ReplicatorHost) {
    this.#context = context;
    this.#host = host;
  }

  get peers(): Iterable<Progress> {
    return this.#peers.values();
  }

  peer(id: string): Progress | null {
    return this.#peers.get(id) ?? null;
  }

  start(): void {
    this.#round = 0;
    this.followConfiguration();
  }

  stop(): void {
    this.#peers.clear();
    this.#calls.clear();
  }

  /** Peers as the latest configuration has them; who leaves is served until it knows. */
  followConfiguration(): void {
    const { index, configuration } = this.#context.configurations.latest;
    for (const server of configuration.servers) if (server.id !== this.#context.config.id) this.#follow(server);
    for (const peer of this.#peers.values()) {
      if (configuration.servers.some((server) => server.id === peer.server.id)) peer.departsWith = 0;
      else if (peer.departsWith === 0) {
        peer.departsWith = index;
        peer.departsAtMs = this.#context.nowMs + 2 * this.#context.config.timing.electionTimeoutMs;
      }
    }
  }

  #follow(server: RaftServer): void {
    const known = this.#peers.get(server.id);
    if (known === undefined) {
      this.#context.say("info", `added peer, starting replication: peer=${server.id}`);
      this.#peers.set(server.id, new Progress(server, this.#context.log.lastIndex + 1, this.#context.nowMs));
      return;
    }
    if (known.server.address !== server.address) {
      this.#context.out.push({ kind: "forgetPeer", peer: { id: server.id, address: known.server.address } });
      known.restart(known.matchIndex + 1);
      known.heartbeatCall = 0;
      known.voidLease(this.#context.nextCall());
    }
    known.server = server;
    known.departsAtMs = Infinity;
  }

  /** The largest index that a majority of voters has on disk. */
  get matchedByQuorum(): number {
    return this.#overVoters((peer) => peer.matchIndex, this.#context.writes.durableIndex);
  }

  /** The newest check of our leadership that a majority has confirmed. */
  get confirmedRound(): number {
    return this.#overVoters((peer) => peer.round, this.#round);
  }

  /** A majority will not elect another for a while from here on, in ms. */
  get leaseFromMs(): number {
    return this.#overVoters((peer) => peer.leaseFromMs, this.#context.nowMs);
  }

  /** When we last had heard of a majority, in ms. */
  get heardByQuorumMs(): number {
    return this.#overVoters((peer) => peer.heardMs, this.#context.nowMs);
  }

  #overVoters(ofPeer: (peer: Progress) => number, own: number): number {
    const values: number[] = [];
    for (const { id } of voters(this.#context.configurations.latest.configuration)) {
      const peer = this.#peers.get(id);
      values.push(id === this.#context.config.id ? own : peer === undefined ? 0 : ofPeer(peer));
    }
    return reachedByQuorum(values);
  }

  /** Begins a check that we still lead; `confirmedRound` reaches the number it gives. */
  newRound(): number {
    this.#round += 1;
    for (const peer of this.#peers.values()) {
      if (peer.heartbeatCall === 0) this.#heartbeat(peer);
      else peer.heartbeatAgain = true;
    }
    return this.#round;
  }

  /** There are new entries. */
  replicateAll(): void {
    for (const peer of this.#peers.values()) this.#replicate(peer);
  }

  /** The commit index has grown: followers with nothing else to hear are told soon. */
  commitGrew(): void {
    const { nowMs, config, commitIndex } = this.#context;
    for (const peer of this.#peers.values()) {
      if (peer.departsWith > 0 && commitIndex >= peer.departsWith) peer.tellCommitAtMs = nowMs;
      else if (peer.tellCommitAtMs === Infinity) peer.tellCommitAtMs = nowMs + config.timing.commitTimeoutMs;
    }
  }

  get wakeAtMs(): number {
    let wakeAtMs = Infinity;
    for (const peer of this.#peers.values()) {
      if (peer.heartbeatCall === 0) wakeAtMs = Math.min(wakeAtMs, peer.heartbeatAtMs);
      if (peer.retryAtMs !== -Infinity) wakeAtMs = Math.min(wakeAtMs, peer.retryAtMs);
      if (peer.tellCommitAtMs !== -Infinity) wakeAtMs = Math.min(wakeAtMs, peer.tellCommitAtMs);
      wakeAtMs = Math.min(wakeAtMs, peer.departsAtMs);
    }
    return wakeAtMs;
  }

  wake(): void {
    const { nowMs } = this.#context;
    for (const peer of this.#peers.values()) {
      if (nowMs >= peer.departsAtMs) {
        this.#depart(peer);
        continue;
      }
      if (peer.heartbeatCall === 0 && nowMs >= peer.heartbeatAtMs) this.#heartbeat(peer);
      // -Infinity: due, and done with the next request that may be sent.
      if (nowMs >= peer.tellCommitAtMs) peer.tellCommitAtMs = -Infinity;
      if (nowMs >= peer.retryAtMs) peer.retryAtMs = -Infinity;
      this.#replicate(peer);
    }
  }

  #depart(peer: Progress): void {
    this.#peers.delete(peer.server.id);
    this.#context.say("info", `removed peer, stopping replication: peer=${peer.server.id} last-index=${peer.matchIndex}`);
    const { id, address } = peer.server;
    this.#context.out.push({ kind: "forgetPeer", peer: { id, address } });
  }

  #heartbeat(peer: Progress): void {
    const { header, term, config, nowMs } = this.#context;
    const message = { kind: "appendEntries", header, term, leader: config.address, prevLogIndex: 0, prevLogTerm: 0, entries: null, leaderCommit: 0 } as const;
    peer.heartbeatAgain = false;
    peer.heartbeatAtMs = nowMs + this.#context.randomMs(config.timing.heartbeatTimeoutMs / HEARTBEAT_DIVISOR);
    const call = this.#context.send({ to: peer.server, channel: "heartbeat", message, timeoutMs: config.timing.electionTimeoutMs });
    peer.heartbeatCall = call;
    this.#remember(call, peer, "heartbeat", 0, 0);
  }

  #remember(call: OutgoingCall, peer: Progress, kind: Sent["kind"], prevIndex: number, lastIndex: number): void {
    const { nowMs: sentMs, commitIndex: commit } = this.#context;
    this.#calls.set(call, { peer, kind, epoch: peer.epoch, round: this.#round, sentMs, prevIndex, lastIndex, commit });
  }

  /** Sends what this follower can take now. */
  #replicate(peer: Progress): void {
    const { log, config, commitIndex } = this.#context;
    const { maxInFlight, maxAppendEntries, maxAppendBytes } = config.limits;
    while (peer.mode !== "snapshot" && peer.retryAtMs === -Infinity && peer.inFlight < (peer.mode === "probe" ? 1 : maxInFlight)) {
      if (peer.nextIndex > log.lastIndex) {
        if (peer.tellCommitAtMs !== -Infinity) return;
        peer.tellCommitAtMs = Infinity;
        if (peer.toldCommit < commitIndex) this.#append(peer, []);
        return;
      }
      if (peer.nextIndex < log.firstIndex || log.termAt(peer.nextIndex - 1) === null) return this.#sendSnapshot(peer);
      if (peer.nextIndex >= log.tailFirstIndex) {
        this.#append(peer, log.slice(peer.nextIndex, maxAppendEntries, maxAppendBytes));
        continue;
      }
      const skipped = peer.nextIndex - (peer.readAhead[0]?.index ?? Infinity);
      if (skipped < 0 || skipped >= peer.readAhead.length) return this.#readFor(peer);
      this.#append(peer, takeEntries(peer.readAhead, skipped, maxAppendEntries, maxAppendBytes));
    }
  }

  #readFor(peer: Progress): void {
    if (peer.read !== 0) return;
    peer.read = this.#context.nextCall();
    const to = this.#context.log.tailFirstIndex - 1;
    this.#context.out.push({ kind: "readLog", read: peer.read, from: peer.nextIndex, to, bytesMax: READ_AHEAD_BYTES_MAX });
  }

  logRead(read: number, entries: readonly LogEntry[]): void {
    for (const peer of this.#peers.values()) {
      if (peer.read !== read) continue;
      peer.read = 0;
      // None: they were compacted meanwhile, and the follower needs a snapshot.
      peer.readAhead = entries;
      assert(entries.length > 0 || peer.nextIndex < this.#context.log.firstIndex, "entries that are not compacted can be read");
      this.#replicate(peer);
    }
  }

  #append(peer: Progress, entries: readonly LogEntry[]): void {
    const { header, term, config, log, commitIndex } = this.#context;
    const prevLogIndex = peer.nextIndex - 1;
    const prevLogTerm = log.termAt(prevLogIndex);
    assert(prevLogTerm !== null, "the previous entry's term is known");
    const message = { kind: "appendEntries", header, term, leader: config.address, prevLogIndex, prevLogTerm, entries, leaderCommit: commitIndex } as const;
    const call = this.#context.send({ to: peer.server, channel: "replication", message, timeoutMs: REPLICATION_TIMEOUT_MS });
    this.#remember(call, peer, "append", prevLogIndex, prevLogIndex + entries.length);
    peer.inFlight += 1;
    peer.toldCommit = commitIndex;
    peer.tellCommitAtMs = Infinity;
    if (peer.mode === "pipeline") peer.nextIndex += entries.length;
  }

  #sendSnapshot(peer: Progress): void {
    const { header, term, config, snapshot } = this.#context;
    assert(snapshot !== null, "entries are only gone when a snapshot covers them");
    const { id, index, configuration, configurationIndex, size } = snapshot;
    const last = { lastLogIndex: index, lastLogTerm: snapshot.term };
    const message = { kind: "installSnapshot", header, term, leader: config.address, ...last, configuration, configurationIndex, size } as const;
    this.#context.say("info", `installing snapshot on peer: peer=${peer.server.id} id=${id} bytes=${encodeConfiguration(configuration).length + size}`);
    const call = this.#context.send({ to: peer.server, channel: "snapshot", message, timeoutMs: REPLICATION_TIMEOUT_MS, snapshotId: id });
    peer.mode = "snapshot";
    peer.snapshotIndex = index;
    this.#remember(call, peer, "snapshot", 0, index);
  }

  /** True when the call was ours. */
  response(call: OutgoingCall, message: RaftResponse): boolean {
    const sent = this.#calls.get(call);
    if (sent === undefined) return false;
    const { peer } = sent;
    if (message.kind !== (sent.kind === "snapshot" ? "installSnapshot" : "appendEntries")) return this.failed(call, "malformed", "unexpected response");
    this.#calls.delete(call);
    if ("term" in message && message.term > this.#context.term) {
      this.#context.say("err", `peer has newer term, stopping replication: peer=${peer.server.id} term=${message.term}`);
      this.#host.newerTerm(message.term);
      return true;
    }
    if (this.#peers.get(peer.server.id) !== peer) return true;
    peer.heard(call, sent.sentMs, sent.round, this.#context.nowMs);
    if (message.kind === "appendEntries" && sent.kind === "heartbeat") this.#heartbeatAnswered(peer, call);
    else if (message.kind === "appendEntries") this.#appendAnswered(sent, message);
    else if (message.kind === "installSnapshot") this.#snapshotAnswered(sent, message);
    this.#host.progressed();
    return true;
  }

  #heartbeatAnswered(peer: Progress, call: OutgoingCall): void {
    if (peer.heartbeatCall === call) peer.heartbeatCall = 0;
    if (peer.heartbeatAgain && peer.heartbeatCall === 0) this.#heartbeat(peer);
    // It is reachable (again): no reason to wait any longer.
    if (peer.mode !== "snapshot" && peer.retryAtMs !== -Infinity) {
      peer.retryAtMs = -Infinity;
      this.#replicate(peer);
    }
  }

  #appendAnswered(sent: Sent, message: AppendEntriesResponse): void {
    const { peer } = sent;
    const current = sent.epoch === peer.epoch;
    if (current) peer.inFlight -= 1;
    if (!message.success) {
      if (!current) return;
      // In a pipeline a refusal may come from a request that overtook another: only a probe, which travels alone, tells of lost entries.
      const floor = peer.mode === "pipeline" ? peer.matchIndex + 1 : 1;
      const next = Math.max(floor, Math.min(sent.prevIndex, message.lastLog + 1));
      if (next <= peer.matchIndex) {
        this.#context.say("err", `peer has lost entries it had acknowledged: peer=${peer.server.id} match-index=${peer.matchIndex} last-log=${message.lastLog}`);
        this.#context.count("raft.peer.lostEntries");
        peer.matchIndex = next - 1;
      }
      peer.restart(next);
      if (message.noRetryBackoff && sent.prevIndex > 0) this.#context.say("warn", `appendEntries rejected, sending older logs: peer=${peer.server.id} next=${next}`);
      else peer.backOff(this.#context.nowMs, this.#pauseMsMax);
      this.#replicate(peer);
      return;
    }
    peer.matchIndex = Math.max(peer.matchIndex, sent.lastIndex);
    peer.failures = 0;
    if (current && peer.mode === "probe") {
      peer.mode = "pipeline";
      peer.nextIndex = peer.matchIndex + 1;
      this.#context.say("debug", `pipelining replication: peer=${peer.server.id}`);
    }
    if (peer.departsWith > 0 && sent.commit >= peer.departsWith) this.#depart(peer);
    else this.#replicate(peer);
  }

  #snapshotAnswered(sent: Sent, message: InstallSnapshotResponse): void {
    const { peer } = sent;
    if (sent.epoch !== peer.epoch) return;
    if (message.success) {
      peer.matchIndex = Math.max(peer.matchIndex, sent.lastIndex);
      peer.failures = 0;
    }
    peer.restart(peer.matchIndex + 1);
    if (!message.success) peer.backOff(this.#context.nowMs, this.#pauseMsMax);
    this.#replicate(peer);
  }

  failed(call: OutgoingCall, failure: CallFailure, error: string): boolean {
    const sent = this.#calls.get(call);
    if (sent === undefined) return false;
    this.#calls.delete(call);
    const { peer, kind } = sent;
    const what = { heartbeat: "failed to heartbeat to", append: "failed to appendEntries to", snapshot: "failed to install snapshot on" }[kind];
    if (isPowerOfTwo(peer.failures + 1)) this.#context.say("err", `${what}: peer=${peer.server.address} error="${error === "" ? failure : error}"`);
    if (kind === "heartbeat") {
      if (peer.heartbeatCall === call) peer.heartbeatCall = 0;
      return true;
    }
    if (sent.epoch !== peer.epoch) return true;
    // A peer that never answered keeps its place: an unreachable one is not one that needs a snapshot, or our whole log.
    peer.restart(kind === "append" && peer.matchIndex === 0 ? sent.prevIndex + 1 : peer.matchIndex + 1);
    peer.toldCommit = 0;
    peer.tellCommitAtMs = -Infinity;
    peer.backOff(this.#context.nowMs, this.#pauseMsMax);
    return true;
  }

  /** A connection to this peer closed. */
  channelClosed(id: string, channel: Channel): void {
    if (channel !== "heartbeat" && channel !== "replication") return;
    // Snapshots, votes and pre-votes use connections of their own, whose end is harmless.
    this.#peers.get(id)?.voidLease(this.#context.nextCall());
  }

  /** Entries behind this index are still needed by a follower that is installing a snapshot; Infinity when none is. */
  get neededFrom(): number {
    let index = Infinity;
    for (const peer of this.#peers.values()) if (peer.mode === "snapshot") index = Math.min(index, peer.snapshotIndex);
    return index;
  }

  get #pauseMsMax(): number {
    return this.#context.config.timing.heartbeatTimeoutMs / 2;
  }
}

function isPowerOfTwo(value: number): boolean {
  return (value & (value - 1)) === 0;
}
