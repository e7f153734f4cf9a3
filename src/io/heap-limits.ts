/**
 * Keeps V8 from taking memory that it hardly ever gives back. What an agent handles lives for less than a turn, and its state is small, yet under load
 * the young generation grows to 3 × 16 MiB, and the old one to four times what lives in it before it is collected. `test/fuzz/live.ts` measures
 * resident memory: a million bad inputs, +90 MB without this.
 */
import { availableParallelism } from "node:os";
import { constants, type PerformanceEntry, PerformanceObserver, type PerformanceObserverEntryList } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { BusyWindow } from "./busy-window.ts";
import { monotonicMs } from "./clock.ts";

type GcEntry = PerformanceEntry & { readonly detail: { readonly kind: number } };

const MIB = 1024 * 1024;
/**
 * Both halves of the young generation of an agent with little to do. With 4 MiB for each half an idle agent with a lane is resident with more than 75 MB.
 */
export const YOUNG_BYTES_QUIET = 2 * 2 * MIB;
/**
 * Both halves of that of a busy agent. Each collection costs 0.3 ms before it has copied anything, what is under way is copied each time, and what was copied
 * twice is collected with the old generation: 20,000 packets a second with 2 MiB a half are 30 pauses a second and two of the long ones. With 8 MiB neither packets nor
 * calls cost less than with 4, the loop is not late less often, and a flood takes 10 MiB more at its peak.
 */
export const YOUNG_BYTES_BUSY = 2 * 4 * MIB;
/** So much filled within a second makes an agent a busy one. */
const BUSY_BYTES = 16 * MIB;
const BUSY_WINDOW_MS = 1000;
/**
 * The old generation is collected when it has grown by so much since the last time, and by what the young one may hold. Of what an agent keeps that is a few MiB: with
 * twice as much as was alive, a flood of bad inputs took 7 MiB more at its peak, and neither a new event nor a known one cost less.
 */
const OLD_GROWTH_PERCENT = 30;
/** What a packet lane begins with. */
const LANE_HALF_MIB = 2;

let isLimited = false;
const window = new BusyWindow({ amountMax: BUSY_BYTES, windowMs: BUSY_WINDOW_MS, now: monotonicMs });
let busyUntilMs = -Infinity;

/** To be called once at the end of the start. */
export function limitHeapGrowth(): void {
  isLimited = true;
  limitYoung();
  // V8 makes the young generation of an idle program small again: whether it may grow is asked after each collection.
  new PerformanceObserver(collected).observe({ entryTypes: ["gc"] });
  setFlagsFromString(`--heap-growing-percent=${OLD_GROWTH_PERCENT}`);
  // On a single core helpers only take turns with us: a new event costs 5 % less without them. With more cores they shorten our pauses.
  if (availableParallelism() !== 1) return;
  collectYoungAlone();
  // Each packet has some memory outside the heap, and sealed ones twice as much: a known one costs 5 % less when whoever collects also frees it.
  setFlagsFromString("--no-concurrent-array-buffer-sweeping");
}

function collected(list: PerformanceObserverEntryList): void {
  const young = list.getEntries().filter((entry) => (entry as GcEntry).detail.kind === constants.NODE_PERFORMANCE_GC_MINOR);
  if (window.add((young.length * youngBytes()) / 2)) busyUntilMs = monotonicMs() + BUSY_WINDOW_MS;
  limitYoung();
}

/**
 * To be called when a worker thread has given its first answer: V8 takes a growth factor below 2 for a mistake and puts 2 in its place whenever it makes a
 * heap, a worker's too, and the young generation of the main thread would grow to its full size again. Does nothing where growth is not limited.
 */
export function keepHeapLimits(): void {
  if (!isLimited) return;
  setFlagsFromString("--min-semi-space-size=0");
  limitYoung();
}

/** Of the main thread: a worker has resource limits of its own. */
function limitYoung(): void {
  const enough = monotonicMs() < busyUntilMs ? YOUNG_BYTES_BUSY : YOUNG_BYTES_QUIET;
  setFlagsFromString(`--semi-space-growth-factor=${youngBytes() < enough ? 2 : 1}`);
}

/**
 * To be called before a packet lane is started, and ended by `keepHeapLimits`. Of the 1 MiB that a heap begins with a lane fills 40 in a second, and it cannot grow either
 * while growth is limited. Does nothing where it is not.
 */
export function beginWithLargerHalves(): void {
  if (isLimited) setFlagsFromString(`--min-semi-space-size=${LANE_HALF_MIB}`);
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
