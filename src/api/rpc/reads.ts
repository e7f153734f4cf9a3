/** Procedures that only read: what they answer from a state, and what of it must change before a blocked caller is answered again (reference: consul-agent §1.2, §6.4). */
import type { CatalogReads, Indexed, Interest } from "../../catalog/types.ts";
import type { CatalogNode } from "../../wire/fsm-commands.ts";
import { CHECK_SHAPE, NODE_SHAPE, SERVICE_SHAPE } from "../filter/shapes.ts";
import { rowsOf, type AnyRead, type ReadProcedure, type ReplyValue } from "./read-procedure.ts";
import { hasMeta, nearestFirst, nodeHasMeta } from "./rows.ts";
import { CHECKS_OF_NODES, SERVICE_READS, type ServiceReadMethod } from "./service-reads.ts";
import { sessionIdError } from "./session-id.ts";
import { keyErrors } from "./writes.ts";
import type { NodeArgs, NodeWithServices } from "./types.ts";

export type ReadMethod =
  | "KVS.Get" | "KVS.List" | "KVS.ListKeys" | "Session.Get" | "Session.List" | "Session.NodeSessions" | "Txn.Read"
  | "Catalog.ListNodes" | "Catalog.ListServices" | "Catalog.NodeServices" | "Catalog.NodeServiceList" | "Health.NodeChecks" | "Health.ChecksInState"
  | ServiceReadMethod | "Coordinate.ListNodes" | "Coordinate.Node";

/** The same under two names, for HTTP and for agents; they differ in form only. */
const NODE_SERVICES = {
  run: (reads: CatalogReads, { node }: NodeArgs): Indexed<NodeWithServices | null> => {
    const found = reads.node(node);
    const known = found.value ?? reads.nodeByIdPrefix(node);
    return known === null ? { index: found.index, value: null } : nodeServices(reads, known);
  },
  interests: ({ node }: NodeArgs): readonly Interest[] => [{ kind: "node", node }],
  dependsOn: (): readonly Interest[] => [{ kind: "table", table: "nodes" }, { kind: "table", table: "services" }],
  filter: {
    shape: SERVICE_SHAPE,
    keep: (found: NodeWithServices | null, test: (row: unknown) => boolean) => (found === null ? null : { node: found.node, services: found.services.filter(test) }),
  },
};

const READS: { readonly [M in ReadMethod]: ReadProcedure<M> } = {
  "KVS.Get": {
    run: (reads, { key }) => {
      const { index, value } = reads.kvGet(key);
      return { index, value: value === null ? [] : [value] };
    },
    interests: ({ key }) => [{ kind: "key", key }],
  },
  "KVS.List": {
    run: (reads, { key }) => reads.kvList(key),
    interests: ({ key }) => [{ kind: "prefix", prefix: key }],
  },
  "KVS.ListKeys": {
    run: (reads, { prefix, separator }) => reads.kvKeys(prefix, separator),
    interests: ({ prefix }) => [{ kind: "prefix", prefix }],
  },
  "Session.Get": {
    run: (reads, { sessionId }) => {
      const error = sessionIdError(sessionId);
      if (error !== null) return error;
      const { index, value } = reads.session(sessionId);
      return { index, value: value === null ? [] : [value] };
    },
    interests: ({ sessionId }) => [{ kind: "session", id: sessionId }],
  },
  "Session.List": {
    run: (reads) => reads.sessions(),
    interests: () => [{ kind: "table", table: "sessions" }],
  },
  "Session.NodeSessions": {
    run: (reads, { node }) => reads.nodeSessions(node),
    interests: () => [{ kind: "table", table: "sessions" }],
  },
  "Txn.Read": {
    run: (reads, { ops }) => {
      const errors = keyErrors(ops);
      return { index: 0, value: errors.length > 0 ? { results: [], errors } : reads.txnRead(ops) };
    },
    interests: () => [],
  },
  "Catalog.ListNodes": {
    run: (reads, { nodeMeta, near }) => {
      const { index, value } = reads.nodes();
      const wanted = nodeMeta.size === 0 ? value : value.filter((node) => hasMeta(node, nodeMeta));
      return { index, value: nearestFirst(reads, near, wanted, ({ node }) => node) };
    },
    interests: () => [{ kind: "table", table: "nodes" }],
    dependsOn: () => [{ kind: "table", table: "nodes" }, { kind: "table", table: "coordinates" }],
    filter: rowsOf(NODE_SHAPE),
  },
  "Catalog.ListServices": {
    run: (reads, { nodeMeta }) => (nodeMeta.size === 0 ? reads.services() : servicesWithMeta(reads, nodeMeta)),
    interests: ({ nodeMeta }) => (nodeMeta.size === 0 ? [{ kind: "table", table: "services" }] : [{ kind: "table", table: "services" }, { kind: "table", table: "nodes" }]),
    dependsOn: () => [{ kind: "table", table: "services" }, { kind: "table", table: "nodes" }],
  },
  "Catalog.NodeServices": NODE_SERVICES,
  "Catalog.NodeServiceList": NODE_SERVICES,
  "Health.NodeChecks": {
    run: (reads, { node }) => reads.nodeChecks(node),
    interests: () => [{ kind: "table", table: "checks" }],
    dependsOn: () => [{ kind: "table", table: "checks" }],
    filter: rowsOf(CHECK_SHAPE),
  },
  "Health.ChecksInState": {
    run: (reads, { state, nodeMeta, near }) => {
      const { index, value } = reads.checksInState(state);
      const wanted = nodeMeta.size === 0 ? value : value.filter(({ node }) => nodeHasMeta(reads, node, nodeMeta));
      return { index, value: nearestFirst(reads, near, wanted, ({ node }) => node) };
    },
    interests: () => [{ kind: "table", table: "checks" }],
    dependsOn: () => CHECKS_OF_NODES,
    filter: rowsOf(CHECK_SHAPE),
  },
  ...SERVICE_READS,
  "Coordinate.ListNodes": {
    run: (reads) => reads.coordinates(),
    interests: () => [{ kind: "table", table: "coordinates" }],
  },
  "Coordinate.Node": {
    run: (reads, { node }) => reads.nodeCoordinates(node),
    interests: () => [{ kind: "table", table: "coordinates" }],
  },
};

/** Null for a method that is no read. */
export function readProcedure(method: string): AnyRead | null {
  // Each entry takes the arguments of its own method, and the caller passes those of the method it asks for.
  return Object.hasOwn(READS, method) ? (READS[method as ReadMethod] as unknown as AnyRead) : null;
}

function nodeServices(reads: CatalogReads, node: CatalogNode): Indexed<ReplyValue<"Catalog.NodeServices">> {
  const services = reads.nodeServices(node.node);
  return { index: Math.max(services.index, node.modifyIndex), value: { node, services: services.value } };
}

/** Names and tags of the services on nodes with this meta data. */
function servicesWithMeta(reads: CatalogReads, wanted: ReadonlyMap<string, string>): Indexed<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, Set<string>>();
  for (const node of reads.nodes().value) {
    if (!hasMeta(node, wanted)) continue;
    for (const service of reads.nodeServices(node.node).value) {
      const tags = found.get(service.service) ?? new Set<string>();
      for (const tag of service.tags ?? []) tags.add(tag);
      found.set(service.service, tags);
    }
  }
  const value = new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, tags]) => [name, [...tags]] as const));
  return { index: reads.tableIndex("nodes", "services"), value };
}
