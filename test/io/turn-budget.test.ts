import assert from "node:assert/strict";
import { test } from "node:test";
import { TURN_BUDGET_MS, TurnBudget } from "../../src/io/turn-budget.ts";

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("work beyond the budget waits for later turns, in its order, and every turn has its share", async () => {
  let nowMs = 0;
  const budget = new TurnBudget(() => nowMs);
  const done: number[] = [];
  const work = (id: number) => (): void => {
    nowMs += TURN_BUDGET_MS / 2;
    done.push(id);
  };
  for (let id = 0; id < 7; id += 1) {
    if (budget.spent) budget.defer(work(id));
    else budget.run(work(id));
  }
  assert.deepEqual(done, [0, 1]);
  const perTurn: number[] = [];
  while (done.length < 7) {
    const before = done.length;
    await nextTurn();
    perTurn.push(done.length - before);
  }
  assert.deepEqual(done, [0, 1, 2, 3, 4, 5, 6]);
  assert.ok(perTurn.every((count) => count <= 2), perTurn.join(" "));
  await nextTurn();
  assert.equal(budget.spent, false);
});

test("what deferred work defers comes after what waited already", async () => {
  const budget = new TurnBudget(() => 0);
  const done: string[] = [];
  budget.defer(() => {
    done.push("first");
    budget.defer(() => done.push("from first"));
  });
  budget.defer(() => done.push("second"));
  assert.equal(budget.spent, true, "newcomers wait behind");
  while (done.length < 3) await nextTurn();
  assert.deepEqual(done, ["first", "second", "from first"]);
});
