/**
 * The members as Serf sees them: what SWIM told about each, plus Serf's status. One process may hold thousands of nodes that each know
 * thousands of members, so there is no object per member: 23 bytes in typed arrays, indexed by the slot of the process-wide records that
 * SWIM keeps too. A `Member` is built when somebody asks, and kept until it changes.
 */
import { assert } from "../base/assert.ts";
import type { MemberRecord, MemberRecords } from "../swim/member-records.ts";
import type { SwimMember } from "../swim/types.ts";
import { decodeTags } from "../wire/serf-tags.ts";
import { MemberStatusCode } from "../wire/serf-messages.ts";
import type { Member, MemberStatus } from "./types.ts";

/** What Serf takes over from a SWIM member. */
export type MemberInfo = Pick<SwimMember, "name" | "addr" | "port" | "meta" | "versions">;

const STATUS_NAMES: readonly MemberStatus[] = ["none", "alive", "leaving", "left", "failed"];
const NOWHERE = -1;
/** Room beyond the shared records' size when the arrays grow, as a divisor: an eighth. */
const GROWTH_DIVISOR = 8;
const GROWTH_MIN = 8;

/** Slot of the shared records; ours until the member is removed. */
export type Row = number;

export class MemberTable {
  readonly #records: MemberRecords;
  /** Known members, in no particular order. */
  readonly #order: Row[] = [];
  /** Where a row stands in `#order`. */
  #places = new Int32Array(0);
  #variants = new Uint16Array(0);
  #statuses = new Uint8Array(0);
  #statusTimes = new Float64Array(0);
  readonly #leaveTimes = new Map<Row, number>();
  readonly #views = new Map<Row, Member>();
  readonly #counts = [0, 0, 0, 0, 0];

  constructor(records: MemberRecords) {
    this.#records = records;
  }

  get size(): number {
    return this.#order.length;
  }

  rows(): IterableIterator<Row> {
    return this.#order.values();
  }

  find(name: string): Row | undefined {
    const row = this.#records.slotOf(name);
    return this.#knows(row) ? row : undefined;
  }

  #knows(row: Row): boolean {
    return row >= 0 && row < this.#places.length && this.#places[row] !== NOWHERE;
  }

  count(status: MemberStatus): number {
    return this.#counts[MemberStatusCode[status]] as number;
  }

  add(info: MemberInfo): Row {
    assert(this.find(info.name) === undefined, "the member is known");
    const row = this.#records.hold(info.name);
    this.#reserve(row);
    this.#places[row] = this.#order.length;
    this.#order.push(row);
    this.#variants[row] = this.#records.holdVariant(row, info);
    this.#statuses[row] = MemberStatusCode.none;
    this.#statusTimes[row] = 0;
    this.#counts[MemberStatusCode.none] = this.count("none") + 1;
    return row;
  }

  remove(row: Row): void {
    assert(this.#knows(row), "the member is unknown");
    this.setStatus(row, "none");
    this.#counts[MemberStatusCode.none] = this.count("none") - 1;
    const place = this.#places[row] as number;
    const last = this.#order.pop() as Row;
    if (last !== row) {
      this.#order[place] = last;
      this.#places[last] = place;
    }
    this.#places[row] = NOWHERE;
    this.#leaveTimes.delete(row);
    this.#records.releaseVariant(row, this.#variants[row] as number);
    this.#records.release(row);
  }

  /** Lets go of the shared records: for a pool that ends while others of its process go on. */
  close(): void {
    while (this.#order.length > 0) this.remove(this.#order[this.#order.length - 1] as Row);
  }

  info(row: Row): MemberRecord {
    assert(this.#knows(row), "the member is unknown");
    return this.#records.record(row, this.#variants[row] as number);
  }

  setInfo(row: Row, info: MemberInfo): void {
    assert(this.info(row).name === info.name);
    const before = this.#variants[row] as number;
    this.#variants[row] = this.#records.holdVariant(row, info);
    this.#records.releaseVariant(row, before);
    this.#views.delete(row);
  }

  status(row: Row): MemberStatus {
    return STATUS_NAMES[this.#statuses[row] as number] as MemberStatus;
  }

  setStatus(row: Row, status: MemberStatus): void {
    const before = this.status(row);
    this.#counts[MemberStatusCode[before]] = this.count(before) - 1;
    this.#counts[MemberStatusCode[status]] = this.count(status) + 1;
    this.#statuses[row] = MemberStatusCode[status];
    this.#views.delete(row);
  }

  /** Lamport time of the newest intent about the member. */
  statusTime(row: Row): number {
    return this.#statusTimes[row] as number;
  }

  setStatusTime(row: Row, lamportTime: number): void {
    this.#statusTimes[row] = lamportTime;
  }

  /** When it left or failed, in ms of the clock given to `step`; 0 while it is here. */
  leaveTimeMs(row: Row): number {
    return this.#leaveTimes.get(row) ?? 0;
  }

  setLeaveTimeMs(row: Row, atMs: number): void {
    this.#leaveTimes.set(row, atMs);
  }

  clearLeaveTime(row: Row): void {
    this.#leaveTimes.delete(row);
  }

  member(row: Row): Member {
    const known = this.#views.get(row);
    if (known !== undefined) return known;
    const { name, addr, endpoint, meta, versions } = this.info(row);
    const member: Member = {
      name,
      addr,
      ip: endpoint.ip,
      port: endpoint.port,
      tags: tagsOf(meta),
      status: this.status(row),
      protocolMin: versions[0] ?? 0,
      protocolMax: versions[1] ?? 0,
      protocolCur: versions[2] ?? 0,
      delegateMin: versions[3] ?? 0,
      delegateMax: versions[4] ?? 0,
      delegateCur: versions[5] ?? 0,
    };
    this.#views.set(row, member);
    return member;
  }

  #reserve(row: Row): void {
    if (row < this.#places.length) return;
    const wanted = Math.max(row + 1, this.#records.capacity);
    const length = wanted + Math.max(GROWTH_MIN, Math.trunc(wanted / GROWTH_DIVISOR));
    const places = new Int32Array(length).fill(NOWHERE);
    const variants = new Uint16Array(length);
    const statuses = new Uint8Array(length);
    const statusTimes = new Float64Array(length);
    places.set(this.#places);
    variants.set(this.#variants);
    statuses.set(this.#statuses);
    statusTimes.set(this.#statusTimes);
    this.#places = places;
    this.#variants = variants;
    this.#statuses = statuses;
    this.#statusTimes = statusTimes;
  }
}

/** Decoded once per record, since records share their metadata. */
const decodedTags = new WeakMap<Uint8Array, ReadonlyMap<string, string>>();

function tagsOf(meta: Uint8Array): ReadonlyMap<string, string> {
  let tags = decodedTags.get(meta);
  if (tags === undefined) {
    tags = decodeTags(meta);
    decodedTags.set(meta, tags);
  }
  return tags;
}
