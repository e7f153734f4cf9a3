/**
 * Runs `muster sim` on a thread of its own, for the sake of that thread's memory: what thousands of simulated nodes allocate in a step outlives a
 * young generation of 16 MiB, which is as large as V8 lets the main thread's become once the process has started. With 32 MiB instead 5,000
 * nodes take a twentieth less time (`crash-1pct`) and, since less survives, less memory; 64 MiB are no faster, and hold 80 MB more.
 */
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { getHeapStatistics } from "node:v8";
import { Worker, type MessagePort } from "node:worker_threads";
import type { CliContext } from "../context.ts";
import type { ShardJob } from "./shard-threads.ts";

/** What the thread tells: a line for stdout or stderr, threads to be started besides it, and at last the exit code. */
export type ThreadWord =
  | { readonly kind: "out" | "err"; readonly text: string }
  | { readonly kind: "shards"; readonly jobs: readonly ShardJob[] }
  | { readonly kind: "exit"; readonly code: number };

/** V8 gives each of two semi-spaces a third of the young generation, and large objects the rest. */
const YOUNG_MIB_MAX = 3 * 32;
const MIB = 1024 * 1024;
/** Files that threads begin with: the one that reads the command line, and those of the other shards. */
export interface ThreadEntries {
  readonly first: string;
  readonly shard: string;
}

export const ENTRIES: ThreadEntries = { first: entryOf("thread-entry"), shard: entryOf("shard-entry") };

function entryOf(name: string): string {
  return fileURLToPath(new URL(`./${name}${extname(import.meta.url)}`, import.meta.url));
}

/** As `runSim`. An exception of a thread, or its end before its time, ends all of them and rejects: the others would wait for it for ever. */
export function runSimApart(context: CliContext, words: readonly string[], entries = ENTRIES): Promise<number> {
  const oldMiB = Math.floor(getHeapStatistics().heap_size_limit / MIB); // What the process would have had.
  const threads: Worker[] = [];
  return new Promise((resolve, reject) => {
    const giveUp = (error: Error): void => {
      reject(error);
      for (const thread of threads) void thread.terminate();
    };
    const start = (entry: string, data: unknown, ports: MessagePort[]): Worker => {
      const limits = { maxYoungGenerationSizeMb: YOUNG_MIB_MAX, maxOldGenerationSizeMb: oldMiB };
      const thread = new Worker(entry, { workerData: data, transferList: ports, resourceLimits: limits });
      threads.push(thread);
      thread.on("error", giveUp);
      return thread;
    };
    const first = start(entries.first, words, []);
    first.on("message", (word: ThreadWord) => {
      if (word.kind === "exit") resolve(word.code);
      else if (word.kind === "shards") for (const job of word.jobs) start(entries.shard, job, [job.port]).on("exit", (code) => code === 0 || giveUp(new Error(`a thread of the simulation ended with ${code}`)));
      else context[word.kind](word.text);
    });
    first.on("exit", (code) => giveUp(new Error(`the thread of the simulation ended with ${code}`)));
  });
}
