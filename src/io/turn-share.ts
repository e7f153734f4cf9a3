/**
 * Bounds how much is done for API clients in one turn of the event loop where one event makes hundreds of things ready at once: what a commit acknowledges, what a
 * change wakes. The share is counted, not timed: on a machine that gives us little time, a timed one would be spent by a single answer.
 */

export class TurnShare {
  readonly #perTurn: number;
  #left: number;
  #armed = false;
  #waiting: (() => number)[] = [];

  /** `perTurn`: how much may be done in one turn, in the units that `work` returns. */
  constructor(perTurn: number) {
    this.#perTurn = perTurn;
    this.#left = perTurn;
  }

  /** Runs `work` now, or in a later turn, first come, first served; it returns how much it was. The last one of a turn may be larger than what is left. */
  run(work: () => number): void {
    if (this.#left > 0 && this.#waiting.length === 0) this.#left -= work();
    else this.#waiting.push(work);
    if (this.#armed) return;
    this.#armed = true;
    setImmediate(() => this.#nextTurn());
  }

  #nextTurn(): void {
    this.#armed = false;
    this.#left = this.#perTurn;
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    let done = 0;
    // What these bring in comes behind them.
    while (done < waiting.length && this.#left > 0) {
      this.#left -= (waiting[done] as () => number)();
      done += 1;
    }
    this.#waiting.splice(0, done);
    this.#armed = true;
    setImmediate(() => this.#nextTurn());
  }
}
