/**
 * An agent that listens and has nothing to do practises what will be asked of it (`acts.ts`): code that runs for the first time is parsed, interpreted, and learns the
 * shapes of its objects, and when thirty agents join one at the same moment, that is most of what they do. Measured on two cores with a load of 8 to 20, `lan`: a join of 10 at once
 * costs each agent 13 ms of processor time instead of 16 to 21, one of 30 costs 22 to 24 instead of 27 to 34, and all know all after five sixths of the time or less; practice takes
 * some 65 ms, once (20 of them for the flood at its end). Of these the wire and eager notes on shapes (`wire-practice.ts`, `eager-feedback.ts`) are the better part: with them a joining agent of 30 needs 27 to 31 ms where it needed
 * 35 to 45, on a slower day, and the one that is joined 61 to 63 instead of 82 to 98.
 *
 * It is for idle machines: nothing happens until the main thread got its processor at once for a while (who starts beside fifty others leaves it to them), the pauses between acts
 * grow with the time waited, and the first packet or command ends it.
 */
import type { RunTimes } from "../run-queue.ts";

/** Between two looks at whether the machine is idle. */
export const LOOK_MS = 20;
/** The same after one that found it busy: sixty agents that start together take ten seconds on two cores, and looks cost something too. */
export const BUSY_LOOK_MS = 200;
/** Looks in a row that must find it so. */
export const CALM_LOOKS = 5;
/** Longest wait for a processor between two looks: a busy machine makes it some ms. */
export const CALM_WAIT_MS = 1;
/** An agent that has found no such moment within this many looks (a minute or two) has work, or never will. */
export const LOOKS_MAX = 600;
/** Pause after an act: this, and for each ms waited for a processor so many more. What many agents practise at once goes on at the rate at which the machine can do it. */
const PAUSE_MS = 2;
const PAUSE_PER_WAIT = 8;
const PAUSE_MS_MAX = 200;

export interface RehearsalOptions {
  /** Makes the acts, one for each `next`; `return` ends them early and cleans up. Called when it is time for the first. */
  readonly acts: () => Promise<AsyncGenerator<void, unknown>>;
  /** True before the first act, false after the last. */
  readonly learning: (on: boolean) => void;
  readonly runTimes: () => RunTimes;
  /** Runs `next` after `ms`. Must not keep the process alive. */
  readonly later: (next: () => void, ms: number) => void;
  /** An act threw. A mistake in practice must not end the agent that practises. */
  readonly failed: (error: unknown) => void;
  /** Uniform in [0, 1): agents that started together must not go on together. */
  readonly random: () => number;
}

export class Rehearsal {
  readonly #options: RehearsalOptions;
  #acts: AsyncGenerator<void, unknown> | null = null;
  #waitedMs = 0;
  #looks = 0;
  #calmLooks = 0;
  #learning = false;
  #ended = false;

  constructor(options: RehearsalOptions) {
    this.#options = options;
    this.#waitedMs = options.runTimes().waitedMs;
    this.#later(LOOK_MS);
  }

  /** There is work, or the agent ends: no further act. Cheap when it has ended. */
  stop(): void {
    if (this.#ended) return;
    this.#end();
    // Not within the turn that brought the work, and not before an act that is under way has ended.
    this.#options.later(() => void this.#acts?.return(undefined).catch(this.#options.failed), PAUSE_MS_MAX);
  }

  get ended(): boolean {
    return this.#ended;
  }

  #later(ms: number): void {
    this.#options.later(() => void this.#next(), ms * (0.5 + this.#options.random()));
  }

  async #next(): Promise<void> {
    if (this.#ended) return;
    const waitedMs = this.#waited();
    if (this.#calmLooks < CALM_LOOKS) return this.#look(waitedMs);
    try {
      if (await this.#act()) this.#end();
      else this.#later(Math.min(PAUSE_MS + PAUSE_PER_WAIT * waitedMs, PAUSE_MS_MAX));
    } catch (error) {
      this.stop();
      this.#options.failed(error);
    }
  }

  /** True when it was the last one. */
  async #act(): Promise<boolean> {
    if (!this.#learning) this.#learn(true);
    this.#acts ??= await this.#options.acts();
    const { done } = await this.#acts.next();
    return done === true;
  }

  #end(): void {
    this.#ended = true;
    if (this.#learning) this.#learn(false);
  }

  #learn(on: boolean): void {
    this.#learning = on;
    this.#options.learning(on);
  }

  #look(waitedMs: number): void {
    const calm = waitedMs <= CALM_WAIT_MS;
    this.#calmLooks = calm ? this.#calmLooks + 1 : 0;
    this.#looks += 1;
    if (this.#looks < LOOKS_MAX) this.#later(calm ? LOOK_MS : BUSY_LOOK_MS);
    else this.#ended = true;
  }

  /** For a processor, since the last call. */
  #waited(): number {
    const { waitedMs } = this.#options.runTimes();
    const sinceMs = waitedMs - this.#waitedMs;
    this.#waitedMs = waitedMs;
    return sinceMs;
  }
}
