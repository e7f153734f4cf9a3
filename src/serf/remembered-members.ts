/**
 * A few members that failed and were reaped. The original forgets a failed member after `reconnect_timeout`, so a cluster that was split
 * for longer stays two clusters for ever. Ours goes on trying some of those it forgot, all nodes together a few times per interval.
 */
import type { Endpoint } from "../base/endpoint.ts";
import type { Random } from "../base/random.ts";

/** Enough that some of them still live on the other side; the newest stay. */
const REMEMBERED_MAX = 32;
/** Attempts per reconnect interval (30 s) in the whole cluster: one comes within two intervals but for 3 cases in 10,000. */
const ATTEMPTS_PER_INTERVAL = 4;

export interface RememberedMember {
  readonly name: string;
  readonly endpoint: Endpoint;
}

export class RememberedMembers {
  readonly #members = new Map<string, RememberedMember>();

  get size(): number {
    return this.#members.size;
  }

  add({ name, endpoint }: RememberedMember): void {
    this.#members.delete(name);
    this.#members.set(name, { name, endpoint });
    for (const oldest of this.#members.keys()) {
      if (this.#members.size <= REMEMBERED_MAX) return;
      this.#members.delete(oldest);
    }
  }

  delete(name: string): void {
    this.#members.delete(name);
  }

  /** A member to try now; null when it is the turn of one of the `others` that are alive. Draws nothing when nobody is remembered. */
  pick(others: number, random: Random): RememberedMember | null {
    if (this.#members.size === 0 || random.below(Math.max(1, others)) >= ATTEMPTS_PER_INTERVAL) return null;
    return [...this.#members.values()][random.below(this.#members.size)] ?? null;
  }
}
