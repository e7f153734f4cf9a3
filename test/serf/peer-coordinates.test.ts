import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/base/random.ts";
import { PeerCoordinates } from "../../src/serf/peer-coordinates.ts";
import type { Coordinate } from "../../src/serf/vivaldi.ts";

/** The same with objects. */
class Model {
  readonly coordinates = new Map<string, Coordinate>();
  readonly #samples = new Map<string, number[]>();

  note(node: string, coordinate: Coordinate, rtt: number): number {
    this.coordinates.set(node, coordinate);
    const samples = [...(this.#samples.get(node) ?? []), rtt].slice(-3);
    this.#samples.set(node, samples);
    return [...samples].sort((a, b) => a - b)[samples.length >> 1] as number;
  }

  forget(node: string): void {
    this.coordinates.delete(node);
    this.#samples.delete(node);
  }
}

test("members come, are measured again and are forgotten: the last coordinate and the median of the last three round trips, as told by objects", () => {
  const random = new SeededRandom(7);
  const draw = (): number => random.below(1_000_000) / 1e6;
  const peers = new PeerCoordinates();
  const model = new Model();
  for (let i = 0; i < 5_000; i += 1) {
    const node = `n${random.below(60)}`;
    if (random.below(10) === 0) {
      peers.forget(node);
      model.forget(node);
    } else {
      const coordinate = { vec: Array.from({ length: 8 }, draw), error: draw(), adjustment: -draw(), height: draw() };
      const rtt = draw();
      assert.equal(peers.note(node, coordinate, rtt), model.note(node, coordinate, rtt));
    }
    assert.deepEqual(peers.get(node), model.coordinates.get(node) ?? null);
  }
  for (let i = 0; i < 60; i += 1) assert.deepEqual(peers.get(`n${i}`), model.coordinates.get(`n${i}`) ?? null);
});
