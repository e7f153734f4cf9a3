/** TTLs of sessions, kept by the leader alone: a session that nobody renews is destroyed after twice its TTL (reference: consul-agent §2.5). A new leader starts all of them afresh. */
import { Deadlines } from "../../base/deadlines.ts";
import { sessionExpiryMs } from "../../api/rpc/writes.ts";
import type { Session } from "../../wire/fsm-commands.ts";

/** When a session could not be destroyed, try again after this. */
const RETRY_MS = 1000;

export class SessionTimers {
  readonly #deadlines = new Deadlines<string>();

  get wakeAtMs(): number {
    return this.#deadlines.nextAtMs;
  }

  /** Created or renewed. */
  reset(session: Session, nowMs: number): void {
    const expiryMs = sessionExpiryMs(session);
    if (expiryMs > 0) this.#deadlines.set(session.id, nowMs + expiryMs);
  }

  retry(id: string, nowMs: number): void {
    this.#deadlines.set(id, nowMs + RETRY_MS);
  }

  /** The next session whose time is over; undefined when there is none. */
  popDue(nowMs: number): string | undefined {
    return this.#deadlines.popDue(nowMs);
  }
}
