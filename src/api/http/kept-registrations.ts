/**
 * Services and checks as agents keep them over a restart, a file each: the original's JSON (1.8.7; reference: consul-agent §5.2), so that either program takes up what
 * clients have registered at the other.
 */
import { fail, ok, type Result } from "../../base/result.ts";
import type { NodeService } from "../../wire/fsm-commands.ts";
import { CHECK_TYPE, keptPlan } from "./agent-bodies.ts";
import { decodeBody, GO_BOOL, GO_STRING, goStruct, type DecodedStruct, type GoStruct } from "./go-decode.ts";
import { writeJson, type Json } from "./json.ts";
import { NO_PLAN, type CheckPlan, type LocalCheck } from "./local-agent.ts";
import { CHECK, NO_CONNECT, SERVICE, usesConnect } from "./register.ts";
import { checkOf, serviceOf, struct, text } from "./rows-in.ts";
import { checkShape, serviceShape } from "./shapes.ts";

/** Later releases know more fields. */
function lenient(type: GoStruct): GoStruct {
  return { ...type, strict: false };
}

const KEPT_SERVICE = goStruct("agent.persistedService", { Token: GO_STRING, Service: lenient(SERVICE), Source: GO_STRING, LocallyRegisteredAsSidecar: GO_BOOL }, false);
const KEPT_CHECK = goStruct("agent.persistedCheck", { Check: lenient(CHECK), ChkType: lenient(CHECK_TYPE), Token: GO_STRING, Source: GO_STRING }, false);

/** Registered by a client, or by the agent itself: maintenance. */
const REMOTE = "remote";
const LOCAL = "local";

export function serviceFile(service: NodeService): string {
  const shown = serviceShape({ ...service, createIndex: 0, modifyIndex: 0 }) as Readonly<Record<string, Json>>;
  return writeJson({ Token: "", Service: { ...shown, Tags: service.tags }, Source: REMOTE }, false);
}

/** The service of a file, or why it is none that this agent could have. */
export function serviceOfFile(bytes: Uint8Array): Result<NodeService> {
  const decoded = decodeBody(bytes, KEPT_SERVICE);
  if (!decoded.ok) return decoded;
  const given = struct(struct(decoded.value)?.["Service"]);
  if (given === null || text(given, "ID") === "" || text(given, "Service") === "") return fail("no service");
  if (usesConnect(given)) return fail(NO_CONNECT);
  return ok({ ...serviceOf(given), createIndex: 0, modifyIndex: 0 });
}

export function checkFile({ check, plan }: LocalCheck): string {
  const shown = checkShape({ ...check, createIndex: 0, modifyIndex: 0 }) as Readonly<Record<string, Json>>;
  const isOurs = plan.kind === "none";
  return writeJson({ Check: { ...shown, ServiceTags: check.serviceTags }, ChkType: isOurs ? null : typeShape(plan, check.checkId, check.name, check.notes), Token: "", Source: isOurs ? LOCAL : REMOTE }, false);
}

/** Struct CheckType, with nothing left out; durations in ns. The original refuses a TTL check that has an interval. */
function typeShape(plan: CheckPlan, id: string, name: string, notes: string): Json {
  const looks = plan.kind === "http" || plan.kind === "tcp";
  return {
    CheckID: id, Name: name, Status: "", Notes: notes, ScriptArgs: null, HTTP: plan.url, Header: plan.headers.size === 0 ? null : plan.headers, Method: looks ? plan.method : "", Body: plan.body, TCP: plan.tcp,
    Interval: looks ? nanoseconds(plan.intervalMs) : 0, AliasNode: "", AliasService: plan.aliasService, DockerContainerID: "", Shell: "", GRPC: "", GRPCUseTLS: false, TLSSkipVerify: plan.tlsSkipVerify,
    Timeout: looks ? nanoseconds(plan.timeoutMs) : 0, TTL: nanoseconds(plan.ttlMs), SuccessBeforePassing: plan.successBeforePassing, FailuresBeforeCritical: plan.failuresBeforeCritical,
    ProxyHTTP: "", ProxyGRPC: "", DeregisterCriticalServiceAfter: nanoseconds(plan.deregisterAfterMs), OutputMaxSize: plan.outputBytesMax,
  };
}

function nanoseconds(ms: number): number {
  return Math.round(ms * 1e6);
}

/** The check of a file, as one of `node`, or why it is none that this agent could have. Critical, whatever it was: nobody knows what happened since. */
export function checkOfFile(bytes: Uint8Array, node: string): Result<LocalCheck> {
  const decoded = decodeBody(bytes, KEPT_CHECK);
  if (!decoded.ok) return decoded;
  const file = (decoded.value ?? {}) as DecodedStruct;
  const given = struct(file["Check"]);
  if (given === null || text(given, "CheckID") === "") return fail("no check");
  const type = struct(file["ChkType"]);
  const plan = type === null ? ok(NO_PLAN) : keptPlan(type, node);
  if (!plan.ok) return plan;
  return ok({ plan: plan.value, check: { ...checkOf(given), node, status: "critical", output: "", definition: undefined, createIndex: 0, modifyIndex: 0 } });
}
