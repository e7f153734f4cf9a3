/** `/v1/kv/<key>` (reference: consul-agent §2.4). */
import type { Rows } from "../../catalog/types.ts";
import type { DirEntry, KvOp, Wide } from "../../wire/fsm-commands.ts";
import { jsonAnswer, rawJsonAnswer, refuse, textAnswer, VARY, type Header } from "./answers.ts";
import { jsonString } from "./json.ts";
import { listBody } from "./long-body.ts";
import { isUint64, metaHeaders, readOptions } from "./read-options.ts";
import { callOrFail, callServer, failure } from "./rpc-plan.ts";
import type { Outcome } from "../rpc/types.ts";
import { datacenterOf, type Parsed } from "./parsed.ts";
import type { HttpAnswer, HttpPlan } from "./types.ts";

export function handleKv(parsed: Parsed): HttpPlan {
  switch (parsed.request.method) {
    case "GET":
      return parsed.query.has("keys") ? listKeys(parsed) : get(parsed);
    case "PUT":
      return put(parsed);
    default:
      return remove(parsed);
  }
}

function get(parsed: Parsed): HttpPlan {
  const read = readOptions(parsed.request, parsed.query);
  if (!read.ok) return refuse(400, read.error);
  const recurse = parsed.query.has("recurse");
  if (!recurse && parsed.rest === "") return refuse(400, "Missing key name");
  const args = { datacenter: datacenterOf(parsed), key: parsed.rest, options: read.options };
  return callOrFail(recurse ? "KVS.List" : "KVS.Get", args, ({ meta, value: entries }) => {
    const headers = metaHeaders(meta);
    if (entries.length === 0) return { status: 404, headers: [VARY, ...headers], body: "" };
    if (!recurse && parsed.query.has("raw")) return rawValue(firstOf(entries), headers);
    return entriesAnswer(entries, parsed, headers);
  });
}

/** The value alone. Nothing in it may run in a browser that was led here (CVE-2020-25864). */
function rawValue(entry: DirEntry, headers: readonly Header[]): HttpAnswer {
  const body = entry.value ?? "";
  const fixed: Header[] = [
    ["Content-Length", String(body.length)], ["Content-Security-Policy", "sandbox"], ["Content-Type", "text/plain"], VARY, ...headers,
    ["X-Content-Type-Options", "nosniff"],
  ];
  return { status: 200, headers: fixed, body };
}

function entriesAnswer(entries: Rows<DirEntry>, parsed: Parsed, headers: readonly Header[]): HttpAnswer {
  const { toBase64 } = parsed.context;
  const write = parsed.pretty ? prettyEntry : compactEntry;
  const whole = (entry: DirEntry): string => write(entry, entry.value === null || entry.value.length === 0 ? "null" : `"${toBase64(entry.value)}"`);
  return listAnswer(entries, whole, parsed.pretty, headers);
}

function firstOf<T>(rows: Rows<T>): T {
  for (const row of rows) return row;
  throw new Error("no row");
}

function listAnswer<T>(items: Rows<T>, write: (item: T) => string, pretty: boolean, headers: readonly Header[]): HttpAnswer {
  // The hottest answer there is.
  if (items.length === 1) {
    const item = write(firstOf(items));
    return rawJsonAnswer(pretty ? `[\n    ${item}\n]\n` : `[${item}]`, headers);
  }
  const { body, more } = pretty ? listBody(items, write, "[\n    ", ",\n    ", "\n]\n") : listBody(items, write, "[", ",", "]");
  const answer = rawJsonAnswer(body, headers);
  return more === null ? answer : { ...answer, more };
}

/** Written out, since so many are asked for. */
function compactEntry(entry: DirEntry, value: string): string {
  const session = entry.session === "" ? "" : `"Session":${jsonString(entry.session)},`;
  return `{"LockIndex":${entry.lockIndex},"Key":${jsonString(entry.key)},"Flags":${entry.flags},"Value":${value},${session}"CreateIndex":${entry.createIndex},"ModifyIndex":${entry.modifyIndex}}`;
}

function prettyEntry(entry: DirEntry, value: string): string {
  const fields = [`"LockIndex": ${entry.lockIndex}`, `"Key": ${jsonString(entry.key)}`, `"Flags": ${entry.flags}`, `"Value": ${value}`];
  if (entry.session !== "") fields.push(`"Session": ${jsonString(entry.session)}`);
  fields.push(`"CreateIndex": ${entry.createIndex}`, `"ModifyIndex": ${entry.modifyIndex}`);
  return `{\n        ${fields.join(",\n        ")}\n    }`;
}

function listKeys(parsed: Parsed): HttpPlan {
  const read = readOptions(parsed.request, parsed.query);
  if (!read.ok) return refuse(400, read.error);
  // The misspelling came first and is still sent.
  const separator = parsed.query.get("separator") || parsed.query.get("seperator");
  const args = { datacenter: datacenterOf(parsed), prefix: parsed.rest, separator, options: read.options };
  return callOrFail("KVS.ListKeys", args, ({ meta, value: keys }) => {
    const headers = metaHeaders(meta);
    if (keys.length === 0 && parsed.rest !== "") return { status: 404, headers: [VARY, ...headers], body: "" };
    return keys.length === 0 ? jsonAnswer([], parsed.pretty, headers) : listAnswer(keys, jsonString, parsed.pretty, headers);
  });
}

/** What stands in the query beside the key; at most one of these may. */
const EXCLUSIVE = ["cas", "acquire", "release"] as const;

function conflicting(parsed: Parsed, names: readonly string[]): HttpPlan | null {
  if (parsed.query.isEmpty || names.filter((name) => parsed.query.has(name)).length < 2) return null;
  return refuse(400, `Conflicting flags: ${parsed.query.encode()}`);
}

function put(parsed: Parsed): HttpPlan {
  if (parsed.rest === "") return refuse(400, "Missing key name");
  const { query } = parsed;
  if (!query.isEmpty) return putAsAsked(parsed);
  return set(parsed, "set", 0, 0, "");
}

function putAsAsked(parsed: Parsed): HttpPlan {
  const conflict = conflicting(parsed, EXCLUSIVE);
  if (conflict !== null) return conflict;
  const { query } = parsed;
  let flags: Wide = 0;
  if (query.has("flags")) {
    const parsedFlags = parseUint(query.get("flags"));
    if (typeof parsedFlags === "string") return refuse(500, parsedFlags);
    flags = parsedFlags;
  }
  if (query.has("cas")) {
    const index = parseUint(query.get("cas"));
    if (typeof index === "string") return refuse(500, index);
    return set(parsed, "cas", flags, Math.min(Number(index), Number.MAX_SAFE_INTEGER), "");
  }
  if (query.has("acquire")) return set(parsed, "lock", flags, 0, query.get("acquire"));
  if (query.has("release")) return set(parsed, "unlock", flags, 0, query.get("release"));
  return set(parsed, "set", flags, 0, "");
}

function set(parsed: Parsed, op: KvOp, flags: Wide, modifyIndex: number, session: string): HttpPlan {
  const { body } = parsed.request;
  const limit = parsed.context.kvMaxValueBytes;
  if (body.length > limit) return tooLarge(body.length, limit, "kv_max_value_size");
  return apply(parsed, op, { key: parsed.rest, value: body, flags, session, lockIndex: 0, createIndex: 0, modifyIndex });
}

export function tooLarge(size: number, limit: number, option: string): HttpPlan {
  const text = `Request body(${size} bytes) too large, max size: ${limit} bytes. See https://www.consul.io/docs/agent/options.html#${option}.`;
  return { kind: "answer", answer: { ...textAnswer(413, text), close: true } };
}

function remove(parsed: Parsed): HttpPlan {
  const { query } = parsed;
  const recurse = query.has("recurse");
  if (!recurse && parsed.rest === "") return refuse(400, "Missing key name");
  const conflict = conflicting(parsed, ["recurse", "cas"]);
  if (conflict !== null) return conflict;
  let modifyIndex = 0;
  if (query.has("cas")) {
    const index = parseUint(query.get("cas"));
    if (typeof index === "string") return refuse(500, index);
    modifyIndex = Math.min(Number(index), Number.MAX_SAFE_INTEGER);
  }
  const op = recurse ? "delete-tree" : query.has("cas") ? "delete-cas" : "delete";
  return apply(parsed, op, { key: parsed.rest, value: null, flags: 0, session: "", lockIndex: 0, createIndex: 0, modifyIndex });
}

function apply(parsed: Parsed, op: KvOp, entry: DirEntry): HttpPlan {
  const answers = parsed.pretty ? PRETTY : COMPACT;
  const answer = UNCONDITIONAL.has(op) ? answers.done : answers.verdict;
  return callServer("KVS.Apply", { datacenter: datacenterOf(parsed), op, entry, token: "" }, answer);
}

/** Made once: there are only so many answers to a write. */
interface WriteAnswers {
  /** The state machine says nothing about unconditional writes: they are done. */
  readonly done: (outcome: Outcome<boolean>) => HttpAnswer;
  readonly verdict: (outcome: Outcome<boolean>) => HttpAnswer;
}

function writeAnswers(pretty: boolean): WriteAnswers {
  const [yes, no] = [jsonAnswer(true, pretty), jsonAnswer(false, pretty)];
  return {
    done: (outcome) => (outcome.ok ? yes : failure(outcome.error)),
    verdict: (outcome) => (outcome.ok ? (outcome.value ? yes : no) : failure(outcome.error)),
  };
}

const COMPACT = writeAnswers(false);
const PRETTY = writeAnswers(true);

/** `strconv.ParseUint(text, 10, 64)`, or its error. */
export function parseUint(text: string): Wide | string {
  if (!/^\d+$/.test(text)) return `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`;
  if (!isUint64(text)) return `strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range`;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

const UNCONDITIONAL: ReadonlySet<KvOp> = new Set<KvOp>(["set", "delete", "delete-tree"]);
