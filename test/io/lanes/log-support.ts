import { openWorkerLog, type WorkerLogOptions } from "../../../src/io/lanes/worker-log-store.ts";
import type { LogAppend, LogStore } from "../../../src/io/lanes/log-store.ts";
import { EMPTY_BYTES } from "../../../src/base/bytes.ts";
import { encodeUtf8 } from "../../../src/base/utf8.ts";
import { ENTRY_TYPE, type LogEntry } from "../../../src/wire/raft-messages.ts";

/** What a log has told, and a way to wait for it. */
export class LogWitness {
  durableSeq = 0;
  readonly refusals: { readonly seq: number; readonly error: string }[] = [];
  readonly late: number[] = [];
  readonly failures: string[] = [];
  readonly reports: string[] = [];
  #waiters: (() => void)[] = [];

  readonly events = {
    durable: (seq: number): void => this.#tell(() => (this.durableSeq = seq)),
    refused: (seq: number, error: string): void => this.#tell(() => this.refusals.push({ seq, error })),
    late: (waitingMs: number): void => this.#tell(() => this.late.push(waitingMs)),
    failed: (error: string): void => this.#tell(() => this.failures.push(error)),
    report: (text: string): void => this.#tell(() => this.reports.push(text)),
  };

  #tell(change: () => void): void {
    change();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }

  /** Resolves once `holds`; rejects after 60 s (a disk that other tests keep busy is slow). */
  async until(what: string, holds: () => boolean): Promise<void> {
    const deadline = performance.now() + 60_000;
    while (!holds()) {
      if (performance.now() > deadline) throw new Error(`not within 60 s: ${what}; durable ${this.durableSeq}, ${JSON.stringify([this.refusals, this.failures, this.reports])}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1_000);
        this.#waiters.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  durable(seq: number): Promise<void> {
    return this.until(`durable ${seq}`, () => this.durableSeq >= seq);
  }
}

export function entryOf(index: number, term: number, data: string | Uint8Array = `entry ${index}`, type: LogEntry["type"] = ENTRY_TYPE.command): LogEntry {
  return { index, term, type, data: typeof data === "string" ? encodeUtf8(data) : data, extensions: EMPTY_BYTES };
}

/** Entries `from` … `to` of one term. */
export function entriesOf(from: number, to: number, term: number): LogEntry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entryOf(from + i, term));
}

export function appendOf(seq: number, append: Partial<LogAppend>): LogAppend {
  return { seq, afterRefusal: 0, truncateFrom: 0, entries: [], hardState: null, ...append };
}

export function openLog(dataDir: string, witness: LogWitness, options: Partial<WorkerLogOptions> = {}): Promise<LogStore> {
  return openWorkerLog({ dataDir, events: witness.events, tailBytesMax: 1 << 20, lateAfterMs: 60_000, ...options });
}

/** All entries that were found in `log`, however many reads they take: one may answer with fewer than it was asked for. */
export async function readAll(log: LogStore): Promise<LogEntry[]> {
  const { firstIndex, lastIndex } = log.found;
  const entries: LogEntry[] = [];
  for (let next = firstIndex; next > 0 && next <= lastIndex; next = (entries.at(-1)?.index ?? 0) + 1) {
    const some = await log.read(next, lastIndex, Number.POSITIVE_INFINITY);
    if (some.length === 0) throw new Error(`entry ${next} of ${lastIndex} is gone`);
    for (const entry of some) entries.push(entry);
  }
  return entries;
}
