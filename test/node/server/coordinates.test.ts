/** Coordinates on virtual time: told, gathered, written in batches, and used to order what is read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CatalogNode } from "../../../src/wire/fsm-commands.ts";
import type { Queried, RpcMethods } from "../../../src/api/rpc/types.ts";
import { BATCH_MAX, BATCHES_MAX, CoordinateBatches, ORIGIN } from "../../../src/node/server/coordinates.ts";
import { Bench, COORDINATE_PERIOD_MS, errorOf, READ, valueOf, type Node } from "./bench.ts";

type Told = RpcMethods["Coordinate.Update"]["args"];

function told(node: string, x: number, segment = ""): Told {
  return { datacenter: "dc1", node, segment, coord: { ...ORIGIN, vec: [x, 0, 0, 0, 0, 0, 0, 0] } };
}

function register(bench: Bench, node: Node, name: string): void {
  valueOf(bench.call(node, "Catalog.Register", {
    datacenter: "dc1", id: "", node: name, address: "10.0.0.1", taggedAddresses: null, nodeMeta: null, service: null, check: null, checks: null, skipNodeUpdate: false, token: "",
    createIndex: 0, modifyIndex: 0,
  }));
}

test("what agents tell is written once a period, the newest of each node and segment, and nothing of nodes that are not registered", () => {
  const { bench, node } = Bench.alone();
  for (const update of [told("a", 1), told("a", 2), told("a", 3, "alpha"), told("ghost", 4)]) valueOf(bench.call(node, "Coordinate.Update", update));
  assert.deepEqual(node.state.coordinates().value, []);
  bench.advance(COORDINATE_PERIOD_MS);
  assert.deepEqual(node.state.coordinates().value.map((row) => [row.node, row.segment, row.coord.vec[0]]), [["a", "", 2], ["a", "alpha", 3]]);
  const { index } = node.state.coordinates();
  bench.advance(3 * COORDINATE_PERIOD_MS);
  assert.equal(node.state.coordinates().index, index, "nothing told, nothing written");
});

test("what is no coordinate is refused", () => {
  const { bench, node } = Bench.alone();
  for (const [coord, error] of [
    [null, "missing coordinate"],
    [{ ...ORIGIN, vec: [0, 1] }, "incompatible coordinate"],
    [{ ...ORIGIN, height: NaN }, "invalid coordinate"],
  ] as const) assert.equal(errorOf(bench.call(node, "Coordinate.Update", { datacenter: "dc1", node: "a", segment: "", coord })), error);
});

test("a flood of coordinates is bounded, and written in bounded batches", () => {
  const batches = new CoordinateBatches(1000);
  for (let i = 0; i < BATCH_MAX * BATCHES_MAX + 10; i += 1) assert.equal(batches.told(told(`n${i}`, i), 0), null);
  assert.equal(batches.wakeAtMs, 1000);
  assert.deepEqual(batches.due(999), []);
  assert.deepEqual(batches.due(1000).map((batch) => batch.length), Array.from({ length: BATCHES_MAX }, () => BATCH_MAX));
  assert.equal(batches.wakeAtMs, Infinity);
});

test("near a node: the nearest first, those without coordinates last, and any order that was from a node without them", () => {
  const { bench, node } = Bench.alone();
  for (const name of ["b", "c", "d"]) register(bench, node, name);
  for (const [name, x] of [["a", 0], ["b", 0.5], ["c", 0.1]] as const) valueOf(bench.call(node, "Coordinate.Update", told(name, x)));
  bench.advance(COORDINATE_PERIOD_MS);
  const near = (name: string): readonly string[] => {
    const reply = valueOf(bench.call(node, "Catalog.ListNodes", { datacenter: "dc1", nodeMeta: new Map(), near: name, options: READ })) as Queried<readonly CatalogNode[]>;
    return reply.value.map((row) => row.node);
  };
  assert.deepEqual(near("a"), ["a", "c", "b", "d"]);
  assert.deepEqual(near("B"), ["b", "c", "a", "d"]);
  assert.deepEqual(near("d"), ["a", "b", "c", "d"]);
  assert.deepEqual(near("nobody"), ["a", "b", "c", "d"]);
});

test("the servers of the datacenter stand at the origin until they tell where they are", () => {
  const { bench, node } = Bench.alone();
  const ask = (): RpcMethods["Coordinate.ListDatacenters"]["reply"] => valueOf(bench.call(node, "Coordinate.ListDatacenters", { datacenter: "" })) as never;
  assert.deepEqual(ask(), [{ datacenter: "dc1", areaId: "wan", coordinates: [{ node: "a", segment: "", coord: ORIGIN }] }]);
  valueOf(bench.call(node, "Coordinate.Update", told("a", 7)));
  bench.advance(COORDINATE_PERIOD_MS);
  assert.equal(ask()[0]?.coordinates[0]?.coord.vec[0], 7);
});
