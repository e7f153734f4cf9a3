/** What filters may select of each kind of row: the names of its JSON form, without indexes and without what users put there freely. */
import type { CatalogNode, HealthCheck, NodeService } from "../../wire/fsm-commands.ts";
import type { MsgpackValue } from "../../wire/msgpack.ts";
import type { CheckedInstance, ServiceInstance } from "../../catalog/types.ts";
import type { Field, Shape, StructShape } from "./evaluate.ts";

const TEXT: Shape = { kind: "text" };
const INT: Shape = { kind: "int" };
const BOOL: Shape = { kind: "bool" };
const TEXTS: Shape = { kind: "texts" };
const TEXT_MAP: Shape = { kind: "map", of: TEXT };

function field<Row>(shape: Shape, get: (row: Row) => unknown): Field {
  return { shape, get };
}

function struct(fields: Readonly<Record<string, Field>>): StructShape {
  return { kind: "struct", fields };
}

/** A struct kept as on the wire. */
function wired(shapes: Readonly<Record<string, Shape>>): StructShape {
  const fields = Object.entries(shapes).map(([name, shape]) => [name, field(shape, (row: MsgpackValue) => (row instanceof Map ? row.get(name) : undefined) ?? ZERO[shape.kind])] as const);
  return struct(Object.fromEntries(fields));
}

const ZERO: Readonly<Record<Shape["kind"], MsgpackValue>> = { text: "", int: 0, bool: false, texts: null, map: null, list: null, struct: new Map() };

const MESH_GATEWAY = wired({ Mode: TEXT });
const UPSTREAM = wired({
  DestinationType: TEXT, DestinationNamespace: TEXT, DestinationName: TEXT, Datacenter: TEXT, LocalBindAddress: TEXT, LocalBindPort: INT, MeshGateway: MESH_GATEWAY,
});
const EXPOSE_PATH = wired({ ListenerPort: INT, Path: TEXT, LocalPathPort: INT, Protocol: TEXT, ParsedFromCheck: BOOL });
const PROXY = wired({
  DestinationServiceName: TEXT, DestinationServiceID: TEXT, LocalServiceAddress: TEXT, LocalServicePort: INT, Upstreams: { kind: "list", of: UPSTREAM },
  MeshGateway: MESH_GATEWAY, Expose: wired({ Checks: BOOL, Paths: { kind: "list", of: EXPOSE_PATH } }),
});
const CONNECT = wired({ Native: BOOL });
const NO_STRUCT: MsgpackValue = new Map();

interface Address {
  readonly address: string;
  readonly port: number;
}
const ADDRESSES: Shape = { kind: "map", of: struct({ Address: field(TEXT, (row: Address) => row.address), Port: field(INT, (row: Address) => row.port) }) };
type Weights = NonNullable<NodeService["weights"]>;
const WEIGHTS = struct({ Passing: field(INT, (row: Weights) => row.passing), Warning: field(INT, (row: Weights) => row.warning) });
const NO_WEIGHTS: Weights = { passing: 0, warning: 0 };

export const NODE_SHAPE = struct({
  ID: field(TEXT, (row: CatalogNode) => row.id),
  Node: field(TEXT, (row: CatalogNode) => row.node),
  Address: field(TEXT, (row: CatalogNode) => row.address),
  Datacenter: field(TEXT, (row: CatalogNode) => row.datacenter),
  TaggedAddresses: field(TEXT_MAP, (row: CatalogNode) => row.taggedAddresses),
  Meta: field(TEXT_MAP, (row: CatalogNode) => row.meta),
});

export const SERVICE_SHAPE = struct({
  Kind: field(TEXT, (row: NodeService) => row.kind),
  ID: field(TEXT, (row: NodeService) => row.id),
  Service: field(TEXT, (row: NodeService) => row.service),
  Tags: field(TEXTS, (row: NodeService) => row.tags),
  Address: field(TEXT, (row: NodeService) => row.address),
  TaggedAddresses: field(ADDRESSES, (row: NodeService) => row.taggedAddresses),
  Meta: field(TEXT_MAP, (row: NodeService) => row.meta),
  Port: field(INT, (row: NodeService) => row.port),
  Weights: field(WEIGHTS, (row: NodeService) => row.weights ?? NO_WEIGHTS),
  EnableTagOverride: field(BOOL, (row: NodeService) => row.enableTagOverride),
  Proxy: field(PROXY, (row: NodeService) => row.proxy ?? NO_STRUCT),
  Connect: field(CONNECT, (row: NodeService) => row.connect ?? NO_STRUCT),
});

export const CHECK_SHAPE = struct({
  Node: field(TEXT, (row: HealthCheck) => row.node),
  CheckID: field(TEXT, (row: HealthCheck) => row.checkId),
  Name: field(TEXT, (row: HealthCheck) => row.name),
  Status: field(TEXT, (row: HealthCheck) => row.status),
  Notes: field(TEXT, (row: HealthCheck) => row.notes),
  Output: field(TEXT, (row: HealthCheck) => row.output),
  ServiceID: field(TEXT, (row: HealthCheck) => row.serviceId),
  ServiceName: field(TEXT, (row: HealthCheck) => row.serviceName),
  ServiceTags: field(TEXTS, (row: HealthCheck) => row.serviceTags),
  Type: field(TEXT, (row: HealthCheck) => row.type),
});

/** Of `catalog/service`: node and service in one row. */
export const SERVICE_NODE_SHAPE = struct({
  ID: field(TEXT, ({ node }: ServiceInstance) => node.id),
  Node: field(TEXT, ({ node }: ServiceInstance) => node.node),
  Address: field(TEXT, ({ node }: ServiceInstance) => node.address),
  Datacenter: field(TEXT, ({ node }: ServiceInstance) => node.datacenter),
  TaggedAddresses: field(TEXT_MAP, ({ node }: ServiceInstance) => node.taggedAddresses),
  NodeMeta: field(TEXT_MAP, ({ node }: ServiceInstance) => node.meta),
  ...Object.fromEntries(Object.entries(SERVICE_SHAPE.fields).map(([name, { shape, get }]) => [
    name === "Service" ? "ServiceName" : `Service${name}`,
    field(shape, ({ service }: ServiceInstance) => get(service as never)),
  ] as const)),
});

export const CHECKED_INSTANCE_SHAPE = struct({
  Node: field(NODE_SHAPE, (row: CheckedInstance) => row.node),
  Service: field(SERVICE_SHAPE, (row: CheckedInstance) => row.service),
  Checks: field({ kind: "list", of: CHECK_SHAPE }, (row: CheckedInstance) => row.checks),
});

/** Of `internal/ui/nodes`. */
export const NODE_INFO_SHAPE = struct({
  ...Object.fromEntries(Object.entries(NODE_SHAPE.fields).filter(([name]) => name !== "Datacenter").map(([name, { shape, get }]) => [
    name,
    field(shape, ({ node }: { readonly node: CatalogNode }) => get(node as never)),
  ] as const)),
  Services: field({ kind: "list", of: SERVICE_SHAPE }, (row: { readonly services: readonly NodeService[] }) => row.services),
  Checks: field({ kind: "list", of: CHECK_SHAPE }, (row: { readonly checks: readonly HealthCheck[] }) => row.checks),
});
