import { setTimeout as delay } from "node:timers/promises";

/** Pause between two looks; each look may start a process, so not shorter. */
const LOOK_INTERVAL_MS = 50;

/**
 * Looks again and again until `look` returns null, at most `deadlineMs`. `look` returns what is still wrong; that text, and what `context` adds (logs, say),
 * make the failure readable.
 */
export async function eventually(what: string, deadlineMs: number, look: () => Promise<string | null> | string | null, context: () => string = () => ""): Promise<void> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const wrong = await look();
    if (wrong === null) return;
    if (performance.now() >= end) throw new Error(`${what}: not within ${deadlineMs} ms: ${wrong}\n${context()}`);
    await delay(LOOK_INTERVAL_MS);
  }
}
