/**
 * Failure detector (SWIM paper, section 3.1, with Lifeguard's changes): pings one member after the other, then asks helpers and TCP,
 * then suspects. At most one probe is in flight. Its verdict needs our own punctuality: see `postpone`.
 */
import { encodeIndirectPing, encodePing, encodeSuspect } from "../wire/gossip-codec.ts";
import type { Source } from "../wire/gossip-messages.ts";
import { count, log, nextSeq, type Core } from "./core.ts";
import type { Exchanges } from "./exchanges.ts";
import type { MemberRecord } from "./member-records.ts";
import { StateCode } from "./member-table.ts";
import type { Membership } from "./membership.ts";
import type { Outbox } from "./outbox.ts";
import { pickMembers } from "./pick.ts";
import type { SwimEffect } from "./types.ts";

/** Memberlist protocol versions that understand a nack and a ping over TCP. */
const NACK_PROTOCOL_MIN = 4;
const TCP_PING_PROTOCOL_MIN = 3;
const CRC_PROTOCOL_MIN = 5;
/**
 * How long a member that left stays known, in ms. Memberlist before 0.3.1 never forgets it, later ones as soon as a dead one (30 s): then a
 * peer that was cut off meanwhile brings it back as alive, and it ends as failed. A quarter of an hour outlasts most cuts and bounds the table.
 */
const LEFT_KEPT_MS = 15 * 60_000;

interface Probe {
  readonly slot: number;
  readonly record: MemberRecord;
  readonly seq: number;
  readonly incarnation: number;
  readonly startMs: number;
  /** End of the wait for the direct ack. */
  directUntilMs: number;
  /** End of the probe. */
  untilMs: number;
  /** Length of the whole probe: the probe interval scaled by our awareness when it began. */
  readonly lengthMs: number;
  asked: boolean;
  nacksExpected: number;
  nacks: number;
  tcp: "none" | "open" | "answered";
  /** We slept meanwhile: the round-trip time says nothing. */
  slept: boolean;
}

export class Prober {
  readonly #core: Core;
  readonly #membership: Membership;
  readonly #outbox: Outbox;
  readonly #exchanges: Exchanges;
  readonly #helpers: number[] = [];
  /** Who asks, as our pings say. */
  readonly #source: Source;
  #probe: Probe | null = null;
  #row = 0; // Next place of the probing order.
  #nextProbeAtMs: number;

  constructor(core: Core, membership: Membership, outbox: Outbox, exchanges: Exchanges, nowMs: number) {
    this.#core = core;
    this.#membership = membership;
    this.#outbox = outbox;
    this.#exchanges = exchanges;
    const { config, selfAddr } = core;
    this.#source = { sourceAddr: selfAddr, sourcePort: config.advertise.port, sourceNode: config.name };
    // Nodes started together must not probe in lockstep.
    this.#nextProbeAtMs = nowMs + 1 + core.random.below(Math.max(1, Math.trunc(core.config.profile.probeIntervalMs)));
  }

  get nextAtMs(): number {
    if (this.#probe === null) return this.#nextProbeAtMs;
    return this.#probe.asked ? this.#probe.untilMs : this.#probe.directUntilMs;
  }

  /** True when it did no more than to begin a probe, if that: no stream was opened, nobody suspected. */
  wake(nowMs: number, out: SwimEffect[]): boolean {
    const probe = this.#probe;
    if (probe !== null) {
      if (nowMs < (probe.asked ? probe.untilMs : probe.directUntilMs)) return true;
      if (!probe.asked) {
        this.#askHelpers(probe, nowMs, out);
        return false;
      }
      this.#conclude(probe, nowMs, out);
    }
    if (nowMs >= this.#nextProbeAtMs) this.#startProbe(nowMs, out);
    return probe === null;
  }

  /** True when the ack belongs to the probe in flight. */
  ack(seq: number, payload: Uint8Array | null, nowMs: number, out: SwimEffect[]): boolean {
    const probe = this.#probe;
    if (probe?.seq !== seq) return false;
    this.#probe = null;
    this.#core.awareness.apply(-1);
    const { table, delegate } = this.#core;
    // Only a direct answer tells the distance.
    if (!probe.asked && !probe.slept && table.state(probe.slot) !== StateCode.unknown) {
      delegate.pingCompleted(table.record(probe.slot), nowMs - probe.startMs, payload, nowMs, out);
    }
    return true;
  }

  nack(seq: number): boolean {
    const probe = this.#probe;
    if (probe?.seq !== seq) return false;
    if (probe.nacks < probe.nacksExpected) probe.nacks += 1;
    return true;
  }

  /** The TCP ping of probe `seq` was answered. */
  tcpAnswered(seq: number): void {
    if (this.#probe?.seq === seq) this.#probe.tcp = "answered";
  }

  /** We slept for `byMs`: the answers wait in our socket, so the probe gets that time back. Our pause is no evidence against the peer. */
  postpone(byMs: number): void {
    const probe = this.#probe;
    if (probe === null) return;
    probe.slept = true;
    probe.directUntilMs += byMs;
    probe.untilMs += byMs;
  }

  #startProbe(nowMs: number, out: SwimEffect[]): void {
    const core = this.#core;
    const { probeIntervalMs, probeTimeoutMs } = core.config.profile;
    // Kept in phase: a probe that began late does not shift the ones after it.
    this.#nextProbeAtMs += probeIntervalMs * Math.max(1, Math.ceil((nowMs - this.#nextProbeAtMs + 1) / probeIntervalMs));
    const slot = this.#nextTarget(nowMs);
    if (slot < 0) return;
    const { table, config, awareness } = core;
    const record = table.record(slot);
    // Nothing can be sent there: no verdict.
    if (record.endpoint.ip === "" || record.endpoint.port === 0) return;
    const lengthMs = awareness.scale(probeIntervalMs);
    if (awareness.score > 0) count("memberlist.degraded.probe", out);
    const seq = nextSeq(core);
    const incarnation = table.incarnation(slot);
    this.#probe = {
      slot,
      record,
      seq,
      incarnation,
      startMs: nowMs,
      directUntilMs: nowMs + Math.min(probeTimeoutMs, lengthMs),
      untilMs: nowMs + lengthMs,
      lengthMs,
      asked: false,
      nacksExpected: 0,
      nacks: 0,
      tcp: "none",
      slept: false,
    };
    const ping = encodePing({ seq, node: record.name, ...this.#source });
    if (table.state(slot) === StateCode.alive || !config.profile.tellsSuspects) {
      this.#outbox.send(record.endpoint, ping, out);
      return;
    }
    // Buddy system (Lifeguard paper, section IV-C): a suspect learns of the suspicion with the ping, the earliest it can refute.
    const suspect = encodeSuspect({ incarnation, node: record.name, from: config.name });
    this.#outbox.sendBare(record.endpoint, [ping, suspect], (record.versions[1] ?? 0) >= CRC_PROTOCOL_MIN, out);
  }

  /** The next living member of the round, or -1. Reshuffling at each wrap bounds the time to the first probe (SWIM paper, section 4.3). */
  #nextTarget(nowMs: number): number {
    const { table, selfSlot } = this.#core;
    for (let looked = 0; looked < table.size; looked += 1) {
      if (this.#row >= table.size) {
        this.#startRound(nowMs);
        this.#row = 0;
        continue;
      }
      const slot = table.slotAt(this.#row);
      this.#row += 1;
      const state = table.state(slot);
      if (slot !== selfSlot && (state === StateCode.alive || state === StateCode.suspect)) return slot;
    }
    return -1;
  }

  #startRound(nowMs: number): void {
    const { table, random, config } = this.#core;
    const { gossipToTheDeadMs } = config.profile;
    const self = this.#core.selfSlot;
    table.startRound((slot) => {
      const state = table.state(slot);
      if (slot === self || (state !== StateCode.dead && state !== StateCode.left)) return false;
      const keptMs = state === StateCode.left ? Math.max(gossipToTheDeadMs, LEFT_KEPT_MS) : gossipToTheDeadMs;
      return nowMs - table.goneAtMs(slot) > keptMs;
    }, random);
  }

  #askHelpers(probe: Probe, nowMs: number, out: SwimEffect[]): void {
    const core = this.#core;
    const { table, config } = core;
    const { indirectChecks, probeTimeoutMs, tcpPings, forgivesPauses } = config.profile;
    const { seq, record } = probe;
    probe.asked = true;
    // If we woke late, helpers still get their full time.
    if (forgivesPauses) probe.untilMs = Math.max(probe.untilMs, nowMs + probe.lengthMs - probeTimeoutMs);
    log(core, "debug", `Failed ping: ${record.name} (timeout reached)`, out);
    pickMembers(core, "alive", indirectChecks, probe.slot, nowMs, this.#helpers);
    for (const slot of this.#helpers) {
      const helper = table.record(slot);
      const nack = (helper.versions[1] ?? 0) >= NACK_PROTOCOL_MIN;
      if (nack) probe.nacksExpected += 1;
      const { addr, endpoint, name } = record;
      const request = encodeIndirectPing({ seq, target: addr, port: endpoint.port, node: name, nack, ...this.#source });
      this.#outbox.send(helper.endpoint, request, out);
    }
    if (tcpPings && (record.versions[1] ?? 0) >= TCP_PING_PROTOCOL_MIN) {
      probe.tcp = "open";
      this.#exchanges.ping(seq, record, Math.max(1, probe.untilMs - nowMs), nowMs, out);
    }
  }

  /** No ack came. */
  #conclude(probe: Probe, nowMs: number, out: SwimEffect[]): void {
    const core = this.#core;
    const { record, incarnation, nacks, nacksExpected } = probe;
    this.#probe = null;
    if (probe.tcp === "answered") {
      core.awareness.apply(-1);
      log(core, "warn", `Was able to connect to ${record.name} but other probes failed, network may be misconfigured`, out);
      count("memberlist.probe.tcpOnly", out);
      return;
    }
    // Helpers that say nothing, not even nack, are evidence that we are the one cut off.
    core.awareness.apply(nacksExpected > 0 ? nacksExpected - nacks : 1);
    log(core, "info", `Suspect ${record.name} has failed, no acks received`, out);
    this.#membership.suspect({ incarnation, node: record.name, from: core.config.name }, nowMs, out);
  }
}
