/**
 * V8's optimizing compiler waits in the first minute of an agent. What runs then (a join, the first gossip) is soon over, and optimizing it costs more than
 * it saves. Measured with 60 agents on two cores (`native-free-bench/load/cluster-driver.ts`): all know all after 2.0 s instead of 2.9, and of 50 events a
 * second 99.8 % are everywhere within 2 s instead of 93.4. Code that is really busy is optimized all the same, after some ms instead of fractions of one.
 */
import { setFlagsFromString } from "node:v8";

/** Node 20's V8, whose own budget is known; the flag is left alone elsewhere. */
const KNOWN_V8 = "11.3.";
/** Bytes of bytecode that a function runs through between two looks at whether it is worth optimizing: V8's own value. */
export const USUAL_BUDGET = 67_584;
const EARLY_BUDGET = 1_000_000;
const EARLY_MS = 60_000;

let isLate = false;

/** For the whole process, its workers included: for programs of our own only. */
export function optimizeLate(): void {
  if (!process.versions.v8.startsWith(KNOWN_V8)) return;
  isLate = true;
  setFlagsFromString(`--interrupt-budget=${EARLY_BUDGET}`);
  setTimeout(optimizeAsUsual, EARLY_MS).unref();
}

/** Ends the first minute at once: there is work for worker threads. Does nothing when it has ended, or never began. */
export function optimizeAsUsual(): void {
  if (!isLate) return;
  isLate = false;
  setFlagsFromString(`--interrupt-budget=${USUAL_BUDGET}`);
}
