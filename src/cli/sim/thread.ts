/**
 * Runs `muster sim` on a thread of its own, for the sake of that thread's memory: what thousands of simulated nodes allocate in a step outlives a
 * young generation of 16 MiB, which is as large as V8 lets the main thread's become once the process has started. With 32 MiB instead 5,000
 * nodes take a twentieth less time (`crash-1pct`) and, since less survives, less memory; 64 MiB are no faster, and hold 80 MB more.
 */
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { getHeapStatistics } from "node:v8";
import { Worker } from "node:worker_threads";
import type { CliContext } from "../context.ts";

/** What the thread tells: a line for stdout or stderr, and at last the exit code. */
export type ThreadWord = { readonly kind: "out" | "err"; readonly text: string } | { readonly kind: "exit"; readonly code: number };

/** V8 gives each of two semi-spaces a third of the young generation, and large objects the rest. */
const YOUNG_MIB_MAX = 3 * 32;
const MIB = 1024 * 1024;
const WORKER = fileURLToPath(new URL(`./thread-entry${extname(import.meta.url)}`, import.meta.url));

/** As `runSim`; an exception of the thread rejects. */
export function runSimApart(context: CliContext, words: readonly string[]): Promise<number> {
  const oldMiB = Math.floor(getHeapStatistics().heap_size_limit / MIB); // What the process would have had.
  const worker = new Worker(WORKER, { workerData: words, resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB_MAX, maxOldGenerationSizeMb: oldMiB } });
  return new Promise((resolve, reject) => {
    worker.on("message", (word: ThreadWord) => {
      if (word.kind === "exit") resolve(word.code);
      else context[word.kind](word.text);
    });
    worker.on("error", reject);
  });
}
