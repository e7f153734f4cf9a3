/**
 * Writes of nodes, services and checks: registration and removal, with the indexes they move (agent reference §1.2, §2.2). A registration that changes
 * nothing moves none. Whatever ends a node or makes a check critical ends the sessions that depend on it.
 */
import { goQuote } from "../base/go-quote.ts";
import type { CatalogNode, HealthCheck, NodeService, RegisterRequest, Weights } from "../wire/fsm-commands.ts";
import type { OpaqueTables } from "./opaque-tables.ts";
import { lowerCase, nameKey } from "./order-key.ts";
import { sameCheck, sameNode, sameService } from "./same.ts";
import { metaProblem } from "./service-rules.ts";
import type { SessionWriter } from "./sessions.ts";
import type { Tables } from "./tables.ts";
import { uuidKey } from "./uuid.ts";
import { nodeGroup, serviceGroup, tableGroup, type Watches } from "./watches.ts";

export const SERF_HEALTH = "serfHealth";
/** A service registered without weights, or with ones that DNS could not answer with, is stored with these. */
const DEFAULT_WEIGHTS: Weights = { passing: 1, warning: 1 };
const WEIGHT_MAX = 65_535;

function validWeights(weights: Weights | null): boolean {
  return weights !== null && weights.passing >= 1 && weights.warning >= 0 && weights.passing <= WEIGHT_MAX && weights.warning <= WEIGHT_MAX;
}

/** Table index of a service, of a kind of services, and of the last time a service lost its last instance. */
export function serviceIndexName(service: string): string {
  return `service.${service}`;
}
export function kindIndexName(kind: string): string {
  return `service_kind.${kind === "" ? "typical" : kind}`;
}
export const LAST_EXTINCTION = "service_last_extinction";

export class CatalogWriter {
  readonly #tables: Tables;
  readonly #watches: Watches;
  readonly #sessions: SessionWriter;
  readonly #opaque: OpaqueTables;

  constructor(tables: Tables, watches: Watches, sessions: SessionWriter, opaque: OpaqueTables) {
    this.#tables = tables;
    this.#watches = watches;
    this.#sessions = sessions;
    this.#opaque = opaque;
  }

  #touch(table: string, index: number): void {
    this.#tables.setIndex(table, index);
    this.#watches.groupChanged(tableGroup(table));
  }

  #touchService(service: string, index: number): void {
    this.#tables.setIndex(serviceIndexName(service), index);
    this.#watches.groupChanged(serviceGroup(service));
  }

  /** Null, or the error; the caller undoes what was done before an error. */
  register(request: RegisterRequest, index: number, nowMs: number): string | null {
    const node: CatalogNode = {
      id: request.id,
      node: request.node,
      address: request.address,
      datacenter: request.datacenter,
      taggedAddresses: request.taggedAddresses,
      meta: request.nodeMeta,
      createIndex: 0,
      modifyIndex: 0,
    };
    const existing = this.#tables.maps.nodes.get(nameKey(request.node));
    if (existing === undefined || (!request.skipNodeUpdate && !sameNode(existing, node))) {
      const error = this.setNode(node, index, nowMs);
      if (error !== null) return `failed inserting node: ${error}`;
    }
    if (request.service !== null) {
      const error = this.setService(request.node, request.service, index);
      if (error !== null) return `failed inserting service: ${error}`;
    }
    for (const check of request.check === null ? (request.checks ?? []) : [request.check, ...(request.checks ?? [])]) {
      if (check.node !== request.node) return `check node ${goQuote(check.node)} does not match node ${goQuote(request.node)}`;
      const error = this.setCheck(check, index, nowMs);
      if (error !== null) return `failed inserting check: ${error}`;
    }
    return null;
  }

  /** Inserts or changes a node; a known id under another name renames. Null, or the error. */
  setNode(given: CatalogNode, index: number, nowMs: number): string | null {
    const { nodes, nodesById } = this.#tables.maps;
    let existing: CatalogNode | undefined;
    if (given.id !== "") {
      const holder = nodesById.get(uuidKey(given.id));
      existing = holder === undefined ? undefined : nodes.get(holder);
      if (existing === undefined || existing.node !== given.node) {
        const clash = this.#reservedName(given, existing === undefined);
        if (clash !== null) return `Error while renaming Node ID: ${goQuote(given.id)}${existing === undefined ? "" : ` (${given.address})`}: ${clash}`;
        if (existing !== undefined) this.deleteNode(existing.node, index, nowMs);
      }
    }
    existing ??= nodes.get(nameKey(given.node));
    if (existing !== undefined && sameNode(existing, given)) return null;
    this.putNode({ ...given, createIndex: existing?.createIndex ?? index, modifyIndex: index });
    this.#touch("nodes", index);
    this.#watches.groupChanged(nodeGroup(given.node));
    this.#touchServicesOf(given.node, index);
    return null;
  }

  /** A node's name may be taken over only from a node whose agent is known to be dead, or that has no agent. */
  #reservedName(given: CatalogNode, clashWithoutId: boolean): string | null {
    const holder = this.#tables.maps.nodes.get(nameKey(given.node));
    if (holder === undefined || holder.id === given.id) return null;
    const health = this.#tables.maps.checks.get(`${nameKey(holder.node)}\0${nameKey(SERF_HEALTH)}`);
    const alive = health !== undefined && health.status !== "critical";
    if ((holder.id === "" && clashWithoutId) || !alive) return null;
    return `Node name ${given.node} is reserved by node ${holder.id} with name ${holder.node} (${holder.address})`;
  }

  /** Puts a row as it is into the tables: also for restores. */
  putNode(node: CatalogNode): void {
    const { nodes, nodesById } = this.#tables.maps;
    const key = nameKey(node.node);
    const before = nodes.get(key);
    if (before !== undefined && before.id !== "") nodesById.delete(uuidKey(before.id));
    nodes.set(key, node);
    if (node.id !== "") nodesById.set(uuidKey(node.id), key);
  }

  /** Health answers of a service contain its nodes, so a change of a node moves the index of all its services. */
  #touchServicesOf(node: string, index: number): void {
    for (const { service } of [...this.#tables.maps.services.values(`${nameKey(node)}\0`)]) {
      this.#touchService(service.service, index);
      this.#touch(kindIndexName(service.kind), index);
    }
  }

  /** Null, or the error. */
  setService(node: string, request: NodeService, index: number): string | null {
    const { nodes, services } = this.#tables.maps;
    const problem = metaProblem(request.meta);
    if (problem !== null) return `Invalid Service Meta for node ${node} and serviceID ${request.id}: ${problem}`;
    const given: NodeService = validWeights(request.weights) ? request : { ...request, weights: DEFAULT_WEIGHTS };
    const existing = services.get(`${nameKey(node)}\0${nameKey(given.id)}`)?.service;
    if (existing !== undefined && sameService(existing, given)) return null;
    if (!nodes.has(nameKey(node))) return "Missing node registration";
    this.putService(node, { ...given, createIndex: existing?.createIndex ?? index, modifyIndex: index });
    // An instance that goes over to another service leaves the index of the first as it was; what was kept of it is told.
    if (existing !== undefined && existing.service !== given.service) this.#watches.groupChanged(serviceGroup(existing.service));
    this.#touch("services", index);
    this.#touchService(given.service, index);
    this.#touch(kindIndexName(given.kind), index);
    this.#watches.groupChanged(nodeGroup(node));
    return null;
  }

  putService(node: string, service: NodeService): void {
    const { services, servicesByName } = this.#tables.maps;
    const key = `${nameKey(node)}\0${nameKey(service.id)}`;
    const before = services.get(key);
    if (before !== undefined) servicesByName.delete(`${nameKey(before.service.service)}\0${key}`);
    const row = { node, service };
    services.set(key, row);
    servicesByName.set(`${nameKey(service.service)}\0${key}`, row);
  }

  /** Null, or the error. A critical check ends its sessions even when nothing else about it changed. */
  setCheck(given: HealthCheck, index: number, nowMs: number): string | null {
    const { nodes, services, checks } = this.#tables.maps;
    const node = nameKey(given.node);
    const existing = checks.get(`${node}\0${nameKey(given.checkId)}`);
    let check: HealthCheck = { ...given, status: given.status === "" ? "critical" : given.status };
    if (!nodes.has(node)) return "Missing node registration";
    if (check.serviceId !== "") {
      const service = services.get(`${node}\0${nameKey(check.serviceId)}`)?.service;
      if (service === undefined) return `Missing service registration on node ${goQuote(check.node)}`;
      check = { ...check, serviceName: service.service, serviceTags: service.tags };
    }
    const changed = existing === undefined || !sameCheck(existing, check);
    if (changed) this.#touchServicesOfCheck(check, index);
    if (check.status === "critical") this.#sessions.destroyOfCheck(check.node, check.checkId, index, nowMs);
    if (!changed) return null;
    this.putCheck({ ...check, createIndex: existing?.createIndex ?? index, modifyIndex: index });
    this.#touch("checks", index);
    this.#watches.groupChanged(nodeGroup(check.node));
    return null;
  }

  #touchServicesOfCheck(check: HealthCheck, index: number): void {
    if (check.serviceId === "") {
      this.#touchServicesOf(check.node, index);
      return;
    }
    this.#touchService(check.serviceName, index);
    const row = this.#tables.maps.services.get(`${nameKey(check.node)}\0${nameKey(check.serviceId)}`);
    this.#touch(kindIndexName(row?.service.kind ?? ""), index);
  }

  putCheck(check: HealthCheck): void {
    this.#tables.maps.checks.set(`${nameKey(check.node)}\0${nameKey(check.checkId)}`, check);
  }

  /** With its services, checks and sessions; a node that is not there is no failure. */
  deleteNode(name: string, index: number, nowMs: number): void {
    const { nodes, nodesById, services, checks } = this.#tables.maps;
    const key = nameKey(name);
    const node = nodes.get(key);
    if (node === undefined) return;
    for (const { service } of [...services.values(`${key}\0`)]) this.deleteService(name, service.id, index, nowMs);
    for (const { checkId } of [...checks.values(`${key}\0`)]) this.deleteCheck(name, checkId, index, nowMs);
    this.#opaque.nodeGone(name, index);
    nodes.delete(key);
    if (node.id !== "") nodesById.delete(uuidKey(node.id));
    this.#touch("nodes", index);
    this.#watches.groupChanged(nodeGroup(name));
    this.#sessions.destroyOfNode(name, index, nowMs);
  }

  deleteService(node: string, id: string, index: number, nowMs: number): void {
    const { services, servicesByName, checks, indexes } = this.#tables.maps;
    const key = `${nameKey(node)}\0${nameKey(id)}`;
    const row = services.get(key);
    if (row === undefined) return;
    for (const check of [...checks.values(`${nameKey(node)}\0`)]) {
      if (lowerCase(check.serviceId) === lowerCase(row.service.id)) this.deleteCheck(node, check.checkId, index, nowMs);
    }
    this.#touch("checks", index);
    const name = row.service.service;
    services.delete(key);
    servicesByName.delete(`${nameKey(name)}\0${key}`);
    this.#touch("services", index);
    this.#touch(kindIndexName(row.service.kind), index);
    this.#watches.groupChanged(nodeGroup(node));
    if (servicesByName.first(`${nameKey(name)}\0`) !== undefined) {
      this.#touchService(name, index);
      return;
    }
    // The last instance is gone, and with it the service's own index; its readers are told, and look at this one from now on.
    indexes.delete(nameKey(serviceIndexName(name)));
    this.#watches.groupChanged(serviceGroup(name));
    this.#touch(LAST_EXTINCTION, index);
  }

  deleteCheck(node: string, checkId: string, index: number, nowMs: number): void {
    const { checks } = this.#tables.maps;
    const key = `${nameKey(node)}\0${nameKey(checkId)}`;
    const check = checks.get(key);
    if (check === undefined) return;
    this.#touchServicesOfCheck(check, index);
    checks.delete(key);
    this.#touch("checks", index);
    this.#watches.groupChanged(nodeGroup(node));
    this.#sessions.destroyOfCheck(node, checkId, index, nowMs);
  }
}
