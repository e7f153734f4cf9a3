/**
 * Queries that the nodes ask each other behind the users' backs (reference: serf-protocol §8.10). Names begin with `_serf_`; handlers and
 * streams never see them.
 */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { decodeUtf8 } from "../base/utf8.ts";
import { decodeKeyRequest, encodeConflictMember, encodeKeyResponse } from "../wire/serf-codec.ts";
import { MemberStatusCode, type KeyResponse } from "../wire/serf-messages.ts";
import type { Membership } from "./membership.ts";
import type { AnswerableQuery, QueryResponder } from "./query-responder.ts";
import type { Reporter } from "./reporter.ts";
import type { KeyOperation, PoolEffect } from "./types.ts";

export const INTERNAL_PREFIX = "_serf_";

const KEY_QUERIES: ReadonlyMap<string, KeyOperation> = new Map([
  ["install-key", "install"],
  ["use-key", "use"],
  ["remove-key", "remove"],
  ["list-keys", "list"],
]);

export function keyQueryName(operation: KeyOperation): string {
  return `${INTERNAL_PREFIX}${operation}-key${operation === "list" ? "s" : ""}`;
}

/** Changes of the keyring waiting for the driver; further ones are not answered. */
export const KEYRING_CHANGES_MAX = 64;
/** Shortest base64 key with its length byte: bounds how many keys can fit into a response at all. */
const ENCODED_KEY_BYTES_MIN = 25;

const FAILED: KeyResponse = { result: false, message: "", keys: null, primaryKey: "" };

export interface InternalQueriesConfig {
  readonly name: string;
  readonly encrypted: () => boolean;
  readonly responseSizeMax: number;
}

export class InternalQueries {
  readonly #config: InternalQueriesConfig;
  readonly #membership: Membership;
  readonly #responder: QueryResponder;
  readonly #report: Reporter;
  readonly #changes = new Map<number, { readonly operation: KeyOperation; readonly answerable: AnswerableQuery }>();
  #lastToken = 0;

  constructor(config: InternalQueriesConfig, membership: Membership, responder: QueryResponder, report: Reporter) {
    this.#config = config;
    this.#membership = membership;
    this.#responder = responder;
    this.#report = report;
  }

  /** Handles a query whose name begins with the internal prefix. */
  handle(name: string, payload: Uint8Array | null, answerable: AnswerableQuery, nowMs: number, out: PoolEffect[]): void {
    const command = name.slice(INTERNAL_PREFIX.length);
    if (command === "ping") return; // The ack has been sent already.
    if (command === "conflict") {
      this.#conflict(decodeUtf8(payload ?? EMPTY_BYTES), answerable, nowMs, out);
      return;
    }
    const operation = KEY_QUERIES.get(command);
    if (operation !== undefined) this.#key(operation, payload ?? EMPTY_BYTES, answerable, nowMs, out);
    else this.#report.log("warn", `serf: Unhandled internal query '${name}'`, out);
  }

  /** Says what we know about the bearer of a name. The bearers themselves have no vote. */
  #conflict(node: string, answerable: AnswerableQuery, nowMs: number, out: PoolEffect[]): void {
    if (node === this.#config.name) return;
    if (this.#report.wantsDebug) this.#report.log("debug", `serf: Got conflict resolution query for '${node}'`, out);
    const { table } = this.#membership;
    const row = table.find(node);
    const member = row === undefined ? null : table.member(row);
    const payload = encodeConflictMember(member === null ? null : { ...member, status: MemberStatusCode[member.status] });
    this.#respond(answerable, payload, nowMs, out);
  }

  #key(operation: KeyOperation, payload: Uint8Array, answerable: AnswerableQuery, nowMs: number, out: PoolEffect[]): void {
    this.#report.log("info", `serf: Received ${keyQueryName(operation).slice(INTERNAL_PREFIX.length)} query`, out);
    let key: Uint8Array = EMPTY_BYTES;
    if (operation !== "list") {
      const request = decodeKeyRequest(payload);
      if (!request.ok) {
        this.#report.log("err", `serf: Failed to decode key request: ${request.error}`, out);
        this.#respond(answerable, encodeKeyResponse(FAILED), nowMs, out);
        return;
      }
      key = request.value;
    }
    if (!this.#config.encrypted()) {
      const message = operation === "list" ? "Keyring is empty (encryption not enabled)" : "No keyring to modify (encryption not enabled)";
      this.#report.log("err", `serf: ${message}`, out);
      this.#respond(answerable, encodeKeyResponse({ ...FAILED, message }), nowMs, out);
      return;
    }
    if (this.#changes.size >= KEYRING_CHANGES_MAX) this.#forgetOverdue(nowMs);
    if (this.#changes.size >= KEYRING_CHANGES_MAX) {
      this.#report.count("serf.keyring.refused", out);
      return;
    }
    this.#lastToken += 1;
    this.#changes.set(this.#lastToken, { operation, answerable });
    out.push({ kind: "keyring", token: this.#lastToken, operation, key });
  }

  /** A driver that failed to answer in time cannot be answered for any more. */
  #forgetOverdue(nowMs: number): void {
    for (const [token, { answerable }] of this.#changes) if (nowMs > answerable.deadlineMs) this.#changes.delete(token);
  }

  /** The driver has changed or read the ring everywhere: only now may we say so. */
  keyringDone(token: number, error: string, keys: readonly string[], nowMs: number, out: PoolEffect[]): void {
    const change = this.#changes.get(token);
    if (change === undefined) return;
    this.#changes.delete(token);
    const { operation, answerable } = change;
    if (error !== "") {
      this.#report.log("err", `serf: Failed to ${operation} key: ${error}`, out);
      this.#respond(answerable, encodeKeyResponse({ ...FAILED, message: error }), nowMs, out);
    } else if (operation === "list") this.#respond(answerable, this.#keyList(answerable, keys, out), nowMs, out);
    else this.#respond(answerable, encodeKeyResponse({ ...FAILED, result: true }), nowMs, out);
  }

  /** As many of the keys as fit into one response. */
  #keyList(answerable: AnswerableQuery, keys: readonly string[], out: PoolEffect[]): Uint8Array {
    const primaryKey = keys[0] ?? "";
    const all = encodeKeyResponse({ result: true, message: "", keys, primaryKey });
    if (this.#responder.fits(answerable, all)) return all;
    const most = Math.min(keys.length, Math.floor(this.#config.responseSizeMax / ENCODED_KEY_BYTES_MIN));
    for (let shown = most; shown > 0; shown -= 1) {
      const message = `truncated key list response, showing first ${shown} of ${keys.length} keys`;
      const payload = encodeKeyResponse({ result: true, message, keys: keys.slice(0, shown), primaryKey });
      if (!this.#responder.fits(answerable, payload)) continue;
      this.#report.log("warn", `serf: ${message}`, out);
      return payload;
    }
    return encodeKeyResponse({ ...FAILED, message: "Failed to truncate response so that it fits into message" });
  }

  #respond(answerable: AnswerableQuery, payload: Uint8Array, nowMs: number, out: PoolEffect[]): void {
    const error = this.#responder.respond(answerable, payload, nowMs, out);
    if (error !== "") this.#report.log("err", `serf: Failed to respond to internal query: ${error}`, out);
  }
}
