/** Transactions (agent reference §2.8): all operations see the ones before them, and either all happen or none. Errors are told for each operation. */
import { goQuote } from "../base/go-quote.ts";
import type { CatalogNode, DirEntry, HealthCheck, NodeService, TxnOp } from "../wire/fsm-commands.ts";
import type { CatalogWriter } from "./catalog-writer.ts";
import { draftOf, type KvWriter } from "./kv.ts";
import { nameKey } from "./order-key.ts";
import { RecordDraft } from "./record-slabs.ts";
import type { SessionWriter } from "./sessions.ts";
import type { Tables, TablesView } from "./tables.ts";
import type { CatalogReads, TxnError, TxnOutcome, TxnResult } from "./types.ts";

/** What an operation gives: results, or an error's text. */
type OpOutcome = readonly TxnResult[] | string;

const NOTHING: readonly TxnResult[] = [];

export interface TxnWriters {
  readonly kv: KvWriter;
  readonly catalog: CatalogWriter;
  readonly sessions: SessionWriter;
}

/** Applies the operations; with any error nothing has happened. `undo` is called then. */
export function applyTransaction(
  tables: Tables, reads: CatalogReads, writers: TxnWriters, ops: readonly TxnOp[], index: number, nowMs: number, undo: () => void,
): TxnOutcome {
  let outcome: TxnOutcome = { results: NOTHING, errors: [] };
  const done = tables.transaction(() => {
    outcome = dispatch(ops, (op) => applyOp(tables, reads, writers, op, index, nowMs));
    return outcome.errors.length === 0;
  });
  if (!done) undo();
  return outcome;
}

/** The same for operations that only read. */
export function readTransaction(tables: TablesView, reads: CatalogReads, ops: readonly TxnOp[]): TxnOutcome {
  return dispatch(ops, (op) => readOp(tables, reads, op) ?? unknownVerb(op));
}

function dispatch(ops: readonly TxnOp[], run: (op: TxnOp) => OpOutcome): TxnOutcome {
  const results: TxnResult[] = [];
  const errors: TxnError[] = [];
  ops.forEach((op, opIndex) => {
    const outcome = run(op);
    if (typeof outcome === "string") errors.push({ opIndex, what: outcome });
    else for (const result of outcome) results.push(result);
  });
  return errors.length > 0 ? { results: NOTHING, errors } : { results, errors };
}

function unknownVerb(op: TxnOp): string {
  switch (op.kind) {
    case "kv":
      return `unknown KV verb ${goQuote(op.verb)}`;
    case "node":
      return `unknown Node verb ${goQuote(op.verb)}`;
    case "service":
      return `unknown Service verb ${goQuote(op.verb)}`;
    case "check":
      return `unknown Check verb ${goQuote(op.verb)}`;
    case "session":
      return `unknown Session verb ${goQuote(op.verb)}`;
    case "intention":
      return "intentions are not offered";
    case "none":
      return "no operation specified";
  }
}

/** Null when the operation is not one that reads. */
function readOp(tables: TablesView, reads: CatalogReads, op: TxnOp): OpOutcome | null {
  switch (op.kind) {
    case "kv":
      return readKv(reads, op.verb, op.entry);
    case "node": {
      if (op.verb !== "get") return null;
      const node = nodeOf(reads, op.node);
      return node === null ? `node ${goQuote(op.node.node)} doesn't exist` : [{ kind: "node", node }];
    }
    case "service": {
      if (op.verb !== "get") return null;
      const service = serviceOf(tables, op.node, op.service.id);
      return service === null ? `service ${goQuote(op.service.id)} on node ${goQuote(op.node)} doesn't exist` : [{ kind: "service", service }];
    }
    case "check": {
      if (op.verb !== "get") return null;
      const check = reads.check(op.check.node, op.check.checkId);
      return check === null ? `check ${goQuote(op.check.checkId)} on node ${goQuote(op.check.node)} doesn't exist` : [{ kind: "check", check }];
    }
    default:
      return null;
  }
}

function nodeOf(reads: CatalogReads, wanted: CatalogNode): CatalogNode | null {
  return wanted.id !== "" ? reads.nodeById(wanted.id) : reads.node(wanted.node).value;
}

function serviceOf(tables: TablesView, node: string, id: string): NodeService | null {
  return tables.maps.services.get(`${nameKey(node)}\0${nameKey(id)}`)?.service ?? null;
}

const READING_VERBS: ReadonlySet<string> = new Set(["get", "get-tree", "check-session", "check-index", "check-not-exists"]);

function readKv(reads: CatalogReads, verb: string, { key, session, modifyIndex }: DirEntry): OpOutcome | null {
  if (!READING_VERBS.has(verb)) return null;
  const name = goQuote(key);
  const found = reads.kvGet(key).value;
  switch (verb) {
    case "get":
      return found === null ? `key ${name} doesn't exist` : [{ kind: "kv", entry: found }];
    case "get-tree":
      return [...reads.kvList(key).value].map((entry) => ({ kind: "kv", entry }));
    case "check-session":
      if (found === null) return `failed to check session, key ${name} doesn't exist`;
      if (found.session !== session) return `failed session check for key ${name}, current session ${goQuote(found.session)} != ${goQuote(session)}`;
      return withoutValue(found);
    case "check-index":
      if (found === null) return `failed to check index, key ${name} doesn't exist`;
      if (found.modifyIndex !== modifyIndex) return `failed index check for key ${name}, current modify index ${found.modifyIndex} != ${modifyIndex}`;
      return withoutValue(found);
    default:
      return found === null ? NOTHING : `key ${name} exists`;
  }
}

function withoutValue(entry: DirEntry): readonly TxnResult[] {
  return [{ kind: "kv", entry: { ...entry, value: null } }];
}

function applyOp(tables: Tables, reads: CatalogReads, writers: TxnWriters, op: TxnOp, index: number, nowMs: number): OpOutcome {
  const read = readOp(tables, reads, op);
  if (read !== null) return read;
  switch (op.kind) {
    case "kv":
      return writeKv(writers.kv, op.verb, op.entry, index) ?? unknownVerb(op);
    case "node":
      return writeNode(reads, writers.catalog, op.verb, op.node, index, nowMs) ?? unknownVerb(op);
    case "service":
      return writeService(tables, writers.catalog, op, index, nowMs) ?? unknownVerb(op);
    case "check":
      return writeCheck(reads, writers.catalog, op.verb, op.check, index, nowMs) ?? unknownVerb(op);
    case "session": {
      if (op.verb !== "delete") return unknownVerb(op);
      const error = writers.sessions.destroy(op.session.id, index, nowMs);
      return error === null ? NOTHING : `failed to delete session: ${error}`;
    }
    default:
      return unknownVerb(op);
  }
}

const draft = new RecordDraft();

/** Null for an unknown verb. */
function writeKv(kv: KvWriter, verb: string, entry: DirEntry, index: number): OpOutcome | null {
  const name = goQuote(entry.key);
  draftOf(entry, draft);
  switch (verb) {
    case "set":
      kv.set(draft, index, false);
      return written(entry);
    case "cas":
      return kv.cas(draft, index) ? written(entry) : `failed to set key ${name}, index is stale`;
    case "lock": {
      const outcome = kv.lock(draft, index);
      if (typeof outcome === "string") return outcome;
      return outcome ? written(entry) : `failed to lock key ${name}, lock is already held`;
    }
    case "unlock": {
      const outcome = kv.unlock(draft, index);
      if (typeof outcome === "string") return outcome;
      return outcome ? written(entry) : `failed to unlock key ${name}, lock isn't held, or is held by another session`;
    }
    case "delete":
      kv.delete(draft.keyBytes, 0, draft.keyLength, index);
      return NOTHING;
    case "delete-cas":
      return kv.deleteCas(draft.keyBytes, 0, draft.keyLength, entry.modifyIndex, index) ? NOTHING : `failed to delete key ${name}, index is stale`;
    case "delete-tree":
      kv.deleteTree(draft.keyBytes, index);
      return NOTHING;
    default:
      return null;
  }
}

/** The row as it now is, without its value. */
function written(entry: DirEntry): readonly TxnResult[] {
  const { lockIndex, session, createIndex, modifyIndex } = draft;
  return [{ kind: "kv", entry: { key: entry.key, value: null, flags: entry.flags, lockIndex, session, createIndex, modifyIndex } }];
}

function writeNode(reads: CatalogReads, catalog: CatalogWriter, verb: string, node: CatalogNode, index: number, nowMs: number): OpOutcome | null {
  const name = goQuote(node.node);
  const existing = nodeOf(reads, node);
  switch (verb) {
    case "set":
    case "cas": {
      if (verb === "cas" && staleIndex(existing, node.modifyIndex)) return `failed to set node ${name}, index is stale`;
      const error = catalog.setNode(node, index, nowMs);
      if (error !== null) return error;
      const now = nodeOf(reads, node);
      return now === null ? NOTHING : [{ kind: "node", node: now }];
    }
    case "delete":
      catalog.deleteNode(existing?.node ?? node.node, index, nowMs);
      return NOTHING;
    case "delete-cas":
      if (existing === null || existing.modifyIndex !== node.modifyIndex) return `failed to delete node ${name}, index is stale`;
      catalog.deleteNode(existing.node, index, nowMs);
      return NOTHING;
    default:
      return null;
  }
}

/** Whether a compare-and-set with this index fails: 0 means that there must be no row. */
function staleIndex(existing: { readonly modifyIndex: number } | null, casIndex: number): boolean {
  return existing === null ? casIndex !== 0 : existing.modifyIndex !== casIndex;
}

function writeService(
  tables: Tables, catalog: CatalogWriter, { verb, node, service }: Extract<TxnOp, { kind: "service" }>, index: number, nowMs: number,
): OpOutcome | null {
  const where = `service ${goQuote(service.id)} on node ${goQuote(node)}`;
  const existing = serviceOf(tables, node, service.id);
  switch (verb) {
    case "set":
    case "cas": {
      if (verb === "cas" && staleIndex(existing, service.modifyIndex)) return `failed to set ${where}, index is stale`;
      const error = catalog.setService(node, service, index);
      if (error !== null) return error;
      const now = serviceOf(tables, node, service.id);
      return now === null ? NOTHING : [{ kind: "service", service: now }];
    }
    case "delete":
      catalog.deleteService(node, service.id, index, nowMs);
      return NOTHING;
    case "delete-cas":
      if (existing === null || existing.modifyIndex !== service.modifyIndex) return `failed to delete ${where}, index is stale`;
      catalog.deleteService(node, service.id, index, nowMs);
      return NOTHING;
    default:
      return null;
  }
}

function writeCheck(reads: CatalogReads, catalog: CatalogWriter, verb: string, check: HealthCheck, index: number, nowMs: number): OpOutcome | null {
  const where = `check ${goQuote(check.checkId)} on node ${goQuote(check.node)}`;
  const existing = reads.check(check.node, check.checkId);
  switch (verb) {
    case "set":
    case "cas": {
      if (verb === "cas" && staleIndex(existing, check.modifyIndex)) return `failed to set ${where}, index is stale`;
      const error = catalog.setCheck(check, index, nowMs);
      if (error !== null) return error;
      const now = reads.check(check.node, check.checkId);
      return now === null ? NOTHING : [{ kind: "check", check: now }];
    }
    case "delete":
      catalog.deleteCheck(check.node, check.checkId, index, nowMs);
      return NOTHING;
    case "delete-cas":
      if (existing === null || existing.modifyIndex !== check.modifyIndex) return `failed to delete ${where}, index is stale`;
      catalog.deleteCheck(check.node, check.checkId, index, nowMs);
      return NOTHING;
    default:
      return null;
  }
}
