/** Time for the cores: milliseconds of a clock that never goes back or jumps (lessons §3.2: only monotonic time decides anything). */
export function monotonicMs(): number {
  return performance.now();
}

let isHeld = false;
/** What the wall clock showed when it was first asked since it is held; NaN before. */
let heldMs = NaN;

/** The wall clock in ms, for what people read: stamps of log lines and intervals of measurements. It stands still while it is held. */
export function wallMs(): number {
  if (!isHeld) return Date.now();
  if (Number.isNaN(heldMs)) heldMs = Date.now();
  return heldMs;
}

/**
 * Holds the wall clock until `releaseWall`, for work of some ms that asks it again and again: each new event is logged twice and counted, and looking at the system's
 * clock each time took a twentieth of what the event costs. False when it is held already, and then not to be released.
 */
export function holdWall(): boolean {
  if (isHeld) return false;
  isHeld = true;
  heldMs = NaN;
  return true;
}

/** Only by whom `holdWall` said true. */
export function releaseWall(): void {
  isHeld = false;
}
