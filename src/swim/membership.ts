/**
 * The rules that turn claims about members into states (SWIM paper, section 4.2; serf-protocol §4.2–4.6): alive, suspect, dead, left,
 * and the refutation of claims about ourselves. Each rule is one method; all effects of a change of state happen here.
 */
import { EMPTY_BYTES, equalBytes } from "../base/bytes.ts";
import { formatEndpoint, ipFromBytes } from "../base/endpoint.ts";
import { encodeAlive, encodeDead, encodeSuspect } from "../wire/gossip-codec.ts";
import type { Alive } from "../wire/gossip-messages.ts";
import { count, isAllowedAddr, log, logs, type Core } from "./core.ts";
import type { MemberRecord } from "./member-records.ts";
import type { AdoptedMember } from "./adopted-members.ts";
import { StateCode } from "./member-table.ts";
import { Repeat, type KnownMessage } from "./messages.ts";
import type { Outbox } from "./outbox.ts";
import type { Suspicions } from "./suspicion.ts";
import { NS_PER_MS, suspicionTimeoutNs } from "./timing.ts";
import type { SwimEffect, SwimMember } from "./types.ts";

/** Members we keep at most: what one push/pull may carry. */
export const MEMBERS_MAX = 1_048_576;
/** Longest name we keep, in characters. Longer ones cannot be gossiped anyway. */
export const NAME_LENGTH_MAX = 1024;
/** Longest metadata we keep, in bytes: eight times what a sender may announce. */
export const META_BYTES_KEPT_MAX = 4096;
const ADDR_BYTES_MAX = 16;
const VERSIONS_BYTES_MAX = 16;
const INCARNATION_MAX = 0xffff_ffff;
/**
 * Broadcasts about a member replace each other; our refutations replace each other and no broadcast about our name (the original names them
 * by our address).
 */
const REFUTATION_KEY = 0;
const MEMBER_KEYS = 1;
/** A suspicion wants this many fewer confirmations than its multiplier: ours and one interval of phase difference. */
const CONFIRMATIONS_LESS = 2;
/** The suspect and ourselves cannot confirm. */
const NOT_CONFIRMING = 2;

export type AliveClaim = Omit<Alive, "kind">;

export interface Accusation {
  readonly node: string;
  readonly incarnation: number;
  readonly from: string;
}

export class Membership {
  readonly #core: Core;
  readonly #outbox: Outbox;
  readonly #suspicions: Suspicions;
  #incarnation = 0; // Our own counter.
  #news = 0;

  constructor(core: Core, outbox: Outbox, suspicions: Suspicions) {
    this.#core = core;
    this.#outbox = outbox;
    this.#suspicions = suspicions;
  }

  /** A fresh incarnation of ourselves. */
  nextIncarnation(): number {
    this.#incarnation = Math.min(INCARNATION_MAX, this.#incarnation + 1);
    return this.#incarnation;
  }

  /** Grows with each change that a claim about another member brought. */
  get news(): number {
    return this.#news;
  }

  /** Some other member is alive or suspect. */
  get anyOther(): boolean {
    const { table, selfSlot } = this.#core;
    const self = selfSlot < 0 ? StateCode.unknown : table.state(selfSlot);
    return table.livingCount > (self === StateCode.alive || self === StateCode.suspect ? 1 : 0);
  }

  /**
   * Somebody is said to be alive. `bootstrap`: we say it about ourselves. `token` comes back when the broadcast is finished;
   * false when no broadcast was queued. `known`: the claim as a message that others of the process know too.
   */
  alive(claim: AliveClaim, bootstrap: boolean, token: number, nowMs: number, out: SwimEffect[], known: KnownMessage | null = null): boolean {
    const core = this.#core;
    const { table } = core;
    const { node, incarnation } = claim;
    const aboutUs = known === null ? node === core.config.name : known.slot === core.selfSlot;
    if (core.left && aboutUs) return false;
    if (known === null && !this.#isAcceptable(claim, out)) return false; // Whoever passed it on found it acceptable.

    let slot = known === null ? table.slotOf(node) : table.state(known.slot) === StateCode.unknown ? -1 : known.slot;
    const isSame = known !== null && slot >= 0 && table.variant(slot) === known.variant;
    let moves = false;
    if (slot < 0) {
      if (table.size >= MEMBERS_MAX) {
        count("memberlist.drop.members", out);
        return false;
      }
      if (!isAllowedAddr(core, claim.addr)) {
        const ip = ipFromBytes(claim.addr);
        log(core, "warn", `Rejected node ${node} (${ip}): ${ip} is not allowed`, out);
        count("memberlist.drop.address", out);
        return false;
      }
      if (known === null) slot = table.add(node, claim, nowMs, core.random);
      else table.addKnown((slot = known.slot), known.variant, core.random);
      if (aboutUs) core.selfSlot = slot;
    } else if (!isSame && this.#isElsewhere(table.record(slot), claim)) {
      if (!isAllowedAddr(core, claim.addr)) {
        const ip = ipFromBytes(claim.addr);
        log(core, "warn", `Rejected IP update from ${table.record(slot).endpoint.ip} to ${ip} for node ${node}: ${ip} is not allowed`, out);
        count("memberlist.drop.address", out);
        return false;
      }
      if (!this.#mayMove(slot, nowMs)) {
        this.#conflict(slot, claim, nowMs, out);
        return false;
      }
      moves = true;
      if (logs(core, "info")) {
        const { endpoint } = table.record(slot);
        log(core, "info", `Updating address for left or failed node ${node} from ${formatEndpoint(endpoint)} to ${ipFromBytes(claim.addr)}:${claim.port}`, out);
      }
    }
    if (aboutUs ? incarnation < table.incarnation(slot) : !moves && incarnation <= table.incarnation(slot)) return false;

    this.#suspicions.cancel(slot);
    // The same variant: the same content, whose bytes need not be compared.
    const record = known !== null && !moves && table.variant(slot) === known.variant ? null : table.record(slot);
    const oldState = table.state(slot);
    if (aboutUs && !bootstrap) {
      const same = record === null || (equalBytes(claim.meta, record.meta) && equalBytes(claim.versions, record.versions));
      if (same && incarnation === table.incarnation(slot)) return false;
      if (logs(core, "warn")) log(core, "warn", refutingAlive(claim, table.record(slot)), out);
      this.#refute(slot, incarnation, out);
      count("memberlist.msg.alive", out);
      return false;
    }
    const queued = known === null ? this.#broadcast(MEMBER_KEYS + slot, encodeAlive(claim), token) : this.#passOn(MEMBER_KEYS + slot, known);
    const metaChanged = record !== null && this.#takeOver(slot, claim, record, moves);
    table.setIncarnation(slot, incarnation);
    if (!aboutUs) this.#news += 1;
    if (oldState !== StateCode.alive) table.setState(slot, StateCode.alive, nowMs);
    count("memberlist.msg.alive", out);
    if (oldState === StateCode.dead || oldState === StateCode.left) {
      const variant = table.variant(slot);
      const shown = known?.variant === variant ? known.record : null;
      core.delegate.memberJoined(shown ?? table.record(slot), nowMs, out, slot, variant);
    }
    else if (metaChanged) core.delegate.memberUpdated(table.view(slot), nowMs, out);
    return queued;
  }

  /**
   * As `alive`, of a member that we do not know and others of the process do, whose alive message has this number and length. False, and
   * nothing done, when there may be more to it. In a storm of joins thousands of nodes meet thousands of members: none of them is looked at here.
   */
  meet({ slot, variant, incarnation }: AdoptedMember, number: number, length: number, nowMs: number, out: SwimEffect[]): boolean {
    const core = this.#core;
    const { table, records } = core;
    const isPlain = table.state(slot) === StateCode.unknown && slot !== core.selfSlot && incarnation > 0 && table.size < MEMBERS_MAX;
    if (!isPlain || core.config.allowedNetworks !== undefined) return false;
    table.addKnown(slot, variant, core.random);
    this.#suspicions.cancel(slot);
    if (this.#outbox.fits(length)) {
      records.messages.retain(number);
      core.broadcasts.queueHeld(MEMBER_KEYS + slot, number, length);
    }
    table.setIncarnation(slot, incarnation);
    this.#news += 1;
    table.setState(slot, StateCode.alive, nowMs);
    count("memberlist.msg.alive", out);
    core.delegate.memberJoined(records.record(slot, variant), nowMs, out, slot, variant);
    return true;
  }

  /** Makes what is claimed our record of the member; true when its meta has changed. */
  #takeOver(slot: number, claim: AliveClaim, record: MemberRecord, moves: boolean): boolean {
    const { addr, port, meta } = claim;
    const versions = claim.versions.length > 0 ? claim.versions : record.versions;
    const metaChanged = !equalBytes(meta, record.meta);
    if (moves || metaChanged || !equalBytes(versions, record.versions) || !equalBytes(addr, record.addr)) {
      this.#core.table.setContent(slot, { addr, port, meta, versions });
    }
    return metaChanged;
  }

  /** Somebody is said not to answer. `known` as for `alive`. */
  suspect({ node, incarnation, from }: Accusation, nowMs: number, out: SwimEffect[], known: KnownMessage | null = null): void {
    const core = this.#core;
    const { table } = core;
    const slot = this.#accused(node, known);
    if (slot < 0 || incarnation < table.incarnation(slot)) return;
    if (this.#suspicions.has(slot)) {
      if (this.#suspicions.confirm(slot, from, nowMs)) this.#tellSuspect(slot, node, incarnation, from, known);
      return;
    }
    if (table.state(slot) !== StateCode.alive) return;
    if (slot === core.selfSlot) {
      log(core, "warn", `Refuting a suspect message (from: ${from})`, out);
      this.#refute(slot, incarnation, out);
      return;
    }
    this.#tellSuspect(slot, node, incarnation, from, known);
    count("memberlist.msg.suspect", out);
    this.#news += 1;
    table.setIncarnation(slot, incarnation);
    table.setState(slot, StateCode.suspect, nowMs);
    this.#startSuspicion(slot, from, nowMs);
  }

  #tellSuspect(slot: number, node: string, incarnation: number, from: string, known: KnownMessage | null): void {
    if (known === null) this.#broadcast(MEMBER_KEYS + slot, encodeSuspect({ incarnation, node, from }), 0);
    else this.#passOn(MEMBER_KEYS + slot, known);
  }

  /** The slot of an accused member, or -1 when we do not know it. */
  #accused(node: string, known: KnownMessage | null): number {
    const { table } = this.#core;
    if (known === null) return table.slotOf(node);
    return known.slot >= 0 && table.state(known.slot) !== StateCode.unknown ? known.slot : -1;
  }

  /** Somebody is said to be dead, or, if `from` is `node`, to have left. `token`, `known` and result as for `alive`. */
  dead({ node, incarnation, from }: Accusation, token: number, nowMs: number, out: SwimEffect[], known: KnownMessage | null = null): boolean {
    const core = this.#core;
    const { table } = core;
    const slot = this.#accused(node, known);
    if (slot < 0 || incarnation < table.incarnation(slot)) return false;
    this.#suspicions.cancel(slot);
    const state = table.state(slot);
    if (state === StateCode.dead || state === StateCode.left) return false;
    if (slot === core.selfSlot && !core.left) {
      log(core, "warn", `Refuting a dead message (from: ${from})`, out);
      this.#refute(slot, incarnation, out);
      return false;
    }
    const queued = known === null ? this.#broadcast(MEMBER_KEYS + slot, encodeDead({ incarnation, node, from }), token) : this.#passOn(MEMBER_KEYS + slot, known);
    count("memberlist.msg.dead", out);
    this.#news += 1;
    table.setIncarnation(slot, incarnation);
    table.setState(slot, from === node ? StateCode.left : StateCode.dead, nowMs);
    core.delegate.memberLeft(table.view(slot), nowMs, out);
    return queued;
  }

  /**
   * A further copy of this claim would change nothing: the member is known at this address with this incarnation or a newer one. Never true
   * of claims about ourselves (they are answered), of conflicting ones (each copy counts), and about a member that is dead or left: once
   * that member is forgotten, the same claim makes it known again. One that dies now is not forgotten before filters have forgotten the claim.
   */
  isSettledAlive(claim: AliveClaim): boolean {
    const { table, selfSlot } = this.#core;
    const slot = table.slotOf(claim.node);
    if (slot < 0 || slot === selfSlot) return false;
    const state = table.state(slot);
    if (state === StateCode.dead || state === StateCode.left) return false;
    return claim.incarnation <= table.incarnation(slot) && !this.#isElsewhere(table.record(slot), claim);
  }

  /** What a peer that shares our records says of the member in `slot` may change something. False only when it certainly does not. */
  isNews(slot: number, state: number, variant: number, incarnation: number): boolean {
    const { table } = this.#core;
    const ours = table.state(slot);
    if (state === StateCode.alive) return ours === StateCode.unknown || incarnation > table.incarnation(slot) || variant !== table.variant(slot);
    return ours !== StateCode.unknown && ours !== StateCode.dead && ours !== StateCode.left && incarnation >= table.incarnation(slot);
  }

  /** `alive` of the member in `slot`, in this variant, would do nothing now: it is known at that address and has said this, or something newer. */
  isIdleAlive(slot: number, variant: number, claim: AliveClaim): boolean {
    const { table, selfSlot } = this.#core;
    if (slot === selfSlot || table.state(slot) === StateCode.unknown || claim.incarnation > table.incarnation(slot)) return false;
    return table.variant(slot) === variant || !this.#isElsewhere(table.record(slot), claim);
  }

  /** As `isSettledAlive`: the accusation is old, came too late, or its accuser has been counted. */
  isSettledSuspect({ node, incarnation, from }: Accusation): boolean {
    const { table, selfSlot } = this.#core;
    const slot = table.slotOf(node);
    if (slot < 0 || slot === selfSlot) return false;
    if (incarnation < table.incarnation(slot)) return true;
    return incarnation === table.incarnation(slot) && this.#suspicions.has(slot) && !this.#suspicions.wouldConfirm(slot, from);
  }

  /** `suspect` of the member in `slot` would do nothing now: nobody we know, or gone, or accused by this accuser before. */
  isIdleSuspect(slot: number, { incarnation, from }: Accusation): boolean {
    const { table, selfSlot } = this.#core;
    if (slot === selfSlot) return false;
    const state = table.state(slot);
    if (state === StateCode.unknown || incarnation < table.incarnation(slot)) return true;
    return this.#suspicions.has(slot) ? !this.#suspicions.wouldConfirm(slot, from) : state !== StateCode.alive;
  }

  /** `dead` of the member in `slot` would do nothing now: nobody we know, or gone already, or it has said something newer. */
  isIdleDead(slot: number, { incarnation }: Accusation): boolean {
    const { table, selfSlot } = this.#core;
    if (slot === selfSlot) return false;
    const state = table.state(slot);
    return state === StateCode.unknown || state === StateCode.dead || state === StateCode.left || incarnation < table.incarnation(slot);
  }

  /**
   * How long an accusation stays idle that is idle now. While the row is neither forgotten nor moved, its incarnation only grows, and who was
   * accused of this one becomes alive with a higher one only, which makes the accusation old. An accusation of an incarnation that we have not
   * heard of may be idle because the member is suspect or gone anyway: it may come back with one that is not high enough.
   */
  howLongIdle(slot: number, { incarnation }: Accusation): Repeat {
    const { table } = this.#core;
    return table.state(slot) !== StateCode.unknown && incarnation <= table.incarnation(slot) ? Repeat.lasting : Repeat.now;
  }

  /** As `isSettledAlive`: the member is known to be dead or gone, or has said something newer. */
  isSettledDead({ node, incarnation }: Accusation): boolean {
    const { table, selfSlot } = this.#core;
    const slot = table.slotOf(node);
    if (slot < 0 || slot === selfSlot) return false;
    const state = table.state(slot);
    return incarnation < table.incarnation(slot) || (incarnation === table.incarnation(slot) && (state === StateCode.dead || state === StateCode.left));
  }

  /** Declares dead whose suspicion is over. */
  expireSuspicions(nowMs: number, out: SwimEffect[]): void {
    const core = this.#core;
    const { table } = core;
    for (;;) {
      const slot = this.#suspicions.due(nowMs);
      if (slot < 0) return;
      const confirmations = this.#suspicions.confirmations(slot);
      if (confirmations < this.#suspicions.wanted(slot)) count("memberlist.degraded.timeout", out);
      this.#suspicions.cancel(slot);
      if (table.state(slot) !== StateCode.suspect) continue;
      const { name } = table.record(slot);
      log(core, "info", `Marking ${name} as failed, suspect timeout reached (${confirmations} peer confirmations)`, out);
      this.dead({ node: name, incarnation: table.incarnation(slot), from: core.config.name }, 0, nowMs, out);
    }
  }

  #startSuspicion(slot: number, from: string, nowMs: number): void {
    const { suspicionMult, suspicionMaxTimeoutMult, probeIntervalMs } = this.#core.config.profile;
    const nodes = this.#core.table.size;
    const wanted = nodes - NOT_CONFIRMING < suspicionMult - CONFIRMATIONS_LESS ? 0 : suspicionMult - CONFIRMATIONS_LESS;
    const minMs = suspicionTimeoutNs(suspicionMult, nodes, probeIntervalMs * NS_PER_MS) / NS_PER_MS;
    this.#suspicions.start(slot, from, { wanted, minMs, maxMs: suspicionMaxTimeoutMult * minMs }, nowMs);
  }

  /** Answers a claim about ourselves with a newer incarnation; being accused is evidence that we are slow. */
  #refute(slot: number, accusedIncarnation: number, out: SwimEffect[]): void {
    const core = this.#core;
    let incarnation = this.nextIncarnation();
    if (accusedIncarnation >= incarnation) {
      this.#incarnation = Math.min(INCARNATION_MAX, accusedIncarnation + 1);
      incarnation = this.#incarnation;
    }
    core.table.setIncarnation(slot, incarnation);
    core.awareness.apply(1);
    count("memberlist.refute", out);
    const { name, addr, endpoint, meta, versions } = core.table.record(slot);
    this.#broadcast(REFUTATION_KEY, encodeAlive({ node: name, incarnation, addr, port: endpoint.port, meta, versions }), 0);
  }

  #broadcast(key: number, message: Uint8Array, token: number): boolean {
    // What no packet can carry would wait for ever.
    if (!this.#outbox.fits(message.length)) return false;
    this.#core.broadcasts.queue(key, message, token);
    return true;
  }

  #passOn(key: number, { number, bytes }: KnownMessage): boolean {
    if (!this.#outbox.fits(bytes.length)) return false;
    this.#core.records.messages.retain(number);
    this.#core.broadcasts.queueHeld(key, number, bytes.length);
    return true;
  }

  #isAcceptable({ node, addr, port, meta, versions }: AliveClaim, out: SwimEffect[]): boolean {
    const core = this.#core;
    const isTooLong = node.length > NAME_LENGTH_MAX || meta.length > META_BYTES_KEPT_MAX || addr.length > ADDR_BYTES_MAX || versions.length > VERSIONS_BYTES_MAX;
    if (isTooLong) {
      count("memberlist.drop.alive", out);
      return false;
    }
    const [min = 0, max = 0, current = 0] = versions;
    if (versions.length >= 3 && (min === 0 || max === 0 || min > max)) {
      const where = `${ipFromBytes(addr)}:${port}`;
      log(core, "warn", `Ignoring an alive message for '${node}' (${where}) because protocol version(s) are wrong: ${min} <= ${current} <= ${max} should be >0`, out);
      count("memberlist.drop.alive", out);
      return false;
    }
    return true;
  }

  #isElsewhere({ addr, endpoint }: MemberRecord, claim: AliveClaim): boolean {
    if (endpoint.port !== claim.port) return true;
    if (equalBytes(addr, claim.addr)) return false;
    // The same IPv4 address may come as 4 or as 16 bytes.
    return endpoint.ip === "" || endpoint.ip !== ipFromBytes(claim.addr);
  }

  /** A name may move to another address once its holder has left, or has been dead for long enough. */
  #mayMove(slot: number, nowMs: number): boolean {
    const { table, config } = this.#core;
    const { deadNodeReclaimMs } = config.profile;
    if (table.state(slot) === StateCode.left) return true;
    return table.state(slot) === StateCode.dead && deadNodeReclaimMs > 0 && nowMs - table.goneAtMs(slot) > deadNodeReclaimMs;
  }

  #conflict(slot: number, claim: AliveClaim, nowMs: number, out: SwimEffect[]): void {
    const core = this.#core;
    const existing = core.table.view(slot);
    if (logs(core, "err")) {
      const mine = formatEndpoint(existing);
      const theirs = `${ipFromBytes(claim.addr)}:${claim.port}`;
      log(core, "err", `Conflicting address for ${claim.node}. Mine: ${mine} Theirs: ${theirs} Old state: ${core.table.state(slot) - 1}`, out);
    }
    count("memberlist.conflict", out);
    core.delegate.memberConflict(existing, memberOf(claim), nowMs, out);
  }

}

/** What a claim says, as a member that we have not taken over. */
export function memberOf({ node, incarnation, addr, port, meta, versions }: AliveClaim): SwimMember {
  return { name: node, addr, ip: ipFromBytes(addr), port, meta, versions, incarnation, state: "alive" };
}

function refutingAlive({ node, addr, port, meta, versions }: AliveClaim, record: MemberRecord): string {
  const where = `${ipFromBytes(addr)}:${port}`;
  return `Refuting an alive message for '${node}' (${where}) meta:(${byteList(meta)} VS ${byteList(record.meta)}), vsn:(${byteList(versions)} VS ${byteList(record.versions)})`;
}

function byteList(bytes: Uint8Array = EMPTY_BYTES): string {
  return `[${bytes.join(" ")}]`;
}
