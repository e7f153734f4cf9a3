/** Commands that are answered when a broadcast of ours has been sent often enough, or after a time. */
import { Deadlines } from "../base/deadlines.ts";
import type { RequestId, SwimEffect } from "./types.ts";

interface Pending {
  readonly request: RequestId;
  readonly timeoutError: string;
}

export class PendingReplies {
  readonly #byToken = new Map<number, Pending>();
  readonly #deadlines = new Deadlines<number>();
  #lastToken = 0;

  get nextAtMs(): number {
    return this.#deadlines.nextAtMs;
  }

  /** A token for the broadcast queue. */
  token(): number {
    this.#lastToken += 1;
    return this.#lastToken;
  }

  wait(token: number, pending: Pending, deadlineMs: number): void {
    this.#byToken.set(token, pending);
    this.#deadlines.set(token, deadlineMs);
  }

  /** The broadcast with `token` is finished. */
  finished(token: number, out: SwimEffect[]): void {
    const pending = this.#byToken.get(token);
    if (pending === undefined) return;
    this.#byToken.delete(token);
    this.#deadlines.delete(token);
    replyDone(pending.request, [], out);
  }

  wake(nowMs: number, out: SwimEffect[]): void {
    for (;;) {
      const token = this.#deadlines.popDue(nowMs);
      if (token === undefined) return;
      const pending = this.#byToken.get(token);
      this.#byToken.delete(token);
      if (pending !== undefined) replyDone(pending.request, [pending.timeoutError], out);
    }
  }
}

export function replyDone(request: RequestId, errors: readonly string[], out: SwimEffect[]): void {
  out.push({ kind: "reply", request, value: { kind: "none" }, errors });
}
