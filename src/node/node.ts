/** A cluster node: any number of gossip pools as one machine. Pools come and go at run time; each has its own config, keys and sockets. */
import { assert } from "../base/assert.ts";
import type { Random } from "../base/random.ts";
import { MemberRecords } from "../swim/member-records.ts";
import { Pool } from "../serf/pool.ts";
import type { PoolConfig, PoolEffect, PoolInput } from "../serf/types.ts";
import type { Matcher } from "../wire/matcher.ts";
import type { NodeEffect, NodeMachine, PoolName } from "./types.ts";

/** A list of so many effects is used again. */
const EFFECTS_KEPT_MAX = 32;

export class ClusterNode implements NodeMachine {
  readonly #random: Random;
  readonly #matcher: Matcher;
  readonly #records: MemberRecords;
  readonly #pools = new Map<PoolName, Pool>();
  /** The pool last stepped: nearly all nodes have one only, which is found without looking it up. */
  #lastName: PoolName = "";
  #last: Pool | null = null;
  #effects: PoolEffect[] = [];

  /** `records` may be shared by the nodes of one process: what members announce is then kept once. */
  constructor(random: Random, matcher: Matcher, records: MemberRecords = new MemberRecords()) {
    this.#random = random;
    this.#matcher = matcher;
    this.#records = records;
  }

  /** Starts a pool under a new name: it enters itself and, with a snapshot, tries to rejoin. */
  addPool(name: PoolName, config: PoolConfig, nowMs: number, out: NodeEffect[]): Pool {
    assert(!this.#pools.has(name), `pool ${name} exists`);
    const pool = new Pool(config, this.#random, this.#matcher, nowMs, this.#effects, this.#records);
    this.#pools.set(name, pool);
    this.#hand(name, out);
    return pool;
  }

  /** Drops a pool; nothing is said to its peers (the command `leave` does that). */
  removePool(name: PoolName): void {
    this.#pools.get(name)?.close();
    this.#pools.delete(name);
    this.#last = null;
  }

  get poolNames(): readonly PoolName[] {
    return [...this.#pools.keys()];
  }

  pool(name: PoolName): Pool | null {
    return this.#pools.get(name) ?? null;
  }

  get wakeAtMs(): number {
    let earliest = Infinity;
    for (const pool of this.#pools.values()) earliest = Math.min(earliest, pool.wakeAtMs);
    return earliest;
  }

  /** Input for a pool that is gone (a datagram that was under way) is dropped. */
  step(name: PoolName, input: PoolInput, nowMs: number, out: NodeEffect[]): boolean {
    const pool = this.#last !== null && name === this.#lastName ? this.#last : this.#pools.get(name);
    if (pool === undefined) return false;
    this.#last = pool;
    this.#lastName = name;
    const settled = pool.step(input, nowMs, this.#effects);
    this.#hand(name, out);
    return settled;
  }

  wake(nowMs: number, out: NodeEffect[]): void {
    for (const [name, pool] of this.#pools) {
      if (pool.wakeAtMs > nowMs) continue;
      pool.step({ kind: "wake" }, nowMs, this.#effects);
      this.#hand(name, out);
    }
  }

  #hand(pool: PoolName, out: NodeEffect[]): void {
    if (this.#effects.length === 0) return;
    for (const effect of this.#effects) out.push({ pool, effect });
    // Who merged ten thousand members at once must not keep room for that: one process may simulate thousands of nodes.
    if (this.#effects.length > EFFECTS_KEPT_MAX) this.#effects = [];
    else clear(this.#effects);
  }
}

/** Empties a list that is filled again at once. Setting its length leaves optimised code, which costs more than a few pops. */
function clear(list: unknown[]): void {
  while (list.length > 0) list.pop();
}
