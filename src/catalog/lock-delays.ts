/**
 * How long keys may not be locked after their holder's session was invalidated (agent reference §2.5). Every server notes this for itself with its own
 * clock, and only a leader's counts: it is no replicated state and in no snapshot.
 */
import type { Wide } from "../wire/fsm-commands.ts";

/** Longer delays of a session are cut to this. */
export const LOCK_DELAY_MS_MAX = 60_000;
/** Keys noted at once; beyond, the oldest is forgotten (its lock is free too early, memory stays bounded). */
export const LOCK_DELAYS_MAX = 1 << 20;
const NS_PER_MS = 1_000_000;

/** The delay of a session as it is used, in ms; 0 or less is none. */
export function lockDelayMs(lockDelay: Wide): number {
  return Math.min(Number(lockDelay) / NS_PER_MS, LOCK_DELAY_MS_MAX);
}

export class LockDelays {
  /** Key: until when. In the order in which they were noted. */
  readonly #until = new Map<string, number>();

  get size(): number {
    return this.#until.size;
  }

  set(key: string, untilMs: number): void {
    this.#until.delete(key);
    this.#until.set(key, untilMs);
    if (this.#until.size <= LOCK_DELAYS_MAX) return;
    for (const oldest of this.#until.keys()) {
      this.#until.delete(oldest);
      return;
    }
  }

  /** Until when the key is refused, 0 when it is not. */
  untilMs(key: string): number {
    return this.#until.get(key) ?? 0;
  }

  expire(nowMs: number): void {
    for (const [key, untilMs] of this.#until) if (untilMs <= nowMs) this.#until.delete(key);
  }

  clear(): void {
    this.#until.clear();
  }
}
