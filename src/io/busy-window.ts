/** Tells the first moment at which more was done within one window of time than `amountMax`: where a longer preparation for load begins to pay. */
export class BusyWindow {
  readonly #amountMax: number;
  readonly #windowMs: number;
  readonly #now: () => number;
  #sinceMs = -Infinity;
  #amount = 0;

  /** `now` gives ms of a clock that never goes back. */
  constructor({ amountMax, windowMs, now }: { readonly amountMax: number; readonly windowMs: number; readonly now: () => number }) {
    this.#amountMax = amountMax;
    this.#windowMs = windowMs;
    this.#now = now;
  }

  /** Whether the window that is running has seen more than `amountMax` with this. */
  add(amount: number): boolean {
    const nowMs = this.#now();
    if (nowMs - this.#sinceMs >= this.#windowMs) {
      this.#sinceMs = nowMs;
      this.#amount = 0;
    }
    this.#amount += amount;
    return this.#amount > this.#amountMax;
  }
}
