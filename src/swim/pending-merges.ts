/**
 * States of peers that are being merged. A large one takes long (some 30 µs per new member), so a machine that runs in real time merges it in slices and
 * sees to probes in between. What members claim can be merged in any order with other news, as gossip brings it in any order, too.
 */
import { EMPTY_BYTES } from "../base/bytes.ts";
import type { PushPull } from "../wire/gossip-messages.ts";
import type { Core } from "./core.ts";
import type { Membership } from "./membership.ts";
import { checkRemoteState, mergeNode } from "./merge.ts";
import type { SwimEffect } from "./types.ts";

/** Members of all states that wait to be merged; beyond it a state is merged at once, so that peers cannot fill memory with them. */
export const PENDING_NODES_MAX = 65_536;

/** `error`: why nothing was merged, or null; `learned`: how much of it was news. */
export type MergeDone = (error: string | null, learned: number, nowMs: number, out: SwimEffect[]) => void;

interface Merge {
  readonly remote: PushPull;
  readonly done: MergeDone;
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
    if (problem !== null) {
      done(problem, 0, nowMs, out);
      return;
    }
    const merge: Merge = { remote, done, at: 0, learned: 0 };
    const { mergeSliceNodes = Infinity } = this.#core.config;
    const isLate = this.#pendingNodes + remote.nodes.length > PENDING_NODES_MAX;
    if (this.#advance(merge, isLate ? Infinity : mergeSliceNodes, nowMs, out)) return;
    this.#pendingNodes += remote.nodes.length;
    this.#sinceMs = nowMs;
    this.#merges.push(merge);
  }

  /** Merges one more slice of the oldest state. */
  wake(nowMs: number, out: SwimEffect[]): void {
    const [merge] = this.#merges;
    if (merge === undefined || !this.#advance(merge, this.#core.config.mergeSliceNodes ?? Infinity, nowMs, out)) return;
    this.#merges.shift();
    this.#pendingNodes -= merge.remote.nodes.length;
  }

  /** True once all is merged and told. */
  #advance(merge: Merge, count: number, nowMs: number, out: SwimEffect[]): boolean {
    const { nodes, userState, join } = merge.remote;
    const newsBefore = this.#membership.news;
    const end = Math.min(nodes.length, merge.at + count);
    for (const node of nodes.slice(merge.at, end)) mergeNode(this.#core, this.#membership, node, nowMs, out);
    merge.at = end;
    const isWhole = end === nodes.length;
    // The layer above builds on all of the members.
    if (isWhole && (userState ?? EMPTY_BYTES).length > 0) this.#core.delegate.mergeRemoteState(userState ?? EMPTY_BYTES, join, nowMs, out);
    merge.learned += this.#membership.news - newsBefore;
    if (isWhole) merge.done(null, merge.learned, nowMs, out);
    return isWhole;
  }
}
