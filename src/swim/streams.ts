/** Streams that we have opened: what each is for, and until when. Accepted streams need no state: one message in, one out. */
import { Deadlines } from "../base/deadlines.ts";
import type { StreamId } from "./types.ts";

export class Streams<Purpose> {
  readonly #open = new Map<StreamId, Purpose>();
  readonly #deadlines = new Deadlines<StreamId>();
  #last: StreamId = 0;

  get count(): number {
    return this.#open.size;
  }

  get nextAtMs(): number {
    return this.#deadlines.nextAtMs;
  }

  open(purpose: Purpose, deadlineMs: number): StreamId {
    this.#last += 1;
    this.#open.set(this.#last, purpose);
    this.#deadlines.set(this.#last, deadlineMs);
    return this.#last;
  }

  get(stream: StreamId): Purpose | undefined {
    return this.#open.get(stream);
  }

  /** Forgets the stream; what it was for, or undefined when it is already forgotten. */
  end(stream: StreamId): Purpose | undefined {
    const purpose = this.#open.get(stream);
    this.#open.delete(stream);
    this.#deadlines.delete(stream);
    return purpose;
  }

  /** A stream whose time is over, or undefined; the caller ends it. */
  due(nowMs: number): StreamId | undefined {
    return this.#deadlines.popDue(nowMs);
  }
}
