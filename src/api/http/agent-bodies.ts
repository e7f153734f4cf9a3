/** Definitions of services and checks as clients send them to their agent (reference: consul-agent §2.1). An error says with which status it is answered. */
import { fail, type Result } from "../../base/result.ts";
import type { HealthCheck, NodeService } from "../../wire/fsm-commands.ts";
import { parseDuration } from "../../wire/go-duration.ts";
import type { CheckPlan, LocalCheck } from "./local-agent.ts";
import { decodeBody, GO_ANY, GO_BOOL, GO_INT, GO_STRING, goList, goMap, goStruct, type Decoded, type DecodedStruct, type GoStruct, type GoType } from "./go-decode.ts";
import { badDuration, NO_CONNECT, SERVICE_ADDRESS, usesConnect, WEIGHTS } from "./register.ts";
import { integer, serviceOf, struct, text } from "./rows-in.ts";
import { connectProxyProblem, isAnyAddress } from "../rpc/register.ts";
import { metaProblem, weightsProblem } from "../../catalog/service-rules.ts";

export interface Refused {
  readonly ok: false;
  readonly status: number;
  readonly error: string;
}
export type Body<T> = { readonly ok: true; readonly value: T } | Refused;

function refused(status: number, error: string): Refused {
  return { ok: false, status, error };
}

const DURATIONS = ["Interval", "Timeout", "TTL", "DeregisterCriticalServiceAfter"] as const;
const CHECK_FIELDS: Readonly<Record<string, GoType>> = {
  Name: GO_STRING, Status: GO_STRING, Notes: GO_STRING, ScriptArgs: goList(GO_STRING), HTTP: GO_STRING, Header: goMap(goList(GO_STRING)), Method: GO_STRING, Body: GO_STRING, TCP: GO_STRING,
  Interval: GO_ANY, AliasNode: GO_STRING, AliasService: GO_STRING, DockerContainerID: GO_STRING, Shell: GO_STRING, GRPC: GO_STRING, GRPCUseTLS: GO_BOOL, TLSSkipVerify: GO_BOOL,
  Timeout: GO_ANY, TTL: GO_ANY, SuccessBeforePassing: GO_INT, FailuresBeforeCritical: GO_INT, DeregisterCriticalServiceAfter: GO_ANY, OutputMaxSize: GO_INT,
};
/** Older spellings, and whose place they take. */
const ALIASES: Readonly<Record<string, string>> = {
  args: "ScriptArgs", script_args: "ScriptArgs", alias_node: "AliasNode", alias_service: "AliasService", docker_container_id: "DockerContainerID", grpc_use_tls: "GRPCUseTLS",
  tls_skip_verify: "TLSSkipVerify", success_before_passing: "SuccessBeforePassing", failures_before_critical: "FailuresBeforeCritical",
  deregister_critical_service_after: "DeregisterCriticalServiceAfter", output_max_size: "OutputMaxSize",
};

function withAliases(fields: Readonly<Record<string, GoType>>): Readonly<Record<string, GoType>> {
  return { ...fields, ...Object.fromEntries(Object.entries(ALIASES).map(([alias, name]) => [alias, fields[name] as GoType] as const)) };
}

/** A service in a check of a service is taken and ignored. */
export const CHECK_TYPE: GoStruct = {
  ...goStruct("structs.CheckType", withAliases({ ...CHECK_FIELDS, CheckID: { kind: "string", go: "types.CheckID" }, ServiceID: GO_STRING, service_id: GO_STRING }), true),
  unmarshalsItself: true,
};
const CHECK_DEFINITION: GoStruct = { ...goStruct("structs.CheckDefinition", withAliases({ ...CHECK_FIELDS, ID: { kind: "string", go: "types.CheckID" }, ServiceID: GO_STRING, service_id: GO_STRING, Token: GO_STRING }), true), name: "" };
const SERVICE_DEFINITION: GoStruct = {
  ...goStruct("struct { EnableTagOverrideSnake bool \"json:\\\"enable_tag_override\\\"\"; TaggedAddressesSnake map[string]structs.ServiceAddress \"json:\\\"tagged_addresses\\\"\"; *structs.Alias }", {
    Kind: { kind: "string", go: "structs.ServiceKind" }, ID: GO_STRING, Name: GO_STRING, Tags: goList(GO_STRING), Address: GO_STRING, TaggedAddresses: goMap(SERVICE_ADDRESS),
    Meta: goMap(GO_STRING), Port: GO_INT, Check: CHECK_TYPE, Checks: goList(CHECK_TYPE, "structs.CheckTypes"), Weights: WEIGHTS, Token: GO_STRING, EnableTagOverride: GO_BOOL,
    Proxy: GO_ANY, Connect: GO_ANY, enable_tag_override: GO_BOOL, tagged_addresses: goMap(SERVICE_ADDRESS),
  }, true),
  name: "",
};

/** Old spellings under their proper names; those given properly win. */
function proper(given: DecodedStruct): DecodedStruct {
  const renamed: Record<string, Decoded> = {};
  for (const [alias, name] of Object.entries(ALIASES)) if (given[alias] !== undefined && given[name] === undefined) renamed[name] = given[alias];
  return { ...given, ...renamed };
}

/** The single check of a service may be one that says nothing: then there is none. */
function saysAnything(check: DecodedStruct): boolean {
  return Object.entries(check).some(([name, value]) => {
    if ((DURATIONS as readonly string[]).includes(name)) return ms(check, name) !== 0;
    if (Array.isArray(value)) return value.length > 0;
    return value !== "" && value !== 0 && value !== false && (struct(value) === null || Object.keys(struct(value) ?? {}).length > 0);
  });
}

export interface ServiceBody {
  readonly service: NodeService;
  readonly checks: readonly LocalCheck[];
}

/** In the order in which the original looks. */
export function serviceBody(bytes: Uint8Array, node: string): Body<ServiceBody> {
  const decoded = decodeBody(bytes, SERVICE_DEFINITION);
  if (!decoded.ok) return refused(400, `Request decode failed: ${decoded.error}`);
  const body = (decoded.value ?? {}) as DecodedStruct;
  const one = body["Check"] === undefined ? [] : [proper(body["Check"] as DecodedStruct)];
  const several = ((body["Checks"] ?? []) as readonly DecodedStruct[]).map(proper);
  const given = [...one.filter(saysAnything), ...several];
  const wrongDuration = [...one, ...several].map((check) => badDuration(check, DURATIONS)).find((error) => error !== null);
  if (wrongDuration !== undefined) return refused(400, `Request decode failed: ${wrongDuration}`);
  const name = text(body, "Name");
  if (name === "") return refused(400, "Missing service name");
  if (isAnyAddress(text(body, "Address"))) return refused(400, "Invalid service address");
  const service = serviceOf({ ...body, ID: text(body, "ID") || name, Service: name, EnableTagOverride: body["EnableTagOverride"] === true || body["enable_tag_override"] === true,
    TaggedAddresses: body["TaggedAddresses"] ?? body["tagged_addresses"] });
  const weights = weightsProblem(struct(body["Weights"]) === null ? null : service.weights);
  if (weights !== null) return refused(400, weights);
  const meta = metaProblem(service.meta);
  if (meta !== null) return refused(400, `Invalid Service Meta: ${meta}`);
  const proxyProblem = connectProxyProblem({ kind: service.kind, proxy: body["Proxy"] as NodeService["proxy"], port: service.port });
  if (proxyProblem !== null) return refused(400, proxyProblem);
  for (const check of given) {
    const wrong = checkProblem(check);
    if (wrong !== null) return refused(400, `Invalid check: ${wrong}`);
  }
  if (given.some((check) => !isStatus(text(check, "Status"), true))) return refused(400, "Status for checks must 'passing', 'warning', 'critical'");
  if (usesConnect(body)) return refused(501, NO_CONNECT);
  const checks: LocalCheck[] = [];
  for (const [i, check] of given.entries()) {
    const made = localCheck(check, {
      id: text(check, "CheckID") || (given.length > 1 ? `service:${service.id}:${i + 1}` : `service:${service.id}`), name: text(check, "Name") || `Service '${name}' check`, node, service,
    });
    if (!made.ok) return made;
    checks.push(made.value);
  }
  return { ok: true, value: { service: withTaggedAddresses(service), checks } };
}

/** The addresses that the original adds to a service with an IP address of its own. */
function withTaggedAddresses(service: NodeService): NodeService {
  const family = /^\d+\.\d+\.\d+\.\d+$/.test(service.address) ? "ipv4" : service.address.includes(":") ? "ipv6" : null;
  if (family === null) return service;
  const own = { address: service.address, port: service.port };
  return { ...service, taggedAddresses: new Map([[`lan_${family}`, own], [`wan_${family}`, own], ...(service.taggedAddresses ?? [])]) };
}

export function checkBody(bytes: Uint8Array, node: string): Body<LocalCheck> {
  const decoded = decodeBody(bytes, CHECK_DEFINITION);
  if (!decoded.ok) return refused(400, `Request decode failed: ${decoded.error}`);
  const check = proper((decoded.value ?? {}) as DecodedStruct);
  const wrongDuration = badDuration(check, DURATIONS);
  if (wrongDuration !== null) return refused(400, `Request decode failed: ${wrongDuration}`);
  const name = text(check, "Name");
  if (name === "") return refused(400, "Missing check name");
  if (!isStatus(text(check, "Status"), true)) return refused(400, "Bad check status");
  const problem = checkProblem(check);
  if (problem !== null) return refused(400, `Invalid check: ${problem}`);
  const serviceId = text(check, "ServiceID") || text(check, "service_id");
  const made = localCheck(check, { id: text(check, "ID") || name, name, node, service: null });
  return made.ok && serviceId !== "" ? { ok: true, value: { ...made.value, check: { ...made.value.check, serviceId } } } : made;
}

export function isStatus(status: string, orNone: boolean): boolean {
  return status === "passing" || status === "warning" || status === "critical" || (orNone && status === "");
}

/** ns as numbers, texts as Go's durations; both were checked. */
function ms(check: DecodedStruct, name: string): number {
  const value = check[name];
  if (typeof value === "number" || typeof value === "bigint") return Number(value) / 1e6;
  const parsed = typeof value === "string" && value !== "" ? parseDuration(value) : null;
  return parsed !== null && parsed.ok ? parsed.value : 0;
}

function isScript(check: DecodedStruct): boolean {
  return ((check["ScriptArgs"] ?? []) as readonly unknown[]).length > 0;
}

function checkProblem(check: DecodedStruct): string | null {
  const repeated = isScript(check) || ["HTTP", "TCP", "GRPC"].some((name) => text(check, name) !== "");
  const alias = text(check, "AliasNode") !== "" || text(check, "AliasService") !== "";
  const [interval, ttl] = [ms(check, "Interval"), ms(check, "TTL")];
  if (interval > 0 && ttl > 0) return "Interval and TTL cannot both be specified";
  if (repeated && interval <= 0) return "Interval must be > 0 for Script, HTTP, or TCP checks";
  if (repeated && alias) return "Interval cannot be set for Alias checks";
  if (alias && ttl > 0) return "TTL must be not be set for Alias checks";
  if (!repeated && !alias && ttl <= 0) return "TTL must be > 0 for TTL checks";
  return integer(check, "OutputMaxSize") < 0 ? "MaxOutputMaxSize must be positive" : null;
}

/** Results of a probe wait at least so long for the next, and no output is longer. */
const INTERVAL_MIN_MS = 1000;
const TIMEOUT_MS = 10_000;
const OUTPUT_BYTES_MAX = 4096;
const DEREGISTER_MIN_MS = 60_000;

interface Identity {
  readonly id: string;
  readonly name: string;
  readonly node: string;
  readonly service: NodeService | null;
}

/** What an agent of `node` is to do for a check, or why it will not. */
function planOf(given: DecodedStruct, node: string): Body<CheckPlan> {
  if (isScript(given)) return refused(500, "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true");
  const kind = kindOf(given);
  if (kind === null) return refused(501, "gRPC checks are not offered by this version of muster");
  const aliasNode = text(given, "AliasNode");
  if (aliasNode !== "" && aliasNode !== node) return refused(501, "aliases of other nodes are not offered by this version of muster");
  const deregister = ms(given, "DeregisterCriticalServiceAfter");
  const plan: CheckPlan = {
    kind, ttlMs: ms(given, "TTL"), intervalMs: Math.max(INTERVAL_MIN_MS, ms(given, "Interval")), timeoutMs: ms(given, "Timeout") || TIMEOUT_MS, url: text(given, "HTTP"),
    method: text(given, "Method") || "GET", headers: headersOf(given["Header"]), body: text(given, "Body"), tlsSkipVerify: given["TLSSkipVerify"] === true, tcp: text(given, "TCP"),
    aliasService: text(given, "AliasService"), outputBytesMax: Math.min(OUTPUT_BYTES_MAX, integer(given, "OutputMaxSize") || OUTPUT_BYTES_MAX),
    successBeforePassing: integer(given, "SuccessBeforePassing"), failuresBeforeCritical: integer(given, "FailuresBeforeCritical"),
    deregisterAfterMs: deregister > 0 ? Math.max(DEREGISTER_MIN_MS, deregister) : 0,
  };
  return { ok: true, value: plan };
}

function localCheck(given: DecodedStruct, { id, name, node, service }: Identity): Body<LocalCheck> {
  const plan = planOf(given, node);
  if (!plan.ok) return plan;
  const check: HealthCheck = {
    node, checkId: id, name, status: text(given, "Status") || "critical", notes: text(given, "Notes"), output: "", serviceId: service?.id ?? "", serviceName: service?.service ?? "",
    serviceTags: service?.tags ?? null, type: plan.value.kind, definition: undefined, createIndex: 0, modifyIndex: 0,
  };
  return { ok: true, value: { check, plan: plan.value } };
}

/** The plan of a check that was registered before; an error for one that is not offered. */
export function keptPlan(type: DecodedStruct, node: string): Result<CheckPlan> {
  const given = proper(type);
  const wrong = badDuration(given, DURATIONS) ?? checkProblem(given);
  if (wrong !== null) return fail(wrong);
  return planOf(given, node);
}

/** Null for what is not offered. HTTP wins over TCP, as with the original. */
function kindOf(given: DecodedStruct): Exclude<CheckPlan["kind"], "none"> | null {
  if (text(given, "GRPC") !== "") return null;
  if (text(given, "HTTP") !== "") return "http";
  if (text(given, "TCP") !== "") return "tcp";
  return ms(given, "TTL") > 0 ? "ttl" : "alias";
}

function headersOf(value: Decoded | undefined): ReadonlyMap<string, readonly string[]> {
  return new Map(Object.entries(struct(value) ?? {}) as [string, readonly string[]][]);
}
