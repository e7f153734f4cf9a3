/**
 * The members as Serf sees them: what SWIM told about each, plus Serf's status. Columns instead of objects, because one process may
 * hold thousands of nodes that each know thousands of members; a `Member` is built when somebody asks and kept until it changes.
 */
import { assert } from "../base/assert.ts";
import type { SwimMember } from "../swim/types.ts";
import { decodeTags } from "../wire/serf-codec.ts";
import { MemberStatusCode } from "../wire/serf-messages.ts";
import type { Member, MemberStatus } from "./types.ts";

/** What Serf keeps of a SWIM member. */
export type MemberInfo = Pick<SwimMember, "name" | "addr" | "ip" | "port" | "meta" | "versions">;

export const STATUS_NAMES: readonly MemberStatus[] = ["none", "alive", "leaving", "left", "failed"];

const INITIAL_ROWS = 16;

/** A row number; valid until the member is removed. */
export type Row = number;

export class MemberTable {
  readonly #rows = new Map<string, Row>();
  readonly #free: Row[] = [];
  readonly #infos: (MemberInfo | null)[] = [];
  readonly #views: (Member | null)[] = [];
  #statuses = new Uint8Array(INITIAL_ROWS);
  #statusTimes = new Float64Array(INITIAL_ROWS);
  #leaveTimes = new Float64Array(INITIAL_ROWS);
  readonly #counts = [0, 0, 0, 0, 0];

  get size(): number {
    return this.#rows.size;
  }

  rows(): IterableIterator<Row> {
    return this.#rows.values();
  }

  find(name: string): Row | undefined {
    return this.#rows.get(name);
  }

  count(status: MemberStatus): number {
    return this.#counts[MemberStatusCode[status]] as number;
  }

  add(info: MemberInfo): Row {
    assert(!this.#rows.has(info.name));
    const row = this.#free.pop() ?? this.#infos.length;
    if (row >= this.#statuses.length) this.#grow();
    this.#rows.set(info.name, row);
    this.#infos[row] = info;
    this.#views[row] = null;
    this.#statuses[row] = MemberStatusCode.none;
    this.#statusTimes[row] = 0;
    this.#leaveTimes[row] = 0;
    this.#counts[MemberStatusCode.none] = this.count("none") + 1;
    return row;
  }

  remove(row: Row): void {
    this.setStatus(row, "none");
    this.#counts[MemberStatusCode.none] = this.count("none") - 1;
    this.#rows.delete(this.info(row).name);
    this.#infos[row] = null;
    this.#views[row] = null;
    this.#free.push(row);
  }

  info(row: Row): MemberInfo {
    const info = this.#infos[row];
    assert(info !== null && info !== undefined);
    return info;
  }

  setInfo(row: Row, info: MemberInfo): void {
    assert(this.info(row).name === info.name);
    this.#infos[row] = info;
    this.#views[row] = null;
  }

  status(row: Row): MemberStatus {
    return STATUS_NAMES[this.#statuses[row] as number] as MemberStatus;
  }

  setStatus(row: Row, status: MemberStatus): void {
    const before = this.status(row);
    this.#counts[MemberStatusCode[before]] = this.count(before) - 1;
    this.#counts[MemberStatusCode[status]] = this.count(status) + 1;
    this.#statuses[row] = MemberStatusCode[status];
    this.#views[row] = null;
  }

  /** Lamport time of the newest intent about the member. */
  statusTime(row: Row): number {
    return this.#statusTimes[row] as number;
  }

  setStatusTime(row: Row, lamportTime: number): void {
    this.#statusTimes[row] = lamportTime;
  }

  /** When it left or failed, in ms of the clock given to `step`. */
  leaveTimeMs(row: Row): number {
    return this.#leaveTimes[row] as number;
  }

  setLeaveTimeMs(row: Row, atMs: number): void {
    this.#leaveTimes[row] = atMs;
  }

  member(row: Row): Member {
    const known = this.#views[row];
    if (known !== null && known !== undefined) return known;
    const info = this.info(row);
    const { versions } = info;
    const member: Member = {
      name: info.name,
      addr: info.addr,
      ip: info.ip,
      port: info.port,
      tags: decodeTags(info.meta),
      status: this.status(row),
      protocolMin: versions[0] ?? 0,
      protocolMax: versions[1] ?? 0,
      protocolCur: versions[2] ?? 0,
      delegateMin: versions[3] ?? 0,
      delegateMax: versions[4] ?? 0,
      delegateCur: versions[5] ?? 0,
    };
    this.#views[row] = member;
    return member;
  }

  #grow(): void {
    const length = this.#statuses.length * 2;
    const statuses = new Uint8Array(length);
    const statusTimes = new Float64Array(length);
    const leaveTimes = new Float64Array(length);
    statuses.set(this.#statuses);
    statusTimes.set(this.#statusTimes);
    leaveTimes.set(this.#leaveTimes);
    this.#statuses = statuses;
    this.#statusTimes = statusTimes;
    this.#leaveTimes = leaveTimes;
  }
}
