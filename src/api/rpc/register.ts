/** Registrations: what the leader checks and fills in before it appends them (reference: consul-agent §2.2). */
import type { DeregisterRequest, HealthCheck, NodeService, RegisterRequest } from "../../wire/fsm-commands.ts";
import type { MsgpackValue } from "../../wire/msgpack.ts";
import { refused, type Prepared } from "./writes.ts";

export function prepareRegister(request: RegisterRequest): Prepared<RegisterRequest, null> {
  if (request.node === "") return refused("Must provide node");
  if (request.address === "" && !request.skipNodeUpdate) return refused("Must provide address if SkipNodeUpdate is not set");
  const idError = request.id === "" ? null : nodeIdError(request.id);
  if (idError !== null) return refused(`Bad node ID: ${idError}`);
  const service = request.service;
  const serviceError = service === null ? null : serviceProblem(service);
  if (serviceError !== null) return refused(serviceError);
  const checks = [...(request.checks ?? []), ...(request.check === null ? [] : [request.check])].map((check) => filledIn(check, request.node));
  if (checks.some(({ checkId }) => checkId === "")) return refused(`failed inserting check: failed inserting check: object missing primary index on node ${JSON.stringify(request.node)}`);
  return {
    kind: "append",
    command: { ...request, service: service === null || service.id !== "" ? service : { ...service, id: service.service }, check: null, checks: checks.length === 0 ? null : checks },
  };
}

function nodeIdError(id: string): string | null {
  if (id.length !== UUID_LENGTH) return "uuid string is wrong length";
  if (!/^.{8}-.{4}-.{4}-.{4}-.{12}$/.test(id)) return "uuid is improperly formatted";
  const wrong = /[^0-9a-fA-F-]/u.exec(id)?.[0];
  return wrong === undefined ? null : `encoding/hex: invalid byte: U+${(wrong.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, "0")} '${wrong}'`;
}

const UUID_LENGTH = 36;

/** Addresses that say "everywhere" are none to connect to. */
export function isAnyAddress(address: string): boolean {
  return address === "0.0.0.0" || address === "::" || address === "[::]";
}

function serviceProblem(service: NodeService): string | null {
  const proxyError = connectProxyProblem(service);
  if (proxyError !== null) return proxyError;
  if (service.service === "") return service.id === "" ? "failed inserting service: failed inserting service: object missing primary index" : "Must provide service name with ID";
  return isAnyAddress(service.address) ? "Invalid service address" : null;
}

/** A proxy says whom it stands for, and it and gateways where they listen. */
export function connectProxyProblem({ kind, proxy, port }: Pick<NodeService, "kind" | "proxy" | "port">): string | null {
  const errors: string[] = [];
  if (kind === "connect-proxy") {
    const destination = proxy instanceof Map ? (proxy as ReadonlyMap<string, MsgpackValue>).get("DestinationServiceName") : "";
    if (typeof destination !== "string" || destination.trim() === "") errors.push("Proxy.DestinationServiceName must be non-empty for Connect proxy services");
    if (port === 0) errors.push("Port must be set for a Connect proxy");
  } else if ((kind === "mesh-gateway" || kind === "terminating-gateway") && port === 0) errors.push(`Port must be non-zero for a ${kind}`);
  if (errors.length === 0) return null;
  return `${errors.length} error${errors.length === 1 ? "" : "s"} occurred:\n${errors.map((error) => `\t* ${error}\n`).join("")}\n`;
}

function filledIn(check: HealthCheck, node: string): HealthCheck {
  return { ...check, checkId: check.checkId === "" ? check.name : check.checkId, node: check.node === "" ? node : check.node, type: check.type === "" ? typeOf(check.definition) : check.type };
}

/** What a definition makes of a check. */
function typeOf(definition: MsgpackValue | undefined): string {
  if (!(definition instanceof Map)) return "";
  const fields = definition as ReadonlyMap<string, MsgpackValue>;
  const set = (name: string): boolean => {
    const value = fields.get(name);
    return typeof value === "number" ? value > 0 : typeof value === "string" ? value !== "" : Array.isArray(value) && value.length > 0;
  };
  const repeated = set("Interval");
  if (set("GRPC") && repeated) return "grpc";
  if (set("HTTP") && repeated) return "http";
  if (set("TTL")) return "ttl";
  if (set("TCP") && repeated) return "tcp";
  if (set("AliasNode") || set("AliasService")) return "alias";
  if (set("ScriptArgs") && repeated) return set("DockerContainerID") ? "docker" : "script";
  return "";
}

export function prepareDeregister(request: DeregisterRequest): Prepared<DeregisterRequest, null> {
  return request.node === "" ? refused("Must provide node") : { kind: "append", command: request };
}
