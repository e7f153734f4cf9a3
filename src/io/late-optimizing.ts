/**
 * Where many agents start on few processors, V8's optimizing compiler waits in the first minute of each. What runs then (a join, the first gossip) is soon over, and
 * optimizing it costs more than it saves. Measured with 60 agents on two cores (`native-free-bench/load/cluster-driver.ts`): all know all after 2.0 s instead of
 * 2.9, and of 50 events a second 99.8 % are everywhere within 2 s instead of 93.4. An agent that has a processor to itself does not wait: in its first seconds a
 * packet of fresh events would cost it a third more. Code that is really busy is optimized in any case, after some ms instead of fractions of one.
 */
import { setFlagsFromString } from "node:v8";
import { BusyWindow } from "./busy-window.ts";
import { monotonicMs } from "./clock.ts";
import { isStarved } from "./run-queue.ts";

/** Node 20's V8, whose own budget is known; the flag is left alone elsewhere. */
const KNOWN_V8 = "11.3.";
/** Bytes of bytecode that a function runs through between two looks at whether it is worth optimizing: V8's own value. */
export const USUAL_BUDGET = 67_584;
const EARLY_BUDGET = 1_000_000;
/** With less, V8 also optimizes what practises; with more, the way of an answer is not found busy before the practice ends. */
const PRACTICE_BUDGET = 10_000;
/** Looks that have to find a function busy: V8's own value. */
export const USUAL_TICKS = 3;
const NEVER_TICKS = 1_000_000;
/** Bytecode of a function that is optimized at the first look: V8's own value. In practice none is: who calls it will be optimized, and it with him. */
export const USUAL_EARLY_BYTES = 81;
const EARLY_MS = 60_000;
/** Bytes of packets within a second that end the first minute: some 200 full packets, while a member of 60 in a storm of joins or events has a fifth of that. */
export const BUSY_BYTES = 256 * 1024;
const BUSY_WINDOW_MS = 1000;

let isLate = false;

/** To be called when the program's code is loaded. For the whole process, its workers included: for programs of our own only. */
export function optimizeLateWhenStarved(): void {
  if (!process.versions.v8.startsWith(KNOWN_V8) || !isStarved()) return;
  isLate = true;
  setFlagsFromString(`--interrupt-budget=${EARLY_BUDGET}`);
  setTimeout(optimizeAsUsual, EARLY_MS).unref();
}

/** Listens to how many bytes of packets come and go, and ends the first minute once they are many. */
export function optimizeUnderLoad(): (bytes: number) => void {
  const window = new BusyWindow({ amountMax: BUSY_BYTES, windowMs: BUSY_WINDOW_MS, now: monotonicMs });
  return (bytes) => {
    if (isLate && window.add(bytes)) optimizeAsUsual();
  };
}

/** True where `optimizeInPractice` has an effect: the runtime is known, and processors are not scarce. */
export function mayOptimizeAtOnce(): boolean {
  return process.versions.v8.startsWith(KNOWN_V8) && !isLate;
}

/**
 * How V8 decides what to optimize while there is practice. With "none" it only counts who is busy: the usual budget would have to be used up first when it matters. With "busy" it
 * optimizes sooner. Nothing happens where `mayOptimizeAtOnce` says no.
 */
export function optimizeInPractice(what: "none" | "busy" | "usual"): void {
  if (!mayOptimizeAtOnce()) return;
  const usual = what === "usual";
  setFlagsFromString(`--interrupt-budget=${usual ? USUAL_BUDGET : PRACTICE_BUDGET}`);
  setFlagsFromString(`--ticks-before-optimization=${what === "none" ? NEVER_TICKS : USUAL_TICKS}`);
  setFlagsFromString(`--max-bytecode-size-for-early-opt=${usual ? USUAL_EARLY_BYTES : 0}`);
}

/** Ends the first minute at once. Does nothing when it has ended, or never began. */
export function optimizeAsUsual(): void {
  if (!isLate) return;
  isLate = false;
  setFlagsFromString(`--interrupt-budget=${USUAL_BUDGET}`);
}
