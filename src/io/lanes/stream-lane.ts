/**
 * Large stream messages are sealed, compressed, opened and inflated in a worker thread: a push/pull of 10,000 members takes tens of ms. They are rare
 * (one in half a minute, or a join), so each is an ordinary piscina task, and the thread ends when there has been none for a while.
 */
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Piscina } from "piscina";
import { keepHeapLimits } from "../heap-limits.ts";
import type { StreamResult, StreamTask, StreamTaskDone } from "./stream-worker.ts";

/** Sealed or compressed messages up to this length are opened on the main thread: most in less than a ms, those that grow sixteenfold in 2. */
export const OPEN_INLINE_BYTES_MAX = 32 * 1024;
/**
 * Plain messages up to this length are compressed and sealed on the main thread, in 1.2 ms. A push/pull has 60 kB once it tells of 512 events, however few members there are: with
 * a lower limit every agent of a cluster with events would start the thread, which costs it 10 to 20 MB and as much processor time as 100 such messages.
 */
export const SEAL_INLINE_BYTES_MAX = 128 * 1024;
/** Messages that wait for the thread; beyond it new ones fail, as on a broken connection. */
export const STREAM_TASKS_MAX = 64;
/** A task that takes longer hangs, and so does its thread. The largest message takes some 100 ms, and 64 may wait. */
const TASK_MS_MAX = 20_000;
const IDLE_MS = 30_000;
const HEAP_MIB_MAX = 512;
const YOUNG_MIB_MAX = 12;

const WORKER = fileURLToPath(new URL(`../../../workers/stream-lane${extname(import.meta.url)}`, import.meta.url));

export class StreamLane {
  #piscina: Promise<Piscina> | null = null;
  #tasks = 0;
  #idle: NodeJS.Timeout | null = null;
  #stopped = false;

  /** Rejects when the thread died or hangs, or too many tasks wait: nothing was done then, or it is lost. */
  async run(task: StreamTask): Promise<StreamResult> {
    if (this.#stopped) throw new Error("the stream lane is stopped");
    if (this.#tasks >= STREAM_TASKS_MAX) throw new Error("too many large stream messages at once");
    const starting = (this.#piscina ??= start());
    this.#tasks += 1;
    if (this.#idle !== null) clearTimeout(this.#idle);
    let limit: NodeJS.Timeout | null = null;
    try {
      const piscina = await starting;
      const hangs = new Promise<never>((_, reject) => {
        limit = setTimeout(() => reject(new Error("the stream lane does not answer")), TASK_MS_MAX).unref();
      });
      const { result } = await Promise.race([piscina.run(task) as Promise<StreamTaskDone>, hangs]);
      keepHeapLimits();
      return result;
    } catch (error) {
      // What its thread still does is not waited for; the next task has a new one.
      if (this.#piscina === starting) this.#piscina = null;
      void starting.then((piscina) => piscina.destroy());
      throw error;
    } finally {
      if (limit !== null) clearTimeout(limit);
      this.#tasks -= 1;
      if (this.#tasks === 0 && !this.#stopped) this.#idle = setTimeout(() => void this.#end(), IDLE_MS).unref();
    }
  }

  /** The threads, for tests that kill one. */
  async threads(): Promise<Piscina["threads"]> {
    return (await this.#piscina)?.threads ?? [];
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#idle !== null) clearTimeout(this.#idle);
    await this.#end();
  }

  async #end(): Promise<void> {
    const piscina = this.#piscina;
    this.#piscina = null;
    await (await piscina)?.destroy();
  }
}

/** piscina itself is loaded with the first large message: most agents never meet one. */
async function start(): Promise<Piscina> {
  const { Piscina: Pool } = await import("piscina");
  const piscina = new Pool({
    filename: WORKER,
    name: "runStreamTask",
    // A thread that piscina starts later and that dies while it loads leaves its task waiting for ever; the first ones count as loaded.
    minThreads: 1,
    maxThreads: 1,
    maxQueue: STREAM_TASKS_MAX,
    atomics: "disabled",
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX, maxYoungGenerationSizeMb: YOUNG_MIB_MAX },
  });
  // A thread's failure reaches us as the rejection of its task; unheard, the same error would end the process.
  piscina.on("error", () => undefined);
  return piscina;
}
