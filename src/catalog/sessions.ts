/** Sessions: creation with its checks, and the ways they end (agent reference §2.5). */
import { goQuote } from "../base/go-quote.ts";
import type { Session } from "../wire/fsm-commands.ts";
import type { KvWriter } from "./kv.ts";
import { lockDelayMs, type LockDelays } from "./lock-delays.ts";
import type { OpaqueTables } from "./opaque-tables.ts";
import { nameKey } from "./order-key.ts";
import type { Tables } from "./tables.ts";
import { uuidKey, uuidProblem } from "./uuid.ts";
import { sessionGroup, tableGroup, type Watches } from "./watches.ts";

const SESSIONS_GROUP = tableGroup("sessions");

/** All check ids a session depends on. */
export function checkIdsOf(session: Session): string[] {
  return [...(session.checks ?? []), ...(session.nodeChecks ?? []), ...(session.serviceChecks ?? []).map(({ id }) => id)];
}

export class SessionWriter {
  readonly #tables: Tables;
  readonly #watches: Watches;
  readonly #kv: KvWriter;
  readonly #opaque: OpaqueTables;
  readonly #delays: LockDelays;

  constructor(tables: Tables, watches: Watches, kv: KvWriter, opaque: OpaqueTables, delays: LockDelays) {
    this.#tables = tables;
    this.#watches = watches;
    this.#kv = kv;
    this.#opaque = opaque;
    this.#delays = delays;
  }

  /** Null when it was created, else the error. */
  create(given: Session, index: number): string | null {
    const problem = this.#problemOf(given);
    if (problem !== null) return problem;
    this.insert({ ...given, behavior: given.behavior === "" ? "release" : given.behavior, createIndex: index, modifyIndex: index });
    this.#changed(given.id, index);
    return null;
  }

  #problemOf(session: Session): string | null {
    if (session.id === "") return "Missing session ID";
    if (session.behavior !== "" && session.behavior !== "release" && session.behavior !== "delete") return `Invalid session behavior: ${session.behavior}`;
    const { nodes, checks } = this.#tables.maps;
    const node = nameKey(session.node);
    if (!nodes.has(node)) return "Missing node registration";
    for (const id of checkIdsOf(session)) {
      const check = checks.get(`${node}\0${nameKey(id)}`);
      if (check === undefined) return `Missing check '${id}' registration`;
      if (check.status === "critical") return `Check '${id}' is in critical state`;
    }
    const malformed = uuidProblem(session.id);
    return malformed === null ? null : `failed inserting session: ${malformed}`;
  }

  /** Puts a session as it is into the tables: also for restores. */
  insert(session: Session): void {
    const { sessions, sessionsByNode, sessionChecks } = this.#tables.maps;
    const id = uuidKey(session.id);
    const node = nameKey(session.node);
    // The leader takes a fresh id each time. Were one repeated, nothing of the old session may be left beside the tables: no snapshot would hold it.
    this.#remove(id);
    sessions.set(id, session);
    sessionsByNode.set(`${node}\0${id}`, session);
    for (const check of checkIdsOf(session)) sessionChecks.set(`${node}\0${nameKey(check)}\0${id}`, session.id);
  }

  #remove(key: string): void {
    const { sessions, sessionsByNode, sessionChecks } = this.#tables.maps;
    const session = sessions.get(key);
    if (session === undefined) return;
    sessions.delete(key);
    const node = nameKey(session.node);
    sessionsByNode.delete(`${node}\0${key}`);
    for (const check of checkIdsOf(session)) sessionChecks.delete(`${node}\0${nameKey(check)}\0${key}`);
  }

  #changed(id: string, index: number): void {
    this.#tables.setIndex("sessions", index);
    this.#watches.groupChanged(SESSIONS_GROUP);
    this.#watches.groupChanged(sessionGroup(id));
  }

  /** Ends a session; one that is not there is no failure. `nowMs` starts its lock delays. Null, or the error. */
  destroy(id: string, index: number, nowMs: number): string | null {
    const malformed = uuidProblem(id);
    if (malformed !== null) return `failed session lookup: ${malformed}`;
    const { sessions, locksBySession } = this.#tables.maps;
    const key = uuidKey(id);
    const session = sessions.get(key);
    if (session === undefined) return null;
    if (session.behavior !== "release" && session.behavior !== "delete") return `unknown session behavior ${goQuote(session.behavior)}`;
    this.#remove(key);
    this.#changed(id, index);
    const delay = lockDelayMs(session.lockDelay);
    for (const lock of [...locksBySession.values(`${key}\0`)]) {
      this.#kv.releaseLock(lock.key, session.behavior, index);
      if (delay > 0) this.#delays.set(lock.key, nowMs + delay);
    }
    this.#opaque.sessionEnded(session.id, index);
    return null;
  }

  /** Ends all sessions of a node. */
  destroyOfNode(node: string, index: number, nowMs: number): void {
    for (const { id } of [...this.#tables.maps.sessionsByNode.values(`${nameKey(node)}\0`)]) this.destroy(id, index, nowMs);
  }

  /** Ends all sessions that depend on a check. */
  destroyOfCheck(node: string, checkId: string, index: number, nowMs: number): void {
    for (const id of [...this.#tables.maps.sessionChecks.values(`${nameKey(node)}\0${nameKey(checkId)}\0`)]) this.destroy(id, index, nowMs);
  }
}
