/** Keeps the records of a query back until its caller knows that the query is on its way: our own answer is often there before. */
import type { QueryRecord } from "./serf-agent-api.ts";

export class QueryGate {
  readonly #onRecord: (record: QueryRecord) => void;
  #early: QueryRecord[] | null = [];
  #closed = false;

  constructor(onRecord: (record: QueryRecord) => void) {
    this.#onRecord = onRecord;
  }

  pass(record: QueryRecord): void {
    if (this.#closed) return;
    if (this.#early === null) this.#onRecord(record);
    else this.#early.push(record);
  }

  /** Delivers what was kept back; from now on records pass at once. */
  open(): void {
    const early = this.#early ?? [];
    this.#early = null;
    for (const record of early) this.pass(record);
  }

  /** Nothing is delivered any more. */
  close(): void {
    this.#closed = true;
  }
}
