/** Every path of Consul 1.8's HTTP API with its methods, in the order the `Allow` header lists them. A path that ends in "/" takes whatever follows. */

/** What is served; "later" paths answer 501 with the name of what is missing, "acl" ones as an agent whose ACLs are off. */
export type RouteName =
  | "kv"
  | "session/create" | "session/destroy" | "session/renew" | "session/info" | "session/node" | "session/list"
  | "txn"
  | "status/leader" | "status/peers"
  | "operator/raft/configuration" | "operator/raft/peer"
  | "agent/self" | "agent/members" | "agent/join" | "agent/leave" | "agent/force-leave" | "agent/reload"
  | "catalog/nodes" | "catalog/node" | "catalog/services" | "catalog/datacenters"
  | "health/node" | "health/state"
  | "operator/autopilot/configuration" | "operator/autopilot/health" | "operator/keyring"
  | "coordinate/datacenters" | "coordinate/nodes" | "coordinate/node" | "coordinate/update"
  | "catalog/register" | "catalog/deregister" | "catalog/service" | "catalog/node-services" | "health/checks" | "health/service"
  | "internal/ui/nodes" | "internal/ui/node" | "internal/ui/services"
  | "agent/maintenance" | "agent/services" | "agent/service" | "agent/checks" | "agent/health/id" | "agent/health/name" | "agent/check/register"
  | "agent/check/deregister" | "agent/check/pass" | "agent/check/warn" | "agent/check/fail" | "agent/check/update" | "agent/service/register" | "agent/service/deregister" | "agent/service/maintenance"
  | "acl" | "later";

export interface Route {
  readonly path: string;
  readonly methods: readonly string[];
  readonly name: RouteName;
}

function route(path: string, methods: string, name: RouteName): Route {
  return { path, methods: methods.split(" "), name };
}

export const ROUTES: readonly Route[] = [
  route("/v1/kv/", "GET PUT DELETE", "kv"),
  route("/v1/session/create", "PUT", "session/create"),
  route("/v1/session/destroy/", "PUT", "session/destroy"),
  route("/v1/session/renew/", "PUT", "session/renew"),
  route("/v1/session/info/", "GET", "session/info"),
  route("/v1/session/node/", "GET", "session/node"),
  route("/v1/session/list", "GET", "session/list"),
  route("/v1/txn", "PUT", "txn"),
  route("/v1/status/leader", "GET", "status/leader"),
  route("/v1/status/peers", "GET", "status/peers"),
  route("/v1/operator/raft/configuration", "GET", "operator/raft/configuration"),
  route("/v1/operator/raft/peer", "DELETE", "operator/raft/peer"),
  route("/v1/operator/autopilot/configuration", "GET PUT", "operator/autopilot/configuration"),
  route("/v1/operator/autopilot/health", "GET", "operator/autopilot/health"),
  route("/v1/operator/keyring", "GET POST PUT DELETE", "operator/keyring"),
  route("/v1/agent/self", "GET", "agent/self"),
  route("/v1/agent/members", "GET", "agent/members"),
  route("/v1/agent/join/", "PUT", "agent/join"),
  route("/v1/agent/leave", "PUT", "agent/leave"),
  route("/v1/agent/force-leave/", "PUT", "agent/force-leave"),
  route("/v1/agent/reload", "PUT", "agent/reload"),
  route("/v1/catalog/nodes", "GET", "catalog/nodes"),
  route("/v1/catalog/node/", "GET", "catalog/node"),
  route("/v1/catalog/services", "GET", "catalog/services"),
  route("/v1/catalog/datacenters", "GET", "catalog/datacenters"),
  route("/v1/health/node/", "GET", "health/node"),
  route("/v1/health/state/", "GET", "health/state"),
  route("/v1/coordinate/datacenters", "GET", "coordinate/datacenters"),
  route("/v1/coordinate/nodes", "GET", "coordinate/nodes"),
  route("/v1/coordinate/node/", "GET", "coordinate/node"),
  route("/v1/coordinate/update", "PUT", "coordinate/update"),

  route("/v1/acl/bootstrap", "PUT", "acl"),
  route("/v1/acl/create", "PUT", "acl"),
  route("/v1/acl/update", "PUT", "acl"),
  route("/v1/acl/destroy/", "PUT", "acl"),
  route("/v1/acl/info/", "GET", "acl"),
  route("/v1/acl/clone/", "PUT", "acl"),
  route("/v1/acl/list", "GET", "acl"),
  route("/v1/acl/login", "POST", "acl"),
  route("/v1/acl/logout", "POST", "acl"),
  route("/v1/acl/replication", "GET", "acl"),
  route("/v1/acl/policies", "GET", "acl"),
  route("/v1/acl/policy", "PUT", "acl"),
  route("/v1/acl/policy/name/", "GET", "acl"),
  route("/v1/acl/policy/", "GET PUT DELETE", "acl"),
  route("/v1/acl/roles", "GET", "acl"),
  route("/v1/acl/role", "PUT", "acl"),
  route("/v1/acl/role/name/", "GET", "acl"),
  route("/v1/acl/role/", "GET PUT DELETE", "acl"),
  route("/v1/acl/binding-rules", "GET", "acl"),
  route("/v1/acl/binding-rule", "PUT", "acl"),
  route("/v1/acl/binding-rule/", "GET PUT DELETE", "acl"),
  route("/v1/acl/auth-methods", "GET", "acl"),
  route("/v1/acl/auth-method", "PUT", "acl"),
  route("/v1/acl/auth-method/", "GET PUT DELETE", "acl"),
  route("/v1/acl/rules/translate", "POST", "acl"),
  route("/v1/acl/rules/translate/", "GET", "acl"),
  route("/v1/acl/tokens", "GET", "acl"),
  route("/v1/acl/token", "PUT", "acl"),
  route("/v1/acl/token/self", "GET", "acl"),
  route("/v1/acl/token/", "GET PUT DELETE", "acl"),
  route("/v1/agent/token/", "PUT", "acl"),

  route("/v1/agent/host", "GET", "later"),
  route("/v1/agent/maintenance", "PUT", "agent/maintenance"),
  route("/v1/agent/monitor", "GET", "later"),
  route("/v1/agent/metrics", "GET", "later"),
  route("/v1/agent/services", "GET", "agent/services"),
  route("/v1/agent/service/", "GET", "agent/service"),
  route("/v1/agent/checks", "GET", "agent/checks"),
  route("/v1/agent/health/service/id/", "GET", "agent/health/id"),
  route("/v1/agent/health/service/name/", "GET", "agent/health/name"),
  route("/v1/agent/check/register", "PUT", "agent/check/register"),
  route("/v1/agent/check/deregister/", "PUT", "agent/check/deregister"),
  route("/v1/agent/check/pass/", "PUT", "agent/check/pass"),
  route("/v1/agent/check/warn/", "PUT", "agent/check/warn"),
  route("/v1/agent/check/fail/", "PUT", "agent/check/fail"),
  route("/v1/agent/check/update/", "PUT", "agent/check/update"),
  route("/v1/agent/connect/authorize", "POST", "later"),
  route("/v1/agent/connect/ca/roots", "GET", "later"),
  route("/v1/agent/connect/ca/leaf/", "GET", "later"),
  route("/v1/agent/service/register", "PUT", "agent/service/register"),
  route("/v1/agent/service/deregister/", "PUT", "agent/service/deregister"),
  route("/v1/agent/service/maintenance/", "PUT", "agent/service/maintenance"),
  route("/v1/catalog/register", "PUT", "catalog/register"),
  route("/v1/catalog/deregister", "PUT", "catalog/deregister"),
  route("/v1/catalog/connect/", "GET", "later"),
  route("/v1/catalog/service/", "GET", "catalog/service"),
  route("/v1/catalog/node-services/", "GET", "catalog/node-services"),
  route("/v1/catalog/gateway-services/", "GET", "later"),
  route("/v1/config/", "GET DELETE", "later"),
  route("/v1/config", "PUT", "later"),
  route("/v1/connect/ca/configuration", "GET PUT", "later"),
  route("/v1/connect/ca/roots", "GET", "later"),
  route("/v1/connect/intentions", "GET POST", "later"),
  route("/v1/connect/intentions/match", "GET", "later"),
  route("/v1/connect/intentions/check", "GET", "later"),
  route("/v1/connect/intentions/", "GET PUT DELETE", "later"),
  route("/v1/discovery-chain/", "GET POST", "later"),
  route("/v1/event/fire/", "PUT", "later"),
  route("/v1/event/list", "GET", "later"),
  route("/v1/health/checks/", "GET", "health/checks"),
  route("/v1/health/service/", "GET", "health/service"),
  route("/v1/health/connect/", "GET", "later"),
  route("/v1/health/ingress/", "GET", "later"),
  route("/v1/internal/ui/nodes", "GET", "internal/ui/nodes"),
  route("/v1/internal/ui/node/", "GET", "internal/ui/node"),
  route("/v1/internal/ui/services", "GET", "internal/ui/services"),
  route("/v1/internal/ui/gateway-services-nodes/", "GET", "later"),
  route("/v1/internal/acl/authorize", "POST", "acl"),
  route("/v1/internal/federation-states", "GET", "later"),
  route("/v1/internal/federation-states/mesh-gateways", "GET", "later"),
  route("/v1/internal/federation-state/", "GET", "later"),
  route("/v1/query", "GET POST", "later"),
  route("/v1/query/", "GET PUT DELETE", "later"),
  route("/v1/snapshot", "GET PUT", "later"),
];

const VERSION = "/v1/";
const EXACT: ReadonlyMap<string, Route> = new Map(ROUTES.map((entry) => [entry.path, entry]));

/** Routes that take whatever follows, longest first, by the segment behind "/v1/": few share one. */
const PREFIXES = prefixesBySegment();
const NONE: readonly Route[] = [];
/** Their paths without the last "/". */
const BARE: ReadonlySet<string> = new Set(ROUTES.filter(({ path }) => path.endsWith("/")).map(({ path }) => path.slice(0, -1)));

function prefixesBySegment(): ReadonlyMap<string, readonly Route[]> {
  const groups = new Map<string, Route[]>();
  for (const entry of ROUTES.filter(({ path }) => path.endsWith("/")).sort((a, b) => b.path.length - a.path.length)) {
    const segment = segmentOf(entry.path);
    groups.set(segment, [...(groups.get(segment) ?? []), entry]);
  }
  return groups;
}

/** "kv" of "/v1/kv/key". */
function segmentOf(path: string): string {
  const end = path.indexOf("/", VERSION.length);
  return end < 0 ? "" : path.slice(VERSION.length, end);
}

/** The route of a decoded path: the exact one, else the longest prefix; null when there is none. */
export function findRoute(path: string): Route | null {
  const exact = EXACT.get(path);
  if (exact !== undefined) return exact;
  for (const entry of PREFIXES.get(segmentOf(path)) ?? NONE) if (path.startsWith(entry.path)) return entry;
  return null;
}

/** Is this path only known with a "/" behind it? Go's router redirects it there. */
export function needsSlash(path: string): boolean {
  return BARE.has(path) && !EXACT.has(path);
}
