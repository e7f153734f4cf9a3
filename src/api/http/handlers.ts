/** Which function serves which route. */
import { handleAclDisabled, handleAgentJoin, handleAgentLeave, handleAgentMembers, handleAgentReload, handleAgentSelf, handleForceLeave, handleLater } from "./agent.ts";
import { handleChecksInState, handleDatacenters, handleNode, handleNodeChecks, handleNodes, handleNodeServices, handleServices } from "./catalog.ts";
import { handleCoordinateDatacenters, handleCoordinateNode, handleCoordinateNodes, handleCoordinateUpdate } from "./coordinate.ts";
import { handleKv } from "./kv.ts";
import { handleAutopilotConfiguration, handleAutopilotHealth, handleKeyring } from "./operator.ts";
import { handleCatalogDeregister, handleCatalogRegister } from "./register.ts";
import { handleCatalogService, handleHealthService, handleServiceChecks } from "./services.ts";
import { handleSessionCreate, handleSessionDestroy, handleSessionInfo, handleSessionList, handleSessionNode, handleSessionRenew } from "./session.ts";
import { handleRaftConfiguration, handleRaftPeer, handleStatusLeader, handleStatusPeers } from "./status.ts";
import { handleTxn } from "./txn.ts";
import { handleUiNode, handleUiNodes, handleUiServices } from "./ui.ts";
import {
  handleAgentChecks, handleAgentService, handleAgentServices, handleCheckDeregister, handleCheckFail, handleCheckPass, handleCheckRegister, handleCheckUpdate, handleCheckWarn, handleNodeMaintenance, handleServiceDeregister, handleServiceHealthById, handleServiceHealthByName, handleServiceMaintenance, handleServiceRegister,
} from "./agent-services.ts";
import { badRequest } from "./answers.ts";
import type { Parsed } from "./parsed.ts";
import type { RouteName } from "./routes.ts";
import type { HttpPlan } from "./types.ts";

export type Handler = (parsed: Parsed) => HttpPlan;

const TABLE: Readonly<Record<RouteName, Handler>> = {
  kv: handleKv,
  "session/create": handleSessionCreate,
  "session/destroy": handleSessionDestroy,
  "session/renew": handleSessionRenew,
  "session/info": handleSessionInfo,
  "session/node": handleSessionNode,
  "session/list": handleSessionList,
  txn: handleTxn,
  "status/leader": handleStatusLeader,
  "status/peers": handleStatusPeers,
  "operator/raft/configuration": handleRaftConfiguration,
  "operator/raft/peer": handleRaftPeer,
  "agent/self": handleAgentSelf,
  "agent/members": handleAgentMembers,
  "agent/join": handleAgentJoin,
  "agent/leave": handleAgentLeave,
  "agent/force-leave": handleForceLeave,
  "agent/reload": handleAgentReload,
  "catalog/nodes": handleNodes,
  "catalog/node": handleNode,
  "catalog/services": handleServices,
  "catalog/datacenters": handleDatacenters,
  "health/node": handleNodeChecks,
  "health/state": handleChecksInState,
  "operator/autopilot/configuration": handleAutopilotConfiguration,
  "operator/autopilot/health": handleAutopilotHealth,
  "operator/keyring": handleKeyring,
  "coordinate/datacenters": handleCoordinateDatacenters,
  "coordinate/nodes": handleCoordinateNodes,
  "coordinate/node": handleCoordinateNode,
  "coordinate/update": handleCoordinateUpdate,
  "catalog/register": handleCatalogRegister,
  "catalog/deregister": handleCatalogDeregister,
  "catalog/service": handleCatalogService,
  "catalog/node-services": handleNodeServices,
  "health/checks": handleServiceChecks,
  "health/service": handleHealthService,
  "internal/ui/nodes": handleUiNodes,
  "internal/ui/node": handleUiNode,
  "internal/ui/services": handleUiServices,
  "agent/maintenance": handleNodeMaintenance,
  "agent/services": handleAgentServices,
  "agent/service": handleAgentService,
  "agent/checks": handleAgentChecks,
  "agent/health/id": handleServiceHealthById,
  "agent/health/name": handleServiceHealthByName,
  "agent/check/register": handleCheckRegister,
  "agent/check/deregister": handleCheckDeregister,
  "agent/check/pass": handleCheckPass,
  "agent/check/warn": handleCheckWarn,
  "agent/check/fail": handleCheckFail,
  "agent/check/update": handleCheckUpdate,
  "agent/service/register": handleServiceRegister,
  "agent/service/deregister": handleServiceDeregister,
  "agent/service/maintenance": handleServiceMaintenance,
  acl: handleAclDisabled,
  later: handleLater,
};

/** Routes about objects that have a namespace in the enterprise version: to name one is an error here, and ignored elsewhere. */
const NAMESPACED = /^(kv|session|agent\/(services?|checks?|health)|catalog\/(service|services|node|node-services|register|deregister)|health|internal)(\/|$)/;
const NO_NAMESPACES = "Namespaces are a Consul Enterprise feature";

function withoutNamespace(handler: Handler): Handler {
  return (parsed) => {
    if ((parsed.request.headers["x-consul-namespace"] ?? "") !== "") return badRequest(`Invalid header: "X-Consul-Namespace" - ${NO_NAMESPACES}`);
    if (!parsed.query.isEmpty && parsed.query.get("ns") !== "") return badRequest(`Invalid query parameter: "ns" - ${NO_NAMESPACES}`);
    return handler(parsed);
  };
}

export const HANDLERS: Readonly<Record<RouteName, Handler>> = Object.fromEntries(
  Object.entries(TABLE).map(([name, handler]) => [name, NAMESPACED.test(name) ? withoutNamespace(handler) : handler] as const),
) as Record<RouteName, Handler>;
