/** A cluster node: any number of gossip pools as one machine. Pools come and go at run time; each has its own config, keys and sockets. */
import { assert } from "../base/assert.ts";
import type { Random } from "../base/random.ts";
import { MemberRecords } from "../swim/member-records.ts";
import { Pool } from "../serf/pool.ts";
import type { PoolConfig, PoolEffect, PoolInput } from "../serf/types.ts";
import type { Matcher } from "../wire/matcher.ts";
import type { NodeMachine, PoolName } from "./types.ts";

export class ClusterNode implements NodeMachine {
  readonly #random: Random;
  readonly #matcher: Matcher;
  readonly #records: MemberRecords;
  readonly #pools = new Map<PoolName, Pool>();
  /** The pool last stepped: nearly all nodes have one only, which is found without looking it up. */
  #lastName: PoolName = "";
  #last: Pool | null = null;
  /** The only pool, while there has never been another; null also when nobody knows. */
  #only: Pool | null = null;

  /** `records` may be shared by the nodes of one process: what members announce is then kept once. */
  constructor(random: Random, matcher: Matcher, records: MemberRecords = new MemberRecords()) {
    this.#random = random;
    this.#matcher = matcher;
    this.#records = records;
  }

  /** Starts a pool under a new name: it enters itself and, with a snapshot, tries to rejoin. */
  addPool(name: PoolName, config: PoolConfig, nowMs: number, out: PoolEffect[]): Pool {
    assert(!this.#pools.has(name), `pool ${name} exists`);
    const pool = new Pool(config, this.#random, this.#matcher, nowMs, out, this.#records);
    this.#pools.set(name, pool);
    this.#only = this.#pools.size === 1 ? pool : null;
    return pool;
  }

  /** Drops a pool; nothing is said to its peers (the command `leave` does that). */
  removePool(name: PoolName): void {
    this.#pools.get(name)?.close();
    this.#pools.delete(name);
    this.#last = null;
    this.#only = null;
  }

  get poolNames(): readonly PoolName[] {
    return [...this.#pools.keys()];
  }

  pool(name: PoolName): Pool | null {
    return this.#pools.get(name) ?? null;
  }

  get wakeAtMs(): number {
    if (this.#only !== null) return this.#only.wakeAtMs;
    let earliest = Infinity;
    for (const pool of this.#pools.values()) earliest = Math.min(earliest, pool.wakeAtMs);
    return earliest;
  }

  /** Input for a pool that is gone (a datagram that was under way) is dropped. */
  step(name: PoolName, input: PoolInput, nowMs: number, out: PoolEffect[]): boolean {
    return this.#named(name)?.step(input, nowMs, out) ?? false;
  }

  fire(pool: PoolName, name: string, payload: Uint8Array | null, coalesce: boolean, nowMs: number, out: PoolEffect[]): string {
    return this.#named(pool)?.fire(name, payload, coalesce, nowMs, out) ?? `no pool ${pool}`;
  }

  #named(name: PoolName): Pool | undefined {
    const pool = this.#last !== null && name === this.#lastName ? this.#last : this.#pools.get(name);
    if (pool === undefined) return undefined;
    this.#last = pool;
    this.#lastName = name;
    return pool;
  }

  wake(nowMs: number, out: PoolEffect[], woken: (pool: PoolName) => void): void {
    for (const [name, pool] of this.#pools) {
      if (pool.wakeAtMs > nowMs) continue;
      pool.step({ kind: "wake" }, nowMs, out);
      woken(name);
    }
  }
}
