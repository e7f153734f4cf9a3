/** The last minute of measurements in intervals of ten seconds, printed on SIGUSR1 in the original's format. */
import { wallMs } from "./clock.ts";
import type { MetricSink } from "./serf-agent-api.ts";

const INTERVAL_MS = 10_000;
const INTERVALS_KEPT = 6;
/** Different names in one interval; some contain words from outside, such as a script's. */
const NAMES_MAX = 1024;

/** Numbers of one name, in columns: as fields they would begin as small integers, and code that adds to them be compiled again when they no longer are. */
type Aggregate = Float64Array;
const COUNT = 0;
const SUM = 1;
const SUM_OF_SQUARES = 2;
const MIN = 3;
const MAX = 4;
const LAST_MS = 5;
const COLUMNS = 6;

interface Interval {
  readonly startMs: number;
  readonly gauges: Map<string, number>;
  readonly counters: Map<string, Aggregate>;
  readonly samples: Map<string, Aggregate>;
}

export class IntervalMetrics implements MetricSink {
  readonly #prefix: string;
  readonly #now: () => number;
  readonly #intervals: Interval[] = [];

  /** `now`: wall clock in ms, replaced in tests. */
  constructor(prefix: string, now: () => number = wallMs) {
    this.#prefix = prefix;
    this.#now = now;
  }

  count(name: string, delta: number): void {
    const nowMs = this.#now();
    add(this.#at(nowMs).counters, name, delta, nowMs);
  }

  sample(name: string, value: number): void {
    const nowMs = this.#now();
    add(this.#at(nowMs).samples, name, value, nowMs);
  }

  gauge(name: string, value: number): void {
    const { gauges } = this.#at(this.#now());
    if (gauges.size < NAMES_MAX || gauges.has(name)) gauges.set(name, value);
  }

  /** One line per name and interval, without a final newline; "" when nothing was measured. */
  dump(): string {
    this.#at(this.#now());
    const lines: string[] = [];
    for (const interval of this.#intervals) {
      const stamp = goTime(interval.startMs);
      for (const [name, value] of interval.gauges) lines.push(`[${stamp}][G] '${this.#prefix}.${name}': ${value.toFixed(3)}`);
      for (const [name, value] of interval.counters) lines.push(`[${stamp}][C] '${this.#prefix}.${name}': ${summary(value)}`);
      for (const [name, value] of interval.samples) lines.push(`[${stamp}][S] '${this.#prefix}.${name}': ${summary(value)}`);
    }
    return lines.join("\n");
  }

  #at(nowMs: number): Interval {
    const last = this.#intervals[this.#intervals.length - 1];
    if (last !== undefined && nowMs < last.startMs + INTERVAL_MS) return last; // The clock may have been set back.
    const startMs = Math.floor(nowMs / INTERVAL_MS) * INTERVAL_MS;
    const interval: Interval = { startMs, gauges: new Map(), counters: new Map(), samples: new Map() };
    this.#intervals.push(interval);
    const oldest = startMs - (INTERVALS_KEPT - 1) * INTERVAL_MS;
    while ((this.#intervals[0] as Interval).startMs < oldest) this.#intervals.shift();
    return interval;
  }
}

function add(into: Map<string, Aggregate>, name: string, value: number, nowMs: number): void {
  let known = into.get(name);
  if (known === undefined) {
    if (into.size >= NAMES_MAX) return;
    known = new Float64Array(COLUMNS);
    known[MIN] = Infinity;
    known[MAX] = -Infinity;
    into.set(name, known);
  }
  known[COUNT]! += 1;
  known[SUM]! += value;
  known[SUM_OF_SQUARES]! += value * value;
  known[MIN] = Math.min(known[MIN]!, value);
  known[MAX] = Math.max(known[MAX]!, value);
  known[LAST_MS] = nowMs;
}

/** One value is shown by its sum alone. */
function summary(aggregate: Aggregate): string {
  const [count = 0, sum = 0, sumOfSquares = 0, min = 0, max = 0, lastMs = 0] = aggregate;
  const last = `LastUpdated: ${goTime(lastMs)}`;
  if (count === 1) return `Count: 1 Sum: ${sum.toFixed(3)} ${last}`;
  const mean = sum / count;
  const deviation = Math.sqrt(Math.max(0, (count * sumOfSquares - sum * sum) / (count * (count - 1))));
  const spread = min === max ? "" : `Min: ${min.toFixed(3)} Mean: ${mean.toFixed(3)} Max: ${max.toFixed(3)} Stddev: ${deviation.toFixed(3)} `;
  return `Count: ${count} ${spread}Sum: ${sum.toFixed(3)} ${last}`;
}

/** A time as Go prints it in UTC, to the millisecond. */
function goTime(ms: number): string {
  return `${new Date(ms).toISOString().replace("T", " ").replace(/\.?0*Z$/, "")} +0000 UTC`;
}
