/**
 * Serf's view of membership (reference: serf-protocol §8.2, §8.3, §8.5): tells a member that left from one that failed by the intents
 * that precede SWIM's verdict, and forgets both after their time.
 *
 * Differences from the original, on purpose:
 * 1. A prune of a member that is alive or leaving waits without blocking anything, and erases it only if it has not come back.
 * 2. The intent buffer is bounded.
 */
import type { Random } from "../base/random.ts";
import { MemberStatusCode } from "../wire/serf-messages.ts";
import type { AdoptedMembers } from "../swim/adopted-members.ts";
import type { MemberRecord, MemberRecords } from "../swim/member-records.ts";
import { IntentBuffer, type Intent } from "./intent-buffer.ts";
import { RememberedMembers, type RememberedMember } from "./remembered-members.ts";
import { LAMPORT_TIME_MAX, LamportClock } from "./lamport-clock.ts";
import { MemberTable, type MemberInfo, type Row } from "./member-table.ts";
import type { Reporter } from "./reporter.ts";
import type { Member, MemberEventType, MemberStatus, PoolEffect } from "./types.ts";

/** A member that comes back sooner than this after failing is counted as flapping. */
export const FLAP_TIMEOUT_MS = 60_000;

export interface MembershipConfig {
  readonly name: string;
  readonly recentIntentTimeoutMs: number;
  readonly reconnectTimeoutMs: number;
  readonly tombstoneTimeoutMs: number;
  /** How long a prune waits for a member that is still alive or leaving. */
  readonly pruneDelayMs: number;
}

/** Where a member stands in the records that SWIM's table shares with ours. */
export interface MemberPlace {
  readonly row: Row;
  readonly variant: number;
  readonly record: MemberRecord;
}

/** What membership asks of the pool around it. */
export interface MembershipHost {
  memberEvent(type: MemberEventType, member: Member, nowMs: number, out: PoolEffect[]): void;
  /** We are neither leaving nor stopped: somebody's leave intent about us must be refuted. */
  isRunning(): boolean;
  /** Our join intent with this Lamport time must be broadcast. */
  broadcastJoin(lamportTime: number, out: PoolEffect[]): void;
  /** The member is to be told, it alone, of the leave with this Lamport time that we have heard about it. */
  tellLeave(member: MemberRecord, lamportTime: number, out: PoolEffect[]): void;
  /** The member's name means nothing any more. */
  forgotten(name: string): void;
  prune(name: string, atMs: number): void;
}

export class Membership {
  readonly clock = new LamportClock();
  readonly table: MemberTable;
  readonly #config: MembershipConfig;
  readonly #host: MembershipHost;
  readonly #report: Reporter;
  readonly #intents: IntentBuffer;
  /** Rows by when they failed or left, oldest first. */
  readonly #failed = new Set<Row>();
  readonly #left = new Set<Row>();
  readonly #remembered = new RememberedMembers();

  constructor(config: MembershipConfig, host: MembershipHost, report: Reporter, records: MemberRecords) {
    this.table = new MemberTable(records);
    this.#intents = new IntentBuffer(records);
    this.#config = config;
    this.#host = host;
    this.#report = report;
  }

  get failedCount(): number {
    return this.#failed.size;
  }

  get leftCount(): number {
    return this.#left.size;
  }

  /** Rows on the left list. */
  get leftRows(): readonly Row[] {
    return [...this.#left];
  }

  /** Names on the left list, as a push/pull tells them. */
  leftNames(): string[] {
    return [...this.#left].map((row) => this.table.info(row).name);
  }

  status(name: string): MemberStatus {
    const row = this.table.find(name);
    return row === undefined ? "none" : this.table.status(row);
  }

  bufferedIntent(name: string): Intent | undefined {
    return this.#intents.get(name);
  }

  get hasOtherAlive(): boolean {
    const self = this.table.find(this.#config.name);
    const selfAlive = self !== undefined && this.table.status(self) === "alive";
    return this.table.count("alive") - (selfAlive ? 1 : 0) > 0;
  }

  /** SWIM shows the member as alive. */
  joined(info: MemberInfo, nowMs: number, out: PoolEffect[], place: MemberPlace | null = null): void {
    const { table } = this;
    if (this.#remembered.size > 0) this.#remembered.delete(info.name);
    let row = place === null ? table.find(info.name) : table.isKnown(place.row) ? place.row : undefined;
    if (row === undefined) {
      if (place === null) row = table.add(info);
      else table.addKnown((row = place.row), place.variant);
      table.setStatus(row, "alive");
      const intent = this.#recentIntent(row, nowMs);
      if (intent !== undefined) {
        table.setStatusTime(row, intent.lamportTime);
        if (intent.type === "leave") table.setStatus(row, "leaving");
      }
    } else {
      if (table.status(row) === "failed" && nowMs - table.leaveTimeMs(row) < FLAP_TIMEOUT_MS) this.#report.count("serf.member.flap", out);
      this.#failed.delete(row);
      this.#left.delete(row);
      table.setInfo(row, info);
      table.setStatus(row, "alive");
      table.clearLeaveTime(row);
    }
    this.#report.count("serf.member.join", out);
    if (this.#report.wants("info")) this.#report.log("info", `serf: EventMemberJoin: ${info.name} ${table.info(row).endpoint.ip}`, out);
    this.#host.memberEvent("member-join", place === null ? table.member(row) : table.memberAs(row, place.record), nowMs, out);
  }

  /** Takes over members as alive for long: nobody is told. */
  adopt(members: AdoptedMembers): void {
    this.table.adopt(members);
  }

  #recentIntent(row: Row, nowMs: number): Intent | undefined {
    if (this.#intents.size === 0) return undefined;
    this.#intents.expire(this.#config.recentIntentTimeoutMs, nowMs);
    return this.#intents.getAt(row);
  }

  /** SWIM shows the member as left or dead: which of both it is to Serf, the intents have decided. */
  gone(name: string, nowMs: number, out: PoolEffect[]): void {
    const { table } = this;
    const row = table.find(name);
    if (row === undefined) return;
    const before = table.status(row);
    if (before === "leaving") this.#becomeLeft(row, nowMs);
    else if (before === "alive") this.#becomeFailed(row, nowMs);
    else {
      this.#report.log("warn", `serf: Bad state when leave: ${MemberStatusCode[before]}`, out);
      return;
    }
    const failed = before === "alive";
    this.#report.count(failed ? "serf.member.failed" : "serf.member.left", out);
    const { ip } = table.info(row).endpoint;
    if (this.#report.wants("info")) this.#report.log("info", `serf: ${failed ? "EventMemberFailed" : "EventMemberLeave"}: ${name} ${ip}`, out);
    this.#host.memberEvent(failed ? "member-failed" : "member-leave", table.member(row), nowMs, out);
  }

  #becomeLeft(row: Row, nowMs: number): void {
    this.#failed.delete(row);
    this.#left.add(row);
    this.table.setStatus(row, "left");
    this.table.setLeaveTimeMs(row, nowMs);
  }

  #becomeFailed(row: Row, nowMs: number): void {
    this.#failed.add(row);
    this.table.setStatus(row, "failed");
    this.table.setLeaveTimeMs(row, nowMs);
  }

  updated(info: MemberInfo, nowMs: number, out: PoolEffect[]): void {
    const row = this.table.find(info.name);
    if (row === undefined) return;
    this.table.setInfo(row, info);
    this.#report.count("serf.member.update", out);
    if (this.#report.wants("info")) this.#report.log("info", `serf: EventMemberUpdate: ${info.name}`, out);
    this.#host.memberEvent("member-update", this.table.member(row), nowMs, out);
  }

  /** True when the intent was new and its bytes should be passed on. `place`: the member's slot in the shared records, when it is known. */
  joinIntent(lamportTime: number, node: string, nowMs: number, place: Row | null = null): boolean {
    const { table } = this;
    this.clock.witness(lamportTime);
    const row = place === null ? table.find(node) : table.isKnown(place) ? place : undefined;
    if (row === undefined) return place === null ? this.#intents.offer(node, "join", lamportTime, nowMs) : this.#intents.offer(node, "join", lamportTime, nowMs, place);
    if (lamportTime <= table.statusTime(row)) return false;
    table.setStatusTime(row, lamportTime);
    // The leave we heard of was older than this join.
    if (table.status(row) === "leaving") table.setStatus(row, "alive");
    return true;
  }

  /** `joinIntent` of a member in a slot of the shared records, as a push/pull by reference tells it. */
  joinIntentOf(lamportTime: number, row: Row, records: MemberRecords, nowMs: number): void {
    this.clock.witness(lamportTime);
    if (this.table.isKnown(row) && lamportTime <= this.table.statusTime(row)) return;
    this.joinIntent(lamportTime, records.nameAt(row), nowMs, row);
  }

  /** True when the intent was new and its bytes should be passed on. */
  leaveIntent(lamportTime: number, node: string, prune: boolean, nowMs: number, out: PoolEffect[]): boolean {
    const { table } = this;
    this.clock.witness(lamportTime);
    const row = table.find(node);
    if (row === undefined) return this.#intents.offer(node, "leave", lamportTime, nowMs);
    // One with the time of our last join is not ours either: a leave of an earlier run that those we joined through had missed.
    if (lamportTime < table.statusTime(row)) return false;
    if (node === this.#config.name && this.#host.isRunning()) {
      this.#report.log("debug", "serf: Refuting an older leave intent", out);
      this.announceJoin(nowMs, out);
      return false;
    }
    if (lamportTime === table.statusTime(row)) return false;
    // Also when the status stays as it is: else two different intents would be passed on for ever (serf#606).
    table.setStatusTime(row, lamportTime);
    const before = table.status(row);
    if (before === "alive") table.setStatus(row, "leaving");
    else if (before === "failed") this.#forceLeft(row, nowMs, out);
    if (prune) this.#prune(row, nowMs, out);
    return true;
  }

  #forceLeft(row: Row, nowMs: number, out: PoolEffect[]): void {
    const leaveTimeMs = this.table.leaveTimeMs(row);
    this.#becomeLeft(row, leaveTimeMs);
    const { name, endpoint } = this.table.info(row);
    this.#report.count("serf.member.left", out);
    if (this.#report.wants("info")) this.#report.log("info", `serf: EventMemberLeave (forced): ${name} ${endpoint.ip}`, out);
    this.#host.memberEvent("member-leave", this.table.member(row), nowMs, out);
  }

  #prune(row: Row, nowMs: number, out: PoolEffect[]): void {
    const { name, endpoint } = this.table.info(row);
    if (this.table.status(row) === "leaving") {
      this.#host.prune(name, nowMs + this.#config.pruneDelayMs);
      return;
    }
    if (this.#report.wants("info")) this.#report.log("info", `serf: EventMemberReap (forced): ${name} ${endpoint.ip}`, out);
    this.#erase(row, nowMs, out);
  }

  /** The wait of a prune is over. */
  pruneDue(name: string, nowMs: number, out: PoolEffect[]): void {
    const row = this.table.find(name);
    if (row === undefined) return;
    const status = this.table.status(row);
    if (status === "alive" || status === "failed") return; // It came back; a failure after that is another story.
    if (this.#report.wants("info")) this.#report.log("info", `serf: EventMemberReap (forced): ${name} ${this.table.info(row).endpoint.ip}`, out);
    this.#erase(row, nowMs, out);
  }

  /** A further copy of an intent with this time would change nothing. */
  isSettled(lamportTime: number, node: string): boolean {
    const row = this.table.find(node);
    return row !== undefined && lamportTime <= this.table.statusTime(row);
  }

  /** As `isSettled`, of the member in a slot of the shared records. Not for a leave of our own, which we may have to refute. */
  isSettledRow(lamportTime: number, row: Row): boolean {
    return this.table.isKnown(row) && lamportTime <= this.table.statusTime(row);
  }

  /**
   * Somebody knows an intent about us that is newer than our last one: a leave of an earlier run, or one that is out of date. Whoever
   * believes it shows us as leaving, and only we can end that, with a newer join. (The original says nothing, and may stay "leaving" at
   * some nodes for as long as it runs: after a restart from a snapshot, or after a join through a node that missed the leave.)
   */
  objectTo(lamportTime: number, nowMs: number, out: PoolEffect[]): void {
    const row = this.table.find(this.#config.name);
    if (row === undefined || lamportTime <= this.table.statusTime(row)) return;
    // Who shows us as leaving tells one less than the time of the leave, and takes only a join that is later than that leave.
    this.clock.witness(Math.min(lamportTime + 1, LAMPORT_TIME_MAX));
    this.announceJoin(nowMs, out);
  }

  /** Tells everybody that we are here, with the current clock. */
  announceJoin(nowMs: number, out: PoolEffect[]): void {
    const lamportTime = this.clock.time;
    this.joinIntent(lamportTime, this.#config.name, nowMs);
    this.#host.broadcastJoin(lamportTime, out);
  }

  /** Lets go of the shared records. */
  close(): void {
    this.table.close();
    this.#intents.close();
  }

  /**
   * Who is still here although we have heard of its leave is told what we have heard: it may have come back with a join that is not later
   * than that leave, for whom it joined through had missed it, and cannot know that anybody refuses its join. It answers with a later one.
   * Who is really leaving ignores this. (The original shows such a member as leaving for as long as it runs.)
   */
  confrontLeaving(out: PoolEffect[]): void {
    const { table } = this;
    if (table.count("leaving") === 0) return;
    for (const row of table.rows()) {
      if (table.status(row) !== "leaving") continue;
      const member = table.info(row);
      if (member.name !== this.#config.name) this.#host.tellLeave(member, table.statusTime(row), out);
    }
  }

  /** Forgets members that failed or left long ago, and old intents. */
  reap(nowMs: number, out: PoolEffect[]): void {
    this.#reapList(this.#failed, this.#config.reconnectTimeoutMs, nowMs, out, (row) => this.#remembered.add(this.table.info(row)));
    this.#reapList(this.#left, this.#config.tombstoneTimeoutMs, nowMs, out);
    this.#intents.expire(this.#config.recentIntentTimeoutMs, nowMs);
  }

  #reapList(rows: ReadonlySet<Row>, timeoutMs: number, nowMs: number, out: PoolEffect[], reaped: (row: Row) => void = () => {}): void {
    for (const row of rows) {
      if (nowMs - this.table.leaveTimeMs(row) <= timeoutMs) continue;
      if (this.#report.wants("info")) this.#report.log("info", `serf: EventMemberReap: ${this.table.info(row).name}`, out);
      reaped(row);
      this.#erase(row, nowMs, out);
    }
  }

  #erase(row: Row, nowMs: number, out: PoolEffect[]): void {
    const member = this.table.member(row);
    this.#failed.delete(row);
    this.#left.delete(row);
    this.table.remove(row);
    this.#host.forgotten(member.name);
    this.#report.count("serf.member.reap", out);
    this.#host.memberEvent("member-reap", member, nowMs, out);
  }

  /** A member to try again: one that failed, or one that was reaped after it had failed; null when it is the turn of other nodes. */
  pickReconnect(random: Random, out: PoolEffect[]): RememberedMember | null {
    return this.#pickFailed(random, out) ?? this.#remembered.pick(this.table.size - this.#failed.size - this.#left.size, random);
  }

  /** Together the nodes make about one attempt per failed member. */
  #pickFailed(random: Random, out: PoolEffect[]): RememberedMember | null {
    const failed = this.#failed.size;
    if (failed === 0) return null;
    const others = Math.max(1, this.table.size - failed - this.#left.size);
    if (random.below(others) >= failed) {
      this.#report.log("debug", "serf: forgoing reconnect for random throttling", out);
      return null;
    }
    return this.table.info([...this.#failed][random.below(failed)] as Row);
  }

  /** Up to `count` different random members, of those that `wanted` accepts. */
  pickRandom(count: number, wanted: (info: MemberRecord, status: MemberStatus) => boolean, random: Random): MemberRecord[] {
    const candidates: MemberRecord[] = [];
    for (const row of this.table.rows()) {
      const info = this.table.info(row);
      if (wanted(info, this.table.status(row))) candidates.push(info);
    }
    const picked: MemberRecord[] = [];
    while (picked.length < count && candidates.length > 0) {
      const index = random.below(candidates.length);
      picked.push(candidates[index] as MemberRecord);
      candidates[index] = candidates[candidates.length - 1] as MemberRecord;
      candidates.pop();
    }
    return picked;
  }
}
