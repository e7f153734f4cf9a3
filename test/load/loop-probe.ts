/**
 * To be loaded into a process before its program (`node --import`): measures how late that process's event loop is. The parent says "begin" over the IPC channel, then
 * "end", and gets the delays of the time between.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

const RESOLUTION_MS = 1;

export interface LoopDelays {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

if (isMainThread && process.send !== undefined) {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  const late = (ns: number): number => Math.max(0, Math.round(ns / 1e4) / 100 - RESOLUTION_MS);
  process.on("message", (word) => {
    if (word === "begin") {
      histogram.enable();
      histogram.reset();
    } else if (word === "end") {
      const delays: LoopDelays = { p50Ms: late(histogram.percentile(50)), p99Ms: late(histogram.percentile(99)), p999Ms: late(histogram.percentile(99.9)), maxMs: late(histogram.max) };
      process.send?.(delays);
    }
  });
  process.channel?.unref();
}
