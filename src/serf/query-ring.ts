/** Which queries were seen, by Lamport time and id (reference: serf-protocol §8.9). Slot = Lamport time mod ring size. */
import { isOlderThanRing } from "./event-ring.ts";
import type { LamportClock } from "./lamport-clock.ts";

/** Most distinct queries of one Lamport time; further ones are refused. */
export const QUERIES_PER_SLOT_MAX = 4096;

export type QueryVerdict = "new" | "known" | "old" | "ignored" | "full";

export class QueryRing {
  readonly #size: number;
  /** Made with the first query: most of the nodes of a simulation never see one. */
  #slots: ({ readonly lamportTime: number; readonly ids: Set<number> } | null)[] | null = null;
  /** Queries before this Lamport time were answered (or missed) in an earlier run. */
  readonly #minTime: number;

  constructor(size: number, minTime: number) {
    this.#size = size;
    this.#minTime = minTime;
  }

  /** `witness` would change nothing: the query was seen. */
  isRepeat(clock: LamportClock, lamportTime: number, id: number): boolean {
    const slot = this.#slots?.[lamportTime % this.#size] ?? null;
    return slot !== null && slot.lamportTime === lamportTime && lamportTime < clock.time && slot.ids.has(id);
  }

  /** Judges one received query. `clock` has its time witnessed here, before any other check. */
  witness(clock: LamportClock, lamportTime: number, id: number): QueryVerdict {
    clock.witness(lamportTime);
    if (lamportTime < this.#minTime) return "ignored";
    if (isOlderThanRing(clock.time, lamportTime, this.#size)) return "old";
    this.#slots ??= new Array<null>(this.#size).fill(null);
    const index = lamportTime % this.#size;
    const slot = this.#slots[index] ?? null;
    if (slot === null || slot.lamportTime !== lamportTime) {
      this.#slots[index] = { lamportTime, ids: new Set([id]) };
      return "new";
    }
    if (slot.ids.has(id)) return "known";
    if (slot.ids.size >= QUERIES_PER_SLOT_MAX) return "full";
    slot.ids.add(id);
    return "new";
  }
}
