/** Blocking queries: a read whose index the caller has already seen waits for a change of what it read, or for its deadline (reference: consul-agent §1.2). */
import { Deadlines } from "../../base/deadlines.ts";
import type { Random } from "../../base/random.ts";
import type { Interest, StateMachine, Watch } from "../../catalog/types.ts";
import type { CallId } from "./types.ts";

/** Limits of a query's time, and the share of it that is added at random so that many do not end together. */
const MAX_QUERY_MS = 600_000;
const DEFAULT_QUERY_MS = 300_000;
const JITTER_FRACTION = 16;

/** One blocked caller: run the read again; true when it was answered. `force`: answer whatever the index. */
export type Rerun = (force: boolean, nowMs: number) => boolean;

interface Blocked {
  readonly interests: readonly Interest[];
  readonly rerun: Rerun;
  watch: Watch;
}

export class BlockedReads {
  readonly #state: StateMachine;
  readonly #random: Random;
  readonly #blocked = new Map<CallId, Blocked>();
  readonly #deadlines = new Deadlines<CallId>();
  /** Woken by the state machine; run at the end of the step, when all of it is consistent. */
  #woken: { readonly call: CallId; readonly force: boolean }[] = [];

  constructor(state: StateMachine, random: Random) {
    this.#state = state;
    this.#random = random;
  }

  get size(): number {
    return this.#blocked.size;
  }

  get wakeAtMs(): number {
    return this.#deadlines.nextAtMs;
  }

  /** Must be called in the turn of the read that `rerun` repeats. `waitMs` 0: the default. */
  block(call: CallId, interests: readonly Interest[], waitMs: number, nowMs: number, rerun: Rerun): void {
    const capped = Math.min(MAX_QUERY_MS, waitMs <= 0 ? DEFAULT_QUERY_MS : waitMs);
    const jitterMs = this.#random.below(Math.max(1, Math.trunc(capped / JITTER_FRACTION)));
    this.#deadlines.set(call, nowMs + capped + jitterMs);
    this.#blocked.set(call, { interests, rerun, watch: this.#watch(call, interests) });
  }

  #watch(call: CallId, interests: readonly Interest[]): Watch {
    return this.#state.watch(interests, (reason) => this.#woken.push({ call, force: reason === "restored" }));
  }

  cancel(call: CallId): void {
    const blocked = this.#blocked.get(call);
    if (blocked === undefined) return;
    blocked.watch.cancel();
    this.#forget(call);
  }

  /** Runs again what was woken since the last call. */
  runWoken(nowMs: number): void {
    while (this.#woken.length > 0) {
      const woken = this.#woken;
      this.#woken = [];
      for (const { call, force } of woken) {
        const blocked = this.#blocked.get(call);
        if (blocked === undefined) continue;
        if (blocked.rerun(force, nowMs)) this.#forget(call);
        else blocked.watch = this.#watch(call, blocked.interests);
      }
    }
  }

  /** Answers those whose time is over with what there is. */
  expire(nowMs: number): void {
    for (;;) {
      const call = this.#deadlines.popDue(nowMs);
      if (call === undefined) return;
      const blocked = this.#blocked.get(call);
      if (blocked === undefined) continue;
      blocked.watch.cancel();
      blocked.rerun(true, nowMs);
      this.#blocked.delete(call);
    }
  }

  #forget(call: CallId): void {
    this.#blocked.delete(call);
    this.#deadlines.delete(call);
  }
}
