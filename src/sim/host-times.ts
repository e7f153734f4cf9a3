/**
 * The times of all simulated hosts, those of one side by side. In a cluster of thousands each event finds its host outside the processor's caches, and
 * numbers with a fraction lie apart from their objects: each of them would be a wait for the main memory. Here one line holds what an event looks at, and
 * many events, such as a wake whose deadline has moved, need no more of their host.
 */
import { assert } from "../base/assert.ts";
import { localMs, rateOf, virtualUs } from "./clock.ts";

const WAKE = 0;
const DEADLINE = 1;
const DEAF = 2;
const OFFSET = 3;
const RATE = 4;
/** A line of 64 bytes. */
const STRIDE = 8;

export class HostTimes {
  readonly #words: Float64Array;
  /** 1 for a host that may be deaf: what comes to one that is not need not look at its line for that. */
  readonly #mayBeDeaf: Uint8Array;

  constructor(hosts: number) {
    this.#mayBeDeaf = new Uint8Array(hosts).fill(1);
    this.#words = new Float64Array(STRIDE * hosts);
    for (let host = 0; host < hosts; host += 1) {
      this.#put(host, WAKE, Infinity);
      this.#put(host, DEADLINE, Infinity);
      this.#put(host, DEAF, Infinity);
      this.#put(host, RATE, 1);
    }
  }

  #at(host: number, what: number): number {
    return this.#words[STRIDE * host + what] as number;
  }

  #put(host: number, what: number, value: number): void {
    this.#words[STRIDE * host + what] = value;
  }

  /** Time of the wake-up on the agenda that counts; others are stale. */
  wakeAtUs(host: number): number {
    return this.#at(host, WAKE);
  }

  setWakeAtUs(host: number, atUs: number): void {
    this.#put(host, WAKE, atUs);
  }

  /** When the process wants to be woken, as it said after its last step: never before the wake-up on the agenda. */
  deadlineUs(host: number): number {
    return this.#at(host, DEADLINE);
  }

  setDeadlineUs(host: number, atUs: number): void {
    this.#put(host, DEADLINE, atUs);
  }

  /** Nothing reaches a process before this time: it is stalled, or does not run at all (Infinity). */
  deafUntilUs(host: number): number {
    return this.#at(host, DEAF);
  }

  setDeafUntilUs(host: number, atUs: number): void {
    this.#put(host, DEAF, atUs);
    this.#mayBeDeaf[host] = atUs > 0 ? 1 : 0;
  }

  isDeaf(host: number, nowUs: number): boolean {
    return this.#mayBeDeaf[host] === 1 && nowUs < this.deafUntilUs(host);
  }

  // The host's own clock, as a `NodeClock`.

  setClock(host: number, offsetMs: number, driftPpm: number): void {
    this.#put(host, OFFSET, offsetMs);
    this.#put(host, RATE, rateOf(driftPpm));
  }

  localMs(host: number, atUs: number): number {
    return localMs(this.#at(host, OFFSET), this.#at(host, RATE), atUs);
  }

  virtualUs(host: number, ownMs: number): number {
    return virtualUs(this.#at(host, OFFSET), this.#at(host, RATE), ownMs);
  }

  jumpAhead(host: number, ms: number): void {
    assert(ms >= 0, "a monotonic clock never goes back");
    this.#put(host, OFFSET, this.#at(host, OFFSET) + ms);
  }
}
