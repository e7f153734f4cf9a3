import { performance } from "node:perf_hooks"; // The global of that name is looked up each time it is used.

/** Time for the cores: milliseconds of a clock that never goes back or jumps (lessons §3.2: only monotonic time decides anything). */
export function monotonicMs(): number {
  return performance.now();
}

/** A time read is taken for the present one for so long: less than anybody sees in a log line or a measurement. */
const PRESENT_MS = 1;

let isHeld = false;
/** What the wall clock showed when it was asked last; NaN when it is to be asked again. */
let heldMs = NaN;
/** `monotonicMs` at the beginning of the work that asked it then, and of the work that holds it; NaN where nobody said. */
let readAtMs = NaN;
let holdAtMs = NaN;

/** The wall clock in ms, for what people read: stamps of log lines and intervals of measurements. It stands still while it is held. */
export function wallMs(): number {
  if (!isHeld) return Date.now();
  if (Number.isNaN(heldMs)) {
    heldMs = Date.now();
    readAtMs = holdAtMs;
  }
  return heldMs;
}

/**
 * Holds the wall clock until `releaseWall`, for work of some ms that asks it again and again: each new event is logged twice and counted, and looking at the system's
 * clock each time took a twentieth of what the event costs. False when it is held already, and then not to be released. `nowMs`, of `monotonicMs`: whoever has just
 * asked that clock need not ask the other one again within a ms of the last time.
 */
export function holdWall(nowMs = NaN): boolean {
  if (isHeld) return false;
  isHeld = true;
  if (!(nowMs - readAtMs < PRESENT_MS)) heldMs = NaN;
  holdAtMs = nowMs;
  return true;
}

/** `monotonicMs` at the beginning of the work that holds the wall clock, where it told; else now. */
export function presentMs(): number {
  return isHeld && !Number.isNaN(holdAtMs) ? holdAtMs : monotonicMs();
}

/** Only by whom `holdWall` said true. */
export function releaseWall(): void {
  isHeld = false;
}
