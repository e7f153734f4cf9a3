import assert from "node:assert/strict";
import { test } from "node:test";
import { TurnShare } from "../../src/io/turn-share.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("so much in a turn and no more, in the order it came, whatever comes in meanwhile", async () => {
  const share = new TurnShare(10);
  const done: string[] = [];
  const work = (name: string, size: number, then: () => void = () => undefined) => (): number => {
    done.push(name);
    then();
    return size;
  };
  share.run(work("a", 4));
  share.run(work("b", 20)); // May be larger than what is left, and is the last.
  share.run(work("c", 9, () => share.run(work("e", 1))));
  share.run(work("d", 1));
  assert.deepEqual(done, ["a", "b"]);
  await turn();
  assert.deepEqual(done, ["a", "b", "c", "d"]);
  await turn();
  assert.deepEqual(done, ["a", "b", "c", "d", "e"]);
  await turn();
  share.run(work("f", 1));
  assert.deepEqual(done.at(-1), "f", "an idle share is a whole one");
});
