/** Blocking queries of a whole server on virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Queried } from "../../../src/api/rpc/types.ts";
import type { DirEntry } from "../../../src/wire/fsm-commands.ts";
import { Bench, getArgs, putArgs, valueOf, type Call } from "./bench.ts";

function indexOf(call: Call): number {
  return (valueOf(call) as Queried<readonly DirEntry[]>).meta.index;
}

/** A leader with the keys `a` and `b`, and the index of `a`. */
function world(): { readonly bench: Bench; readonly node: ReturnType<typeof Bench.alone>["node"]; readonly index: number } {
  const { bench, node } = Bench.alone();
  for (const key of ["a", "b"]) valueOf(bench.call(node, "KVS.Apply", putArgs(key, "1")));
  return { bench, node, index: indexOf(bench.call(node, "KVS.Get", getArgs("a"))) };
}

test("a blocked read wakes on its key and not on another", () => {
  const { bench, node, index } = world();
  const blocked = bench.call(node, "KVS.Get", getArgs("a", { minQueryIndex: index }));
  assert.equal(node.server.blocked.size, 1);
  bench.call(node, "KVS.Apply", putArgs("b", "2"));
  assert.deepEqual(blocked.replies, []);
  bench.call(node, "KVS.Apply", putArgs("a", "2"));
  assert.ok(indexOf(blocked) > index);
  assert.equal(node.server.blocked.size, 0);
});

test("an index that is already past is answered at once", () => {
  const { bench, node, index } = world();
  assert.equal(indexOf(bench.call(node, "KVS.Get", getArgs("a", { minQueryIndex: index - 1 }))), index);
});

test("a blocked read ends at its deadline, at most a sixteenth later, with what there is", () => {
  const { bench, node, index } = world();
  const seen = new Set<number>();
  for (const [asked, waitMs] of [[1600, 1600], [160_000, 160_000], [0, 300_000], [-5, 300_000], [9e9, 600_000]] as const) {
    for (let i = 0; i < 5; i += 1) {
      const startMs = bench.nowMs;
      const blocked = bench.call(node, "KVS.Get", getArgs("a", { minQueryIndex: index, maxQueryTimeMs: asked }));
      bench.advance(waitMs - 1);
      assert.deepEqual(blocked.replies, [], `${asked}: too early`);
      bench.advance(waitMs / 16 + 1);
      assert.equal(indexOf(blocked), index);
      const lateMs = blocked.answeredMs - startMs - waitMs;
      assert.ok(lateMs >= 0 && lateMs < waitMs / 16, `${asked}: ${lateMs} ms late`);
      seen.add(lateMs);
    }
  }
  assert.ok(seen.size > 10, "the jitter is drawn");
});

test("a cancelled reader is forgotten", () => {
  const { bench, node, index } = world();
  const blocked = bench.call(node, "KVS.Get", getArgs("a", { minQueryIndex: index }));
  bench.cancel(blocked);
  assert.equal(node.server.blocked.size, 0);
  bench.call(node, "KVS.Apply", putArgs("a", "2"));
  bench.advance(700_000);
  assert.deepEqual(blocked.replies, []);
});

test("a reader that goes away while the quorum is asked is not blocked behind its back", () => {
  const { bench, leader, followers } = Bench.three();
  valueOf(bench.call(leader, "KVS.Apply", putArgs("a", "1")));
  // No answer can come while nobody is reached.
  for (const follower of followers) bench.cut.add(follower.name);
  const blocked = bench.call(leader, "KVS.Get", getArgs("a", { minQueryIndex: 1_000_000, requireConsistent: true }));
  assert.equal(leader.server.blocked.size, 0);
  bench.cancel(blocked);
  for (const follower of followers) bench.cut.delete(follower.name);
  bench.advance(400);
  assert.ok(leader.server.isLeader, "the quorum has answered meanwhile");
  assert.equal(leader.server.blocked.size, 0);
  bench.advance(700_000);
  assert.deepEqual(blocked.replies, []);
});

test("many readers of one key wake together, each once", () => {
  const { bench, node, index } = world();
  const blocked = Array.from({ length: 200 }, () => bench.call(node, "KVS.Get", getArgs("a", { minQueryIndex: index })));
  bench.call(node, "KVS.Apply", putArgs("a", "2"));
  bench.call(node, "KVS.Apply", putArgs("a", "3"));
  assert.deepEqual(new Set(blocked.map(indexOf)), new Set([indexOf(blocked[0] as Call)]));
});
