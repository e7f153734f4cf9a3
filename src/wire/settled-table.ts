/**
 * The hashes that main has declared settled (see `repeat-filter.ts`): a repeat of a settled message may be dropped unseen.
 * Two generations of open-addressing tables in typed arrays: when the young one is full or old, it becomes the old one and
 * the previous old one is emptied. So memory is bounded, and an entry is forgotten after one to two generations.
 */
import { assert } from "../base/assert.ts";

/** Slots of one generation at most; a power of two. At most half are filled, so probes stay short: 16,384 hashes, 256 KiB a generation. */
const SLOTS_MAX = 32_768;
/** A generation begins with so many and grows: the few hundred hashes of a quiet cluster then stay in the processor's nearest cache. */
const SLOTS_FIRST = 1024;
const FILL_MAX = SLOTS_MAX / 2;
/** Age at which a generation is retired even when not full: a forgotten member's alive must not be blocked for long. */
export const SETTLED_GENERATION_MS = 5_000;

const NO_HALVES = new Int32Array(0);

class Generation {
  // Both halves of each hash; a slot of two zeros is empty (a hash of 0,0 is simply never remembered).
  #halves = NO_HALVES;
  #mask = 0;
  count = 0;

  constructor() {
    this.#resize(SLOTS_FIRST);
  }

  has(low: number, high: number): boolean {
    const halves = this.#halves;
    const mask = this.#mask;
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      const a = halves[2 * slot] as number;
      const b = halves[2 * slot + 1] as number;
      if (a === 0 && b === 0) return false;
      if (a === low && b === high) return true;
    }
  }

  add(low: number, high: number): void {
    assert(this.count < FILL_MAX, "a settled generation overflows");
    if (2 * this.count > this.#mask) this.#grow();
    const halves = this.#halves;
    const mask = this.#mask;
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      const a = halves[2 * slot] as number;
      const b = halves[2 * slot + 1] as number;
      if (a === low && b === high) return;
      if (a === 0 && b === 0) {
        halves[2 * slot] = low;
        halves[2 * slot + 1] = high;
        this.count += 1;
        return;
      }
    }
  }

  /** Keeps its room while that is used, so that a busy node does not grow its tables again and again. */
  clear(): void {
    const slots = this.#mask + 1;
    if (slots > SLOTS_FIRST && 8 * this.count < slots) this.#resize(slots >> 2);
    else if (this.count > 0) this.#halves.fill(0);
    this.count = 0;
  }

  #grow(): void {
    const old = this.#halves;
    this.#resize(4 * (this.#mask + 1));
    this.count = 0;
    for (let i = 0; i < old.length; i += 2) {
      const low = old[i] as number;
      const high = old[i + 1] as number;
      if (low !== 0 || high !== 0) this.add(low, high);
    }
  }

  #resize(slots: number): void {
    const bounded = Math.min(SLOTS_MAX, Math.max(SLOTS_FIRST, slots));
    this.#halves = new Int32Array(2 * bounded);
    this.#mask = bounded - 1;
  }
}

export class SettledTable {
  #young = new Generation();
  #old = new Generation();
  #youngSinceMs: number;

  constructor(nowMs: number) {
    this.#youngSinceMs = nowMs;
    // V8 takes fields for constants until they are written for the second time, and then compiles whatever read them anew: better now than in a flood.
    this.#rotate(nowMs);
  }

  get size(): number {
    return this.#young.count + this.#old.count;
  }

  has(low: number, high: number): boolean {
    return this.#young.has(low, high) || this.#old.has(low, high);
  }

  add(low: number, high: number, nowMs: number): void {
    if (low === 0 && high === 0) return;
    if (this.#young.count >= FILL_MAX) this.#rotate(nowMs);
    this.#young.add(low, high);
  }

  /** Retires what is too old; call it once a batch. */
  age(nowMs: number): void {
    const ageMs = nowMs - this.#youngSinceMs;
    if (ageMs < SETTLED_GENERATION_MS) return;
    this.#rotate(nowMs);
    // Nobody called for long: what was the young generation is too old by now as well.
    if (ageMs >= 2 * SETTLED_GENERATION_MS) this.#rotate(nowMs);
  }

  #rotate(nowMs: number): void {
    const emptied = this.#old;
    emptied.clear();
    this.#old = this.#young;
    this.#young = emptied;
    this.#youngSinceMs = nowMs;
  }
}
