/**
 * What the leader must change in the catalog so that it says of a member what the gossip pool says (reference: consul-agent §5.5). Pure decisions: the commands
 * are proposed elsewhere.
 */
import type { CatalogReads } from "../../catalog/types.ts";
import type { DeregisterRequest, HealthCheck, NodeService, RegisterRequest } from "../../wire/fsm-commands.ts";
import type { ServerInfo, ServerMember } from "./types.ts";

export const SERF_HEALTH = "serfHealth";
const ALIVE_OUTPUT = "Agent alive and reachable";
const FAILED_OUTPUT = "Agent not live or unreachable";

export type CatalogChange = { readonly kind: "register"; readonly request: RegisterRequest } | { readonly kind: "deregister"; readonly request: DeregisterRequest };

/** Null when the catalog is right already. */
export function changeFor(member: ServerMember, reads: CatalogReads, datacenter: string): CatalogChange | null {
  if (member.status === "alive") return aliveChange(member, reads, datacenter);
  const known = reads.node(member.name).value !== null;
  if (!known) return null;
  if (member.status === "left") return { kind: "deregister", request: { datacenter, node: member.name, serviceId: "", checkId: "", token: "" } };
  const check = reads.check(member.name, SERF_HEALTH);
  if (check?.status === "critical") return null;
  return { kind: "register", request: register(member, reads, datacenter, null, serfHealth(member.name, "critical", FAILED_OUTPUT)) };
}

function aliveChange(member: ServerMember, reads: CatalogReads, datacenter: string): CatalogChange | null {
  const node = reads.node(member.name).value;
  const service = member.server === null ? null : consulService(member.server);
  const right =
    node !== null &&
    node.address === member.ip &&
    node.id === member.id &&
    reads.check(member.name, SERF_HEALTH)?.status === "passing" &&
    (service === null || reads.nodeServices(member.name).value.some((known) => sameService(known, service)));
  if (right) return null;
  return { kind: "register", request: register(member, reads, datacenter, service, serfHealth(member.name, "passing", ALIVE_OUTPUT)) };
}

function sameService(a: NodeService, b: NodeService): boolean {
  return a.id === b.id && a.port === b.port && a.meta?.get("version") === b.meta?.get("version") && a.meta?.get("non_voter") === b.meta?.get("non_voter");
}

/** What the node has said of itself stays. */
function register(member: ServerMember, reads: CatalogReads, datacenter: string, service: NodeService | null, check: HealthCheck): RegisterRequest {
  const known = reads.node(member.name).value;
  return {
    datacenter, id: member.id, node: member.name, address: member.ip, taggedAddresses: known?.taggedAddresses ?? null, nodeMeta: known?.meta ?? null,
    service, check, checks: null,
    skipNodeUpdate: false, token: "", createIndex: 0, modifyIndex: 0,
  };
}

function serfHealth(node: string, status: string, output: string): HealthCheck {
  return {
    node, checkId: SERF_HEALTH, name: "Serf Health Status", status, notes: "", output, serviceId: "", serviceName: "", serviceTags: null, type: "",
    definition: undefined, createIndex: 0, modifyIndex: 0,
  };
}

/** The service that every server registers. */
function consulService(server: ServerInfo): NodeService {
  return {
    kind: "", id: "consul", service: "consul", tags: null, address: "", taggedAddresses: null,
    meta: new Map([
      ["non_voter", String(server.nonVoter)],
      ["raft_version", server.raftVersion],
      ["serf_protocol_current", String(server.protocolCur)],
      ["serf_protocol_max", String(server.protocolMax)],
      ["serf_protocol_min", String(server.protocolMin)],
      ["version", server.version],
    ]),
    port: server.port, weights: { passing: 1, warning: 1 }, enableTagOverride: false, locallyRegisteredAsSidecar: false, proxy: undefined, connect: undefined,
    createIndex: 0, modifyIndex: 0,
  };
}
