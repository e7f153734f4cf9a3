/** The catalog reads that show the cluster's own nodes: `/v1/catalog` and `/v1/health` (reference: consul-agent §2.2, §2.3). */
import type { CatalogNode, HealthCheck } from "../../wire/fsm-commands.ts";
import { jsonAnswer, rawJsonAnswer, refuse, textAnswer, type Header } from "./answers.ts";
import { cacheHeaders } from "./cached.ts";
import { EncodedRows } from "./encoded-rows.ts";
import { catalogHeaders, consistencyOf, FAILED_META, readOptions } from "./read-options.ts";
import { callOrFail, callServer } from "./rpc-plan.ts";
import { checkShape, nodeShape, serviceShape } from "./shapes.ts";
import { datacenterOf, nodesArgsOf, type Parsed } from "./parsed.ts";
import type { NodeWithServices, Outcome, Queried, QueryOptions } from "../rpc/types.ts";
import type { HttpAnswer, HttpPlan } from "./types.ts";

const NODES = new EncodedRows<readonly CatalogNode[]>((nodes) => nodes.map(nodeShape));
const SERVICES = new EncodedRows<ReadonlyMap<string, readonly string[]>>((services) => services);
const CHECKS = new EncodedRows<readonly HealthCheck[]>((checks) => checks.map(checkShape));
const NODE_SERVICES = new EncodedRows<NodeWithServices | null>((found) =>
  found === null ? null : { Node: nodeShape(found.node), Services: new Map(found.services.map((service) => [service.id, serviceShape(service)] as const)) });
const SERVICE_LIST = new EncodedRows<NodeWithServices | null>((found) =>
  found === null ? { Node: null, Services: null } : { Node: nodeShape(found.node), Services: found.services.length === 0 ? null : found.services.map(serviceShape) });
const FILTERED_SERVICE_LIST = new EncodedRows<NodeWithServices | null>((found) =>
  found === null ? { Node: null, Services: null } : { Node: nodeShape(found.node), Services: found.services.map(serviceShape) });

export function handleDatacenters(parsed: Parsed): HttpPlan {
  const consistency = consistencyOf(parsed.request, parsed.query);
  if (typeof consistency === "string") return refuse(400, consistency);
  return callOrFail("Catalog.ListDatacenters", { datacenter: parsed.context.datacenter }, (names) => jsonAnswer(names, parsed.pretty, cacheHeaders(parsed)));
}

export function handleNodes(parsed: Parsed): HttpPlan {
  return readPlan(parsed, (options) => callServer("Catalog.ListNodes", nodesArgsOf(parsed, options), (outcome) => readAnswer(parsed, outcome, NODES)));
}

export function handleServices(parsed: Parsed): HttpPlan {
  return readPlan(parsed, (options) => callServer("Catalog.ListServices", nodesArgsOf(parsed, options), (outcome) => readAnswer(parsed, outcome, SERVICES, cacheHeaders(parsed))));
}

export function handleNode(parsed: Parsed): HttpPlan {
  return readPlan(parsed, (options) => {
    if (parsed.rest === "") return refuse(400, "Missing node name");
    return callServer("Catalog.NodeServices", { datacenter: datacenterOf(parsed), node: parsed.rest, options }, (outcome) => readAnswer(parsed, outcome, NODE_SERVICES));
  });
}

export function handleNodeServices(parsed: Parsed): HttpPlan {
  return readPlan(parsed, (options) => {
    if (parsed.rest === "") return refuse(400, "Missing node name");
    return callServer("Catalog.NodeServiceList", { datacenter: datacenterOf(parsed), node: parsed.rest, options }, (outcome) =>
      readAnswer(parsed, outcome, options.filter === "" ? SERVICE_LIST : FILTERED_SERVICE_LIST));
  });
}

export function handleNodeChecks(parsed: Parsed): HttpPlan {
  return readPlan(parsed, (options) => {
    if (parsed.rest === "") return refuse(400, "Missing node name");
    return callServer("Health.NodeChecks", { datacenter: datacenterOf(parsed), node: parsed.rest, options }, (outcome) => readAnswer(parsed, outcome, CHECKS));
  });
}

export function handleChecksInState(parsed: Parsed): HttpPlan {
  return readPlan(parsed, (options) => {
    if (parsed.rest === "") return refuse(400, "Missing check state");
    return callServer("Health.ChecksInState", { ...nodesArgsOf(parsed, options), state: parsed.rest }, (outcome) => readAnswer(parsed, outcome, CHECKS));
  });
}

/** A read with its options, or what is wrong with them. */
export function readPlan(parsed: Parsed, plan: (options: QueryOptions) => HttpPlan): HttpPlan {
  const options = readOptions(parsed.request, parsed.query);
  return options.ok ? plan(options.options) : refuse(400, options.error);
}

/** Reads of the catalog carry their meta headers even when they fail. */
export function readAnswer<T>(parsed: Parsed, outcome: Outcome<Queried<T>>, rows: EncodedRows<T>, headers: readonly Header[] = []): HttpAnswer {
  if (!outcome.ok) return textAnswer(500, outcome.error, catalogHeaders(FAILED_META).slice(1));
  return rawJsonAnswer(rows.encode(outcome.value.value, parsed.pretty), [...headers, ...catalogHeaders(outcome.value.meta)]);
}
