/** The procedures that read instances of services with their nodes and checks (reference: consul-agent §6.4). */
import type { CheckedInstance, ServiceInstance } from "../../catalog/types.ts";
import type { CatalogNode, HealthCheck, NodeService } from "../../wire/fsm-commands.ts";
import { readCheck, readNode, readService, readTextMap, readTexts, writeCheck, writeNode, writeService, writeTextMap, writeTexts } from "../../wire/fsm-structs.ts";
import { Reader, Writer } from "../../wire/msgpack.ts";
import {
  bool, checksReply, int, list, Malformed, nil, nodeArgs, nodesArgs, read, readBool, readList, readStruct, readText, readUint, struct, text, textOf, numberOf, texts, type Codec, type Fields,
} from "./codec-parts.ts";
import type { NodeInfo, NodesArgs, ServiceArgs } from "./types.ts";

type Found = Record<string, unknown>;

const serviceArgs = {
  fields: (args: ServiceArgs): Fields => ({
    ...nodesArgs.fields(args), Connect: bool(false), Ingress: bool(false), ServiceAddress: text(args.address), ServiceName: text(args.service), ServiceTag: text(""),
    ServiceTags: args.tags.length === 0 ? nil : texts(args.tags), TagFilter: bool(args.tags.length > 0),
  }),
  reads: {
    ...nodesArgs.reads, Connect: readBool, Ingress: readBool, ServiceAddress: readText, ServiceName: readText, ServiceTag: readText, ServiceTags: (r: Reader) => readTexts(r) ?? [],
    TagFilter: readBool,
  },
  take: (found: Found) => {
    if (found["Connect"] === true || found["Ingress"] === true) throw new Malformed("Connect is not offered by this version of muster");
    const given = (found["ServiceTags"] as readonly string[] | undefined) ?? [];
    // Agents before 1.3 send the one tag they know.
    const one = textOf(found, "ServiceTag");
    const tags = given.length > 0 || one === "" ? given : [one];
    return { ...nodesArgs.take(found), service: textOf(found, "ServiceName"), address: textOf(found, "ServiceAddress"), tags: found["TagFilter"] === true ? tags : [] };
  },
} as const;

/** Node and service in one struct: the service's fields under names of their own. */
function writeServiceNode(w: Writer, { node, service }: ServiceInstance): void {
  const inService = serviceFields(service);
  struct(w, {
    Address: text(node.address), CreateIndex: int(service.createIndex), Datacenter: text(node.datacenter), ID: text(node.id), ModifyIndex: int(service.modifyIndex),
    Node: text(node.node), NodeMeta: (inner) => writeTextMap(inner, node.meta), ServiceAddress: text(service.address), ServiceConnect: inService("Connect"),
    ServiceEnableTagOverride: bool(service.enableTagOverride), ServiceID: text(service.id), ServiceKind: text(service.kind),
    ServiceMeta: (inner) => writeTextMap(inner, service.meta), ServiceName: text(service.service), ServicePort: int(service.port), ServiceProxy: inService("Proxy"),
    ServiceTaggedAddresses: inService("TaggedAddresses"), ServiceTags: (inner) => writeTexts(inner, service.tags), ServiceWeights: inService("Weights"),
    TaggedAddresses: (inner) => writeTextMap(inner, node.taggedAddresses),
  });
}

const scratch = new Writer("gossip");

/** Fields of a service as its own encoder writes them. */
function serviceFields(service: NodeService): (name: string) => (w: Writer) => void {
  writeService(scratch, service);
  const bytes = scratch.finish();
  const r = new Reader(bytes);
  const places = new Map<string, readonly [number, number]>();
  for (let left = r.mapHead(); left > 0; left -= 1) {
    const name = r.text();
    const from = r.at;
    r.skip();
    places.set(name, [from, r.at]);
  }
  return (name) => (w) => {
    const [from, to] = places.get(name) ?? [0, 0];
    w.raw(bytes.subarray(from, to));
  };
}

const NODE_FIELDS = ["Address", "Datacenter", "ID", "Node"] as const;

function readServiceNode(r: Reader): ServiceInstance {
  const found = readStruct(r, {
    ...Object.fromEntries(NODE_FIELDS.map((name) => [name, readText])), CreateIndex: readUint, ModifyIndex: readUint, NodeMeta: readTextMap, TaggedAddresses: readTextMap,
    ServiceAddress: readText, ServiceConnect: (inner) => inner.value(), ServiceEnableTagOverride: readBool, ServiceID: readText, ServiceKind: readText,
    ServiceMeta: readTextMap, ServiceName: readText, ServicePort: (inner) => inner.integer(), ServiceProxy: (inner) => inner.value(), ServiceTaggedAddresses: readAddresses,
    ServiceTags: readTexts, ServiceWeights: readWeights,
  });
  const node: CatalogNode = {
    id: textOf(found, "ID"), node: textOf(found, "Node"), address: textOf(found, "Address"), datacenter: textOf(found, "Datacenter"),
    taggedAddresses: (found["TaggedAddresses"] as CatalogNode["taggedAddresses"] | undefined) ?? null, meta: (found["NodeMeta"] as CatalogNode["meta"] | undefined) ?? null,
    createIndex: 0, modifyIndex: 0,
  };
  const service: NodeService = {
    kind: textOf(found, "ServiceKind"), id: textOf(found, "ServiceID"), service: textOf(found, "ServiceName"), tags: (found["ServiceTags"] as NodeService["tags"] | undefined) ?? null,
    address: textOf(found, "ServiceAddress"), taggedAddresses: (found["ServiceTaggedAddresses"] as NodeService["taggedAddresses"] | undefined) ?? null,
    meta: (found["ServiceMeta"] as NodeService["meta"] | undefined) ?? null, port: numberOf(found, "ServicePort"),
    weights: (found["ServiceWeights"] as NodeService["weights"] | undefined) ?? null, enableTagOverride: found["ServiceEnableTagOverride"] === true,
    locallyRegisteredAsSidecar: false, proxy: found["ServiceProxy"] as NodeService["proxy"], connect: found["ServiceConnect"] as NodeService["connect"],
    createIndex: numberOf(found, "CreateIndex"), modifyIndex: numberOf(found, "ModifyIndex"),
  };
  return { node, service };
}

function readAddresses(r: Reader): NodeService["taggedAddresses"] {
  if (r.nil()) return null;
  const addresses = new Map<string, { readonly address: string; readonly port: number }>();
  for (let left = r.mapHead(); left > 0 && !r.failed; left -= 1) {
    const name = r.text();
    const found = readStruct(r, { Address: readText, Port: (inner) => inner.integer() });
    addresses.set(name, { address: textOf(found, "Address"), port: numberOf(found, "Port") });
  }
  return addresses;
}

function readWeights(r: Reader): NodeService["weights"] {
  const found = readStruct(r, { Passing: (inner) => inner.integer(), Warning: (inner) => inner.integer() });
  return { passing: numberOf(found, "Passing"), warning: numberOf(found, "Warning") };
}

function writeInstance(w: Writer, { node, service, checks }: CheckedInstance): void {
  struct(w, { Checks: listOrNil(checks, writeCheck), Node: (inner) => writeNode(inner, node), Service: (inner) => writeService(inner, service) });
}

function readInstance(r: Reader): CheckedInstance | null {
  const found = readStruct(r, { Checks: readList(readCheck), Node: readNode, Service: readService });
  const node = found["Node"] as CatalogNode | undefined;
  const service = found["Service"] as NodeService | undefined;
  return node === undefined || service === undefined ? null : { node, service, checks: (found["Checks"] as readonly HealthCheck[] | undefined) ?? [] };
}

function listOrNil<T>(items: readonly T[], write: (w: Writer, item: T) => void): (w: Writer) => void {
  return items.length === 0 ? nil : list(items, write);
}

const instancesReply = {
  valueName: "Nodes",
  writeValue: (w: Writer, instances: readonly CheckedInstance[]) => listOrNil(instances, writeInstance)(w),
  readValue: (r: Reader) => readList(readInstance)(r).filter((instance) => instance !== null),
  empty: [],
} as const;

/** Node, services and checks in one struct, without indexes of the node. */
function writeNodeInfo(w: Writer, { node, services, checks }: NodeInfo): void {
  struct(w, {
    Address: text(node.address), Checks: listOrNil(checks, writeCheck), ID: text(node.id), Meta: (inner) => writeTextMap(inner, node.meta), Node: text(node.node),
    Services: listOrNil(services, writeService), TaggedAddresses: (inner) => writeTextMap(inner, node.taggedAddresses),
  });
}

function readNodeInfo(r: Reader): NodeInfo {
  const found = readStruct(r, {
    Address: readText, Checks: readList(readCheck), ID: readText, Meta: readTextMap, Node: readText, Services: readList(readService), TaggedAddresses: readTextMap,
  });
  const node: CatalogNode = {
    id: textOf(found, "ID"), node: textOf(found, "Node"), address: textOf(found, "Address"), datacenter: "",
    taggedAddresses: (found["TaggedAddresses"] as CatalogNode["taggedAddresses"] | undefined) ?? null, meta: (found["Meta"] as CatalogNode["meta"] | undefined) ?? null,
    createIndex: 0, modifyIndex: 0,
  };
  return { node, services: (found["Services"] as readonly NodeService[] | undefined) ?? [], checks: (found["Checks"] as readonly HealthCheck[] | undefined) ?? [] };
}

const dumpReply = {
  valueName: "Dump",
  writeValue: (w: Writer, nodes: readonly NodeInfo[]) => listOrNil(nodes, writeNodeInfo)(w),
  readValue: readList(readNodeInfo),
  empty: [],
} as const;

const serviceDumpArgs = {
  ...nodesArgs,
  fields: (args: NodesArgs): Fields => ({ Source: nodesArgs.fields(args)["Source"] as Fields[string], ServiceKind: text(""), UseServiceKind: bool(false) }),
} as const;

type ServiceMethod = "Catalog.ServiceNodes" | "Health.ServiceNodes" | "Health.ServiceChecks" | "Internal.NodeInfo" | "Internal.NodeDump" | "Internal.ServiceDump";

export const SERVICE_CODECS: { readonly [M in ServiceMethod]: Codec<M> } = {
  "Catalog.ServiceNodes": read<"Catalog.ServiceNodes">({
    ...serviceArgs, valueName: "ServiceNodes", writeValue: (w, rows) => listOrNil(rows, writeServiceNode)(w), readValue: readList(readServiceNode), empty: [],
  }),
  "Health.ServiceNodes": read<"Health.ServiceNodes">({ ...serviceArgs, ...instancesReply }),
  "Health.ServiceChecks": read<"Health.ServiceChecks">({ ...serviceArgs, ...checksReply }),
  "Internal.NodeInfo": read<"Internal.NodeInfo">({ ...nodeArgs, ...dumpReply }),
  "Internal.NodeDump": read<"Internal.NodeDump">({ ...nodesArgs, ...dumpReply }),
  "Internal.ServiceDump": read<"Internal.ServiceDump">({ ...serviceDumpArgs, ...instancesReply }),
};
