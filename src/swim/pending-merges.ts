/**
 * States of peers that are being decoded and merged. A large one takes long (1 µs per member to decode, some 30 µs per new one to merge), so a machine that
 * runs in real time works in slices and sees to probes in between. What members claim can be merged in any order with other news, as gossip brings it in
 * any order, too.
 */
import { EMPTY_BYTES } from "../base/bytes.ts";
import type { PushPull } from "../wire/gossip-messages.ts";
import { PushPullDecoder } from "../wire/push-pull.ts";
import type { Core } from "./core.ts";
import type { Membership } from "./membership.ts";
import { checkRemoteState, mergeNode } from "./merge.ts";
import type { SwimEffect } from "./types.ts";

/** Members of all states that wait to be merged; beyond it a state is merged at once, so that peers cannot fill memory with them. */
export const PENDING_NODES_MAX = 65_536;

/** Members are decoded, and encoded, so many times quicker than merged. */
export const CODED_PER_MERGED = 16;

/** `error`: why nothing was merged, or null; `learned`: how much of it was news. */
export type MergeDone = (error: string | null, learned: number, nowMs: number, out: SwimEffect[]) => void;

/** One of the two is called, once, perhaps before `beginMessage` returns. */
export interface StateHooks {
  /** The state is whole and nothing of it is merged yet. Returns who hears how the merge ended. */
  decoded(remote: PushPull, nowMs: number, out: SwimEffect[]): MergeDone;
  undecodable(error: string, nowMs: number, out: SwimEffect[]): void;
}

type Stage =
  | { readonly decoder: PushPullDecoder; readonly hooks: StateHooks }
  | { readonly decoder: null; readonly remote: PushPull; readonly done: MergeDone };

interface Merge {
  stage: Stage;
  /** As the state says. */
  readonly nodes: number;
  /** Nodes merged so far. */
  at: number;
  learned: number;
}

export class PendingMerges {
  readonly #core: Core;
  readonly #membership: Membership;
  readonly #merges: Merge[] = [];
  #pendingNodes = 0;
  #sinceMs = Infinity;

  constructor(core: Core, membership: Membership) {
    this.#core = core;
    this.#membership = membership;
  }

  /** In the past while something waits. */
  get nextAtMs(): number {
    return this.#merges.length === 0 ? Infinity : this.#sinceMs;
  }

  /** Merges a state, its first slice now; `done` is called once, perhaps before this returns. Nothing is merged when it cannot be. */
  begin(remote: PushPull, nowMs: number, out: SwimEffect[], done: MergeDone): void {
    const problem = checkRemoteState(this.#core, remote);
    if (problem === null) this.#add({ stage: { decoder: null, remote, done }, nodes: remote.nodes.length, at: 0, learned: 0 }, nowMs, out);
    else done(problem, 0, nowMs, out);
  }

  /** As `begin`, from the bytes of a push/pull, which are decoded in slices first. */
  beginMessage(message: Uint8Array, hooks: StateHooks, nowMs: number, out: SwimEffect[]): void {
    const decoder = new PushPullDecoder(message);
    this.#add({ stage: { decoder, hooks }, nodes: decoder.nodes, at: 0, learned: 0 }, nowMs, out);
  }

  #add(merge: Merge, nowMs: number, out: SwimEffect[]): void {
    const { mergeSliceNodes = Infinity } = this.#core.config;
    const isLate = this.#pendingNodes + merge.nodes > PENDING_NODES_MAX;
    if (this.#advance(merge, isLate ? Infinity : mergeSliceNodes, nowMs, out)) return;
    this.#pendingNodes += merge.nodes;
    this.#sinceMs = nowMs;
    this.#merges.push(merge);
  }

  /** One more slice of the oldest state. */
  wake(nowMs: number, out: SwimEffect[]): void {
    const [merge] = this.#merges;
    if (merge === undefined || !this.#advance(merge, this.#core.config.mergeSliceNodes ?? Infinity, nowMs, out)) return;
    this.#merges.shift();
    this.#pendingNodes -= merge.nodes;
  }

  /** True once all is merged and told. */
  #advance(merge: Merge, count: number, nowMs: number, out: SwimEffect[]): boolean {
    if (merge.stage.decoder === null) return this.#mergeSlice(merge, merge.stage, count, nowMs, out);
    const { decoder, hooks } = merge.stage;
    const decoded = decoder.next(count * CODED_PER_MERGED);
    if (decoded === null) return false;
    if (!decoded.ok) {
      hooks.undecodable(decoded.error, nowMs, out);
      return true;
    }
    const done = hooks.decoded(decoded.value, nowMs, out);
    const problem = checkRemoteState(this.#core, decoded.value);
    if (problem !== null) {
      done(problem, 0, nowMs, out);
      return true;
    }
    const stage = { decoder: null, remote: decoded.value, done };
    merge.stage = stage;
    return count === Infinity && this.#mergeSlice(merge, stage, count, nowMs, out);
  }

  #mergeSlice(merge: Merge, { remote, done }: Extract<Stage, { readonly decoder: null }>, count: number, nowMs: number, out: SwimEffect[]): boolean {
    const { nodes, userState, join } = remote;
    const newsBefore = this.#membership.news;
    const end = Math.min(nodes.length, merge.at + count);
    const isWhole = end === nodes.length;
    // The layer above builds on all of the members. Its part of a large state takes as long as several slices: a turn of its own.
    const comesLater = isWhole && nodes.length > count && merge.at < end;
    for (const node of nodes.slice(merge.at, end)) mergeNode(this.#core, this.#membership, node, nowMs, out);
    merge.at = end;
    const isLast = isWhole && !comesLater;
    if (isLast && (userState ?? EMPTY_BYTES).length > 0) this.#core.delegate.mergeRemoteState(userState ?? EMPTY_BYTES, join, nowMs, out);
    merge.learned += this.#membership.news - newsBefore;
    if (isLast) done(null, merge.learned, nowMs, out);
    return isLast;
  }
}
