/**
 * Running suspicion timers (Lifeguard paper, section IV-B): each starts at the longest time and shrinks as independent
 * members confirm. Members are known by their slot in the member table.
 */
import { Deadlines } from "../base/deadlines.ts";
import { NS_PER_MS, remainingSuspicionNs } from "./timing.ts";

interface Suspicion {
  startMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  /** Confirmations wanted; further ones are refused. */
  readonly wanted: number;
  /** Who counts already: the accuser first, who is no confirmation. At most `wanted` + 1 names. */
  accusers: readonly string[];
}

export class Suspicions {
  readonly #bySlot = new Map<number, Suspicion>();
  readonly #deadlines = new Deadlines<number>();

  get count(): number {
    return this.#bySlot.size;
  }

  get nextAtMs(): number {
    return this.#deadlines.nextAtMs;
  }

  has(slot: number): boolean {
    return this.#bySlot.has(slot);
  }

  /** `wanted` below 1: nobody else can confirm, so the shortest time is used. */
  start(slot: number, from: string, times: { readonly wanted: number; readonly minMs: number; readonly maxMs: number }, nowMs: number): void {
    this.#bySlot.set(slot, { startMs: nowMs, minMs: times.minMs, maxMs: times.maxMs, wanted: times.wanted, accusers: [from] });
    this.#deadlines.set(slot, nowMs + (times.wanted < 1 ? times.minMs : times.maxMs));
  }

  /** True when `from` is new information: the timer got shorter, and the suspicion deserves another broadcast. */
  confirm(slot: number, from: string, nowMs: number): boolean {
    const suspicion = this.#bySlot.get(slot);
    if (suspicion === undefined) return false;
    const { wanted, minMs, maxMs, startMs } = suspicion;
    if (!isNews(suspicion, from)) return false;
    const accusers = [...suspicion.accusers, from]; // Not pushed: that makes room for sixteen more.
    suspicion.accusers = accusers;
    const elapsedNs = Math.round((nowMs - startMs) * NS_PER_MS);
    const remainingNs = remainingSuspicionNs(accusers.length - 1, wanted, elapsedNs, minMs * NS_PER_MS, maxMs * NS_PER_MS);
    this.#deadlines.set(slot, nowMs + Math.max(0, remainingNs / NS_PER_MS));
    return true;
  }

  /** What `confirm` would answer. */
  wouldConfirm(slot: number, from: string): boolean {
    const suspicion = this.#bySlot.get(slot);
    return suspicion !== undefined && isNews(suspicion, from);
  }

  /** Confirmations received so far. */
  confirmations(slot: number): number {
    return (this.#bySlot.get(slot)?.accusers.length ?? 1) - 1;
  }

  wanted(slot: number): number {
    return this.#bySlot.get(slot)?.wanted ?? 0;
  }

  cancel(slot: number): void {
    if (this.#bySlot.size === 0 || !this.#bySlot.delete(slot)) return;
    this.#deadlines.delete(slot);
  }

  /** A slot whose time is over, or -1; the caller cancels it. */
  due(nowMs: number): number {
    return this.#deadlines.popDue(nowMs) ?? -1;
  }

  /** Gives every running suspicion `byMs` more: we were asleep, and a refutation may wait in our socket. */
  postpone(byMs: number, nowMs: number): void {
    for (const [slot, suspicion] of this.#bySlot) {
      suspicion.startMs += byMs;
      const { accusers, wanted, minMs, maxMs, startMs } = suspicion;
      const elapsedNs = Math.round((nowMs - startMs) * NS_PER_MS);
      const remainingNs =
        wanted < 1 ? minMs * NS_PER_MS - elapsedNs : remainingSuspicionNs(accusers.length - 1, wanted, elapsedNs, minMs * NS_PER_MS, maxMs * NS_PER_MS);
      this.#deadlines.set(slot, nowMs + Math.max(0, remainingNs / NS_PER_MS));
    }
  }
}

function isNews({ accusers, wanted }: Suspicion, from: string): boolean {
  return accusers.length - 1 < wanted && !accusers.includes(from);
}
