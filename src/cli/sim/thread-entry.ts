/** The thread's side of `thread.ts`. */
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../../base/assert.ts";
import { runSim } from "./command.ts";
import type { ShardJob } from "./shard-threads.ts";
import type { ThreadWord } from "./thread.ts";

const port = parentPort;
assert(port !== null, "this is the entry of a thread");

function tell(word: ThreadWord): void {
  port?.postMessage(word);
}

const context = {
  out: (text: string) => tell({ kind: "out", text }),
  err: (text: string) => tell({ kind: "err", text }),
  env: process.env,
  onInterrupt: () => {}, // Ctrl-C ends the process.
};
const startShards = (jobs: readonly ShardJob[]): void => {
  port.postMessage({ kind: "shards", jobs } satisfies ThreadWord, jobs.map((job) => job.port));
};
tell({ kind: "exit", code: runSim(context, workerData as readonly string[], startShards) });
