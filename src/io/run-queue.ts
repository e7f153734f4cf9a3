/** Whether the machine gives this program the processor time it asks for, as Linux counts it for the main thread. */
import { readFileSync } from "node:fs";

const SCHEDSTAT = "/proc/self/schedstat";
const NS_PER_MS = 1e6;
const US_PER_MS = 1e3;

/** Of the main thread since the program started. */
export interface RunTimes {
  readonly ranMs: number;
  /** It could have run, and another one did. */
  readonly waitedMs: number;
}

/** `schedstat` is the text of that file (kernel documentation, scheduler/sched-stats: ns on the processor, ns waited, times run). Zeros where it cannot be read. */
export function runTimes(schedstat: string = textOf(SCHEDSTAT)): RunTimes {
  const [ranNs = 0, waitedNs = 0] = schedstat.split(" ").map(Number);
  return { ranMs: ranNs / NS_PER_MS || 0, waitedMs: waitedNs / NS_PER_MS || 0 };
}

/** Time in ms that the main thread has waited for others, as far as is known: what other threads of this program (V8 compiles and collects on some) ran in the meantime is taken off. May go back. */
export function waitedForOthersMs({ ranMs, waitedMs }: RunTimes = runTimes(), { user, system }: NodeJS.CpuUsage = process.cpuUsage()): number {
  return waitedMs - ((user + system) / US_PER_MS - ranMs);
}

/** True when the main thread has waited for a processor for longer than it ran since the program started: more programs want to run than there are processors. */
export function isStarved(schedstat: string = textOf(SCHEDSTAT)): boolean {
  const { ranMs, waitedMs } = runTimes(schedstat);
  return ranMs > 0 && waitedMs > ranMs;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // Another system, or a kernel without these counts.
  }
}
