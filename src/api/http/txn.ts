/** `PUT /v1/txn` (reference: consul-agent §2.8). */
import type { DirEntry, TxnOp } from "../../wire/fsm-commands.ts";
import type { TxnOutcome, TxnResult } from "../../catalog/types.ts";
import { jsonAnswer, refuse, type Header } from "./answers.ts";
import {
  decodeBody, GO_ANY, GO_BOOL, GO_BYTES, GO_INT, GO_STRING, GO_UINT64, goList, goMap, goStruct, type DecodedStruct,
} from "./go-decode.ts";
import { tooLarge } from "./kv.ts";
import { readOptions } from "./read-options.ts";
import { callOrFail } from "./rpc-plan.ts";
import { checkOf, integer, nodeOf, serviceOf, struct, text } from "./rows-in.ts";
import { checkShape, nodeShape, serviceShape } from "./shapes.ts";
import { datacenterOf, type Parsed } from "./parsed.ts";
import type { Json } from "./json.ts";
import type { HttpAnswer, HttpPlan } from "./types.ts";

/** Operations of one transaction. */
export const TXN_OPS_MAX = 64;

const SERVICE_ADDRESS = goStruct("api.ServiceAddress", { Address: GO_STRING, Port: GO_INT }, true);
const KV = goStruct("api.KVTxnOp", {
  Verb: GO_STRING, Key: GO_STRING, Value: GO_BYTES, Flags: GO_UINT64, Index: GO_UINT64, Session: GO_STRING, Namespace: GO_STRING,
}, true);
const NODE = goStruct("api.Node", {
  ID: GO_STRING, Node: GO_STRING, Address: GO_STRING, Datacenter: GO_STRING, TaggedAddresses: goMap(GO_STRING), Meta: goMap(GO_STRING),
  CreateIndex: GO_UINT64, ModifyIndex: GO_UINT64,
}, true);
const SERVICE = goStruct("api.AgentService", {
  Kind: GO_STRING, ID: GO_STRING, Service: GO_STRING, Tags: goList(GO_STRING), Meta: goMap(GO_STRING), Port: GO_INT, Address: GO_STRING,
  TaggedAddresses: goMap(SERVICE_ADDRESS), Weights: goStruct("api.AgentWeights", { Passing: GO_INT, Warning: GO_INT }, true), EnableTagOverride: GO_BOOL,
  CreateIndex: GO_UINT64, ModifyIndex: GO_UINT64, ContentHash: GO_STRING, Proxy: GO_ANY, Connect: GO_ANY, Namespace: GO_STRING,
}, true);
const CHECK = goStruct("api.HealthCheck", {
  Node: GO_STRING, CheckID: GO_STRING, Name: GO_STRING, Status: GO_STRING, Notes: GO_STRING, Output: GO_STRING, ServiceID: GO_STRING, ServiceName: GO_STRING,
  ServiceTags: goList(GO_STRING), Type: GO_STRING, Namespace: GO_STRING, Definition: goStruct("api.HealthCheckDefinition", {
    HTTP: GO_STRING, Header: GO_ANY, Method: GO_STRING, Body: GO_STRING, TLSSkipVerify: GO_BOOL, TCP: GO_STRING, Interval: GO_STRING, Timeout: GO_STRING,
    DeregisterCriticalServiceAfter: GO_STRING,
  }, true), CreateIndex: GO_UINT64, ModifyIndex: GO_UINT64,
}, true);
const OP = goStruct("api.TxnOp", {
  KV,
  Node: goStruct("api.NodeTxnOp", { Verb: GO_STRING, Node: NODE }, true),
  Service: goStruct("api.ServiceTxnOp", { Verb: GO_STRING, Node: GO_STRING, Service: SERVICE }, true),
  Check: goStruct("api.CheckTxnOp", { Verb: GO_STRING, Check: CHECK }, true),
}, true);
const OPS = goList(OP, "api.TxnOps");

const READ_VERBS: ReadonlySet<string> = new Set(["get", "get-tree", "check-index", "check-session", "check-not-exists"]);
/** Verbs that change something; an unknown one is no write, and is answered without one. */
const KV_WRITE_VERBS: ReadonlySet<string> = new Set(["set", "cas", "lock", "unlock", "delete", "delete-tree", "delete-cas"]);

export function handleTxn(parsed: Parsed): HttpPlan {
  const { body } = parsed.request;
  const limit = parsed.context.txnMaxBytes;
  if (body.length > limit) return tooLarge(body.length, limit, "txn_max_req_len");
  const decoded = decodeBody(body, OPS);
  if (!decoded.ok) return refuse(400, `Failed to parse body: ${decoded.error}`);
  const given = (decoded.value ?? []) as readonly DecodedStruct[];
  if (given.length > TXN_OPS_MAX) return refuse(413, `Transaction contains too many operations (${given.length} > ${TXN_OPS_MAX})`);
  const ops: TxnOp[] = [];
  for (const op of given) {
    const converted = opOf(op, parsed);
    if (typeof converted === "string") return refuse(413, converted);
    if (converted !== null) ops.push(converted);
  }
  return ops.some(writes) ? applyTxn(parsed, ops) : readTxn(parsed, ops);
}

function writes(op: TxnOp): boolean {
  if (op.kind === "kv") return KV_WRITE_VERBS.has(op.verb);
  return "verb" in op && !READ_VERBS.has(op.verb);
}

function applyTxn(parsed: Parsed, ops: readonly TxnOp[]): HttpPlan {
  return callOrFail("Txn.Apply", { datacenter: datacenterOf(parsed), ops, token: "" }, (outcome) => txnAnswer(parsed, outcome, {}, []));
}

function readTxn(parsed: Parsed, ops: readonly TxnOp[]): HttpPlan {
  const read = readOptions(parsed.request, parsed.query);
  if (!read.ok) return refuse(400, read.error);
  return callOrFail("Txn.Read", { datacenter: datacenterOf(parsed), ops, options: read.options }, ({ meta, value }) => {
    const shown = { Index: 0, LastContact: Math.trunc(meta.lastContactMs * 1e6), KnownLeader: meta.knownLeader, ConsistencyLevel: "" };
    const headers: Header[] = [
      ["X-Consul-Knownleader", String(meta.knownLeader)],
      ["X-Consul-Lastcontact", String(Math.trunc(meta.lastContactMs))],
    ];
    return txnAnswer(parsed, value, shown, headers);
  });
}

function txnAnswer(parsed: Parsed, outcome: TxnOutcome, meta: Readonly<Record<string, Json>>, headers: readonly Header[]): HttpAnswer {
  const failed = outcome.errors.length > 0;
  const body = {
    Results: failed ? null : outcome.results.map(resultShape),
    Errors: failed ? outcome.errors.map(({ opIndex, what }) => ({ OpIndex: opIndex, What: what })) : null,
    ...meta,
  };
  return jsonAnswer(body, parsed.pretty, headers, failed ? 409 : 200);

  function resultShape(result: TxnResult): Json {
    switch (result.kind) {
      case "kv":
        return { KV: entryShape(result.entry, parsed.context.toBase64) };
      case "node":
        return { Node: nodeShape(result.node) };
      case "service":
        return { Service: { ...(serviceShape(result.service) as Readonly<Record<string, Json>>), Tags: result.service.tags } };
      case "check":
        return { Check: { ...(checkShape(result.check) as Readonly<Record<string, Json>>), ServiceTags: result.check.serviceTags } };
    }
  }
}

function entryShape(entry: DirEntry, toBase64: (bytes: Uint8Array) => string): Json {
  return {
    LockIndex: entry.lockIndex,
    Key: entry.key,
    Flags: entry.flags,
    Value: entry.value === null || entry.value.length === 0 ? null : toBase64(entry.value),
    Session: entry.session === "" ? undefined : entry.session,
    CreateIndex: entry.createIndex,
    ModifyIndex: entry.modifyIndex,
  };
}

/** An operation; null when it is empty, a text when its value is too large. */
function opOf(op: DecodedStruct, parsed: Parsed): TxnOp | string | null {
  const valueMax = parsed.context.kvMaxValueBytes;
  const kv = struct(op["KV"]);
  if (kv !== null) {
    const entry = entryOf(kv);
    const size = entry.value?.length ?? 0;
    if (size > valueMax) return `Value for key ${JSON.stringify(entry.key)} is too large (${size} > ${valueMax} bytes)`;
    return { kind: "kv", verb: text(kv, "Verb"), entry };
  }
  const node = struct(op["Node"]);
  if (node !== null) return { kind: "node", verb: text(node, "Verb"), node: nodeOf(struct(node["Node"]) ?? {}, datacenterOf(parsed)) };
  const service = struct(op["Service"]);
  if (service !== null) {
    return { kind: "service", verb: text(service, "Verb"), node: text(service, "Node"), service: serviceOf(struct(service["Service"]) ?? {}) };
  }
  const check = struct(op["Check"]);
  if (check !== null) return { kind: "check", verb: text(check, "Verb"), check: checkOf(struct(check["Check"]) ?? {}) };
  return null;
}

function entryOf(kv: DecodedStruct): DirEntry {
  const value = kv["Value"];
  const flags = kv["Flags"];
  return {
    key: text(kv, "Key"),
    value: value instanceof Uint8Array ? value : null,
    flags: typeof flags === "number" || typeof flags === "bigint" ? flags : 0,
    session: text(kv, "Session"),
    lockIndex: 0,
    createIndex: 0,
    modifyIndex: integer(kv, "Index"),
  };
}
