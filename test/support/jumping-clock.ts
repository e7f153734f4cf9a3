/** Loaded before a program (`node --import`): its wall clock jumps an hour ahead with the first SIGUSR2, two hours back with the second, and so on. It prints the new time. */
import { isMainThread } from "node:worker_threads";

const HOUR_MS = 3_600_000;
const RealDate = Date;
const realNow = Date.now;
let offsetMs = 0;

class JumpingDate extends RealDate {
  constructor(...given: readonly unknown[]) {
    if (given.length === 0) super(realNow() + offsetMs);
    else super(...(given as [number]));
  }

  static override now(): number {
    return realNow() + offsetMs;
  }
}

globalThis.Date = JumpingDate as DateConstructor;
if (isMainThread) {
  process.on("SIGUSR2", () => {
    offsetMs = offsetMs > 0 ? -HOUR_MS : HOUR_MS;
    process.stdout.write(`wall clock: ${new Date().toISOString()}\n`);
  });
}
