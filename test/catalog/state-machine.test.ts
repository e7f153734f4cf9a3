import assert from "node:assert/strict";
import { test } from "node:test";
import { createStateMachine } from "../../src/catalog/state-machine.ts";
import { decodeUtf8 } from "../../src/base/utf8.ts";
import { encodeTombstoneRequest } from "../../src/wire/fsm-codec.ts";
import { applyAll, CHECK, deregister, encoded, entry, kv, kvOp, NODE, register, SERVICE, session, SESSION, txn, uuid } from "./helpers.ts";

const NIL = { kind: "nil" };
const TRUE = { kind: "bool", value: true };
const FALSE = { kind: "bool", value: false };

function valueOf(machine: ReturnType<typeof createStateMachine>, key: string): string | null {
  const value = machine.kvGet(key).value?.value ?? null;
  return value === null ? null : decodeUtf8(value);
}

test("a write sets the indexes, a write of the same changes nothing", () => {
  const machine = createStateMachine();
  assert.deepEqual(applyAll(machine, kv("set", entry("a", "1", { flags: 7 }))), [NIL]);
  assert.deepEqual(machine.kvGet("a").value, { key: "a", value: Uint8Array.of(0x31), flags: 7, lockIndex: 0, session: "", createIndex: 1, modifyIndex: 1 });
  applyAll(machine, kv("set", entry("a", "1", { flags: 7 })));
  assert.equal(machine.kvGet("a").index, 1);
  applyAll(machine, kv("set", entry("a", "1")));
  assert.deepEqual([machine.kvGet("a").value?.flags, machine.kvGet("a").value?.createIndex, machine.kvGet("a").index], [0, 1, 3]);
  assert.equal(machine.tableIndex("kvs"), 3);
});

test("flags of 64 bits and nil values survive", () => {
  const machine = createStateMachine();
  applyAll(machine, kv("set", entry("a", null, { flags: 18446744073709551615n })), kv("set", entry("b", "", { flags: 2 ** 53 - 1 })));
  assert.equal(machine.kvGet("a").value?.flags, 18446744073709551615n);
  assert.equal(machine.kvGet("a").value?.value, null);
  assert.equal(machine.kvGet("b").value?.flags, 2 ** 53 - 1);
  assert.equal(machine.kvGet("b").value?.value, null, "an empty value is stored as nil");
});

test("cas and delete-cas compare the modify index", () => {
  const machine = createStateMachine();
  const results = applyAll(
    machine,
    kv("cas", entry("a", "1", { modifyIndex: 5 })),
    kv("cas", entry("a", "1", { modifyIndex: 0 })),
    kv("cas", entry("a", "2", { modifyIndex: 0 })),
    kv("cas", entry("a", "2", { modifyIndex: 2 })),
    kv("delete-cas", entry("a", null, { modifyIndex: 2 })),
    kv("delete-cas", entry("a", null, { modifyIndex: 0 })),
    kv("delete-cas", entry("a", null, { modifyIndex: 4 })),
    kv("delete-cas", entry("a", null, { modifyIndex: 4 })),
  );
  assert.deepEqual(results, [FALSE, TRUE, FALSE, TRUE, FALSE, FALSE, TRUE, TRUE]);
  assert.equal(machine.kvGet("a").value, null);
});

test("index of a missing key and of prefixes: keys, tombstones, then the tables", () => {
  const machine = createStateMachine();
  assert.equal(machine.kvGet("x").index, 0);
  applyAll(machine, kv("set", entry("a/1", "")), kv("set", entry("a/2", "")), kv("set", entry("b", "")), kv("delete", entry("a/2")));
  assert.equal(machine.kvGet("x").index, 4);
  assert.equal(machine.kvList("a/").index, 4);
  assert.equal(machine.kvList("b").index, 3);
  assert.equal(machine.kvList("c").index, 4);
  applyAll(machine, kv("delete-tree", entry("a/")), kv("set", entry("b", "new")));
  assert.equal(machine.kvList("a/").index, 5);
  // Nothing is left of the part below: the tables' index.
  assert.equal(machine.kvList("a/1").index, 6);
  assert.deepEqual([...machine.kvList("").value].map(({ key }) => key), ["b"]);
});

test("a list of keys shows what there was when it was asked for, however much changes before it is read, and as often as it is read", () => {
  const machine = createStateMachine();
  const key = (i: number): string => `k${String(i).padStart(5, "0")}`;
  const count = 4000;
  for (let i = 0; i < count; i += 1) applyAll(machine, kv("set", entry(key(i), `first ${i} ${"x".repeat(300)}`, { flags: i })));
  const { value: rows } = machine.kvList("k0");
  const { value: keys } = machine.kvKeys("k0", "");
  const { value: groups } = machine.kvKeys("k0", "00");
  assert.deepEqual([rows.length, keys.length], [count, count]);
  // Pages are emptied and given back meanwhile.
  for (let round = 0; round < 3; round += 1) for (let i = 0; i < count; i += 1) applyAll(machine, kv("set", entry(key(i), `later ${round} ${"y".repeat(300)}`)));
  applyAll(machine, kv("delete-tree", entry("k")), ...Array.from({ length: count }, (_, i) => kv("set", entry(`other ${i}`, "z".repeat(300)))));
  assert.equal(machine.kvList("k0").value.length, 0);
  for (let reading = 0; reading < 2; reading += 1) {
    assert.deepEqual([...keys], Array.from({ length: count }, (_, i) => key(i)));
    assert.deepEqual([...groups].filter((group) => group.length < 6), ["k000", "k0100", "k0200", "k0300"]);
    const seen = [...rows];
    assert.equal(seen.length, count);
    for (const [i, row] of seen.entries()) assert.deepEqual([row.key, row.flags, decodeUtf8(row.value ?? new Uint8Array())], [key(i), i, `first ${i} ${"x".repeat(300)}`]);
  }
});

test("keys are cut behind the first separator past the prefix", () => {
  const machine = createStateMachine();
  applyAll(machine, ...["t", "t/a", "t/b", "t/sub/", "t/sub/c", "t/sub/d/e", "tt", "\u{1f600}", "\uffee"].map((key) => kv("set", entry(key, key))));
  const keys = (prefix: string, separator: string): string[] => [...machine.kvKeys(prefix, separator).value];
  assert.deepEqual(keys("t/", "/"), ["t/a", "t/b", "t/sub/"]);
  assert.deepEqual(keys("t/sub", "/"), ["t/sub/"]);
  assert.deepEqual(keys("t/", "b"), ["t/a", "t/b", "t/sub"]);
  assert.deepEqual(keys("", "/"), ["t", "t/", "tt", "\uffee", "\u{1f600}"]);
  assert.deepEqual(keys("t/sub/", ""), ["t/sub/", "t/sub/c", "t/sub/d/e"]);
});

test("locks: taken once, kept by a plain write, given back with a value", () => {
  const machine = createStateMachine();
  const [a, b] = [uuid(1), uuid(2)];
  applyAll(machine, register({ check: CHECK }), session("create", { id: a }), session("create", { id: b }));
  const results = applyAll(
    machine,
    kv("lock", entry("l", "1")),
    kv("lock", entry("l", "1", { session: "bad" })),
    kv("lock", entry("l", "1", { session: uuid(9) })),
    kv("lock", entry("l", "1", { session: a })),
    kv("lock", entry("l", "2", { session: a })),
    kv("lock", entry("l", "3", { session: b })),
    kv("set", entry("l", "plain")),
  );
  assert.deepEqual(results, [
    { kind: "error", text: "missing session" },
    { kind: "error", text: "failed session lookup: index error: UUID must be 36 characters" },
    { kind: "error", text: `invalid session "${uuid(9)}"` },
    TRUE, TRUE, FALSE, NIL,
  ]);
  assert.deepEqual([machine.kvGet("l").value?.session, machine.kvGet("l").value?.lockIndex, valueOf(machine, "l")], [a, 0, "plain"]);
  assert.deepEqual(applyAll(machine, kv("unlock", entry("l", "", { session: b })), kv("unlock", entry("l", "4", { session: a }))), [FALSE, TRUE]);
  assert.deepEqual([machine.kvGet("l").value?.session, valueOf(machine, "l")], ["", "4"]);
});

test("a session's end releases or deletes its keys, and starts the lock delay", () => {
  const machine = createStateMachine();
  const [a, b] = [uuid(1), uuid(2)];
  applyAll(machine, register({ check: CHECK }));
  applyAll(machine, session("create", { id: a, lockDelay: 15_000_000_000 }), session("create", { id: b, behavior: "delete", lockDelay: 10n ** 18n }));
  applyAll(machine, kv("lock", entry("ra", "", { session: a })), kv("lock", entry("rb", "", { session: b })));
  assert.equal(machine.session(a).value?.name, "");
  machine.apply(machine.appliedIndex + 1, session("destroy", { id: a }), 1_000);
  assert.equal(machine.session(a).value, null);
  assert.deepEqual([machine.kvGet("ra").value?.session, machine.kvGet("ra").index, machine.kvGet("ra").value?.lockIndex], ["", machine.appliedIndex, 1]);
  machine.apply(machine.appliedIndex + 1, register({ check: { ...CHECK, status: "critical" } }), 2_000);
  assert.equal(machine.kvGet("rb").value, null);
  assert.deepEqual([machine.lockDelayUntilMs("ra"), machine.lockDelayUntilMs("rb"), machine.lockDelayUntilMs("rc")], [16_000, 62_000, 0]);
  machine.expireLockDelays(16_000);
  assert.deepEqual([machine.lockDelayUntilMs("ra"), machine.lockDelayUntilMs("rb")], [0, 62_000]);
  assert.equal(machine.sessions().value.length, 0);
});

test("errors of sessions", () => {
  const machine = createStateMachine();
  applyAll(machine, register({ check: { ...CHECK, status: "critical" } }));
  const errors = applyAll(
    machine,
    session("create", { id: "" }),
    session("create", { id: uuid(1), behavior: "explode" }),
    session("create", { id: uuid(1), node: "nosuch" }),
    session("create", { id: uuid(1), nodeChecks: null, serviceChecks: [{ id: "nosuch", namespace: "" }] }),
    session("create", { id: uuid(1) }),
    session("destroy", { id: "nosuch" }),
    session("destroy", { id: uuid(1) }),
    session("frob", { id: uuid(1) }),
  );
  assert.deepEqual(errors, [
    { kind: "error", text: "Missing session ID" },
    { kind: "error", text: "Invalid session behavior: explode" },
    { kind: "error", text: "Missing node registration" },
    { kind: "error", text: "Missing check 'nosuch' registration" },
    { kind: "error", text: "Check 'serfHealth' is in critical state" },
    { kind: "error", text: "failed session lookup: index error: UUID must be 36 characters" },
    NIL,
    { kind: "error", text: "Invalid Session operation 'frob'" },
  ]);
});

test("a transaction happens whole or not at all", () => {
  const machine = createStateMachine();
  applyAll(machine, kv("set", entry("a", "1")));
  const before = encoded(machine.snapshot());
  const [failed] = applyAll(
    machine,
    txn(
      kvOp("set", entry("b", "2")),
      kvOp("delete", entry("a")),
      kvOp("get", entry("a")),
      kvOp("check-index", entry("b", null, { modifyIndex: 1 })),
      { kind: "node", verb: "set", node: NODE },
      { kind: "none" },
    ),
  );
  assert.deepEqual(failed, {
    kind: "txn",
    outcome: {
      results: [],
      errors: [
        { opIndex: 2, what: `key "a" doesn't exist` },
        { opIndex: 3, what: `failed index check for key "b", current modify index 2 != 1` },
        { opIndex: 5, what: "no operation specified" },
      ],
    },
  });
  assert.deepEqual(encoded(machine.snapshot()), before);
  const [done] = applyAll(machine, txn(kvOp("set", entry("b", "2")), kvOp("get", entry("b")), kvOp("delete", entry("a")), kvOp("get-tree", entry(""))));
  const row = { key: "b", flags: 0, lockIndex: 0, session: "", createIndex: 3, modifyIndex: 3 };
  assert.deepEqual(done, {
    kind: "txn",
    outcome: {
      results: [null, Uint8Array.of(0x32), Uint8Array.of(0x32)].map((value) => ({ kind: "kv", entry: { ...row, value } })),
      errors: [],
    },
  });
});

test("watches wake once, for what concerns them", () => {
  const machine = createStateMachine();
  const woken: string[] = [];
  const watch = (name: string, ...interests: Parameters<typeof machine.watch>[0]): (() => void) => {
    const { cancel } = bound(machine.watch(interests, (reason) => woken.push(`${name} ${reason}`)));
    return cancel;
  };
  watch("key", { kind: "key", key: "a/b" });
  watch("prefix", { kind: "prefix", prefix: "a/" });
  watch("deeper", { kind: "key", key: "a/b/c" });
  watch("all", { kind: "prefix", prefix: "" });
  watch("table", { kind: "table", table: "nodes" });
  const cancel = watch("cancelled", { kind: "key", key: "a/b" });
  cancel();
  applyAll(machine, kv("set", entry("a/b", "1")));
  assert.deepEqual(woken.splice(0).sort(), ["all changed", "key changed", "prefix changed"]);
  applyAll(machine, kv("set", entry("a/b", "2")));
  assert.deepEqual(woken.splice(0), []);
  watch("key", { kind: "key", key: "a/b" });
  applyAll(machine, kv("set", entry("a/b", "2")), kv("delete-tree", entry("x")), txn(kvOp("set", entry("a/b", "3")), kvOp("get", entry("none"))));
  assert.deepEqual(woken.splice(0), [], "nothing changed");
  applyAll(machine, kv("delete-tree", entry("a")));
  assert.deepEqual(woken.splice(0).sort(), ["deeper changed", "key changed"]);
  applyAll(machine, register({ check: CHECK }));
  assert.deepEqual(woken.splice(0), ["table changed"]);
  watch("session", { kind: "session", id: uuid(3) });
  watch("other", { kind: "session", id: uuid(4) });
  applyAll(machine, session("create", { id: uuid(3) }));
  assert.deepEqual(woken.splice(0), ["session changed"]);
  const restorer = machine.beginRestore();
  assert.equal(restorer.push(encoded(machine.snapshot())), null);
  assert.equal(restorer.finish(99), null);
  assert.deepEqual(woken.splice(0), ["other restored"]);
  assert.equal(machine.appliedIndex, 99);
});

function bound(watch: { cancel(): void }): { cancel: () => void } {
  return { cancel: () => watch.cancel() };
}

test("registrations move the indexes of what they change", () => {
  const machine = createStateMachine();
  applyAll(machine, register({ service: SERVICE, checks: [CHECK, { ...CHECK, checkId: "w", serviceId: "web" }] }));
  assert.deepEqual(machine.serviceChecks("WEB").value.map(({ checkId, serviceName }) => [checkId, serviceName]), [["w", "web"]]);
  applyAll(machine, register({ service: SERVICE, check: CHECK }));
  assert.deepEqual([machine.nodes().index, machine.serviceInstances("web").index, machine.nodeChecks("N1").index], [1, 1, 1]);
  applyAll(machine, register({ node: "n2", address: "10.0.0.2" }));
  assert.deepEqual([machine.nodes().index, machine.serviceInstances("web").index], [3, 1]);
  applyAll(machine, register({ address: "10.0.0.9", skipNodeUpdate: true }), register({ address: "10.0.0.9" }));
  assert.deepEqual([machine.node("n1").value?.address, machine.node("n1").index, machine.serviceInstances("web").index], ["10.0.0.9", 5, 5]);
  assert.deepEqual(applyAll(machine, register({ check: { ...CHECK, checkId: "q", serviceId: "nosuch" } })), [
    { kind: "error", text: `failed inserting check: Missing service registration on node "n1"` },
  ]);
  assert.deepEqual(applyAll(machine, register({ node: "n3", check: CHECK })), [{ kind: "error", text: `check node "n1" does not match node "n3"` }]);
  assert.equal(machine.node("n3").value, null, "a failed registration leaves nothing behind");
  applyAll(machine, deregister("N1", "WEB"));
  assert.deepEqual([machine.serviceInstances("web").value.length, machine.serviceInstances("web").index, machine.tableIndex("service.web")], [0, 8, 0]);
  applyAll(machine, deregister("n1"));
  assert.deepEqual([machine.nodes().value.map(({ node }) => node), machine.checksInState("any").value.length], [["n2"], 0]);
});

test("unknown and malformed commands are told apart", () => {
  const machine = createStateMachine();
  const kinds = applyAll(machine, Uint8Array.of(99), Uint8Array.of(128 + 99), new Uint8Array(0), Uint8Array.of(2, 0x81), Uint8Array.of(3, 0xc1)).map(({ kind }) => kind);
  assert.deepEqual(kinds, ["fatal", "nil", "fatal", "fatal", "fatal"]);
});

test("a snapshot shows its moment, whatever is written later", () => {
  const machine = createStateMachine();
  applyAll(machine, register({ check: CHECK }), session("create", { ...SESSION, id: uuid(1) }));
  for (let i = 0; i < 300; i += 1) applyAll(machine, kv("set", entry(`k${i}`, `${i}`)));
  const snapshot = machine.snapshot();
  const before = encoded(snapshot);
  for (let i = 0; i < 300; i += 2) applyAll(machine, kv("delete", entry(`k${i}`)), kv("set", entry(`k${i + 1}`, "changed")));
  applyAll(machine, kv("delete-tree", entry("k1")), deregister("n1"));
  assert.deepEqual(encoded(snapshot), before);
  assert.equal(snapshot.kvCount, 300);
  const copy = createStateMachine();
  const restorer = copy.beginRestore();
  for (let at = 0; at < before.length; at += 77) assert.equal(restorer.push(before.slice(at, at + 77)), null);
  assert.equal(restorer.finish(snapshot.appliedIndex), null);
  assert.deepEqual(encoded(copy.snapshot()), before);
});

test("what is no snapshot is refused", () => {
  const machine = createStateMachine();
  applyAll(machine, kv("set", entry("a", "1")));
  const whole = encoded(machine.snapshot());
  const cut = machine.beginRestore();
  assert.equal(cut.push(whole.slice(0, 40)), null);
  assert.equal(cut.finish(5), "snapshot ends too early");
  assert.equal(machine.beginRestore().finish(5), "snapshot is empty");
  const wrong = machine.beginRestore();
  assert.match(wrong.push(Uint8Array.of(0xc1, 1, 2)) ?? "", /malformed snapshot record/);
  assert.equal(machine.kvCount, 1);
});

test("memory of removed trees and reaped tombstones comes back while idle", () => {
  const machine = createStateMachine();
  for (let i = 0; i < 3_000; i += 1) applyAll(machine, kv("set", entry(`t/${i}`, "x".repeat(100))));
  for (let i = 0; i < 1_000; i += 1) applyAll(machine, kv("delete", entry(`t/${i}`)));
  const reaped = machine.appliedIndex;
  applyAll(machine, kv("set", entry("other", "1")), kv("delete-tree", entry("t/")));
  const watched: string[] = [];
  machine.watch([{ kind: "prefix", prefix: "" }], (reason) => watched.push(reason));
  machine.apply(machine.appliedIndex + 1, encodeTombstoneRequest({ datacenter: "dc1", reapIndex: reaped, token: "" }), 0);
  assert.equal(machine.kvList("t/").index, reaped + 2, "the tree's own tombstone is younger");
  const before = encoded(machine.snapshot());
  let turns = 0;
  while (machine.tidy()) turns += 1;
  assert.ok(turns > 5 && turns < 100, `${turns} turns`);
  assert.deepEqual(encoded(machine.snapshot()), before);
  assert.equal(machine.tidy(), false);
  assert.deepEqual(watched, []);
});

test("a part of a command is refused", () => {
  assert.equal(createStateMachine().apply(1, kv("set", entry("a", "1")), 0, Uint8Array.of(8, 1)).kind, "fatal");
});
