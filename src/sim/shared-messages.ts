/**
 * The gossip of all nodes of a simulation, each message once: ten thousand nodes pass the same twenty thousand messages on to each other
 * twenty times. Equal bytes have one number and are decoded once, and a receiver can be asked whether a copy would change anything before a
 * step is made of it. Never changes what happens: a node that is given the bytes alone does the same.
 */
import { assert } from "../base/assert.ts";
import { equalBytes } from "../base/bytes.ts";
import { bytesOfEvent, hashEvent } from "../serf/event-ring.ts";
import { MemberRecords, type MemberRecord } from "../swim/member-records.ts";
import { KnownSort, type KnownMessage, type Sharing } from "../swim/messages.ts";
import { decodePacketMessage, encodeAlive } from "../wire/gossip-codec.ts";
import type { PacketMessage } from "../wire/gossip-messages.ts";
import { mayRepeat } from "../wire/repeat-filter.ts";
import { decodeSerfMessage } from "../wire/serf-codec.ts";
import type { SerfMessage } from "../wire/serf-messages.ts";
import { NO_ROW, SettledBits, type SettledSet } from "./settled-bits.ts";
import { LANE_A, LANE_B, Survey, surveyBytes } from "./survey.ts";
import { hashBytes } from "./trace-hash.ts";

/** Bits of the second lane that fit a number beside the 32 of the first. */
const HIGH_BITS = 21;

export class SharedMessage implements KnownMessage {
  readonly bytes: Uint8Array;
  // The two lanes of its hash, as the trace hash takes them.
  readonly hashA: number;
  readonly hashB: number;
  /** Null: nothing that repeats, or nothing that can be decoded. */
  readonly message: PacketMessage | null;
  readonly upper: SerfMessage | null;
  readonly upperHash: number;
  readonly upperBytes: number;
  upperEffect: unknown = null;
  upperSlot: unknown = null;
  readonly sort: KnownSort;
  readonly time: number;
  number = -1;
  slot = -1;
  variant = -1;
  record: MemberRecord | null = null;
  /** Where `SettledBits` keeps the nodes at which it is settled. */
  settledRow = NO_ROW;

  constructor(bytes: Uint8Array, hashA: number, hashB: number) {
    this.bytes = bytes;
    this.hashA = hashA;
    this.hashB = hashB;
    const decoded = mayRepeat(bytes) ? decodePacketMessage(bytes) : null;
    const message = decoded?.ok === true ? decoded.value : null;
    const serf = message?.kind === "user" ? decodeSerfMessage(message.payload) : null;
    this.upper = serf?.ok === true ? serf.value : null;
    const event = this.upper?.kind === "userEvent" ? this.upper : null;
    this.upperHash = event === null ? 0 : hashEvent(event.name, event.payload);
    this.upperBytes = event === null ? 0 : bytesOfEvent(event.name, event.payload);
    this.message = serf?.ok === false ? null : message;
    const join = this.upper?.kind === "join" ? this.upper : null;
    this.sort = this.upper?.kind === "userEvent" ? KnownSort.userEvent : join !== null ? KnownSort.join : this.message?.kind === "alive" ? KnownSort.alive : KnownSort.other;
    this.time = join !== null ? join.lamportTime : this.message?.kind === "alive" ? this.message.incarnation : 0;
  }
}

/** A row of `SettledBits` of one message, or of all that declare one incarnation of a member dead. */
interface MessageRow {
  readonly row: number;
  readonly deathOf: number;
  messages: number;
}

const NO_DEATH = -1;
/** Holders count in the lowest bits those of this shard, and each other shard in which the message is held as so many. */
const SHARD_HOLDS = 1 << 24;
const HERE_MASK = SHARD_HOLDS - 1;
/** More than fit a datagram. */
const ASKED_MAX = 4096;
const NUMBERS_FIRST = 1024;
/** Words that making a datagram needs of each message, side by side: twice its length, and one more for a user event; the lanes of its hash; its row. */
const FACTS = 4;
const FACTS_SHIFT = 2;
const HASH_A = 1;
const HASH_B = 2;
const ROW = 3;

export class SharedMessages implements Sharing {
  readonly #records: MemberRecords;
  readonly #entries: (SharedMessage | null)[] = [];
  // By number, what making a datagram needs: the entries of a large cluster's gossip are spread over a hundred megabytes.
  readonly #bytes: (Uint8Array | null)[] = [];
  #holders = new Uint32Array(NUMBERS_FIRST);
  #facts = new Int32Array(FACTS * NUMBERS_FIRST);
  /** Numbers whose bytes were asked for since the last `survey`. */
  readonly #asked = new Int32Array(ASKED_MAX);
  #askedCount = 0;
  readonly #free: number[] = [];
  /**
   * The alive message last asked for, by slot: 1 + its number, its variant and its incarnation. A merge of ten thousand members that are all
   * news would miss the processor's caches several times for each if it went through the messages.
   */
  #aliveNumbers = new Uint32Array(0);
  #aliveVariants = new Uint16Array(0);
  #aliveIncarnations = new Uint32Array(0);
  readonly #byBytes = new Map<Uint8Array, SharedMessage>();
  readonly #byHash = new Map<number, SharedMessage>();
  readonly #settled: SettledBits;
  /** By slot: the rows of all messages about that member. */
  readonly #rowsAbout: (MessageRow[] | undefined)[] = [];

  /** Told the number of a message that nobody holds any more in this shard. */
  onUnheld: ((number: number) => void) | null = null;

  /** `nodes`: how many members there will be; `here`: so many of them share these messages. */
  constructor(nodes: number, here = nodes) {
    this.#records = new MemberRecords(this, nodes);
    this.#settled = new SettledBits(here);
  }

  /** What members announce, for the nodes that share these messages. */
  get records(): MemberRecords {
    return this.#records;
  }

  /** Messages held by somebody. */
  get size(): number {
    return this.#byBytes.size;
  }

  /** The message that these very bytes are, when somebody holds it. */
  known(bytes: Uint8Array): SharedMessage | null {
    return this.#byBytes.get(bytes) ?? null;
  }

  hold(bytes: Uint8Array): number {
    const same = this.#byBytes.get(bytes) ?? this.#equal(bytes);
    if (same !== null) {
      this.retain(same.number);
      return same.number;
    }
    // Encoders give views of larger pieces of memory, which must not live as long as a message does.
    const own = bytes.buffer.byteLength > 2 * bytes.length ? bytes.slice() : bytes;
    const entry = new SharedMessage(own, hashBytes(bytes, LANE_A), hashBytes(bytes, LANE_B));
    entry.number = this.#free.pop() ?? this.#entries.length;
    if (entry.number >= this.#holders.length) {
      this.#holders = longer(this.#holders, 2 * this.#holders.length);
      const facts = new Int32Array(FACTS * this.#holders.length);
      facts.set(this.#facts);
      this.#facts = facts;
    }
    this.#holders[entry.number] = 1;
    this.#entries[entry.number] = entry;
    this.#bytes[entry.number] = own;
    this.#byBytes.set(own, entry);
    const key = keyOf(entry.hashA, entry.hashB);
    if (!this.#byHash.has(key)) this.#byHash.set(key, entry);
    this.#holdMember(entry);
    this.#takeRow(entry);
    this.#setFacts(entry);
    return entry.number;
  }

  #setFacts({ number, bytes, sort, hashA, hashB, settledRow }: SharedMessage): void {
    const facts = this.#facts;
    const at = number << FACTS_SHIFT;
    facts[at] = 2 * bytes.length + (sort === KnownSort.userEvent ? 1 : 0);
    facts[at + HASH_A] = hashA;
    facts[at + HASH_B] = hashB;
    facts[at + ROW] = settledRow;
  }

  retain(number: number): void {
    this.#holders[number] = (this.#holders[number] as number) + 1;
  }

  release(number: number): void {
    const left = (this.#holders[number] as number) - 1;
    this.#holders[number] = left;
    if ((left & HERE_MASK) > 0) return;
    this.onUnheld?.(number);
    if (left === 0) this.#forget(number);
  }

  /** Holds a message because another shard does. */
  holdForShard(bytes: Uint8Array): number {
    const number = this.hold(bytes);
    this.#holders[number] = (this.#holders[number] as number) - 1 + SHARD_HOLDS;
    return number;
  }

  releaseForShard(number: number): void {
    const left = (this.#holders[number] as number) - SHARD_HOLDS;
    this.#holders[number] = left;
    if (left === 0) this.#forget(number);
  }

  /** Somebody in this shard holds it. */
  isHeldHere(number: number): boolean {
    return ((this.#holders[number] as number) & HERE_MASK) > 0;
  }

  #forget(number: number): void {
    const entry = this.at(number);
    this.#entries[number] = null;
    this.#bytes[number] = null;
    this.#free.push(number);
    this.#byBytes.delete(entry.bytes);
    const key = keyOf(entry.hashA, entry.hashB);
    if (this.#byHash.get(key) === entry) this.#byHash.delete(key);
    entry.number = -1;
    if (entry.slot >= 0 && this.#aliveNumbers[entry.slot] === number + 1) this.#aliveNumbers[entry.slot] = 0;
    this.#giveRow(entry);
    // Copies on their way are judged by their bytes from now on.
    if (entry.variant >= 0) this.#records.releaseVariant(entry.slot, entry.variant);
    if (entry.slot >= 0) this.#records.release(entry.slot);
    entry.slot = -1;
    entry.variant = -1;
    entry.record = null;
  }

  at(number: number): SharedMessage {
    const entry = this.#entries[number];
    assert(entry !== null && entry !== undefined, "no message has this number");
    return entry;
  }

  bytesAt(number: number): Uint8Array {
    const bytes = this.#bytes[number];
    assert(bytes !== null && bytes !== undefined, "no message has this number");
    return bytes;
  }

  /** As `bytesAt`, for a packet that is being filled. */
  bytesOf(number: number): Uint8Array {
    const bytes = this.bytesAt(number);
    assert(this.#askedCount < ASKED_MAX, "a packet of too many messages");
    this.#asked[this.#askedCount] = number;
    this.#askedCount += 1;
    return bytes;
  }

  /** Numbers are what is looked at, not the messages: to compare objects is to read them, and they lie cold. */
  survey(messages: readonly Uint8Array[]): Survey {
    const asked = this.#asked;
    const first = messages.length - this.#askedCount;
    this.#askedCount = 0;
    assert(first >= 0, "messages were asked for and not packed");
    if (first === messages.length && !this.#isAnyHeld(messages)) return surveyBytes(messages); // As nearly all pings and acks.
    const survey = new Survey();
    const facts = this.#facts;
    const settled = this.#settled;
    const held = new Array<number>(messages.length);
    settled.beginSet();
    let are = 1;
    let isAll = true;
    for (let i = 0; i < messages.length; i += 1) {
      const number = i < first ? this.#numberOf(messages[i] as Uint8Array) : this.#stillHeld(asked[i - first] as number);
      held[i] = number;
      if (number < 0) {
        isAll = false;
        survey.addBytes(messages[i] as Uint8Array);
        continue;
      }
      const at = number << FACTS_SHIFT;
      const size = facts[at] as number;
      are &= size;
      survey.add(size >> 1, facts[at + HASH_A] as number, facts[at + HASH_B] as number);
      settled.include(facts[at + ROW] as number);
    }
    survey.close(messages.length);
    survey.held = held;
    survey.settledSet = isAll ? settled.endSet() : null;
    survey.isOfEvents = isAll && are === 1;
    return survey;
  }

  #isAnyHeld(messages: readonly Uint8Array[]): boolean {
    for (let i = 0; i < messages.length; i += 1) if (this.#numberOf(messages[i] as Uint8Array) >= 0) return true;
    return false;
  }

  /** The number of a message that did not come from a queue; -1 when nobody holds it, as none of a kind that is not passed on. */
  #numberOf(message: Uint8Array): number {
    return mayRepeat(message) ? (this.#byBytes.get(message)?.number ?? -1) : -1;
  }

  /** -1 for what has just been sent for the last time, and is over. */
  #stillHeld(number: number): number {
    return this.#holders[number] === 0 ? -1 : number;
  }

  /** Of a datagram from another shard, of which size and hashes are known there, and whose messages have these numbers here. */
  surveyHeld(held: readonly number[], survey: Survey): void {
    const facts = this.#facts;
    const settled = this.#settled;
    survey.held = held;
    settled.beginSet();
    let are = 1;
    for (let i = 0; i < held.length; i += 1) {
      const number = held[i] as number;
      if (number < 0) return;
      const at = number << FACTS_SHIFT;
      are &= facts[at] as number;
      settled.include(facts[at + ROW] as number);
    }
    survey.settledSet = settled.endSet();
    survey.isOfEvents = are === 1;
  }

  /** The rows of the set are still those of its messages; and so are the numbers that were found with it, of messages that do not share rows. */
  isCurrent(set: SettledSet): boolean {
    return this.#settled.isCurrent(set);
  }

  /** This number is still, or again, that of these very bytes. */
  isHeldAs(number: number, bytes: Uint8Array): boolean {
    return number >= 0 && this.#bytes[number] === bytes;
  }

  holdAlive(slot: number, variant: number, incarnation: number): SharedMessage {
    const last = this.aliveNumber(slot, variant, incarnation);
    if (last >= 0) {
      this.retain(last);
      return this.at(last);
    }
    const { name, addr, endpoint, meta, versions } = this.#records.record(slot, variant);
    const entry = this.at(this.hold(encodeAlive({ incarnation, node: name, addr, port: endpoint.port, meta, versions })));
    if (entry.slot !== slot || entry.variant !== variant) return entry;
    if (slot >= this.#aliveNumbers.length) {
      const length = Math.max(this.#records.capacity, slot + 1 + (slot >> 2));
      this.#aliveNumbers = longer(this.#aliveNumbers, length);
      this.#aliveIncarnations = longer(this.#aliveIncarnations, length);
      const variants = new Uint16Array(length);
      variants.set(this.#aliveVariants);
      this.#aliveVariants = variants;
    }
    this.#aliveNumbers[slot] = entry.number + 1;
    this.#aliveVariants[slot] = variant;
    this.#aliveIncarnations[slot] = incarnation;
    return entry;
  }

  aliveNumber(slot: number, variant: number, incarnation: number): number {
    if (slot >= this.#aliveNumbers.length || this.#aliveVariants[slot] !== variant || this.#aliveIncarnations[slot] !== incarnation) return -1;
    return (this.#aliveNumbers[slot] as number) - 1;
  }

  lengthOf(number: number): number {
    return (this.#facts[number << FACTS_SHIFT] as number) >> 1;
  }

  /** What `isSettled` says of each message of the set; false also when that takes a closer look. */
  areSettled(set: SettledSet, node: number): boolean {
    return this.#settled.hasAll(set, node);
  }

  /** Of how many messages of the set `isSettled` is false, if each has a row of its own; `SET_IS_OLD` when that takes a closer look. */
  unsettled(set: SettledSet, node: number): number {
    return this.#settled.missing(set, node);
  }

  /** A further copy of the message with this number changes nothing at this node, as the node has said before. */
  isSettled(number: number, node: number): boolean {
    return this.#settled.has(this.#facts[(number << FACTS_SHIFT) + ROW] as number, node);
  }

  /** The node says that further copies change nothing, until it says `regress` of the member that the message is about, or `forgetNode`. */
  settle(message: SharedMessage, node: number): void {
    this.#settled.add(message.settledRow, node);
  }

  /** The node keeps the user event of this message, or no longer does. */
  setHeld(number: number, node: number, isHeld: boolean): void {
    const { settledRow } = this.at(number);
    if (isHeld) this.#settled.add(settledRow, node);
    else this.#settled.delete(settledRow, node);
  }

  /** What the node knew of the member in `slot` has gone back: messages about it may change something again. */
  regress(slot: number, node: number): void {
    const rows = this.#rowsAbout[slot];
    if (rows !== undefined) for (const { row } of rows) this.#settled.delete(row, node);
  }

  /** Nothing is settled at this node any more: its process has ended. */
  forgetNode(node: number): void {
    this.#settled.deleteNode(node);
  }

  /** Deaths of one incarnation are judged alike, whoever declares it: in a cluster of thousands hundreds do at the same time. */
  #takeRow(entry: SharedMessage): void {
    const { message, slot } = entry;
    const deathOf = message?.kind === "dead" ? message.incarnation : NO_DEATH;
    if (slot < 0) {
      entry.settledRow = this.#settled.take();
      return;
    }
    const rows = (this.#rowsAbout[slot] ??= []);
    const same = deathOf === NO_DEATH ? undefined : rows.find((one) => one.deathOf === deathOf);
    if (same !== undefined) same.messages += 1;
    else rows.push({ row: this.#settled.take(), deathOf, messages: 1 });
    entry.settledRow = (same ?? (rows[rows.length - 1] as MessageRow)).row;
  }

  #giveRow(entry: SharedMessage): void {
    const { settledRow, slot } = entry;
    entry.settledRow = NO_ROW;
    if (slot >= 0) {
      const rows = this.#rowsAbout[slot] as MessageRow[];
      const at = rows.findIndex(({ row }) => row === settledRow);
      const shared = rows[at] as MessageRow;
      shared.messages -= 1;
      if (shared.messages > 0) return;
      rows.splice(at, 1);
      if (rows.length === 0) this.#rowsAbout[slot] = undefined;
    }
    this.#settled.give(settledRow);
  }

  #equal(bytes: Uint8Array): SharedMessage | null {
    const same = this.#byHash.get(keyOf(hashBytes(bytes, LANE_A), hashBytes(bytes, LANE_B)));
    return same !== undefined && equalBytes(same.bytes, bytes) ? same : null;
  }

  #holdMember(entry: SharedMessage): void {
    const { message, upper } = entry;
    switch (message?.kind) {
      case "alive":
        if (message.port === 0) return; // Means something else at each receiver.
        entry.slot = this.#records.hold(message.node);
        entry.variant = this.#records.holdVariant(entry.slot, message);
        entry.record = this.#records.record(entry.slot, entry.variant);
        return;
      case "suspect":
      case "dead":
        entry.slot = this.#records.hold(message.node);
        return;
      case "user":
        if (upper?.kind === "join" || upper?.kind === "leave") entry.slot = this.#records.hold(upper.node);
    }
  }
}

function longer(column: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const copy = new Uint32Array(length);
  copy.set(column);
  return copy;
}

function keyOf(hashA: number, hashB: number): number {
  return (hashA >>> 0) + (hashB >>> (32 - HIGH_BITS)) * 0x1_0000_0000;
}
