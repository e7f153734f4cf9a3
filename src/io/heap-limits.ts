/**
 * Keeps V8 from taking memory that it hardly ever gives back. What an agent handles lives for less than a turn, and its state is small, yet under load
 * the young generation grows to 3 × 16 MiB, and the old one to four times what lives in it before it is collected. `test/fuzz/live.ts` measures
 * resident memory: a million bad inputs, +90 MB without this.
 */
import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";

/** To be called once at the end of the start, whose 3 × 4 MiB of young generation are enough. */
export function limitHeapGrowth(): void {
  // Of the main thread: a worker has resource limits of its own.
  setFlagsFromString("--semi-space-growth-factor=1");
  // Collected when it has doubled since the last time.
  setFlagsFromString("--heap-growing-percent=100");
  // On a single core helpers only take turns with us: a new event costs 5 % less without them. With more cores they shorten our pauses.
  if (availableParallelism() === 1) collectYoungAlone();
}

/**
 * To be called at the start of an agent that serves requests by the ten thousand. What survives a collection of the young generation is then little, the requests
 * under way, and V8's default of one helper thread per MiB makes more of handing it around than of copying it: with the helpers a PUT costs a tenth more
 * processor time.
 */
export function collectYoungAlone(): void {
  setFlagsFromString("--no-parallel-scavenge");
}
