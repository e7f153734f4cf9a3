/**
 * What clients saw, checked for linearizability as it comes. The keys are registers, the values unique, and the order of the writes of a
 * key is that of the log; so a history is linearizable exactly when no operation goes back behind one that had ended before it began
 * (each operation has a version: the index it wrote, or the index of the write it saw).
 */
import { demand } from "./raft-safety.ts";
import type { Register } from "./kv.ts";

export interface Begun {
  readonly key: number;
  /** The newest version that an operation had seen or written when this one began, and when that was known. */
  readonly floor: number;
  readonly beganUs: number;
}

export class RaftHistory {
  /** Newest version known to a client, by key. */
  readonly #seen: number[];
  /** When a version became known to a client, by version; only the newest of each key are kept. */
  readonly #knownAtUs = new Map<number, number>();
  /** Value of each written version. */
  readonly #values = new Map<number, number>();
  operations = 0;
  staleReads = 0;
  staleUsMax = 0;

  constructor(keys: number) {
    this.#seen = new Array<number>(keys).fill(0);
  }

  begin(key: number, nowUs: number): Begun {
    return { key, floor: this.#seen[key] as number, beganUs: nowUs };
  }

  wrote({ key, floor }: Begun, version: number, value: number, nowUs: number): void {
    this.operations += 1;
    demand(version > floor, () => `linearizability: a write of key ${key} became version ${version}, but ${floor} was known before it began`);
    this.#values.set(version, value);
    this.#see(key, version, nowUs);
  }

  /** `staleUsMax`: how old the state of a deposed leader may be; 0 for a read that may never be stale. */
  read({ key, floor, beganUs }: Begun, found: Register, nowUs: number, staleUsMax: number, how: string): void {
    this.operations += 1;
    const written = this.#values.get(found.version);
    demand(written === undefined || written === found.value, () => `linearizability: a read of key ${key} saw ${found.value} as version ${found.version}, which wrote ${written}`);
    if (found.version >= floor) {
      this.#see(key, found.version, nowUs);
      return;
    }
    const missedUs = beganUs - (this.#knownAtUs.get(floor) ?? 0);
    demand(staleUsMax > 0, () => `linearizability: a ${how} read of key ${key} saw version ${found.version}, but ${floor} was known ${missedUs} us before it began`);
    const staleUs = nowUs - (this.#knownAtUs.get(floor) ?? 0);
    demand(staleUs <= staleUsMax, () => `linearizability: a ${how} read of key ${key} at a deposed leader is stale by ${staleUs} us, more than ${staleUsMax}`);
    this.staleReads += 1;
    this.staleUsMax = Math.max(this.staleUsMax, staleUs);
  }

  #see(key: number, version: number, nowUs: number): void {
    const before = this.#seen[key] as number;
    if (version <= before) return;
    this.#seen[key] = version;
    this.#knownAtUs.set(version, nowUs);
    if (this.#knownAtUs.size <= FORGET_ABOVE) return;
    this.#forget(this.#knownAtUs);
    this.#forget(this.#values);
  }

  /** The oldest half, which no running operation can have as its floor any more. */
  #forget(map: Map<number, number>): void {
    for (const version of [...map.keys()].sort((a, b) => a - b).slice(0, FORGET_ABOVE / 2)) if (!this.#seen.includes(version)) map.delete(version);
  }
}

const FORGET_ABOVE = 4096;
