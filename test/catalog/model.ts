/** The state machine's KV part once more, as simply as it can be written: plain maps, everything copied, nothing clever. */
import type { ApplyResult } from "../../src/catalog/types.ts";

export interface ModelRow {
  key: string;
  value: string;
  flags: number;
  lockIndex: number;
  session: string;
  createIndex: number;
  modifyIndex: number;
}

export interface ModelState {
  rows: Map<string, ModelRow>;
  tombstones: Map<string, number>;
  sessions: Map<string, "release" | "delete">;
  kvIndex: number;
  tombstoneIndex: number;
}

export type ModelOp =
  | { readonly kind: "kv"; readonly verb: string; readonly key: string; readonly value: string; readonly flags: number; readonly session: string; readonly index: number }
  | { readonly kind: "create"; readonly session: string; readonly behavior: "release" | "delete" }
  | { readonly kind: "destroy"; readonly session: string }
  | { readonly kind: "reap"; readonly index: number }
  | { readonly kind: "critical" }
  | { readonly kind: "txn"; readonly ops: readonly Extract<ModelOp, { kind: "kv" }>[] };

export function emptyModel(): ModelState {
  return { rows: new Map(), tombstones: new Map(), sessions: new Map(), kvIndex: 0, tombstoneIndex: 0 };
}

export function copyModel(state: ModelState): ModelState {
  return { ...state, rows: new Map([...state.rows].map(([key, row]) => [key, { ...row }])), tombstones: new Map(state.tombstones), sessions: new Map(state.sessions) };
}

function bytewise(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

export function rowsBelow(state: ModelState, prefix: string): ModelRow[] {
  return [...state.rows.values()].filter(({ key }) => key.startsWith(prefix)).sort((a, b) => bytewise(a.key, b.key));
}

export function indexBelow(state: ModelState, prefix: string): number {
  const table = Math.max(state.kvIndex, state.tombstoneIndex);
  if (prefix === "") return table;
  const buried = [...state.tombstones].filter(([key]) => key.startsWith(prefix)).map(([, index]) => index);
  return Math.max(0, ...rowsBelow(state, prefix).map((row) => row.modifyIndex), ...buried) || table;
}

export function keysBelow(state: ModelState, prefix: string, separator: string): string[] {
  const keys = rowsBelow(state, prefix).map(({ key }) => {
    const at = separator === "" ? -1 : key.indexOf(separator, prefix.length);
    return at < 0 ? key : key.slice(0, at + separator.length);
  });
  return keys.filter((key, i) => key !== keys[i - 1]);
}

function write(state: ModelState, row: Omit<ModelRow, "createIndex" | "modifyIndex">, now: number): void {
  const before = state.rows.get(row.key);
  const same = before !== undefined && before.value === row.value && before.flags === row.flags && before.lockIndex === row.lockIndex && before.session === row.session;
  if (same) return;
  state.rows.set(row.key, { ...row, createIndex: before?.createIndex ?? now, modifyIndex: now });
  state.kvIndex = now;
}

function remove(state: ModelState, key: string, now: number): void {
  if (!state.rows.delete(key)) return;
  state.tombstones.set(key, now);
  state.tombstoneIndex = now;
  state.kvIndex = now;
}

function removeTree(state: ModelState, prefix: string, now: number): void {
  const rows = rowsBelow(state, prefix);
  if (rows.length === 0) return;
  for (const { key } of rows) state.rows.delete(key);
  if (prefix !== "") {
    state.tombstones.set(prefix, now);
    state.tombstoneIndex = now;
  }
  state.kvIndex = now;
}

function endSession(state: ModelState, session: string, now: number): void {
  const behavior = state.sessions.get(session);
  if (behavior === undefined) return;
  state.sessions.delete(session);
  for (const row of [...state.rows.values()]) {
    if (row.session !== session) continue;
    if (behavior === "delete") remove(state, row.key, now);
    else write(state, { ...row, session: "" }, now);
  }
}

/** What a KV operation gives: nothing, true or false, or an error. */
function applyKv(state: ModelState, op: Extract<ModelOp, { kind: "kv" }>, now: number): boolean | null | string {
  const { key, value, flags, session } = op;
  const before = state.rows.get(key);
  const row = { key, value, flags, lockIndex: 0, session: before?.session ?? "" };
  switch (op.verb) {
    case "set":
      write(state, row, now);
      return null;
    case "cas":
      if ((before?.modifyIndex ?? 0) !== op.index) return false;
      write(state, row, now);
      return true;
    case "delete":
      remove(state, key, now);
      return null;
    case "delete-cas":
      if (before !== undefined && before.modifyIndex !== op.index) return false;
      remove(state, key, now);
      return true;
    case "delete-tree":
      removeTree(state, key, now);
      return null;
    case "lock": {
      if (session === "") return "missing session";
      if (!state.sessions.has(session)) return `invalid session "${session}"`;
      const held = before?.session ?? "";
      if (held !== "" && held !== session) return false;
      write(state, { ...row, session, lockIndex: (before?.lockIndex ?? 0) + (held === session ? 0 : 1) }, now);
      return true;
    }
    case "unlock":
      if (session === "") return "missing session";
      if (before === undefined || before.session !== session) return false;
      write(state, { ...row, session: "", lockIndex: before.lockIndex }, now);
      return true;
    default:
      return "unknown verb";
  }
}

/** Applies `op` to the state and tells what the real one must answer; "txn ok" and "txn failed" stand for a transaction's whole outcome. */
export function applyModel(state: ModelState, op: ModelOp, now: number): ApplyResult | "txn ok" | "txn failed" {
  switch (op.kind) {
    case "kv": {
      const result = applyKv(state, op, now);
      if (result === null) return { kind: "nil" };
      return typeof result === "string" ? { kind: "error", text: result } : { kind: "bool", value: result };
    }
    case "create":
      state.sessions.set(op.session, op.behavior);
      return { kind: "text", value: op.session };
    case "destroy":
      endSession(state, op.session, now);
      return { kind: "nil" };
    case "critical":
      for (const session of [...state.sessions.keys()]) endSession(state, session, now);
      return { kind: "nil" };
    case "reap":
      for (const [key, index] of [...state.tombstones]) if (index <= op.index) state.tombstones.delete(key);
      return { kind: "nil" };
    case "txn": {
      const copy = copyModel(state);
      const failed = op.ops.map((one) => applyKv(copy, one, now)).some((result) => result === false || typeof result === "string");
      if (!failed) Object.assign(state, copy);
      return failed ? "txn failed" : "txn ok";
    }
  }
}
