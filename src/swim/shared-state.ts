/**
 * The full state of a push/pull by reference, between nodes that share records (a simulation): ten thousand nodes exchange ten thousand
 * members each, again and again, and nearly all that they tell is known. So a state is a copy of the columns of its node: that they are the same as
 * another's shows at once. What is news is merged as if it had come as bytes. The size is that of the encoded message, which can be had, too.
 */
import { fail, ok, type Result } from "../base/result.ts";
import { encodePushPull, pushPullLength } from "../wire/gossip-codec.ts";
import type { Alive, PushPullNode } from "../wire/gossip-messages.ts";
import type { Core } from "./core.ts";
import type { MemberRecords } from "./member-records.ts";
import { StateCode, type MemberRows } from "./member-table.ts";
import type { Membership } from "./membership.ts";
import { membersOf, mergeNode, mergeRemoteState, WIRE_STATE_OFFSET } from "./merge.ts";
import type { StateArrays } from "./state-arrays.ts";
import type { SwimEffect, UpperState } from "./types.ts";

export interface SharedStateParts {
  readonly join: boolean;
  /** Bytes of the encoded message. */
  readonly size: number;
  readonly rows: MemberRows;
  /** What they lie in. */
  readonly arrays: StateArrays;
  readonly upper: UpperState | null;
}

/** The state of a node as it is now. */
export function sharedStateOf({ table, delegate, records }: Core, join: boolean): SharedState {
  const arrays = records.stateArrays.take(records.tableLengthMax);
  const upper = delegate.sharedState(join, arrays);
  const rows = table.rows(arrays);
  return new SharedState(records, { join, size: pushPullLength(rows.size, table.statesLength, upper?.size ?? 0), rows, arrays, upper });
}

export class SharedState {
  readonly kind = "sharedState";
  readonly parts: SharedStateParts;
  readonly #records: MemberRecords;

  constructor(records: MemberRecords, parts: SharedStateParts) {
    this.#records = records;
    this.parts = parts;
  }

  get join(): boolean {
    return this.parts.join;
  }

  get size(): number {
    return this.parts.size;
  }

  get upper(): UpperState | null {
    return this.parts.upper;
  }

  get #rows(): MemberRows {
    return this.parts.rows;
  }

  encode(): Uint8Array {
    return encodePushPull({ join: this.join, nodes: this.nodes(), userState: this.upper?.encode() ?? null });
  }

  nodes(): PushPullNode[] {
    const nodes: PushPullNode[] = [];
    for (let i = 0; i < this.#rows.size; i += 1) nodes.push(this.#node(i));
    return nodes;
  }

  /** Merges the state as `mergeRemoteState` does. It is used up then: its arrays go to another one. */
  merge(core: Core, membership: Membership, nowMs: number, out: SwimEffect[]): Result<null> {
    const merged = this.#merge(core, membership, nowMs, out);
    this.free();
    return merged;
  }

  /** It will not be used any more. */
  free(): void {
    this.#records.stateArrays.give(this.parts.arrays);
  }

  #merge(core: Core, membership: Membership, nowMs: number, out: SwimEffect[]): Result<null> {
    const { records, delegate } = core;
    // While all members speak the same versions, each understands each.
    if (!records.areVersionsAlike) return mergeRemoteState(core, membership, { kind: "pushPull", join: this.join, nodes: this.nodes(), userState: this.upper?.encode() ?? null }, nowMs, out);
    if (this.join) {
      const veto = delegate.vetoMerge(() => membersOf(this.nodes(), core));
      if (veto !== null) return fail(veto);
    }
    if (!core.table.agreesWith(this.#rows)) this.#mergeRows(core, membership, nowMs, out);
    if (this.upper !== null) delegate.mergeSharedState(this.upper, this.join, nowMs, out);
    return ok(null);
  }

  #mergeRows(core: Core, membership: Membership, nowMs: number, out: SwimEffect[]): void {
    const rows = this.#rows;
    for (let i = 0; i < rows.size; i += 1) {
      const state = rows.state(i);
      if (!membership.isNews(rows.slot(i), state, rows.variant(i), rows.incarnation(i))) continue;
      if (state === StateCode.alive) this.#mergeAlive(i, core, membership, nowMs, out);
      else mergeNode(core, membership, this.#node(i), nowMs, out);
    }
  }

  #mergeAlive(i: number, { records }: Core, membership: Membership, nowMs: number, out: SwimEffect[]): void {
    const { sharing } = records;
    if (sharing === null) return;
    const slot = this.#rows.slot(i);
    const variant = this.#rows.variant(i);
    const incarnation = this.#rows.incarnation(i);
    const number = sharing.aliveNumber(slot, variant, incarnation);
    if (number >= 0 && membership.meet({ slot, variant, incarnation }, number, sharing.lengthOf(number), nowMs, out)) return;
    const known = sharing.holdAlive(slot, variant, incarnation);
    membership.alive(known.message as Alive, false, 0, nowMs, out, known);
    sharing.release(known.number);
  }

  #node(i: number): PushPullNode {
    const rows = this.#rows;
    const { name, addr, endpoint, meta, versions } = this.#records.record(rows.slot(i), rows.variant(i));
    return { name, addr, port: endpoint.port, meta, incarnation: rows.incarnation(i), state: rows.state(i) - WIRE_STATE_OFFSET, versions };
  }
}
