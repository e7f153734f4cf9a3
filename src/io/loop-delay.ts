/**
 * How long the event loop keeps others waiting: p50, p99 and maximum of the last half minute to a minute. The percentiles alone hide a stall of
 * two seconds in twenty, so the maximum always goes with them. Its wake-ups cost an idle node something (100 a second: 0.4 % of a core, more than
 * all the rest), so they are few, and for those who ask for it.
 */
import { monitorEventLoopDelay, type IntervalHistogram } from "node:perf_hooks";

/** Stalls that fit between two looks are seen in part: fine for those that matter to a probe, 500 ms. */
const RESOLUTION_MS = 50;
const WINDOW_MS = 30_000;

export interface LoopDelaySummary {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const NOTHING: LoopDelaySummary = { p50Ms: 0, p99Ms: 0, maxMs: 0 };

export class LoopDelay {
  readonly #histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #rotation: NodeJS.Timeout;
  #last: LoopDelaySummary = NOTHING;

  constructor() {
    this.#histogram.enable();
    this.#rotation = setInterval(() => {
      this.#last = this.#current();
      this.#histogram.reset();
    }, WINDOW_MS).unref();
  }

  /** The worse of the present window and the one before it. */
  summary(): LoopDelaySummary {
    const now = this.#current();
    const { p50Ms, p99Ms, maxMs } = this.#last;
    return { p50Ms: Math.max(now.p50Ms, p50Ms), p99Ms: Math.max(now.p99Ms, p99Ms), maxMs: Math.max(now.maxMs, maxMs) };
  }

  stop(): void {
    clearInterval(this.#rotation);
    this.#histogram.disable();
  }

  #current(): LoopDelaySummary {
    const histogram = this.#histogram;
    if (histogram.count === 0) return NOTHING;
    return { p50Ms: delayMs(histogram.percentile(50)), p99Ms: delayMs(histogram.percentile(99)), maxMs: delayMs(histogram.max) };
  }
}

/** The histogram holds the time between ticks in ns, the wanted pause included. */
function delayMs(intervalNs: number): number {
  return Math.max(0, Math.round(intervalNs / 1e3) / 1e3 - RESOLUTION_MS);
}
