/** A run with what it cost: wall time, resident memory, and the memory of one member in one view. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { RunReport } from "../../sim/run-report.ts";
import type { Scenario } from "../../sim/scenario.ts";
import { Recorder, type Counted } from "../../sim/recorder.ts";
import { collect, playAlone, share, type RunScript } from "../../sim/run-script.ts";
import type { ScenarioRun } from "../../sim/scenario-run.ts";
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

/** What all threads of a run are told. */
export type RunChoice = Pick<PlayOptions, "seed" | "codec" | "original"> & { readonly scenario: Scenario };

/** A run with all nodes. */
export function measuredRun(scenario: Scenario, options: MeasuredOptions, tell: (text: string) => void): MeasuredRun {
  return playAlone(new Measurement(scenario, options, tell).script()) as MeasuredRun;
}

type MeasuredOptions = Omit<PlayOptions, "progress">;

/** What one shard adds to the measurement. */
interface Part {
  readonly counted: readonly Counted[];
  readonly heldBytes: number;
  readonly views: number;
}

/** A run, or a shard of one, made ready to be played. */
export class Measurement {
  readonly run: ScenarioRun;
  readonly #recorder: Recorder;
  readonly #heldBefore = heldBytes();
  readonly #startMs = performance.now();
  readonly #cpuBefore = process.cpuUsage();
  readonly #tell: (text: string) => void;
  #toldMs = this.#startMs;

  constructor(scenario: Scenario, options: MeasuredOptions, tell: (text: string) => void) {
    this.#tell = tell;
    this.run = prepare(scenario, { ...options, progress: (virtualMs) => this.#progress(virtualMs) });
    this.#recorder = new Recorder(this.run);
  }

  #progress(virtualMs: number): void {
    this.#recorder.sample();
    const nowMs = performance.now();
    if (nowMs - this.#toldMs < PROGRESS_EVERY_MS) return;
    this.#toldMs = nowMs;
    this.#tell(`${(virtualMs / 1000).toFixed(1)} virtual s after ${((nowMs - this.#startMs) / 1000).toFixed(0)} s`);
  }

  get #wallSeconds(): number {
    return (performance.now() - this.#startMs) / 1000;
  }

  /** The first shard's run; null in the others. */
  *script(): RunScript<MeasuredRun | null> {
    const recorder = this.#recorder;
    yield* share(null); // Until all nodes are made.
    const setupSeconds = this.#wallSeconds;
    const report = yield* this.run.script();
    recorder.sample();
    const wallSeconds = this.#wallSeconds;
    const { user, system } = process.cpuUsage(this.#cpuBefore);
    const own: Part = { counted: recorder.counted, heldBytes: heldBytes() - this.#heldBefore, views: recorder.memberViews() };
    const parts = yield* collect(own);
    if (report === null || parts === null) return null;
    for (const part of parts) if (part !== own) recorder.takeOver(part.counted);
    const held = parts.reduce((sum, part) => sum + part.heldBytes, 0);
    const views = parts.reduce((sum, part) => sum + part.views, 0);
    return {
      report,
      recorder,
      wallSeconds,
      setupSeconds,
      cpuSeconds: (user + system) / 1e6,
      rssBytes: process.memoryUsage.rss(),
      rssPeakBytes: process.resourceUsage().maxRSS * KIB,
      bytesPerMemberView: views === 0 ? 0 : Math.round(held / views),
    };
  }
}

/** Live bytes, after a collection: what is garbage must not count. */
function heldBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
