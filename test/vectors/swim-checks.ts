/** Checkers of the SWIM core's pure parts: timing formulas, the broadcast queue, addresses. */
import assert from "node:assert/strict";
import { ensurePort, hasPort } from "../../src/swim/address.ts";
import { Awareness } from "../../src/swim/awareness.ts";
import { BroadcastQueue, NO_KEY } from "../../src/swim/broadcast-queue.ts";
import { pushPullScaleNs, queryTimeoutNs, remainingSuspicionNs, retransmitLimit, suspicionTimeoutNs } from "../../src/swim/timing.ts";
import { attempt, fieldsOf } from "./compare.ts";
import type { Report } from "./registry.ts";

interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly number[])[];
}

type Row = (column: string) => number;

/** What each table's result column must be, given its other columns. */
const FORMULAS: Readonly<Record<string, { readonly result: string; readonly formula: (row: Row) => number }>> = {
  suspicionTimeout: { result: "result", formula: (row) => suspicionTimeoutNs(row("suspicionMult"), row("n"), row("probeInterval")) },
  remainingSuspicion: {
    result: "remaining",
    formula: (row) => remainingSuspicionNs(row("confirmations"), row("k"), row("elapsed"), row("min"), row("max")),
  },
  retransmitLimit: { result: "limit", formula: (row) => retransmitLimit(row("retransmitMult"), row("n")) },
  pushPullScale: { result: "result", formula: (row) => pushPullScaleNs(row("interval"), row("n")) },
  queryTimeout: { result: "timeout", formula: (row) => queryTimeoutNs(row("gossipInterval"), row("queryTimeoutMult"), row("aliveMembers")) },
};

function rowReader(columns: readonly string[], values: readonly number[]): Row {
  return (column) => {
    const value = values[columns.indexOf(column)];
    assert.ok(value !== undefined, `no column ${column} among ${columns.join(" ")}`);
    return value;
  };
}

export function checkTiming(data: unknown, report: Report): void {
  type Recording = Record<string, Table> & { awareness: Table & { readonly base: number; readonly max: number } };
  const recording = fieldsOf<Recording>(data, [...Object.keys(FORMULAS), "awareness"], report);
  for (const [name, { result, formula }] of Object.entries(FORMULAS)) {
    const { columns = [], rows = [] } = recording[name] ?? {};
    for (const values of rows) {
      const row = rowReader(columns, values);
      attempt(`${name} ${values.join(" ")}`, report, () => assert.equal(formula(row), row(result)));
    }
  }
  const { awareness } = recording;
  if (awareness === undefined) return;
  const score = new Awareness(awareness.max);
  for (const [i, values] of awareness.rows.entries()) {
    const row = rowReader(awareness.columns, values);
    attempt(`awareness step ${i}`, report, () => {
      score.apply(row("delta"));
      assert.deepEqual([score.score, score.scale(awareness.base)], [row("scoreAfter"), row("scaledBase")]);
    });
  }
}

type QueueOp = { readonly finished: readonly string[]; readonly queued: number } & (
  | { readonly op: "queue"; readonly id: string; readonly len: number; readonly name?: string }
  | { readonly op: "get"; readonly limit: number; readonly overhead: number; readonly result: readonly string[] }
  | { readonly op: "prune"; readonly max: number }
);

interface QueueRun {
  readonly limit: number;
  readonly numNodes: number;
  readonly retransmitMult: number;
  readonly ops: readonly QueueOp[];
}

export function checkBroadcastQueue(data: unknown, report: Report): void {
  const { runs } = fieldsOf<{ readonly runs: readonly QueueRun[] }>(data, ["runs"], report);
  for (const [i, run] of (runs ?? []).entries()) {
    const queue = new BroadcastQueue(run.retransmitMult, () => run.numNodes);
    attempt(`run ${i} limit`, report, () => assert.equal(retransmitLimit(run.retransmitMult, run.numNodes), run.limit));
    const ids: string[] = [];
    const keys = new Map<string, number>();
    for (const [j, op] of run.ops.entries()) {
      attempt(`run ${i} op ${j} ${op.op}`, report, () => {
        const result = applyQueueOp(queue, op, ids, keys);
        const finished = queue.finished.map((token) => ids[token - 1]);
        queue.finished.length = 0;
        const expected = { finished: op.finished, queued: op.queued, result: op.op === "get" ? op.result : [] };
        assert.deepEqual({ finished, queued: queue.length, result }, expected);
      });
    }
  }
}

/** Our queue knows names as small numbers. */
function keyOf(name: string, keys: Map<string, number>): number {
  const known = keys.get(name) ?? keys.size;
  keys.set(name, known);
  return known;
}

/** The ids taken. */
function applyQueueOp(queue: BroadcastQueue, op: QueueOp, ids: string[], keys: Map<string, number>): string[] {
  switch (op.op) {
    case "queue": {
      const message = new Uint8Array(op.len);
      ids.push(op.id);
      message[0] = ids.length; // What is taken need not be the array that was queued.
      queue.queue(op.name === undefined ? NO_KEY : keyOf(op.name, keys), message, ids.length);
      return [];
    }
    case "get": {
      const taken: Uint8Array[] = [];
      queue.take(op.overhead, op.limit, 1, taken);
      return taken.map((message) => ids[(message[0] as number) - 1] ?? "?");
    }
    case "prune":
      queue.prune(op.max);
      return [];
    default:
      throw new Error(`unknown operation ${JSON.stringify(op)}`);
  }
}

export function checkAddress(data: unknown, report: Report): void {
  type Case = Readonly<Record<string, string | boolean>>;
  const { cases } = fieldsOf<{ readonly cases: readonly Case[] }>(data, ["cases"], report);
  for (const item of cases ?? []) {
    const text = String(item["in"]);
    for (const [key, expected] of Object.entries(item)) {
      if (key === "in") continue;
      attempt(`${key} of "${text}"`, report, () => {
        const port = /^ensurePort([0-9]+)$/.exec(key)?.[1];
        if (port !== undefined) assert.equal(ensurePort(text, Number(port)), expected);
        else if (key === "hasPort") assert.equal(hasPort(text), expected);
        else assert.fail("unknown kind of check");
      });
    }
  }
}
