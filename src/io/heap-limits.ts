/**
 * Keeps V8 from taking memory that it hardly ever gives back. What an agent handles lives for less than a turn, and its state is small, yet under load
 * the young generation grows to 3 × 16 MiB, and the old one to four times what lives in it before it is collected. `test/fuzz/live.ts` measures
 * resident memory: a million bad inputs, +90 MB without this.
 */
import { availableParallelism } from "node:os";
import { PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";

/**
 * Both halves of a young generation that is large enough: each collection costs 0.3 ms before it has copied anything, and at 1 MiB a busy agent needs 20 a second.
 * With 4 MiB for each half an event takes a little less still, but an idle agent with a lane is resident with more than 75 MB.
 */
export const YOUNG_BYTES_ENOUGH = 2 * 2 * 1024 * 1024;

let isLimited = false;

/** To be called once at the end of the start. */
export function limitHeapGrowth(): void {
  isLimited = true;
  keepHeapLimits();
  // V8 makes the young generation of an idle program small again: whether it may grow is asked after each collection.
  new PerformanceObserver(keepHeapLimits).observe({ entryTypes: ["gc"] });
  // Collected when it has doubled since the last time.
  setFlagsFromString("--heap-growing-percent=100");
  // On a single core helpers only take turns with us: a new event costs 5 % less without them. With more cores they shorten our pauses.
  if (availableParallelism() === 1) collectYoungAlone();
}

/**
 * To be called when a worker thread has given its first answer: V8 takes a growth factor below 2 for a mistake and puts 2 in its place whenever it makes a
 * heap, a worker's too, and the young generation of the main thread would grow to its full size again. Does nothing where growth is not limited.
 */
export function keepHeapLimits(): void {
  // Of the main thread: a worker has resource limits of its own.
  if (isLimited) setFlagsFromString(`--semi-space-growth-factor=${youngBytes() < YOUNG_BYTES_ENOUGH ? 2 : 1}`);
}

/** What the young generation has of the system now, for both its halves. */
export function youngBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")?.space_size ?? 0;
}

/**
 * To be called at the start of an agent that serves requests by the ten thousand. What survives a collection of the young generation is then little, the requests
 * under way, and V8's default of one helper thread per MiB makes more of handing it around than of copying it: with the helpers a PUT costs a tenth more
 * processor time.
 */
export function collectYoungAlone(): void {
  setFlagsFromString("--no-parallel-scavenge");
}
