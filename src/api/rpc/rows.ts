/** Which rows a read is about, and in which order: meta data of nodes, and round trips from one of them (reference: consul-agent §1.1). */
import type { CatalogReads } from "../../catalog/types.ts";
import type { CatalogNode } from "../../wire/fsm-commands.ts";
import { adjustedDistance } from "../../wire/coordinate-distance.ts";
import type { NodeCoordinate } from "../../wire/coordinate-command.ts";
import type { WireCoordinate } from "../../wire/serf-messages.ts";

export function hasMeta(node: CatalogNode, wanted: ReadonlyMap<string, string>): boolean {
  return [...wanted].every(([key, value]) => node.meta?.get(key) === value);
}

export function nodeHasMeta(reads: CatalogReads, name: string, wanted: ReadonlyMap<string, string>): boolean {
  const node = reads.node(name).value;
  return node !== null && hasMeta(node, wanted);
}

/** Stable: rows of one node stay together, and nodes without coordinates come last. From a node without coordinates the order stays. */
export function nearestFirst<Row>(reads: CatalogReads, near: string, rows: readonly Row[], nodeOf: (row: Row) => string): readonly Row[] {
  if (near === "" || rows.length < 2) return rows;
  const from = reads.nodeCoordinates(near).value;
  if (from.length === 0) return rows;
  const known = new Map<string, number>();
  const distance = (row: Row): number => {
    const node = nodeOf(row);
    const found = known.get(node) ?? nearest(from, reads.nodeCoordinates(node).value);
    known.set(node, found);
    return found;
  };
  return rows.map((row) => ({ row, at: distance(row) })).sort((a, b) => (a.at === b.at ? 0 : a.at - b.at)).map(({ row }) => row);
}

/** Between coordinates of the same segment. */
function nearest(from: readonly NodeCoordinate[], to: readonly NodeCoordinate[]): number {
  const pair = to.flatMap((there) => from.filter((here) => here.segment === there.segment).map((here) => [here.coord, there.coord] as const))[0];
  return pair === undefined || !comparable(...pair) ? Infinity : adjustedDistance(...pair);
}

function comparable(a: WireCoordinate, b: WireCoordinate): boolean {
  return a.vec.length === b.vec.length;
}
