/** `/v1/session` (reference: consul-agent §2.5). */
import { ok, type Result } from "../../base/result.ts";
import type { Session, ServiceCheckRef } from "../../wire/fsm-commands.ts";
import { parseDuration } from "../../wire/go-duration.ts";
import { jsonAnswer, refuse, textAnswer } from "./answers.ts";
import { decodeBody, GO_ANY, GO_STRING, GO_UINT64, goList, goStruct, type Decoded, type DecodedStruct } from "./go-decode.ts";
import { FAILED_META, metaHeaders, readOptions } from "./read-options.ts";
import { callOrFail, callServer } from "./rpc-plan.ts";
import { datacenterOf, type Parsed } from "./parsed.ts";
import { sessionShape } from "./shapes.ts";
import type { HttpAnswer, HttpPlan } from "./types.ts";
import type { Outcome, Queried } from "../rpc/types.ts";

const SERVICE_CHECK = goStruct("structs.ServiceCheck", { ID: GO_STRING, Namespace: GO_STRING }, false);

/** Unknown fields are ignored here, unlike anywhere else. */
const SESSION_BODY = {
  ...goStruct("struct { LockDelay interface {}; *structs.Alias }", {
    LockDelay: GO_ANY, ID: GO_STRING, Name: GO_STRING, Node: GO_STRING, Behavior: { kind: "string", go: "structs.SessionBehavior" }, TTL: GO_STRING,
    NodeChecks: goList(GO_STRING), ServiceChecks: goList(SERVICE_CHECK), Checks: goList({ kind: "string", go: "types.CheckID" }),
    CreateIndex: GO_UINT64, ModifyIndex: GO_UINT64,
  }, false),
  name: "",
} as const;

const SERF_HEALTH = "serfHealth";
const LOCK_DELAY_NS = 15_000_000_000;
/** Numbers below this are seconds, others nanoseconds. */
const LOCK_DELAY_SECONDS_BELOW = 1000n;

export function handleSessionCreate(parsed: Parsed): HttpPlan {
  const session = sessionOf(parsed);
  if (!session.ok) return refuse(400, `Request decode failed: ${session.error}`);
  const args = { datacenter: datacenterOf(parsed), op: "create" as const, session: session.value, token: "" };
  return callOrFail("Session.Apply", args, (id) => jsonAnswer({ ID: id }, parsed.pretty));
}

function sessionOf(parsed: Parsed): Result<Session> {
  const defaults: Session = {
    id: "", name: "", node: parsed.context.nodeName, lockDelay: LOCK_DELAY_NS, behavior: "release", ttl: "", nodeChecks: [SERF_HEALTH],
    serviceChecks: null, checks: null, createIndex: 0, modifyIndex: 0,
  };
  if (parsed.request.body.length === 0) return ok(defaults);
  const decoded = decodeBody(parsed.request.body, SESSION_BODY);
  if (!decoded.ok) return decoded;
  const body = (decoded.value ?? {}) as DecodedStruct;
  const delay = lockDelayNs(body["LockDelay"]);
  if (!delay.ok) return delay;
  return ok({
    ...defaults,
    name: text(body, "Name", ""),
    node: text(body, "Node", defaults.node),
    behavior: text(body, "Behavior", defaults.behavior),
    ttl: text(body, "TTL", ""),
    lockDelay: delay.value,
    // `Checks` is the old name, and wins.
    nodeChecks: (body["Checks"] as readonly string[] | null | undefined) ?? ("NodeChecks" in body ? (body["NodeChecks"] as readonly string[] | null) : defaults.nodeChecks),
    serviceChecks: (body["ServiceChecks"] as readonly DecodedStruct[] | null | undefined)?.map(serviceCheck) ?? null,
  });
}

function text(body: DecodedStruct, name: string, otherwise: string): string {
  const value = body[name];
  return typeof value === "string" ? value : otherwise;
}

function serviceCheck(body: DecodedStruct): ServiceCheckRef {
  return { id: text(body, "ID", ""), namespace: text(body, "Namespace", "") };
}

const NS_PER_SECOND = 1_000_000_000n;

/** What is below 1000, as a number or as a text of so few ns, counts as seconds. What is neither a number nor a text counts as 0. */
function lockDelayNs(value: Decoded | undefined): Result<number> {
  if (value === undefined) return ok(LOCK_DELAY_NS);
  let delay = 0n;
  if (typeof value === "string") {
    const parsed = parseDuration(value);
    if (!parsed.ok) return parsed;
    delay = BigInt(Math.round(parsed.value * 1e6));
  } else if (typeof value === "number" || typeof value === "bigint") delay = BigInt(Math.trunc(Number(value)));
  return ok(Number(BigInt.asIntN(64, delay < LOCK_DELAY_SECONDS_BELOW ? delay * NS_PER_SECOND : delay)));
}

export function handleSessionDestroy(parsed: Parsed): HttpPlan {
  if (parsed.rest === "") return refuse(400, "Missing session");
  const session: Session = {
    id: parsed.rest, name: "", node: "", lockDelay: 0, behavior: "", ttl: "", nodeChecks: null, serviceChecks: null, checks: null, createIndex: 0, modifyIndex: 0,
  };
  return callOrFail("Session.Apply", { datacenter: datacenterOf(parsed), op: "destroy", session, token: "" }, () => jsonAnswer(true, parsed.pretty));
}

export function handleSessionRenew(parsed: Parsed): HttpPlan {
  if (parsed.rest === "") return refuse(400, "Missing session");
  const read = readOptions(parsed.request, parsed.query);
  if (!read.ok) return refuse(400, read.error);
  const args = { datacenter: datacenterOf(parsed), sessionId: parsed.rest, options: read.options };
  return callOrFail("Session.Renew", args, ({ value: sessions }) => {
    if (sessions.length === 0) return textAnswer(404, `Session id '${parsed.rest}' not found`);
    return jsonAnswer(sessions.map(sessionShape), parsed.pretty);
  });
}

export function handleSessionInfo(parsed: Parsed): HttpPlan {
  const read = readOptions(parsed.request, parsed.query);
  if (!read.ok) return refuse(400, read.error);
  if (parsed.rest === "") return refuse(400, "Missing session");
  return callServer("Session.Get", { datacenter: datacenterOf(parsed), sessionId: parsed.rest, options: read.options }, (outcome) => listAnswer(parsed, outcome));
}

export function handleSessionList(parsed: Parsed): HttpPlan {
  const read = readOptions(parsed.request, parsed.query);
  if (!read.ok) return refuse(400, read.error);
  return callServer("Session.List", { datacenter: datacenterOf(parsed), sessionId: "", options: read.options }, (outcome) => listAnswer(parsed, outcome));
}

export function handleSessionNode(parsed: Parsed): HttpPlan {
  const read = readOptions(parsed.request, parsed.query);
  if (!read.ok) return refuse(400, read.error);
  if (parsed.rest === "") return refuse(400, "Missing node name");
  return callServer("Session.NodeSessions", { datacenter: datacenterOf(parsed), node: parsed.rest, options: read.options }, (outcome) => listAnswer(parsed, outcome));
}

/** Reads of sessions carry their meta headers even when they fail. */
function listAnswer(parsed: Parsed, outcome: Outcome<Queried<readonly Session[]>>): HttpAnswer {
  if (!outcome.ok) return textAnswer(500, outcome.error, metaHeaders(FAILED_META));
  return jsonAnswer(outcome.value.value.map(sessionShape), parsed.pretty, metaHeaders(outcome.value.meta));
}
