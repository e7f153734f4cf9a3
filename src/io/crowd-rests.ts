/**
 * Many clients that ask over and over take longer to ask than the agent takes to answer: it would go to sleep and be woken for every question or two, which costs as much as
 * a good part of the answer. So it rests for a moment at the end of a turn in which it answered such a crowd, and finds several questions when it looks again.
 *
 * Measured as processor time per answer, by that without rest: `members` of 500, 16 and 64 connections, 0.65 and 0.81; `event` and `members` of one, 64 connections, 0.88 to 0.94. As many
 * answers a second. Of small answers only a big crowd leaves enough questions behind: with 16 connections there is nothing to gain, with 32 the clients wait for us.
 * Packets wait in the socket's buffer for that moment. Who asks alone, or beside a few, is answered at once.
 */

/** From here on an answer is large: reading it takes a client longer than a rest is worth. */
export const LARGE_BYTES = 32 * 1024;
/** Clients that are given large answers within a window, from which on there is rest after each turn with one. */
export const CROWD = 8;
/** Clients, and answers of any length, within a window, from which on there is rest after each turn with a few. */
export const BIG_CROWD = 48;
export const BIG_CROWD_ANSWERS = 256;
export const WINDOW_MS = 10;
/** The longest rest, and that after large answers. */
export const REST_MS = 0.5;
/** For each client of a big crowd: no longer than it takes to ask, so that they do not all wait for us. */
const REST_MS_PER_CLIENT = 0.006;
/** When this part of a big crowd has been answered in one turn, the questions come together without a rest. */
const TOGETHER = 1 / 4;

export interface CrowdRestsHooks {
  /** Runs `next` at the end of this turn of the event loop. */
  readonly soon: (next: () => void) => void;
  /** Stops the thread for so many ms. */
  readonly rest: (ms: number) => void;
}

/** What is kept with each client: the last windows in which it was given an answer, and a large one. */
export class CrowdMember {
  window = 0;
  largeWindow = 0;
}

export class CrowdRests {
  readonly #hooks: CrowdRestsHooks;
  #window = 1;
  #windowEndMs = -Infinity;
  // Of the window that is running.
  #clients = 0;
  #largeClients = 0;
  #answers = 0;
  /** Clients of the last window, if they were a big crowd; else 0. */
  #bigCrowd = 0;
  #isLargeCrowded = false;
  // Of the turn that is running.
  #turnAnswers = 0;
  #isTurnLarge = false;
  #isPlanned = false;
  readonly #turnEnds = (): void => this.#endTurn();

  constructor(hooks: CrowdRestsHooks) {
    this.#hooks = hooks;
  }

  /** `client` is given an answer of so many bytes; `nowMs` is the time, or a little less. */
  given(client: CrowdMember, bytes: number, nowMs: number): void {
    if (nowMs >= this.#windowEndMs) this.#nextWindow(nowMs);
    this.#answers += 1;
    if (client.window !== this.#window) {
      client.window = this.#window;
      this.#clients += 1;
    }
    if (bytes >= LARGE_BYTES) this.#givenLarge(client);
    if (this.#bigCrowd > 0 || this.#isTurnLarge) this.#planRest();
  }

  #givenLarge(client: CrowdMember): void {
    if (client.largeWindow !== this.#window) {
      client.largeWindow = this.#window;
      this.#largeClients += 1;
    }
    this.#isTurnLarge = this.#isLargeCrowded;
  }

  #nextWindow(nowMs: number): void {
    const wasLast = nowMs < this.#windowEndMs + WINDOW_MS;
    this.#isLargeCrowded = wasLast && this.#largeClients >= CROWD;
    this.#bigCrowd = wasLast && this.#clients >= BIG_CROWD && this.#answers >= BIG_CROWD_ANSWERS ? this.#clients : 0;
    this.#window += 1;
    this.#windowEndMs = nowMs + WINDOW_MS;
    this.#clients = 0;
    this.#largeClients = 0;
    this.#answers = 0;
  }

  #planRest(): void {
    this.#turnAnswers += 1;
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    this.#hooks.soon(this.#turnEnds);
  }

  #endTurn(): void {
    const isLarge = this.#isTurnLarge;
    const isFew = this.#turnAnswers < TOGETHER * this.#bigCrowd;
    this.#isPlanned = false;
    this.#isTurnLarge = false;
    this.#turnAnswers = 0;
    if (isLarge) this.#hooks.rest(REST_MS);
    else if (isFew) this.#hooks.rest(Math.min(REST_MS, REST_MS_PER_CLIENT * this.#bigCrowd));
  }
}

const cell = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** Stops this thread. Nobody wakes it before its time. */
export function restFor(ms: number): void {
  Atomics.wait(cell, 0, 0, ms);
}
