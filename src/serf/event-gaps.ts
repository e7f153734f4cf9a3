/**
 * Notices that user events were missed. Lamport times of events have no holes: a node stamps an event with a time that follows one it
 * has seen. So a time that stays empty below a newer one is the mark of a lost event, which a push/pull with almost any member brings.
 * The original waits for its periodic push/pull, up to a minute later.
 *
 * Two limits keep a false alarm (a peer that jumps ahead, an event lost everywhere) cheap: a gap is given up after a few exchanges, and
 * exchanges keep a distance that grows with the cluster as the periodic ones do.
 */
import type { EventRing } from "./event-ring.ts";

/** Gossip intervals that a late event is waited for: an event reaches everybody within about ten. */
export const GAP_PATIENCE_INTERVALS = 10;
/** Exchanges for one gap. */
export const GAP_TRIES_MAX = 3;
/** Exchanges come at most so much more often than the periodic ones. */
export const GAP_SYNC_DIVISOR = 16;

export interface EventGapsConfig {
  readonly gossipIntervalMs: number;
  /** Time between periodic push/pulls at the present size of the cluster. */
  readonly pushPullIntervalMs: () => number;
}

export class EventGaps {
  readonly #config: EventGapsConfig;
  readonly #ring: EventRing;
  /** No event of an earlier or this time is missed any more: it is held, or was given up. */
  #settled: number;
  #newest: number;
  /** The gap that is being watched ends here; later ones wait for their turn. */
  #watchedTo = 0;
  #tries = 0;
  #checkAtMs = Infinity;
  #lastSyncAtMs = -Infinity;

  /** `lamportTime`: events up to this time are not missed. */
  constructor(config: EventGapsConfig, ring: EventRing, lamportTime: number) {
    this.#config = config;
    this.#ring = ring;
    this.#settled = lamportTime;
    this.#newest = lamportTime;
  }

  get wakeAtMs(): number {
    return this.#checkAtMs;
  }

  /** Events up to this time are not missed: they came before us, or nobody has them. */
  settle(lamportTime: number): void {
    this.#settled = Math.max(this.#settled, lamportTime);
    this.#newest = Math.max(this.#newest, lamportTime);
  }

  /** An event of this time was taken into the ring. */
  seen(lamportTime: number, nowMs: number): void {
    this.#newest = Math.max(this.#newest, lamportTime);
    this.#advance();
    if (this.#settled < this.#newest && this.#checkAtMs === Infinity) this.#watch(nowMs);
  }

  /** True when a push/pull should be made now. */
  wake(nowMs: number): boolean {
    if (nowMs < this.#checkAtMs) return false;
    this.#checkAtMs = Infinity;
    this.#advance();
    if (this.#settled >= this.#watchedTo || this.#tries >= GAP_TRIES_MAX) {
      this.#settled = Math.max(this.#settled, this.#watchedTo);
      this.#advance();
      if (this.#settled < this.#newest) this.#watch(nowMs);
      return false;
    }
    const earliestMs = this.#lastSyncAtMs + this.#config.pushPullIntervalMs() / GAP_SYNC_DIVISOR;
    if (nowMs < earliestMs) {
      this.#checkAtMs = earliestMs;
      return false;
    }
    this.#tries += 1;
    this.#lastSyncAtMs = nowMs;
    this.#checkAtMs = nowMs + this.#patienceMs;
    return true;
  }

  #watch(nowMs: number): void {
    this.#watchedTo = this.#newest;
    this.#tries = 0;
    this.#checkAtMs = nowMs + this.#patienceMs;
  }

  get #patienceMs(): number {
    return GAP_PATIENCE_INTERVALS * this.#config.gossipIntervalMs;
  }

  /** What the ring no longer reaches cannot be repaired. */
  #advance(): void {
    this.#settled = Math.max(this.#settled, this.#newest - this.#ring.size, this.#ring.minTime - 1);
    while (this.#settled < this.#newest && this.#ring.holds(this.#settled + 1)) this.#settled += 1;
  }
}
