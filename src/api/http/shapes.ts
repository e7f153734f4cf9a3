/** The JSON shapes of rows, field by field in Go's order (reference: consul-agent §2). */
import type { CatalogNode, HealthCheck, NodeService, Session, TextMap } from "../../wire/fsm-commands.ts";
import type { MsgpackValue } from "../../wire/msgpack.ts";
import { formatDuration } from "../../wire/go-duration.ts";
import type { CheckedInstance, ServiceInstance } from "../../catalog/types.ts";
import type { Json } from "./json.ts";

function mapped<T>(map: ReadonlyMap<string, T> | null, shape: (value: T) => Json): Json {
  return map === null ? null : new Map([...map].map(([key, value]) => [key, shape(value)] as const));
}

function textMap(map: TextMap | null): Json {
  return map;
}

export function sessionShape(session: Session): Json {
  return {
    ID: session.id,
    Name: session.name,
    Node: session.node,
    LockDelay: session.lockDelay,
    Behavior: session.behavior,
    TTL: session.ttl,
    NodeChecks: session.nodeChecks,
    ServiceChecks: session.serviceChecks === null ? null : session.serviceChecks.map(({ id, namespace }) => ({ ID: id, Namespace: namespace })),
    CreateIndex: session.createIndex,
    ModifyIndex: session.modifyIndex,
  };
}

function nodeHead(node: CatalogNode): Readonly<Record<string, Json>> {
  return { ID: node.id, Node: node.node, Address: node.address, Datacenter: node.datacenter, TaggedAddresses: textMap(node.taggedAddresses) };
}

export function nodeShape(node: CatalogNode): Json {
  return {
    ...nodeHead(node),
    Meta: textMap(node.meta),
    CreateIndex: node.createIndex,
    ModifyIndex: node.modifyIndex,
  };
}

export function serviceShape(service: NodeService): Json {
  return {
    Kind: service.kind === "" ? undefined : service.kind,
    ID: service.id,
    Service: service.service,
    Tags: service.tags ?? [],
    Address: service.address,
    TaggedAddresses:
      service.taggedAddresses === null || service.taggedAddresses.size === 0
        ? undefined
        : mapped(service.taggedAddresses, ({ address, port }) => ({ Address: address, Port: port })),
    Meta: textMap(service.meta),
    Port: service.port,
    Weights: service.weights === null ? null : { Passing: service.weights.passing, Warning: service.weights.warning },
    EnableTagOverride: service.enableTagOverride,
    Proxy: { MeshGateway: {}, Expose: {} },
    Connect: {},
    CreateIndex: service.createIndex,
    ModifyIndex: service.modifyIndex,
  };
}

/** As the agent itself shows a service of its own; tags and meta data are never null here. */
export function agentServiceShape(service: NodeService, hash?: string): Json {
  const shown = serviceShape(service) as Readonly<Record<string, Json>>;
  return {
    Kind: shown["Kind"], ID: service.id, Service: service.service, Tags: service.tags ?? [], Meta: service.meta ?? new Map(), Port: service.port, Address: service.address,
    TaggedAddresses: shown["TaggedAddresses"], Weights: shown["Weights"], EnableTagOverride: service.enableTagOverride, ContentHash: hash,
  };
}

export function checkShape(check: HealthCheck): Json {
  return {
    Node: check.node,
    CheckID: check.checkId,
    Name: check.name,
    Status: check.status,
    Notes: check.notes,
    Output: check.output,
    ServiceID: check.serviceId,
    ServiceName: check.serviceName,
    ServiceTags: check.serviceTags ?? [],
    Type: check.type,
    Definition: definitionShape(check.definition),
    CreateIndex: check.createIndex,
    ModifyIndex: check.modifyIndex,
  };
}

const DURATIONS = ["Interval", "Timeout", "DeregisterCriticalServiceAfter"] as const;
/** Behind the durations, in this order. */
const DEFINITION_FIELDS = [
  "HTTP", "TLSSkipVerify", "Header", "Method", "Body", "TCP", "ScriptArgs", "DockerContainerID", "Shell", "GRPC", "GRPCUseTLS", "AliasNode", "AliasService", "TTL",
] as const;

/** What is set of a check's definition; durations as Go prints them, but for the TTL. */
function definitionShape(definition: MsgpackValue | undefined): Json {
  const shape: Record<string, Json> = {};
  if (!(definition instanceof Map)) return shape;
  const fields = definition as ReadonlyMap<string, MsgpackValue>;
  for (const name of DURATIONS) {
    const ns = fields.get(name);
    if (typeof ns === "number" && ns !== 0) shape[name] = formatDuration(ns / 1e6);
    if (name === "Interval" && fields.get("OutputMaxSize")) shape["OutputMaxSize"] = fields.get("OutputMaxSize") as number;
  }
  for (const name of DEFINITION_FIELDS) {
    const value = fields.get(name) ?? null;
    const empty = value === null || value === "" || value === false || value === 0 || (Array.isArray(value) && value.length === 0) || (value instanceof Map && value.size === 0);
    if (!empty) shape[name] = value as Json;
  }
  return shape;
}

/** Of `catalog/service`: a service with the node it is on, in one object. */
export function serviceNodeShape({ node, service }: ServiceInstance): Json {
  const shown = serviceShape(service) as Readonly<Record<string, Json>>;
  return {
    ...nodeHead(node),
    NodeMeta: textMap(node.meta),
    ServiceKind: service.kind,
    ServiceID: service.id,
    ServiceName: service.service,
    ServiceTags: service.tags ?? [],
    ServiceAddress: service.address,
    ServiceTaggedAddresses: shown["TaggedAddresses"],
    ServiceWeights: service.weights === null ? { Passing: 0, Warning: 0 } : { Passing: service.weights.passing, Warning: service.weights.warning },
    ServiceMeta: textMap(service.meta ?? new Map()),
    ServicePort: service.port,
    ServiceEnableTagOverride: service.enableTagOverride,
    ServiceProxy: shown["Proxy"],
    ServiceConnect: shown["Connect"],
    CreateIndex: service.createIndex,
    ModifyIndex: service.modifyIndex,
  };
}

export function instanceShape({ node, service, checks }: CheckedInstance): Json {
  return { Node: nodeShape(node), Service: serviceShape(service), Checks: checks.map(checkShape) };
}
