/** Procedures that write: what the leader checks before it appends a command, and what the state machine's verdict means to the caller (reference: consul-agent §2.4, §2.5, §2.8). */
import type { ApplyResult, CatalogReads, TxnError, TxnOutcome } from "../../catalog/types.ts";
import type { KvRequest, Session, SessionRequest, TxnOp, TxnRequest } from "../../wire/fsm-commands.ts";
import { parseDuration } from "../../wire/go-duration.ts";
import type { Outcome } from "./types.ts";

/** What the leader's state tells beyond the reads. */
export interface LeaderView extends CatalogReads {
  lockDelayUntilMs(key: string): number;
}

/** A command to append, or an answer without one. */
export type Prepared<Command, Reply> = { readonly kind: "append"; readonly command: Command } | { readonly kind: "reply"; readonly outcome: Outcome<Reply> };

export function refused<Reply>(error: string): { readonly kind: "reply"; readonly outcome: Outcome<Reply> } {
  return { kind: "reply", outcome: { ok: false, error } };
}

export function prepareKv(request: KvRequest, view: LeaderView, nowMs: number): Prepared<KvRequest, boolean> {
  const error = kvError(request.op, request.entry.key);
  if (error !== null) return refused(error);
  // Nobody may take a lock whose holder was lost a moment ago: it may still believe it holds it.
  if (request.op === "lock" && view.lockDelayUntilMs(request.entry.key) > nowMs) return { kind: "reply", outcome: { ok: true, value: false } };
  return { kind: "append", command: request };
}

function kvError(op: string, key: string): string | null {
  return key === "" && op !== "delete-tree" ? "Must provide key" : null;
}

/** Of commands that say whether they did anything. */
export function boolOutcome(result: ApplyResult): Outcome<boolean> {
  if (result.kind === "error") return { ok: false, error: result.text };
  return { ok: true, value: result.kind === "bool" && result.value };
}

/** Bounds of a session's TTL, in ns, as the original prints them. */
const TTL_MIN_NS = 10e9;
const TTL_MAX_NS = 86_400e9;

/** `newId` draws a session id; `taken` ones are drawn again by the caller. */
export function prepareSession(request: SessionRequest, newId: () => string): Prepared<SessionRequest, string> {
  const { session } = request;
  if (request.op === "destroy") {
    if (session.id === "") return refused("Must provide ID");
    return { kind: "append", command: request };
  }
  if (session.node === "") return refused("Must provide Node");
  const behavior = session.behavior === "" ? "release" : session.behavior;
  if (behavior !== "release" && behavior !== "delete") return refused(`Invalid Behavior setting '${behavior}'`);
  const error = ttlError(session.ttl);
  if (error !== null) return refused(error);
  return { kind: "append", command: { ...request, session: { ...session, id: newId(), behavior } } };
}

function ttlError(ttl: string): string | null {
  if (ttl === "") return null;
  const parsed = parseDuration(ttl);
  if (!parsed.ok) return `Session TTL '${ttl}' invalid: ${parsed.error}`;
  const ns = Math.round(parsed.value * 1e6);
  if (ns === 0 || (ns >= TTL_MIN_NS && ns <= TTL_MAX_NS)) return null;
  return `Invalid Session TTL '${ns}', must be between [10s=24h0m0s]`;
}

export function sessionOutcome(result: ApplyResult): Outcome<string> {
  if (result.kind === "error") return { ok: false, error: result.text };
  return { ok: true, value: result.kind === "text" ? result.value : "" };
}

/** ms after which an unrenewed session is destroyed: twice its TTL (the TTL is the promise, the rest is for clocks and pauses); 0 for none. */
export function sessionExpiryMs(session: Session): number {
  const parsed = parseDuration(session.ttl === "" ? "0s" : session.ttl);
  return parsed.ok ? 2 * parsed.value : 0;
}

export function prepareTxn(request: TxnRequest, view: LeaderView, nowMs: number): Prepared<TxnRequest, TxnOutcome> {
  const errors: TxnError[] = [];
  request.ops.forEach((op, opIndex) => {
    const what = txnOpError(op, view, nowMs);
    if (what !== null) errors.push({ opIndex, what });
  });
  if (errors.length > 0) return { kind: "reply", outcome: { ok: true, value: { results: [], errors } } };
  return { kind: "append", command: request };
}

/** Operations on keys that name none. */
export function keyErrors(ops: readonly TxnOp[]): readonly TxnError[] {
  return ops.flatMap((op, opIndex) => {
    const what = op.kind === "kv" ? kvError(op.verb, op.entry.key) : null;
    return what === null ? [] : [{ opIndex, what }];
  });
}

function txnOpError(op: TxnOp, view: LeaderView, nowMs: number): string | null {
  switch (op.kind) {
    case "kv": {
      const error = kvError(op.verb, op.entry.key);
      if (error !== null) return error;
      return op.verb === "lock" && view.lockDelayUntilMs(op.entry.key) > nowMs ? `failed to lock key ${JSON.stringify(op.entry.key)} due to lock delay` : null;
    }
    case "node":
      return op.node.node === "" ? "Must provide node" : null;
    case "service":
      return op.service.service === "" ? "Must provide service name with ID" : null;
    default:
      return null;
  }
}

export function txnOutcome(result: ApplyResult): Outcome<TxnOutcome> {
  if (result.kind === "txn") return { ok: true, value: result.outcome };
  return { ok: false, error: result.kind === "error" ? result.text : "unexpected result of a transaction" };
}

export function nilOutcome(result: ApplyResult): Outcome<null> {
  return result.kind === "error" ? { ok: false, error: result.text } : { ok: true, value: null };
}
