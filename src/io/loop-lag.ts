/**
 * How late the event loop is through its own work, at the price of ten wake-ups a second: enough to turn API clients away before the cluster notices. One pause (a
 * collection, a cold start) is no overload: what counts is that the last looks were all late. Nor is a machine that gives us no time: then the loop is late too, but has
 * waited for nothing to do meanwhile, and turning clients away would not make it quicker.
 */
import { performance } from "node:perf_hooks";
import { monotonicMs } from "./clock.ts";

export const LOOK_MS = 100;
export const LOOKS = 3;
/** A loop that waited for events during this part of a look had time left for more requests. Time that the system gave to others while we waited counts as waited. */
const IDLE_SHARE = 0.5;

export interface LoopClock {
  nowMs(): number;
  /** How long the loop has waited for events, since it began. */
  idleMs(): number;
}

const CLOCK: LoopClock = { nowMs: monotonicMs, idleMs: () => performance.eventLoopUtilization().idle };

export class LoopLag {
  readonly #clock: LoopClock;
  readonly #timer: NodeJS.Timeout;
  #lookedAtMs: number;
  #idleMs: number;
  readonly #late: number[] = Array.from({ length: LOOKS }, () => 0);
  #lateMs = 0;

  constructor(clock: LoopClock = CLOCK) {
    this.#clock = clock;
    this.#lookedAtMs = clock.nowMs();
    this.#idleMs = clock.idleMs();
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  /** Judges the time since the last look; the timer calls it. */
  look(): void {
    const nowMs = this.#clock.nowMs();
    const idleMs = this.#clock.idleMs();
    const passedMs = nowMs - this.#lookedAtMs;
    const hadTime = idleMs - this.#idleMs >= IDLE_SHARE * passedMs;
    this.#lookedAtMs = nowMs;
    this.#idleMs = idleMs;
    this.#late.shift();
    this.#late.push(hadTime ? 0 : Math.max(0, passedMs - LOOK_MS));
    this.#lateMs = Math.min(...this.#late);
  }

  /** The least of the last looks, in ms. */
  get lateMs(): number {
    return this.#lateMs;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
