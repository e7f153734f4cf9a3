/** The JSON shapes of rows, field by field in Go's order (reference: consul-agent §2). */
import type { CatalogNode, HealthCheck, NodeService, Session, TextMap } from "../../wire/fsm-commands.ts";
import type { MsgpackValue } from "../../wire/msgpack.ts";
import { formatDuration } from "../../wire/go-duration.ts";
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
    ServiceChecks: session.serviceChecks === null ? null : session.serviceChecks.map(({ id, namespace }) => ({ ID: id, Namespace: namespace === "" ? undefined : namespace })),
    CreateIndex: session.createIndex,
    ModifyIndex: session.modifyIndex,
  };
}

export function nodeShape(node: CatalogNode): Json {
  return {
    ID: node.id,
    Node: node.node,
    Address: node.address,
    Datacenter: node.datacenter,
    TaggedAddresses: textMap(node.taggedAddresses),
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
const TEXTS = ["HTTP", "Method", "Body", "TCP"] as const;

/** What is set of a check's definition; durations as Go prints them. */
function definitionShape(definition: MsgpackValue | undefined): Json {
  const shape: Record<string, Json> = {};
  if (!(definition instanceof Map)) return shape;
  for (const name of DURATIONS) {
    const ns = definition.get(name);
    if (typeof ns === "number" && ns !== 0) shape[name] = formatDuration(ns / 1e6);
  }
  for (const name of TEXTS) {
    const text = definition.get(name);
    if (typeof text === "string" && text !== "") shape[name] = text;
  }
  if (definition.get("TLSSkipVerify") === true) shape["TLSSkipVerify"] = true;
  return shape;
}
