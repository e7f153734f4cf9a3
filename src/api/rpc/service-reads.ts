/** Reads of the instances of services, and of all there is about nodes (reference: consul-agent §1.2, §2.2, §2.3). */
import type { CatalogReads, CheckedInstance, Indexed, Interest, ServiceInstance } from "../../catalog/types.ts";
import { lowerCase } from "../../catalog/order-key.ts";
import { CHECK_SHAPE, CHECKED_INSTANCE_SHAPE, NODE_INFO_SHAPE, SERVICE_NODE_SHAPE } from "../filter/shapes.ts";
import { rowsOf, type ReadProcedure } from "./read-procedure.ts";
import { hasMeta, nearestFirst, nodeHasMeta } from "./rows.ts";
import type { NodeInfo, ServiceArgs } from "./types.ts";

export type ServiceReadMethod = "Catalog.ServiceNodes" | "Health.ServiceNodes" | "Health.ServiceChecks" | "Internal.NodeInfo" | "Internal.NodeDump" | "Internal.ServiceDump";

/** Only changes of this service, its checks and its nodes wake its readers. One that is not there yet may come with any change of the services. */
function serviceInterests({ service }: { readonly service: string }): readonly Interest[] {
  return [{ kind: "service", service }];
}

const NODE_TABLES: readonly Interest[] = [{ kind: "table", table: "nodes" }, { kind: "table", table: "services" }, { kind: "table", table: "checks" }];

/** Checks, and what of their nodes decides which are wanted, and their order. */
export const CHECKS_OF_NODES: readonly Interest[] = [{ kind: "table", table: "checks" }, { kind: "table", table: "nodes" }, { kind: "table", table: "coordinates" }];
const CHECKS_OF_SERVICES: readonly Interest[] = [...CHECKS_OF_NODES, { kind: "table", table: "services" }];

/** A change of a node counts as one of its services; coordinates count only for who asks for an order. */
function instanceDependencies({ service, near }: ServiceArgs): readonly Interest[] {
  return near === "" ? [{ kind: "service", service }] : [{ kind: "service", service }, { kind: "table", table: "coordinates" }];
}

function wanted<Row extends ServiceInstance>(reads: CatalogReads, found: Indexed<readonly Row[]>, args: ServiceArgs): Indexed<readonly Row[]> {
  const { nodeMeta, near, tags, address } = args;
  const lower = tags.map(lowerCase);
  const rows = found.value.filter(({ node, service }) =>
    hasMeta(node, nodeMeta) && hasTags(service.tags, lower) && (address === "" || (service.address === "" ? node.address : service.address) === address));
  return { index: found.index, value: nearestFirst(reads, near, rows, ({ node }) => node.node) };
}

function hasTags(given: readonly string[] | null, lower: readonly string[]): boolean {
  return lower.every((tag) => given?.some((one) => lowerCase(one) === tag) ?? false);
}

export const SERVICE_READS: { readonly [M in ServiceReadMethod]: ReadProcedure<M> } = {
  "Catalog.ServiceNodes": {
    run: (reads, args) => (args.service === "" ? "Must provide service name" : wanted(reads, reads.serviceInstances(args.service), args)),
    interests: serviceInterests,
    dependsOn: instanceDependencies,
    filter: rowsOf(SERVICE_NODE_SHAPE),
  },
  "Health.ServiceNodes": {
    run: (reads, args) => (args.service === "" ? "Must provide service name" : wanted(reads, reads.checkedInstances(args.service), args)),
    interests: serviceInterests,
    dependsOn: instanceDependencies,
    filter: rowsOf(CHECKED_INSTANCE_SHAPE),
  },
  "Health.ServiceChecks": {
    run: (reads, { service, nodeMeta, near }) => {
      const { index, value } = reads.serviceChecks(service);
      const rows = nodeMeta.size === 0 ? value : value.filter(({ node }) => nodeHasMeta(reads, node, nodeMeta));
      return { index, value: nearestFirst(reads, near, rows, ({ node }) => node) };
    },
    interests: () => [{ kind: "table", table: "checks" }],
    dependsOn: () => CHECKS_OF_SERVICES,
    filter: rowsOf(CHECK_SHAPE),
  },
  "Internal.NodeInfo": {
    run: (reads, { node }) => {
      const found = reads.node(node).value;
      return { index: reads.tableIndex("nodes", "services", "checks"), value: found === null ? [] : [nodeInfo(reads, found.node)].filter((info) => info !== null) };
    },
    interests: () => NODE_TABLES,
    dependsOn: () => NODE_TABLES,
  },
  "Internal.NodeDump": {
    run: (reads) => ({
      index: reads.tableIndex("nodes", "services", "checks"),
      value: reads.nodes().value.map(({ node }) => nodeInfo(reads, node)).filter((info) => info !== null),
    }),
    interests: () => NODE_TABLES,
    dependsOn: () => NODE_TABLES,
    filter: rowsOf(NODE_INFO_SHAPE),
  },
  "Internal.ServiceDump": {
    run: (reads) => ({
      index: reads.tableIndex("nodes", "services", "checks"),
      value: [...reads.services().value.keys()].flatMap((service): readonly CheckedInstance[] => reads.checkedInstances(service).value),
    }),
    interests: () => NODE_TABLES,
    dependsOn: () => NODE_TABLES,
    filter: rowsOf(CHECKED_INSTANCE_SHAPE),
  },
};

function nodeInfo(reads: CatalogReads, name: string): NodeInfo | null {
  const node = reads.node(name).value;
  return node === null ? null : { node, services: reads.nodeServices(name).value, checks: reads.nodeChecks(name).value };
}
