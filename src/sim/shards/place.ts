/** Which nodes of a simulated cluster a shard has: a run of neighbours, about as many as each other shard. */
export interface ShardPlace {
  /** Number of the shard, from 0. */
  readonly index: number;
  readonly count: number;
  readonly nodes: number;
  /** Its first node, and the one behind its last. */
  readonly first: number;
  readonly end: number;
}

export function placeOf(index: number, count: number, nodes: number): ShardPlace {
  return { index, count, nodes, first: firstOf(index, count, nodes), end: firstOf(index + 1, count, nodes) };
}

/** The one place of a cluster that is not divided. */
export function wholeOf(nodes: number): ShardPlace {
  return placeOf(0, 1, nodes);
}

export function isIn({ first, end }: ShardPlace, node: number): boolean {
  return first <= node && node < end;
}

/** By node: the number of its shard. */
export function shardsByNode({ count, nodes }: ShardPlace): Uint8Array {
  const shards = new Uint8Array(nodes);
  for (let shard = 1; shard < count; shard += 1) shards.fill(shard, firstOf(shard, count, nodes));
  return shards;
}

function firstOf(index: number, count: number, nodes: number): number {
  return Math.floor((index * nodes) / count);
}
