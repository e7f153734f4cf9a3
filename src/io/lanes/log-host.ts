/** The thread of the log worker: one long-running piscina task with a MessagePort, as the packet lanes have. It is never restarted: see `WorkerLogStore`. */
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { Piscina } from "piscina";
import type { LogStart } from "./log-protocol.ts";

/** The worker holds one batch and one range of entries at a time, not the log. */
const HEAP_MIB_MAX = 128;
const YOUNG_MIB_MAX = 8;

const WORKER = fileURLToPath(new URL(`../../../workers/log-worker${extname(import.meta.url)}`, import.meta.url));

export interface LogThread {
  readonly port: MessagePort;
  /** Settles when the thread has ended; rejects when it died. */
  readonly ended: Promise<void>;
}

export function startLogThread(start: Omit<LogStart, "port">): LogThread {
  const { port1, port2 } = new MessageChannel();
  const piscina = new Piscina({
    filename: WORKER,
    name: "runLogWorker",
    minThreads: 1,
    maxThreads: 1,
    // With piscina's default the worker sleeps in Atomics.wait between messages and never hears its port.
    atomics: "disabled",
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX, maxYoungGenerationSizeMb: YOUNG_MIB_MAX },
  });
  // A worker's failure reaches us as the rejection of its task; unheard, the same error would end the process.
  piscina.on("error", () => undefined);
  const task = piscina.run({ ...start, port: port2 } satisfies LogStart, { transferList: [port2] }) as Promise<void>;
  return { port: port1, ended: task.finally(() => void piscina.destroy()) };
}
