/** Gossip rounds (SWIM paper, section 4.1; serf-protocol §4.10): each interval one packet of waiting broadcasts goes to a few random members. */
import type { Endpoint } from "../base/endpoint.ts";
import type { Core } from "./core.ts";
import type { MemberTable } from "./member-table.ts";
import type { Outbox } from "./outbox.ts";
import { pickMembers } from "./pick.ts";
import type { SwimEffect } from "./types.ts";

/** Memberlist protocol that understands the CRC header. */
const CRC_PROTOCOL_MIN = 5;
const NOBODY = -1;

export class Gossiper {
  readonly #core: Core;
  readonly #outbox: Outbox;
  readonly #picked: number[] = [];
  #nextRoundAtMs: number;

  constructor(core: Core, outbox: Outbox, nowMs: number) {
    this.#core = core;
    this.#outbox = outbox;
    this.#nextRoundAtMs = nowMs + 1 + core.random.below(Math.max(1, Math.trunc(core.config.profile.gossipIntervalMs)));
  }

  /** The next round; Infinity while there is nothing to say or nobody to tell. The first message after silence goes out at once. */
  get nextAtMs(): number {
    return this.#core.table.size > 1 && this.#outbox.isWaiting ? this.#nextRoundAtMs : Infinity;
  }

  wake(nowMs: number, out: SwimEffect[]): void {
    if (nowMs < this.nextAtMs) return;
    const { table, config, records } = this.#core;
    const { gossipIntervalMs, gossipNodes } = config.profile;
    this.#nextRoundAtMs = nextTick(this.#nextRoundAtMs, gossipIntervalMs, nowMs);
    pickMembers(this.#core, "gossip", gossipNodes, NOBODY, nowMs, this.#picked);
    const picked = this.#picked;
    const to = new Array<Endpoint>(picked.length); // One that grows has room for sixteen.
    const { commonVersions, sharing } = records;
    let crc = true;
    for (let i = 0; i < picked.length; i += 1) {
      const slot = picked[i] as number;
      to[i] = table.endpoint(slot);
      crc &&= ((commonVersions ?? table.record(slot).versions)[1] ?? 0) >= CRC_PROTOCOL_MIN;
    }
    if (to.length === 0) return;
    // One plaintext for the whole round: it is compressed once.
    const messages = this.#outbox.takeRound(to.length);
    if (messages.length === 0) return;
    if (sharing === null) out.push({ kind: "packet", to, messages, crc });
    else out.push({ kind: "packet", to, messages, crc, slots: table.areAllFirst ? picked.slice() : firstsOf(table, picked), survey: sharing.survey(messages) });
  }
}

/** Apart from who calls it: a function that makes another one which knows its parameters puts these into an object in each of its calls. */
function firstsOf(table: MemberTable, slots: readonly number[]): number[] {
  return slots.map((slot) => (table.variant(slot) === 0 ? slot : NOBODY));
}

/** The first time after `nowMs` on the grid of `tickMs`. A round at once after silence is one more: it does not put off the next, so that the rounds of many nodes that hear something at the same moment stay spread. */
function nextTick(tickMs: number, intervalMs: number, nowMs: number): number {
  return intervalMs <= 0 ? nowMs : tickMs + (Math.floor((nowMs - tickMs) / intervalMs) + 1) * intervalMs;
}
