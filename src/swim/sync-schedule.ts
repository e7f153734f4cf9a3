/**
 * When to exchange full state: periodically (SWIM's anti-entropy as memberlist adds it), and early after an exchange that taught us
 * much. A joiner learns of the cluster as its contact saw it; whoever joined in the same moment reaches it by gossip only, and gossip
 * leaves holes, which the original repairs at the next periodic push/pull, up to half a minute later.
 */
import type { Random } from "../base/random.ts";
import { NS_PER_MS, pushPullScaleNs } from "./timing.ts";
import type { SwimProfile } from "./types.ts";

/** Early exchanges stop doubling their distance here; the periodic interval bounds them anyway. */
const STREAK_MAX = 16;
/** News of at least a quarter of the view is "much" for whoever was contacted. */
const MUCH_DIVISOR = 4;
/** News of fewer members in one exchange is no storm, however small the cluster. */
const STORM_NEWS_MIN = 4;
/** Views are not independent: whoever joins in a storm is missed by many at once. So a sixteenth of a member that may be missing counts. */
const STILL_MISSING_FACTOR = 16;
/** Exchanges without news, in a row, after which a storm is over. */
const ASSURANCES = 2;

export class SyncSchedule {
  readonly #profile: SwimProfile;
  readonly #random: Random;
  readonly #nodeCount: () => number;
  #nextAtMs: number;
  #streak = 0; // Early exchanges in a row.
  /** Further exchanges that are to be made although they may bring nothing. */
  #assurances = 0;
  #lastEarlyAtMs = -Infinity;

  constructor(profile: SwimProfile, random: Random, nodeCount: () => number, nowMs: number) {
    this.#profile = profile;
    this.#random = random;
    this.#nodeCount = nodeCount;
    this.#nextAtMs = nowMs + 1 + random.below(Math.max(1, Math.trunc(profile.pushPullIntervalMs)));
  }

  get nextAtMs(): number {
    return this.#nextAtMs;
  }

  /** True when an exchange is due; the next one is scheduled. */
  due(nowMs: number): boolean {
    if (nowMs < this.#nextAtMs) return false;
    this.#nextAtMs = nowMs + this.#scaled(this.#profile.pushPullIntervalMs);
    return true;
  }

  /** An exchange that we began is over and brought news about `learned` members. */
  ended(learned: number, nowMs: number): void {
    // Two views that each miss a share m of the members, independently, both miss m² of them: who learned of L in n still misses L²/n or so. As long
    // as that is no small part of a member, the next exchange comes as soon as the first, and some more make sure that nothing is left.
    if (learned >= STORM_NEWS_MIN && STILL_MISSING_FACTOR * learned * learned >= this.#nodeCount()) {
      this.#streak = 0;
      this.#assurances = ASSURANCES;
    } else if (learned === 0) {
      if (this.#assurances === 0) {
        this.#streak = 0;
        return;
      }
      this.#assurances -= 1;
    }
    this.#early(nowMs);
  }

  /** Somebody contacted us and brought news about `learned` members. */
  served(learned: number, nowMs: number): void {
    if (learned * MUCH_DIVISOR >= this.#nodeCount()) this.request(nowMs);
  }

  /** Asks for an early exchange: something is known to be missing. At most one per early delay. */
  request(nowMs: number): void {
    if (nowMs - this.#lastEarlyAtMs < this.#scaled(this.#profile.earlySyncMs)) return;
    this.#early(nowMs);
  }

  #early(nowMs: number): void {
    const meanMs = this.#scaled(this.#profile.earlySyncMs) * 2 ** this.#streak;
    this.#streak = Math.min(STREAK_MAX, this.#streak + 1);
    this.#lastEarlyAtMs = nowMs;
    // Between half and one and a half of the mean: a mass join must not come back as one wave.
    const atMs = nowMs + meanMs / 2 + this.#random.below(Math.max(1, Math.trunc(meanMs)));
    this.#nextAtMs = Math.min(this.#nextAtMs, atMs);
  }

  /** Grows with the cluster, since the exchange does. */
  #scaled(ms: number): number {
    return pushPullScaleNs(ms * NS_PER_MS, this.#nodeCount()) / NS_PER_MS;
  }
}
