/**
 * A budget of time per turn of the event loop, shared by all who work for API clients: a flood of requests must not make the node look
 * dead to the cluster, whose packets are read between the turns. Who finds the budget spent waits for a later turn, first come, first served.
 */

/** Work for API clients in one turn, in ms; one request more may begin just before. */
export const TURN_BUDGET_MS = 2;
/** Below this much the turns are not told apart: arming a callback per turn would cost more than a small request. */
const ARM_MS = TURN_BUDGET_MS / 4;

export class TurnBudget {
  readonly #now: () => number;
  readonly #waiting: (() => void)[] = [];
  #spentMs = 0;
  #armed = false;

  constructor(now: () => number) {
    this.#now = now;
  }

  get spent(): boolean {
    return this.#spentMs >= TURN_BUDGET_MS || this.#waiting.length > 0;
  }

  /** Runs `work` and charges the time it takes. Nested work is charged twice, which only ends the turn sooner. */
  run(work: () => void): void {
    const startedAtMs = this.begin();
    work();
    this.end(startedAtMs);
  }

  /** `run` in two halves, for work that comes by the ten thousand: what `begin` returns, the time, goes to `end`. */
  begin(): number {
    return this.#now();
  }

  end(startedAtMs: number): void {
    this.#spentMs += this.#now() - startedAtMs;
    if (this.#spentMs >= ARM_MS) this.#arm();
  }

  /** Runs `work` in a later turn that has budget left. */
  defer(work: () => void): void {
    this.#waiting.push(work);
    this.#arm();
  }

  #arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    setImmediate(() => {
      this.#armed = false;
      this.#spentMs = 0;
      const waiting = this.#waiting.splice(0);
      let next = 0;
      while (next < waiting.length && this.#spentMs < TURN_BUDGET_MS) this.run(waiting[next++] as () => void);
      // Before whatever the work above has deferred.
      this.#waiting.unshift(...waiting.slice(next));
      if (this.#waiting.length > 0) this.#arm();
    });
  }
}
