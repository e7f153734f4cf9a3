/**
 * The members as Serf sees them: what SWIM told about each, plus Serf's status. One process may hold thousands of nodes that each know
 * thousands of members, so there is no object per member: some 4 bytes in columns (`base/column.ts`), indexed by the slot of the process-wide
 * records that SWIM keeps too. `Member`s are built when somebody asks, and shared by all nodes that see the same.
 */
import { assert } from "../base/assert.ts";
import { copiedInto, resized, wideEnough, type Column } from "../base/column.ts";
import type { AdoptedMembers } from "../swim/adopted-members.ts";
import type { MemberRecord, MemberRecords } from "../swim/member-records.ts";
import type { SwimMember } from "../swim/types.ts";
import { decodeTags } from "../wire/serf-tags.ts";
import { intLength } from "../wire/msgpack.ts";
import { MemberStatusCode } from "../wire/serf-messages.ts";
import type { StateArrays } from "../swim/state-arrays.ts";
import { lengthOfTimes, StatusTimes, TIME_IS_LATE } from "./status-times.ts";
import type { Member, MemberStatus } from "./types.ts";

/** What Serf takes over from a SWIM member. */
export type MemberInfo = Pick<SwimMember, "name" | "addr" | "port" | "meta" | "versions">;

const STATUS_NAMES: readonly MemberStatus[] = ["none", "alive", "leaving", "left", "failed"];
/** In `#statuses`: the node does not know the member. Others stand there as their status and one. */
const UNKNOWN = 0;

/** Slot of the shared records; ours until the member is removed. */
export type Row = number;

export class MemberTable {
  readonly #records: MemberRecords;
  /** Empty while all are of the first variant. */
  #variants: Column = new Uint8Array(0);
  #statuses = new Uint8Array(0);
  /** Lamport times that fit 32 bits; `TIME_IS_LATE` says to look into `#lateTimes`. */
  #statusTimes: Column = new Uint16Array(0);
  readonly #lateTimes = new Map<Row, number>();
  readonly #leaveTimes = new Map<Row, number>();
  /** `timesLength`, while it holds; -1 when it has to be summed up again. */
  #timesLength = -1;
  #size = 0;
  #changes = 0;
  readonly #counts = [0, 0, 0, 0, 0];
  /** Told that a row is removed. While a member is known, the time of its newest intent only grows, so that older intents stay old. */
  onRegress: ((row: Row) => void) | null = null;

  constructor(records: MemberRecords) {
    this.#records = records;
  }

  get size(): number {
    return this.#size;
  }

  /** Known members, in no particular order. */
  *rows(): IterableIterator<Row> {
    for (let row = 0; row < this.#statuses.length; row += 1) if (this.#statuses[row] !== UNKNOWN) yield row;
  }

  /** Grows with each change of what `member` shows of anybody: a list made of them is good for as long as this is the same. */
  get changes(): number {
    return this.#changes;
  }

  /** All status times as they are now. */
  get statusTimes(): StatusTimes {
    return new StatusTimes({ count: this.#size, statuses: this.#statuses, times: this.#statusTimes, late: this.#lateTimes.size === 0 ? null : this.#lateTimes });
  }

  /** A copy of them, in memory for as many members as the records have. */
  copyTimes({ statuses, times }: Pick<StateArrays, "statuses" | "times">): StatusTimes {
    return new StatusTimes({
      count: this.#size,
      statuses: copiedInto(statuses, this.#statuses, this.#statuses.length) as Uint8Array,
      times: copiedInto(times, this.#statusTimes, this.#statusTimes.length),
      late: this.#lateTimes.size === 0 ? null : new Map(this.#lateTimes),
    });
  }

  /** Bytes of all names and status times in a message. */
  get timesLength(): number {
    if (this.#timesLength < 0) this.#timesLength = lengthOfTimes(this.statusTimes, this.#records.nameLengths);
    return this.#timesLength;
  }

  find(name: string): Row | undefined {
    const row = this.#records.slotOf(name);
    return this.isKnown(row) ? row : undefined;
  }

  isKnown(row: Row): boolean {
    return row >= 0 && row < this.#statuses.length && this.#statuses[row] !== UNKNOWN;
  }

  count(status: MemberStatus): number {
    return this.#counts[MemberStatusCode[status]] as number;
  }

  add(info: MemberInfo): Row {
    const row = this.#records.hold(info.name);
    return this.#enter(row, this.#records.holdVariant(row, info));
  }

  /** As `add`, of a member that another table of these records holds in this variant. */
  addKnown(row: Row, variant: number): void {
    this.#records.holdSlot(row);
    this.#records.holdKnownVariant(row, variant);
    this.#enter(row, variant);
  }

  #enter(row: Row, variant: number): Row {
    assert(!this.isKnown(row), "the member is known");
    this.#reserve(row);
    this.#setVariant(row, variant);
    this.#statuses[row] = MemberStatusCode.none + 1;
    this.setStatusTime(row, 0);
    this.#counts[MemberStatusCode.none] = this.count("none") + 1;
    this.#size += 1;
    this.#changes += 1;
    return row;
  }

  #variant(row: Row): number {
    return this.#variants.length === 0 ? 0 : (this.#variants[row] as number);
  }

  #setVariant(row: Row, variant: number): void {
    if (this.#variants.length === 0) {
      if (variant === 0) return;
      this.#variants = new Uint8Array(this.#statuses.length);
    }
    this.#variants = wideEnough(this.#variants, variant);
    this.#variants[row] = variant;
  }

  remove(row: Row): void {
    assert(this.isKnown(row), "the member is unknown");
    this.setStatus(row, "none");
    this.#counts[MemberStatusCode.none] = this.count("none") - 1;
    this.#size -= 1;
    this.#changes += 1;
    this.#statuses[row] = UNKNOWN;
    this.setStatusTime(row, 0);
    this.#leaveTimes.delete(row);
    this.#records.releaseVariant(row, this.#variant(row));
    this.#records.release(row);
    this.onRegress?.(row);
  }

  /** Lets go of the shared records: for a pool that ends while others of its process go on. */
  close(): void {
    this.onRegress = null;
    for (const row of this.rows()) this.remove(row);
  }

  info(row: Row): MemberRecord {
    assert(this.isKnown(row), "the member is unknown");
    return this.#records.record(row, this.#variant(row));
  }

  setInfo(row: Row, info: MemberInfo): void {
    assert(this.info(row).name === info.name);
    const before = this.#variant(row);
    const variant = this.#records.holdVariant(row, info);
    this.#setVariant(row, variant);
    this.#records.releaseVariant(row, before);
    this.#changes += 1;
  }

  status(row: Row): MemberStatus {
    return STATUS_NAMES[(this.#statuses[row] as number) - 1] as MemberStatus;
  }

  setStatus(row: Row, status: MemberStatus): void {
    const before = this.status(row);
    this.#counts[MemberStatusCode[before]] = this.count(before) - 1;
    this.#counts[MemberStatusCode[status]] = this.count(status) + 1;
    this.#statuses[row] = MemberStatusCode[status] + 1;
    this.#changes += 1;
  }

  /** Lamport time of the newest intent about the member. */
  statusTime(row: Row): number {
    const time = this.#statusTimes[row] as number;
    return time === TIME_IS_LATE ? (this.#lateTimes.get(row) as number) : time;
  }

  /** Takes over members as alive, that another table of these records holds; those that are known stay as they are. */
  adopt(members: AdoptedMembers): void {
    const { length, slots, variants, lastSlot } = members;
    const isShared = this.#records.sharing !== null; // Then nobody counts who holds them.
    let adopted = 0;
    let areShort = true;
    this.#reserve(lastSlot);
    const statuses = this.#statuses;
    for (let i = 0; i < length; i += 1) {
      const slot = slots[i] as number;
      if (statuses[slot] !== UNKNOWN) {
        areShort &&= intLength(this.statusTime(slot)) === 1;
        continue;
      }
      const variant = variants[i] as number;
      if (!isShared) {
        this.#records.holdSlot(slot);
        this.#records.holdKnownVariant(slot, variant);
      }
      this.#setVariant(slot, variant);
      statuses[slot] = MemberStatusCode.alive + 1;
      this.setStatusTime(slot, 0);
      adopted += 1;
    }
    this.#size += adopted;
    this.#counts[MemberStatusCode.alive] = this.count("alive") + adopted;
    this.#changes += 1;
    if (isShared && areShort && this.#size === length) this.#takeLength(members);
  }

  /** Nodes that know just these, with times of one byte, say as much of them. */
  #takeLength(members: AdoptedMembers): void {
    if (members.timesLength < 0) members.timesLength = this.timesLength;
    this.#timesLength = members.timesLength;
  }

  setStatusTime(row: Row, lamportTime: number): void {
    const isLate = lamportTime >= TIME_IS_LATE;
    if (isLate) this.#lateTimes.set(row, lamportTime);
    else if (this.#lateTimes.size > 0) this.#lateTimes.delete(row);
    const time = isLate ? TIME_IS_LATE : lamportTime;
    this.#timesLength = -1;
    this.#statusTimes = wideEnough(this.#statusTimes, time);
    this.#statusTimes[row] = time;
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

  /** `member` of a row whose record the caller has at hand. */
  memberAs(row: Row, record: MemberRecord): Member {
    const isFirst = this.#records.sharing !== null && this.#variant(row) === 0 && this.status(row) === "alive";
    if (!isFirst) return memberOf(record, this.status(row));
    const { firstUppers } = this.#records;
    const known = firstUppers[row] as Member | undefined;
    if (known !== undefined) return known;
    const member = memberOf(record, "alive");
    firstUppers[row] = member;
    return member;
  }

  member(row: Row): Member {
    return memberOf(this.info(row), this.status(row));
  }

  /** Bytes of the columns; for measuring. */
  get bytes(): number {
    return this.#variants.byteLength + this.#statuses.byteLength + this.#statusTimes.byteLength;
  }

  #reserve(row: Row): void {
    if (row < this.#statuses.length) return;
    const length = this.#records.tableLength(row);
    const statuses = new Uint8Array(length);
    statuses.set(this.#statuses);
    this.#statuses = statuses;
    if (this.#variants.length > 0) this.#variants = resized(this.#variants, length);
    this.#statusTimes = resized(this.#statusTimes, length);
  }
}

/** What all nodes that see a record in one status show; records are shared and never change. */
function memberOf(record: MemberRecord, status: MemberStatus): Member {
  const known = record.upper[MemberStatusCode[status]] as Member | undefined;
  if (known !== undefined) return known;
  const { name, addr, endpoint, meta, versions } = record;
  const member: Member = {
    name,
    addr,
    ip: endpoint.ip,
    port: endpoint.port,
    tags: tagsOf(meta),
    status,
    protocolMin: versions[0] ?? 0,
    protocolMax: versions[1] ?? 0,
    protocolCur: versions[2] ?? 0,
    delegateMin: versions[3] ?? 0,
    delegateMax: versions[4] ?? 0,
    delegateCur: versions[5] ?? 0,
  };
  record.upper[MemberStatusCode[status]] = member;
  return member;
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
