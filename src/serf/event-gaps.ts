/**
 * Notices that user events were missed, or may have been, and asks for a push/pull, which brings them from almost any member. The
 * original waits for its periodic one, up to a minute later.
 * 1. Lamport times of events have no holes: a node stamps an event with a time that follows one it has seen. A time that stays empty
 *    below a newer one is the mark of a lost event.
 * 2. Events fired at the same moment share a time, so a lost one leaves no hole. That happens when more events come than packets carry for long:
 *    each is then sent less often, and some miss a node. A node whose own queue had no room for all sends therefore asks once the crowd has passed on.
 *
 * Limits keep false alarms (a peer that jumps ahead, an event lost everywhere, a flood) cheap: a gap is given up after a few exchanges,
 * and exchanges keep a distance that grows with the cluster as the periodic ones do.
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
  #crowdCheckAtMs = Infinity;
  #lastSyncAtMs = -Infinity;

  /** `lamportTime`: events up to this time are not missed. */
  constructor(config: EventGapsConfig, ring: EventRing, lamportTime: number) {
    this.#config = config;
    this.#ring = ring;
    this.#settled = lamportTime;
    this.#newest = lamportTime;
  }

  get wakeAtMs(): number {
    return Math.min(this.#checkAtMs, this.#crowdCheckAtMs);
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

  /** Events are sent less often than it takes to reach everybody. */
  crowded(nowMs: number): void {
    if (this.#crowdCheckAtMs === Infinity) this.#crowdCheckAtMs = Math.max(nowMs + this.#patienceMs(), this.#earliestSyncMs());
  }

  /** True when a push/pull should be made now. */
  wake(nowMs: number): boolean {
    const forGap = this.#wakeForGap(nowMs);
    const forCrowd = nowMs >= this.#crowdCheckAtMs;
    if (forCrowd) this.#crowdCheckAtMs = Infinity;
    if (!forGap && !forCrowd) return false;
    this.#lastSyncAtMs = nowMs;
    return true;
  }

  #wakeForGap(nowMs: number): boolean {
    if (nowMs < this.#checkAtMs) return false;
    this.#checkAtMs = Infinity;
    this.#advance();
    if (this.#settled >= this.#watchedTo || this.#tries >= GAP_TRIES_MAX) {
      this.#settled = Math.max(this.#settled, this.#watchedTo);
      this.#advance();
      if (this.#settled < this.#newest) this.#watch(nowMs);
      return false;
    }
    if (nowMs < this.#earliestSyncMs()) {
      this.#checkAtMs = this.#earliestSyncMs();
      return false;
    }
    this.#tries += 1;
    this.#checkAtMs = nowMs + this.#patienceMs();
    return true;
  }

  #watch(nowMs: number): void {
    this.#watchedTo = this.#newest;
    this.#tries = 0;
    this.#checkAtMs = nowMs + this.#patienceMs();
  }

  #earliestSyncMs(): number {
    return this.#lastSyncAtMs + this.#config.pushPullIntervalMs() / GAP_SYNC_DIVISOR;
  }

  #patienceMs(): number {
    return GAP_PATIENCE_INTERVALS * this.#config.gossipIntervalMs;
  }

  /** What the ring no longer reaches cannot be repaired. */
  #advance(): void {
    this.#settled = Math.max(this.#settled, this.#newest - this.#ring.size, this.#ring.minTime - 1);
    while (this.#settled < this.#newest && this.#ring.holds(this.#settled + 1)) this.#settled += 1;
  }
}
