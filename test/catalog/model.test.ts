import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeUtf8 } from "../../src/base/utf8.ts";
import { createStateMachine } from "../../src/catalog/state-machine.ts";
import type { CatalogReads, CatalogSnapshot, StateMachine } from "../../src/catalog/types.ts";
import { encodeTombstoneRequest } from "../../src/wire/fsm-codec.ts";
import type { DirEntry } from "../../src/wire/fsm-commands.ts";
import { CHECK, encoded, entry, kv, kvOp, register, session, txn, uuid } from "./helpers.ts";
import { applyModel, copyModel, emptyModel, indexBelow, keysBelow, rowsBelow, type ModelOp, type ModelState } from "./model.ts";

const KEYS = ["a", "a/", "a/b", "a/b/c", "a/c", "ab", "b", "b/\u{1f600}", "b/\uffee", "b/\u00e9", "z"];
const PREFIXES = ["", "a", "a/", "a/b", "b/", "b/\u{1f600}", "q"];
const SESSIONS = [1, 2].map(uuid);
const VERBS = ["set", "set", "set", "cas", "delete", "delete-cas", "delete-tree", "lock", "lock", "unlock"];

/** Index offsets of compare-and-set operations: 0, an index that may fit, one that cannot. */
interface RawKv {
  readonly verb: string;
  readonly key: string;
  readonly value: string;
  readonly flags: number;
  readonly session: string;
  readonly fit: number;
}

/** Few keys and sessions for locks, so that they meet. */
const rawLock: fc.Arbitrary<RawKv> = fc.record({
  verb: fc.constantFrom("lock", "lock", "unlock", "unlock", "set"),
  key: fc.constantFrom("a/b", "a/c"),
  value: fc.constantFrom("", "1"),
  flags: fc.constant(0),
  session: fc.constantFrom(...SESSIONS),
  fit: fc.constant(0),
});

const rawKv: fc.Arbitrary<RawKv> = fc.record({
  verb: fc.constantFrom(...VERBS),
  key: fc.constantFrom(...KEYS),
  value: fc.constantFrom("", "1", "22", "x".repeat(300)),
  flags: fc.constantFrom(0, 0, 7),
  session: fc.constantFrom("", ...SESSIONS),
  fit: fc.integer({ min: 0, max: 2 }),
});

type Step =
  | { readonly kind: "kv"; readonly raw: RawKv }
  | { readonly kind: "txn"; readonly raws: readonly RawKv[] }
  | { readonly kind: "create" | "destroy"; readonly session: string; readonly behavior: "release" | "delete" }
  | { readonly kind: "reap"; readonly back: number }
  | { readonly kind: "critical" | "snapshot" };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant("kv" as const), raw: fc.oneof(rawKv, rawLock) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("txn" as const), raws: fc.array(fc.oneof(rawKv, rawLock), { minLength: 1, maxLength: 5 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("create" as const, "create" as const, "destroy" as const),
      session: fc.constantFrom(...SESSIONS),
      behavior: fc.constantFrom("release" as const, "delete" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reap" as const), back: fc.integer({ min: 0, max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("critical" as const, "snapshot" as const, "snapshot" as const) }) },
);

function kvOpOf({ verb, key, value, flags, session: holder, fit }: RawKv, model: ModelState): Extract<ModelOp, { kind: "kv" }> {
  const index = fit === 0 ? 0 : fit === 1 ? (model.rows.get(key)?.modifyIndex ?? 0) : 1;
  return { kind: "kv", verb, key, value, flags, session: holder, index };
}

function row(op: Extract<ModelOp, { kind: "kv" }>): DirEntry {
  return entry(op.key, op.value, { flags: op.flags, session: op.session, modifyIndex: op.index });
}

function commandOf(op: ModelOp): Uint8Array {
  switch (op.kind) {
    case "kv":
      return kv(op.verb, row(op));
    case "create":
    case "destroy":
      return session(op.kind, { id: op.session, behavior: op.kind === "create" ? op.behavior : "" });
    case "critical":
      return register({ check: { ...CHECK, status: "critical" } });
    case "reap":
      return encodeTombstoneRequest({ datacenter: "dc1", reapIndex: op.index, token: "" });
    case "txn":
      return txn(...op.ops.map((one) => kvOp(one.verb, row(one))));
  }
}

/** Everything a client can see, of the machine or of the model. */
function seen(reads: CatalogReads): unknown {
  const plain = (one: DirEntry): unknown => ({ ...one, value: one.value === null ? "" : decodeUtf8(one.value) });
  return {
    keys: KEYS.map((key) => {
      const { index, value } = reads.kvGet(key);
      return [index, value === null ? null : plain(value)];
    }),
    lists: PREFIXES.map((prefix) => {
      const { index, value } = reads.kvList(prefix);
      return [index, [...value].map(plain)];
    }),
    names: PREFIXES.map((prefix) => [...reads.kvKeys(prefix, "/").value]),
    sessions: reads.sessions().value.map(({ id }) => id),
    count: reads.kvCount,
  };
}

function seenOf(model: ModelState): unknown {
  const table = Math.max(model.kvIndex, model.tombstoneIndex);
  return {
    keys: KEYS.map((key) => {
      const one = model.rows.get(key);
      return [one?.modifyIndex ?? table, one ?? null];
    }),
    lists: PREFIXES.map((prefix) => [indexBelow(model, prefix), rowsBelow(model, prefix)]),
    names: PREFIXES.map((prefix) => keysBelow(model, prefix, "/")),
    sessions: [...model.sessions.keys()].sort(),
    count: model.rows.size,
  };
}

function opOf(one: Step, model: ModelState, now: number): ModelOp | null {
  switch (one.kind) {
    case "kv":
      return kvOpOf(one.raw, model);
    case "txn":
      return { kind: "txn", ops: one.raws.map((raw) => kvOpOf(raw, model)) };
    case "create":
      return model.sessions.has(one.session) ? null : { kind: "create", session: one.session, behavior: one.behavior };
    case "destroy":
      return { kind: "destroy", session: one.session };
    case "reap":
      return { kind: "reap", index: Math.max(0, now - one.back) };
    default:
      return { kind: "critical" };
  }
}

interface Watched {
  readonly name: string;
  /** What the reader would compare: rows, not the tables' index that a missing one falls back to. */
  readonly look: () => unknown;
}

const WATCHED: readonly ((machine: StateMachine) => Watched & { readonly interest: Parameters<StateMachine["watch"]>[0][number] })[] = [
  ...KEYS.map((key) => (machine: StateMachine) => ({ name: `key ${key}`, interest: { kind: "key" as const, key }, look: () => machine.kvGet(key).value })),
  ...PREFIXES.map((prefix) => (machine: StateMachine) => ({
    name: `prefix ${prefix}`,
    interest: { kind: "prefix" as const, prefix },
    look: () => [...machine.kvList(prefix).value],
  })),
  ...SESSIONS.map((id) => (machine: StateMachine) => ({ name: `session ${id}`, interest: { kind: "session" as const, id }, look: () => machine.session(id).value })),
];

/** Applies with everything watched: whoever would read something else now must have been woken, and of the others at most those below a removed tree. */
function applyWatched(machine: StateMachine, command: Uint8Array, mayWakeMore: boolean): ReturnType<StateMachine["apply"]> {
  const watched = WATCHED.map((make) => make(machine));
  const before = watched.map(({ look }) => look());
  const woken = new Set<string>();
  const watches = watched.map(({ name, interest }) => machine.watch([interest], () => woken.add(name)));
  const result = machine.apply(machine.appliedIndex + 1, command, 0);
  for (const watch of watches) watch.cancel();
  watched.forEach(({ name, look }, i) => {
    const changed = !sameJson(look(), before[i]);
    if (changed) assert.ok(woken.has(name), `${name} changed and was not woken`);
    else if (!mayWakeMore) assert.ok(!woken.has(name), `${name} did not change and was woken`);
  });
  return result;
}

function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

test("random commands: results, reads, watches, rollback and held snapshots as in the model", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const machine = createStateMachine();
      const model = emptyModel();
      const held: { snapshot: CatalogSnapshot; model: ModelState; bytes: Uint8Array }[] = [];
      machine.apply(1, register({ check: CHECK }), 0);
      for (const one of steps) {
        if (one.kind === "snapshot") {
          const snapshot = machine.snapshot();
          held.push({ snapshot, model: copyModel(model), bytes: encoded(snapshot) });
          continue;
        }
        const op = opOf(one, model, machine.appliedIndex);
        if (op === null) continue;
        // A check that turns passing again, so that sessions can be made after a critical phase.
        if (op.kind === "create") machine.apply(machine.appliedIndex + 1, register({ check: CHECK }), 0);
        const expected = applyModel(model, op, machine.appliedIndex + 1);
        // Watchers below a removed tree, and those of a transaction that puts back what it changed, may be woken for nothing.
        const mayWakeMore = op.kind === "txn" || (op.kind === "kv" && op.verb === "delete-tree");
        const result = applyWatched(machine, commandOf(op), mayWakeMore);
        if (typeof expected === "string") assert.equal(result.kind === "txn" && result.outcome.errors.length === 0, expected === "txn ok");
        else assert.deepEqual(result, expected);
        assert.deepEqual(seen(machine), seenOf(model));
      }
      for (const { snapshot, model: then, bytes } of held) {
        assert.deepEqual(seen(snapshot), seenOf(then));
        assert.deepEqual(encoded(snapshot), bytes);
        const copy = createStateMachine();
        const restorer = copy.beginRestore();
        assert.equal(restorer.push(bytes), null);
        assert.equal(restorer.finish(snapshot.appliedIndex), null);
        assert.deepEqual(seen(copy), seenOf(then));
        assert.deepEqual(encoded(copy.snapshot()), bytes);
      }
    }),
    { numRuns: 150 },
  );
});
