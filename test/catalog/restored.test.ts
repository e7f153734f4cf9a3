/** A state made from a snapshot goes on exactly as the one that was never interrupted: nothing that decides a command is outside of the snapshot. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/base/random.ts";
import { createStateMachine } from "../../src/catalog/state-machine.ts";
import type { StateMachine } from "../../src/catalog/types.ts";
import { catalogCommand } from "../../src/sim/raft/catalog-commands.ts";
import { encoded, register, session, uuid } from "./helpers.ts";

const SEEDS = 6;
const COMMANDS = 1500;
const RESTORE_EVERY = 100;
const COMPARE_EVERY = 25;

function restored(bytes: Uint8Array, index: number): StateMachine {
  const machine = createStateMachine();
  const restorer = machine.beginRestore();
  assert.equal(restorer.push(bytes) ?? restorer.finish(index), null);
  return machine;
}

test("restored again and again, it gives the same results and the same snapshots", () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const random = new SeededRandom(seed);
    const steady = createStateMachine();
    let other = createStateMachine();
    const kinds = new Set<string>();
    for (let index = 1; index <= COMMANDS; index += 1) {
      const command = catalogCommand(random, index, index);
      const result = steady.apply(index, command, 0);
      kinds.add(result.kind);
      assert.deepEqual(other.apply(index, command, 0), result, `seed ${seed}, command ${index}`);
      if (index % COMPARE_EVERY === 0) assert.deepEqual(encoded(other.snapshot()), encoded(steady.snapshot()), `seed ${seed}, after command ${index}`);
      if (index % RESTORE_EVERY === 0) other = restored(encoded(other.snapshot()), index);
    }
    assert.deepEqual([...kinds].sort(), ["bool", "error", "nil", "text", "txn"], "commands of every kind, and refusals");
  }
});

test("a session id that is used again leaves nothing of the old session behind", () => {
  const machine = createStateMachine();
  const commands = [
    register({ node: "n1" }), register({ node: "n2" }), session("create", { id: uuid(1), node: "n1", nodeChecks: [] }), session("create", { id: uuid(1), node: "n2", nodeChecks: [] }),
  ];
  commands.forEach((command, i) => machine.apply(i + 1, command, 0));
  assert.deepEqual(machine.nodeSessions("n1").value, []);
  assert.deepEqual(machine.nodeSessions("n2").value.map(({ id }) => id), [uuid(1)]);
});
