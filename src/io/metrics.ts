/** Counters and samples kept in memory: what tests and embedding programs read. The agent command forwards to statsd and Prometheus instead. */
import type { MetricSink } from "./serf-agent-api.ts";

/** Bounds memory even if names ever came to depend on input. */
export const METRIC_NAMES_MAX = 1024;

export interface SampleSummary {
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
}

export class Metrics implements MetricSink {
  readonly #counters = new Map<string, number>();
  readonly #samples = new Map<string, SampleSummary>();

  count(name: string, delta: number): void {
    if (hasRoom(this.#counters, name)) this.#counters.set(name, (this.#counters.get(name) ?? 0) + delta);
  }

  sample(name: string, value: number): void {
    if (!hasRoom(this.#samples, name)) return;
    const known = this.#samples.get(name) ?? { count: 0, sum: 0, min: Infinity, max: -Infinity };
    this.#samples.set(name, {
      count: known.count + 1,
      sum: known.sum + value,
      min: Math.min(known.min, value),
      max: Math.max(known.max, value),
    });
  }

  /** Value of one counter; 0 before its first use. */
  counter(name: string): number {
    return this.#counters.get(name) ?? 0;
  }

  get counters(): ReadonlyMap<string, number> {
    return this.#counters;
  }

  get samples(): ReadonlyMap<string, SampleSummary> {
    return this.#samples;
  }
}

function hasRoom(map: ReadonlyMap<string, unknown>, name: string): boolean {
  return map.size < METRIC_NAMES_MAX || map.has(name);
}
