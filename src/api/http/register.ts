/** `/v1/catalog/register` and `deregister` (reference: consul-agent §2.2). */
import type { RegisterRequest } from "../../wire/fsm-commands.ts";
import { parseDuration } from "../../wire/go-duration.ts";
import { jsonAnswer, refuse } from "./answers.ts";
import { decodeBody, GO_ANY, GO_BOOL, GO_INT, GO_STRING, GO_UINT64, goList, goMap, goStruct, type Decoded, type DecodedStruct } from "./go-decode.ts";
import { checkOf, DEFINITION_DURATIONS, serviceOf, struct, text, textMapOf } from "./rows-in.ts";
import { callOrFail } from "./rpc-plan.ts";
import type { Parsed } from "./parsed.ts";
import type { HttpPlan } from "./types.ts";

export const SERVICE_ADDRESS = goStruct("structs.ServiceAddress", { Address: GO_STRING, Port: GO_INT }, true);
export const WEIGHTS = goStruct("structs.Weights", { Passing: GO_INT, Warning: GO_INT }, true);
export const SERVICE = goStruct("structs.NodeService", {
  Kind: { kind: "string", go: "structs.ServiceKind" }, ID: GO_STRING, Service: GO_STRING, Tags: goList(GO_STRING), Address: GO_STRING, TaggedAddresses: goMap(SERVICE_ADDRESS), Meta: goMap(GO_STRING),
  Port: GO_INT, Weights: WEIGHTS, EnableTagOverride: GO_BOOL, Proxy: GO_ANY, Connect: GO_ANY, CreateIndex: GO_UINT64, ModifyIndex: GO_UINT64,
}, true);
/** Its durations may be texts or ns, and unknown names are ignored. */
const DEFINITION = goStruct("struct { Interval interface {}; Timeout interface {}; DeregisterCriticalServiceAfter interface {}; TTL interface {}; *structs.Alias }", {
  Interval: GO_ANY, Timeout: GO_ANY, DeregisterCriticalServiceAfter: GO_ANY, TTL: GO_ANY, OutputMaxSize: { kind: "uint64", go: "uint" }, HTTP: GO_STRING, TLSSkipVerify: GO_BOOL,
  Header: goMap(goList(GO_STRING)), Method: GO_STRING, Body: GO_STRING, TCP: GO_STRING, ScriptArgs: goList(GO_STRING), DockerContainerID: GO_STRING, Shell: GO_STRING, GRPC: GO_STRING,
  GRPCUseTLS: GO_BOOL, AliasNode: GO_STRING, AliasService: GO_STRING,
}, false);
export const CHECK = goStruct("structs.HealthCheck", {
  Node: GO_STRING, CheckID: { kind: "string", go: "types.CheckID" }, Name: GO_STRING, Status: GO_STRING, Notes: GO_STRING, Output: GO_STRING, ServiceID: GO_STRING, ServiceName: GO_STRING,
  ServiceTags: goList(GO_STRING), Type: GO_STRING, Definition: DEFINITION, CreateIndex: GO_UINT64, ModifyIndex: GO_UINT64,
}, true);
const REGISTER = goStruct("structs.RegisterRequest", {
  Datacenter: GO_STRING, ID: { kind: "string", go: "types.NodeID" }, Node: GO_STRING, Address: GO_STRING, TaggedAddresses: goMap(GO_STRING), NodeMeta: goMap(GO_STRING), Service: SERVICE,
  Check: CHECK, Checks: goList(CHECK, "structs.HealthChecks"), SkipNodeUpdate: GO_BOOL, Token: GO_STRING, CreateIndex: GO_UINT64, ModifyIndex: GO_UINT64,
}, true);
const DEREGISTER = {
  ...goStruct("struct { Address string; *structs.Alias }", {
    Datacenter: GO_STRING, Node: GO_STRING, Address: GO_STRING, ServiceID: GO_STRING, CheckID: { kind: "string", go: "types.CheckID" }, Token: GO_STRING,
  }, true),
  name: "",
} as const;

export const NO_CONNECT = "Connect (Proxy, Connect) is not offered by this version of muster";

export function handleCatalogRegister(parsed: Parsed): HttpPlan {
  const decoded = decodeBody(parsed.request.body, REGISTER);
  if (!decoded.ok) return refuse(400, `Request decode failed: ${decoded.error}`);
  const body = (decoded.value ?? {}) as DecodedStruct;
  const checks = [...((body["Checks"] ?? []) as readonly DecodedStruct[]), ...(body["Check"] === undefined ? [] : [body["Check"] as DecodedStruct])];
  const durationError = checks.map((check) => badDuration(struct(check["Definition"]))).find((error) => error !== null);
  if (durationError !== undefined) return refuse(400, `Request decode failed: ${durationError}`);
  const service = struct(body["Service"]);
  if (service !== null && usesConnect(service)) return refuse(501, NO_CONNECT);
  const args: RegisterRequest = {
    datacenter: text(body, "Datacenter") || parsed.context.datacenter,
    id: text(body, "ID"),
    node: text(body, "Node"),
    address: text(body, "Address"),
    taggedAddresses: textMapOf(body["TaggedAddresses"]),
    nodeMeta: textMapOf(body["NodeMeta"]),
    service: service === null ? null : serviceOf(service),
    check: null,
    checks: checks.length === 0 ? null : checks.map(checkOf),
    skipNodeUpdate: body["SkipNodeUpdate"] === true,
    token: "",
    createIndex: 0,
    modifyIndex: 0,
  };
  return callOrFail("Catalog.Register", args, () => jsonAnswer(true, parsed.pretty));
}

/**
 * Settings of Connect, which is not offered. Empty structs of a proxy, as the original writes them for a service that has none, say nothing; an empty `SidecarService`
 * asks for a sidecar.
 */
export function usesConnect({ Proxy: proxy, Connect: connect }: DecodedStruct): boolean {
  return isSet(proxy) || (connect instanceof Map ? [...connect.values()].some((value) => value instanceof Map || isSet(value)) : isSet(connect));
}

function isSet(value: Decoded | undefined): boolean {
  if (value instanceof Map) return [...value.values()].some(isSet);
  if (Array.isArray(value)) return value.length > 0;
  return value !== undefined && value !== null && value !== "" && value !== 0 && value !== false;
}

export function badDuration(fields: DecodedStruct | null, names: readonly string[] = DEFINITION_DURATIONS): string | null {
  for (const name of names) {
    const value = fields?.[name];
    const parsed = typeof value === "string" ? parseDuration(value) : null;
    if (parsed !== null && !parsed.ok) return parsed.error;
  }
  return null;
}

export function handleCatalogDeregister(parsed: Parsed): HttpPlan {
  const decoded = decodeBody(parsed.request.body, DEREGISTER);
  if (!decoded.ok) return refuse(400, `Request decode failed: ${decoded.error}`);
  const body = (decoded.value ?? {}) as DecodedStruct;
  const args = {
    datacenter: text(body, "Datacenter") || parsed.context.datacenter, node: text(body, "Node"), serviceId: text(body, "ServiceID"), checkId: text(body, "CheckID"), token: "",
  };
  return callOrFail("Catalog.Deregister", args, () => jsonAnswer(true, parsed.pretty));
}
