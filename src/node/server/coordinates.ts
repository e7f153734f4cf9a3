/** Coordinates that agents tell the leader: gathered, the newest of each, and written in batches, so that a large datacenter costs few log entries (reference: consul-agent §2.7). */
import type { CoordinateArgs } from "../../api/rpc/types.ts";
import type { NodeCoordinate } from "../../wire/coordinate-command.ts";
import type { WireCoordinate } from "../../wire/serf-messages.ts";

/** Coordinates in one log entry, and entries in one period: what is told beyond that is forgotten, and told again by its agent soon. */
export const BATCH_MAX = 128;
export const BATCHES_MAX = 5;
const DIMENSIONS = 8;

/** Where everybody starts. */
export const ORIGIN: WireCoordinate = { vec: Array.from({ length: DIMENSIONS }, () => 0), error: 1.5, adjustment: 0, height: 1e-5 };

export class CoordinateBatches {
  readonly #periodMs: number;
  readonly #told = new Map<string, NodeCoordinate>();
  #dueMs = Infinity;

  constructor(periodMs: number) {
    this.#periodMs = periodMs;
  }

  get wakeAtMs(): number {
    return this.#dueMs;
  }

  clear(): void {
    this.#told.clear();
    this.#dueMs = Infinity;
  }

  /** Null, or why it is refused. */
  told({ node, segment, coord }: CoordinateArgs, nowMs: number): string | null {
    if (coord === null) return "missing coordinate";
    if (![...coord.vec, coord.error, coord.adjustment, coord.height].every(Number.isFinite)) return "invalid coordinate";
    if (coord.vec.length !== DIMENSIONS) return "incompatible coordinate";
    const key = `${node}\0${segment}`;
    if (this.#told.has(key) || this.#told.size < BATCH_MAX * BATCHES_MAX) this.#told.set(key, { node, segment, coord });
    if (this.#dueMs === Infinity) this.#dueMs = nowMs + this.#periodMs;
    return null;
  }

  /** What is to be written now. */
  due(nowMs: number): readonly (readonly NodeCoordinate[])[] {
    if (nowMs < this.#dueMs) return [];
    const all = [...this.#told.values()];
    this.clear();
    const batches: NodeCoordinate[][] = [];
    for (let from = 0; from < all.length; from += BATCH_MAX) batches.push(all.slice(from, from + BATCH_MAX));
    return batches;
  }
}
