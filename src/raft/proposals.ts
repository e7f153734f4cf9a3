/** Requests that wait for their entry to be committed and handed to the state machine, in the order of the log. */
import type { RequestId } from "./types.ts";

export interface Waiting {
  readonly request: RequestId;
  readonly index: number;
  readonly bytes: number;
  readonly sinceMs: number;
}

export class Proposals {
  #waiting: Waiting[] = [];
  #head = 0;
  #bytes = 0;

  /** Bytes of data that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  add(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#bytes += waiting.bytes;
  }

  /** Takes the first when its entry is at or before `index`; undefined otherwise. */
  takeUpTo(index: number): Waiting | undefined {
    const first = this.#waiting[this.#head];
    if (first === undefined || first.index > index) return undefined;
    this.#head += 1;
    this.#bytes -= first.bytes;
    if (this.#head === this.#waiting.length || this.#head >= 4096) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    return first;
  }

  takeAll(): readonly Waiting[] {
    const all = this.#waiting.slice(this.#head);
    this.#waiting = [];
    this.#head = 0;
    this.#bytes = 0;
    return all;
  }
}
