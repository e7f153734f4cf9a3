/** Whether the machine gives this program the processor time it asks for, as Linux counts it for the main thread. */
import { readFileSync } from "node:fs";

const SCHEDSTAT = "/proc/self/schedstat";

/**
 * True when the main thread has waited for a processor for longer than it ran since the program started: more programs want to run than there are processors.
 * `schedstat` is the text of that file (kernel documentation, scheduler/sched-stats: ns on the processor, ns waited, times run). False where it cannot be read.
 */
export function isStarved(schedstat: string = textOf(SCHEDSTAT)): boolean {
  const [ranNs = 0, waitedNs = 0] = schedstat.split(" ").map(Number);
  return ranNs > 0 && waitedNs > ranNs;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // Another system, or a kernel without these counts.
  }
}
