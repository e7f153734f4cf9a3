/** Preloaded into an agent (`node --import`): SIGUSR2 terminates its worker threads, as a crash of theirs would. */
import { createRequire, syncBuiltinESMExports } from "node:module";
import type * as WorkerThreads from "node:worker_threads";

const threads = createRequire(import.meta.url)("node:worker_threads") as { Worker: typeof WorkerThreads.Worker; isMainThread: boolean };

if (threads.isMainThread) {
  const { Worker } = threads;
  const alive = new Set<WorkerThreads.Worker>();
  threads.Worker = class extends Worker {
    constructor(...args: ConstructorParameters<typeof Worker>) {
      super(...args);
      alive.add(this);
      this.once("exit", () => alive.delete(this));
    }
  };
  syncBuiltinESMExports();
  process.on("SIGUSR2", () => {
    for (const worker of alive) void worker.terminate();
  });
}
