/** How late the event loop is right now, at the price of two wake-ups a second: enough to turn API clients away before the cluster notices. */
import { monotonicMs } from "./clock.ts";

const LOOK_MS = 500;

export class LoopLag {
  readonly #timer: NodeJS.Timeout;
  #dueMs = monotonicMs() + LOOK_MS;
  #lateMs = 0;

  constructor() {
    this.#timer = setInterval(() => {
      const nowMs = monotonicMs();
      this.#lateMs = Math.max(0, nowMs - this.#dueMs);
      this.#dueMs = nowMs + LOOK_MS;
    }, LOOK_MS).unref();
  }

  /** Of the last look, in ms. */
  get lateMs(): number {
    return this.#lateMs;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
