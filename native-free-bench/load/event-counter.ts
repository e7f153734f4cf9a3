/** Counts the distinct events of a factory that come out of one RPC stream. */
import type { SerfClient } from "../../src/client/serf-client.ts";
import { serialOf } from "./packets.ts";

export class EventCounter {
  readonly #seen = new Set<number>();
  #repeated = 0;
  #lastMs = performance.now();

  /** Subscribes to all user events of the agent. */
  static async open(client: SerfClient): Promise<EventCounter> {
    const counter = new EventCounter();
    const stream = await client.stream("user");
    stream.consume((event) => {
      if (event.kind === "user") counter.#count(serialOf(event.name));
    }).catch(() => undefined); // The agent was stopped.
    return counter;
  }

  get distinct(): number {
    return this.#seen.size;
  }

  /** Events delivered a second time: must stay 0. */
  get repeated(): number {
    return this.#repeated;
  }

  /** Time without a new event, in ms. */
  get quietMs(): number {
    return performance.now() - this.#lastMs;
  }

  #count(serial: number): void {
    if (serial < 0) return;
    if (this.#seen.has(serial)) this.#repeated += 1;
    else this.#seen.add(serial);
    this.#lastMs = performance.now();
  }
}
