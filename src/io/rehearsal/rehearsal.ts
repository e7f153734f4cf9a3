/**
 * An agent that listens and has nothing to do practises what will be asked of it (`acts.ts`): code that runs for the first time is parsed, interpreted, and learns the
 * shapes of its objects, and when thirty agents join one at the same moment, that is most of what they do. Measured on two cores with a load of 8 to 20, `lan`: a join of 10 at once
 * costs each agent 13 ms of processor time instead of 16 to 21, one of 30 costs 22 to 24 instead of 27 to 34, and all know all after five sixths of the time or less; practice takes
 * some 65 ms, once (20 of them for the flood at its end). Of these the wire and eager notes on shapes (`wire-practice.ts`, `eager-feedback.ts`) are the better part: with them a joining agent of 30 needs 27 to 31 ms where it needed
 * 35 to 45, on a slower day, and the one that is joined 61 to 63 instead of 82 to 98.
 *
 * At its end the paths of packets are gone through until V8 has optimized them (`drill.ts`).
 *
 * It is for idle machines: nothing happens until the main thread got its processor at once for a while (who starts beside fifty others leaves it to them), the pauses between acts
 * grow with the time waited, and practice rests while there is work: a command, or more than a few packets. Who started on a machine without processors to spare ends it then for good.
 */
import type { Lesson } from "./lesson.ts";

/** Between two looks at whether the machine is idle. */
export const LOOK_MS = 10;
/** The same after some that found it busy, which each double it: sixty agents that start together take ten seconds on two cores, and looks cost something too. */
export const BUSY_LOOK_MS = 200;
/** Looks in a row that must find it so. */
export const CALM_LOOKS = 5;
/** Longest wait for a processor between two looks: a busy machine makes it some ms. */
export const CALM_WAIT_MS = 1;
/** An agent that has found no such moment within this many looks (a minute or two) has work, or never will. */
export const LOOKS_MAX = 600;
/** Bytes of packets from one turn to the next that practice does not rest for, and bytes in a ms: 10,000 packets/s of 200 bytes, say. A command counts as more. */
export const WORK_BYTES_MAX = 16 * 1024;
export const WORK_BYTES_PER_MS_MAX = 2 * 1024;
/** A question is work like so many bytes of packets. */
export const QUESTION_BYTES = 4 * 1024;
/** Acts follow each other, a turn of the event loop for each, for so long; then there is a pause. */
export const SPELL_MS = 3;
/** A pause is at least this, and for each ms waited for a processor so many more. What many agents practise at once goes on at the rate at which the machine can do it. */
const PAUSE_MS = 1;
const PAUSE_PER_WAIT = 8;
const PAUSE_MS_MAX = 200;

export interface RehearsalOptions {
  /** Makes the acts, one for each `next`, each of which tells what is to be learned from the next one; `return` ends them early and cleans up. Called when it is time for the first. */
  readonly acts: () => Promise<AsyncGenerator<Lesson, unknown>>;
  /** Called when it changes; null when nothing is to be learned. */
  readonly learning: (lesson: Lesson | null) => void;
  /** Time in ms that the main thread has waited for other programs' sake; what it waits for threads of its own is not counted. */
  readonly waitedMs: () => number;
  /** Goes on after work; otherwise work of any amount ends the rehearsal. */
  readonly patient: boolean;
  /** Monotonic, in ms. */
  readonly now: () => number;
  /** Runs `next` in the next turn of the event loop. */
  readonly soon: (next: () => void) => void;
  /** Runs `next` after `ms`. Must not keep the process alive. */
  readonly later: (next: () => void, ms: number) => void;
  /** An act threw. A mistake in practice must not end the agent that practises. */
  readonly failed: (error: unknown) => void;
  /** Uniform in [0, 1): agents that started together must not go on together. */
  readonly random: () => number;
}

export class Rehearsal {
  readonly #options: RehearsalOptions;
  #acts: AsyncGenerator<Lesson, unknown> | null = null;
  /** Of the next act. */
  #lesson: Lesson = "shapes";
  /** In force. */
  #learned: Lesson | null = null;
  #waitedMs: number;
  #workBytes = 0;
  #turnAtMs: number;
  #spellEndMs = -Infinity;
  #looks = 0;
  #lookMs = LOOK_MS;
  #calmLooks = 0;
  #ended = false;

  constructor(options: RehearsalOptions) {
    this.#options = options;
    this.#waitedMs = options.waitedMs();
    this.#turnAtMs = options.now();
    this.#later(LOOK_MS);
  }

  /** Packets came or went: for many of them practice rests. Cheap when it has ended. */
  work(bytes: number): void {
    this.#workBytes += bytes;
    if (!this.#options.patient) this.stop();
  }

  /** Somebody asked what the agent knows: for many questions practice rests. */
  question(): void {
    if (this.#options.patient) this.#workBytes += QUESTION_BYTES;
  }

  /** Somebody waits for what the agent does: practice rests. */
  command(): void {
    this.work(Infinity);
  }

  /** No further act. Cheap when it has ended. */
  stop(): void {
    if (this.#ended) return;
    this.#end();
    if (this.#acts === null) return;
    // Not within the turn that brought the work, and not before an act that is under way has ended.
    this.#options.later(() => void this.#acts?.return(undefined).catch(this.#options.failed), PAUSE_MS_MAX);
  }

  get ended(): boolean {
    return this.#ended;
  }

  #later(ms: number, next = (): void => void this.#next()): void {
    this.#options.later(next, ms * (0.5 + this.#options.random()));
  }

  async #next(): Promise<void> {
    if (this.#ended) return;
    const waitedMs = this.#waited();
    const works = this.#works();
    if (works) this.#rest();
    if (this.#calmLooks < CALM_LOOKS) return this.#look(!works && waitedMs <= CALM_WAIT_MS);
    try {
      if (await this.#act()) this.#end();
      else this.#goOn(waitedMs);
    } catch (error) {
      this.stop();
      this.#options.failed(error);
    }
  }

  /** True when it was the last one. */
  async #act(): Promise<boolean> {
    this.#learn(this.#lesson);
    this.#acts ??= await this.#options.acts();
    if (this.#ended) return true; // Stopped while they were being loaded: nothing has begun, nothing is to be cleaned up.
    const { done, value } = await this.#acts.next();
    if (done === true) return true;
    this.#lesson = value;
    return false;
  }

  #goOn(waitedMs: number): void {
    if (waitedMs === 0 && this.#options.now() < this.#spellEndMs) return this.#options.soon(() => void this.#next());
    const pauseMs = Math.min(PAUSE_MS + PAUSE_PER_WAIT * waitedMs, PAUSE_MS_MAX);
    this.#later(pauseMs, () => {
      this.#spellEndMs = this.#options.now() + SPELL_MS;
      void this.#next();
    });
  }

  #end(): void {
    this.#ended = true;
    this.#learn(null);
  }

  #rest(): void {
    this.#calmLooks = 0;
    this.#learn(null);
  }

  #learn(lesson: Lesson | null): void {
    if (lesson === this.#learned) return;
    this.#learned = lesson;
    this.#options.learning(lesson);
  }

  #look(calm: boolean): void {
    this.#calmLooks = calm ? this.#calmLooks + 1 : 0;
    this.#lookMs = calm ? LOOK_MS : Math.min(2 * this.#lookMs, BUSY_LOOK_MS);
    this.#looks += 1;
    if (this.#looks < LOOKS_MAX) this.#later(this.#lookMs);
    else this.stop();
  }

  /** More than a few packets came since the last call. */
  #works(): boolean {
    const bytes = this.#workBytes;
    const nowMs = this.#options.now();
    const sinceMs = nowMs - this.#turnAtMs;
    this.#workBytes = 0;
    this.#turnAtMs = nowMs;
    return bytes > WORK_BYTES_MAX && bytes > WORK_BYTES_PER_MS_MAX * sinceMs;
  }

  /** For a processor, since the last call. */
  #waited(): number {
    const waitedMs = this.#options.waitedMs();
    const sinceMs = Math.max(waitedMs - this.#waitedMs, 0);
    this.#waitedMs = waitedMs;
    return sinceMs;
  }
}
