/** Section `runtime` of the agent's statistics, with the original's keys and Go's names of machines. */
import { availableParallelism } from "node:os";

const ARCHITECTURES: ReadonlyMap<string, string> = new Map([
  ["x64", "amd64"],
  ["ia32", "386"],
]);

export function runtimeStats(): Map<string, string> {
  // As Go counts: those that this process may use. Asking the kernel for all of them would take a ms, and none of it is shown.
  const processors = String(availableParallelism());
  return new Map([
    ["arch", ARCHITECTURES.get(process.arch) ?? process.arch],
    ["cpu_count", processors],
    // The nearest thing to Go's number: what the event loop waits for.
    ["goroutines", String(process.getActiveResourcesInfo().length)],
    ["max_procs", processors],
    ["os", process.platform],
    ["version", process.version],
  ]);
}
