/** Section `runtime` of the agent's statistics, with the original's keys and Go's names of machines. */
import { availableParallelism, cpus } from "node:os";

const ARCHITECTURES: ReadonlyMap<string, string> = new Map([
  ["x64", "amd64"],
  ["ia32", "386"],
]);

let cpuCount: string | null = null;

export function runtimeStats(): Map<string, string> {
  // Counting the processors means reading a file of the kernel's.
  cpuCount ??= String(cpus().length);
  return new Map([
    ["arch", ARCHITECTURES.get(process.arch) ?? process.arch],
    ["cpu_count", cpuCount],
    // The nearest thing to Go's number: what the event loop waits for.
    ["goroutines", String(process.getActiveResourcesInfo().length)],
    ["max_procs", String(availableParallelism())],
    ["os", process.platform],
    ["version", process.version],
  ]);
}
