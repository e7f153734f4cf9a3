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
  /** All of it, the part before virtual time began (making the nodes of a cluster that stands), and processor time of the whole. */
  readonly wallSeconds: number;
  readonly setupSeconds: number;
  readonly cpuSeconds: number;
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
  const cpuBefore = process.cpuUsage();
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
  const setupSeconds = (performance.now() - startMs) / 1000;
  const report = run.run();
  recorder.sample();
  const wallSeconds = (performance.now() - startMs) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const cpuSeconds = (user + system) / 1e6;
  const rssBytes = process.memoryUsage.rss();
  const rssPeakBytes = process.resourceUsage().maxRSS * KIB;
  const views = recorder.memberViews();
  return { report, recorder, wallSeconds, setupSeconds, cpuSeconds, rssBytes, rssPeakBytes, bytesPerMemberView: views === 0 ? 0 : Math.round((heldBytes() - heldBefore) / views) };
}

/** Live bytes, after a collection: what is garbage must not count. */
function heldBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
