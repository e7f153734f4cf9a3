/** A run with what it cost: wall time, resident memory, and the memory of one member in one view. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { RunReport } from "../../sim/scenario-run.ts";
import type { Scenario } from "../../sim/scenario.ts";
import { Recorder } from "../../sim/recorder.ts";
import { prepare, type PlayOptions } from "./play.ts";

export interface MeasuredRun {
  readonly report: RunReport;
  readonly recorder: Recorder;
  readonly wallSeconds: number;
  readonly rssBytes: number;
  /** The most that was resident at any time, of the whole process. */
  readonly rssPeakBytes: number;
  /** What the whole simulation holds, divided by the members in all views together. */
  readonly bytesPerMemberView: number;
}

const PROGRESS_EVERY_MS = 1_000;
const KIB = 1_024;

export function measuredRun(scenario: Scenario, options: Omit<PlayOptions, "progress">, tell: (text: string) => void): MeasuredRun {
  const heldBefore = heldBytes();
  const startMs = performance.now();
  let toldMs = startMs;
  let recorder: Recorder | null = null;
  const progress = (virtualMs: number): void => {
    recorder?.sample();
    const nowMs = performance.now();
    if (nowMs - toldMs < PROGRESS_EVERY_MS) return;
    toldMs = nowMs;
    tell(`${(virtualMs / 1000).toFixed(1)} virtual s after ${((nowMs - startMs) / 1000).toFixed(0)} s`);
  };
  const run = prepare(scenario, { ...options, progress });
  recorder = new Recorder(run);
  const report = run.run();
  recorder.sample();
  const wallSeconds = (performance.now() - startMs) / 1000;
  const rssBytes = process.memoryUsage.rss();
  const rssPeakBytes = process.resourceUsage().maxRSS * KIB;
  const views = recorder.memberViews();
  return { report, recorder, wallSeconds, rssBytes, rssPeakBytes, bytesPerMemberView: views === 0 ? 0 : Math.round((heldBytes() - heldBefore) / views) };
}

/** Live bytes, after a collection: what is garbage must not count. */
function heldBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
