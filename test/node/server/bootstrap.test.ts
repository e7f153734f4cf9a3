/** The first configuration of a cluster. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Bootstrap } from "../../../src/node/server/bootstrap.ts";
import { addressOf, clientOf, idOf, memberOf } from "./bench.ts";

function waiting(expect: number): Bootstrap {
  return new Bootstrap({ name: "a", id: idOf("a"), address: addressOf("a") }, expect);
}

const THREE = [memberOf("a", "alive", 3), memberOf("b", "alive", 3), memberOf("c", "alive", 3)];

test("a server that expects nobody in particular waits to be added", () => {
  const bootstrap = waiting(0);
  assert.deepEqual(bootstrap.look([memberOf("a"), memberOf("b")], 0), { kind: "wait" });
  assert.equal(bootstrap.wakeAtMs, Infinity);
});

test("only living servers that expect the same number count", () => {
  const bootstrap = waiting(3);
  for (const others of [[], [memberOf("b", "alive", 3)], [memberOf("b", "alive", 3), memberOf("c", "failed", 3)], [memberOf("b", "alive", 3), memberOf("c", "alive", 5)], [memberOf("b", "alive", 3), clientOf("c")]]) {
    assert.deepEqual(bootstrap.look([memberOf("a", "alive", 3), ...others], 0), { kind: "wait" });
  }
  assert.equal(bootstrap.look(THREE, 0).kind, "ask");
});

test("everybody writes the same configuration once all have said that they know no peers", () => {
  const orders = [THREE, [...THREE].reverse()];
  const written = orders.map((order) => {
    const bootstrap = waiting(3);
    bootstrap.look(order, 0);
    assert.deepEqual(bootstrap.answer("b", []), { kind: "wait" });
    assert.deepEqual(bootstrap.answer("b", []), { kind: "wait" }, "one server asked twice is not two");
    return bootstrap.answer("c", []);
  });
  assert.deepEqual(written[0], {
    kind: "bootstrap",
    configuration: { servers: ["a", "b", "c"].map((name) => ({ id: idOf(name), address: addressOf(name), suffrage: "voter" })) },
  });
  assert.deepEqual(written[1], written[0]);
});

test("a server with peers ends it for good", () => {
  const bootstrap = waiting(3);
  bootstrap.look(THREE, 0);
  bootstrap.answer("b", []);
  assert.deepEqual(bootstrap.answer("c", [addressOf("x")]), { kind: "giveUp", because: "Existing Raft peers reported by c, disabling bootstrap mode" });
  assert.deepEqual(bootstrap.look(THREE, 1e9), { kind: "wait" });
  assert.equal(bootstrap.wakeAtMs, Infinity);
});

test("a server that does not answer is asked again, with longer pauses; answers of strangers do not count", () => {
  const bootstrap = waiting(3);
  let nowMs = 0;
  bootstrap.look(THREE, nowMs);
  for (const pauseMs of [1000, 2000, 4000, 8000, 16_000, 32_000, 1000]) {
    bootstrap.answer("b", []);
    assert.deepEqual(bootstrap.answer("c", null), { kind: "wait" });
    assert.deepEqual(bootstrap.answer("stranger", []), { kind: "wait" });
    assert.deepEqual(bootstrap.look(THREE, nowMs + pauseMs - 1), { kind: "wait" });
    assert.equal(bootstrap.wakeAtMs, nowMs + pauseMs);
    nowMs += pauseMs;
    assert.equal(bootstrap.look(THREE, nowMs).kind, "ask");
  }
  bootstrap.answer("c", []);
  assert.equal(bootstrap.answer("b", []).kind, "bootstrap");
});
