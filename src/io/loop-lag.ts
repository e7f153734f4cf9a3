/**
 * How late the event loop is, at the price of ten wake-ups a second: enough to turn API clients away before the cluster notices. One pause (a collection, a
 * cold start) is no overload: what counts is that the last looks were all late.
 */
import { monotonicMs } from "./clock.ts";

const LOOK_MS = 100;
const LOOKS = 3;

export class LoopLag {
  readonly #timer: NodeJS.Timeout;
  #dueMs = monotonicMs() + LOOK_MS;
  readonly #late: number[] = Array.from({ length: LOOKS }, () => 0);
  #lateMs = 0;

  constructor() {
    this.#timer = setInterval(() => {
      const nowMs = monotonicMs();
      this.#late.shift();
      this.#late.push(Math.max(0, nowMs - this.#dueMs));
      this.#lateMs = Math.min(...this.#late);
      this.#dueMs = nowMs + LOOK_MS;
    }, LOOK_MS).unref();
  }

  /** The least of the last looks, in ms. */
  get lateMs(): number {
    return this.#lateMs;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
