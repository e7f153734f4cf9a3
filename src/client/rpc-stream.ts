/** The records of a stream, a monitor or a query, for `for await`. */

/** Records kept for a consumer that is slower than the agent; what does not fit is dropped and counted. */
export const CLIENT_QUEUE_MAX = 4096;

export class RpcStream<T> implements AsyncIterableIterator<T> {
  readonly #onStop: () => Promise<void>;
  readonly #onEnd: () => void;
  #listener: ((record: T) => void) | null = null;
  #records: T[] = [];
  #waiting: { resolve(result: IteratorResult<T>): void; reject(error: Error): void }[] = [];
  #ended = false;
  #error: Error | null = null;
  #dropped = 0;

  /** `onEnd` runs once, however it ends; `onStop` after it when it was the consumer who stopped. */
  constructor({ onStop, onEnd }: { readonly onStop: () => Promise<void>; readonly onEnd: () => void }) {
    this.#onStop = onStop;
    this.#onEnd = onEnd;
  }

  /** Records lost because they were not read in time. */
  get dropped(): number {
    return this.#dropped;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Adds a record; for the client. */
  push(record: T): void {
    if (this.#ended) return;
    if (this.#listener !== null) return this.#listener(record);
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) waiting.resolve({ done: false, value: record });
    else if (this.#records.length < CLIENT_QUEUE_MAX) this.#records.push(record);
    else this.#dropped += 1;
  }

  /** Ends the stream; for the client. With an error, the consumer gets it after the records that are still here. */
  end(error: Error | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#onEnd();
    for (const waiting of this.#waiting.splice(0)) this.#finish(waiting);
  }

  /** Tells the agent to stop and ends the iteration. Safe to call at any time. */
  async stop(): Promise<void> {
    if (this.#ended) return;
    this.#records = [];
    this.end(null);
    await this.#onStop();
  }

  /**
   * Gives every record to `listener` the moment it arrives, so that records of several streams keep their order. Resolves when the stream
   * was stopped, rejects when it broke. In place of `for await`.
   */
  async consume(listener: (record: T) => void): Promise<void> {
    for (const record of this.#records.splice(0)) listener(record);
    this.#listener = listener;
    await this.next();
  }

  next(): Promise<IteratorResult<T>> {
    return new Promise((resolve, reject) => {
      const record = this.#records.shift();
      if (record !== undefined) resolve({ done: false, value: record });
      else if (this.#ended) this.#finish({ resolve, reject });
      else this.#waiting.push({ resolve, reject });
    });
  }

  #finish({ resolve, reject }: { resolve(result: IteratorResult<T>): void; reject(error: Error): void }): void {
    const error = this.#error;
    this.#error = null; // Told once; after it the iteration is simply over.
    if (error === null) resolve({ done: true, value: undefined });
    else reject(error);
  }

  async return(): Promise<IteratorResult<T>> {
    await this.stop();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
