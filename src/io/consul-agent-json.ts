/** What `/v1/agent/self` and `/v1/agent/members` show (reference: consul-agent §2.1). */
import { RawJson, writeJson, type Json } from "../api/http/json.ts";
import type { Member, MemberStatus } from "../serf/types.ts";
import { VERSION } from "../base/version.ts";
import type { ConsulAgent } from "./consul-agent.ts";
import { CONSUL_VERSION, type ConsulAgentOptions } from "./consul-agent-options.ts";

const STATUS: Readonly<Record<MemberStatus, number>> = { none: 0, alive: 1, leaving: 2, left: 3, failed: 4 };

export function memberJson(member: Member): Json {
  return {
    Name: member.name,
    Addr: member.ip,
    Port: member.port,
    Tags: member.tags,
    Status: STATUS[member.status],
    ProtocolMin: member.protocolMin,
    ProtocolMax: member.protocolMax,
    ProtocolCur: member.protocolCur,
    DelegateMin: member.delegateMin,
    DelegateMax: member.delegateMax,
    DelegateCur: member.delegateCur,
  };
}

export function membersJson(members: readonly Member[]): Json {
  return members.map(memberJson);
}

/** The parts of `agentSelf` that never change, as text: as they stand one level down in it. */
export interface FixedParts {
  readonly config: RawJson;
  readonly debugConfig: RawJson;
  readonly meta: RawJson;
}

export function fixedParts(options: ConsulAgentOptions, pretty: boolean): FixedParts {
  const part = (value: Json): RawJson => new RawJson(pretty ? writeJson(value, true).trimEnd().replaceAll("\n", "\n    ") : writeJson(value, false));
  return {
    config: part({
      Datacenter: options.datacenter,
      NodeName: options.nodeName,
      NodeID: options.nodeId,
      Revision: "",
      Server: options.server !== null,
      Version: CONSUL_VERSION,
    }),
    debugConfig: part(debugConfig(options)),
    meta: part(new Map([["consul-network-segment", ""], ...options.nodeMeta])),
  };
}

export function agentSelf(agent: ConsulAgent, fixed: FixedParts): Json {
  const { options } = agent;
  const coordinate = agent.lan.coordinate(options.nodeName);
  return {
    Config: fixed.config,
    DebugConfig: fixed.debugConfig,
    Coord:
      coordinate === null
        ? null
        : { Vec: [...coordinate.vec], Error: coordinate.error, Adjustment: coordinate.adjustment, Height: coordinate.height },
    Member: memberJson(agent.lan.self()),
    Stats: stats(agent),
    Meta: fixed.meta,
  };
}

/** The settings in force, named as the original names them; secrets are never shown. */
function debugConfig(options: ConsulAgentOptions): Json {
  return {
    AdvertiseAddrLAN: options.advertiseIp,
    BindAddr: options.bindIp,
    Bootstrap: options.server?.bootstrapExpect === 1 && !options.dev,
    BootstrapExpect: options.server !== null && options.server.bootstrapExpect > 1 ? options.server.bootstrapExpect : 0,
    ClientAddrs: options.clientIps,
    DataDir: options.dataDir,
    Datacenter: options.datacenter,
    DevMode: options.dev,
    EncryptKey: "hidden",
    HTTPMaxConnsPerClient: options.limits.httpConnectionsPerClient,
    HTTPPort: options.ports.http,
    KVMaxValueSize: options.limits.kvMaxValueBytes,
    NodeID: options.nodeId,
    NodeMeta: options.nodeMeta,
    NodeName: options.nodeName,
    RPCMaxConnsPerClient: options.limits.rpcConnectionsPerClient,
    RejoinAfterLeave: options.rejoinAfterLeave,
    SerfPortLAN: options.ports.serfLan,
    ServerMode: options.server !== null,
    ServerPort: options.ports.server,
    TxnMaxReqLen: options.limits.txnMaxBytes,
    Version: CONSUL_VERSION,
  };
}

function stats(agent: ConsulAgent): Json {
  const { server } = agent;
  const sections: Record<string, Json> = {
    agent: localCounts(agent),
    build: { prerelease: "", revision: "", version: CONSUL_VERSION, muster: VERSION },
    consul: {
      acl: "disabled",
      bootstrap: String(agent.options.server?.bootstrapExpect === 1),
      known_datacenters: "1",
      leader: String(server?.driver.isLeader ?? false),
      leader_addr: server?.driver.leader?.address ?? "",
      server: String(server !== null),
    },
  };
  if (server !== null) sections["raft"] = raftStats(agent);
  for (const [name, section] of agent.lan.stats()) {
    if (name === "serf") sections["serf_lan"] = section;
    if (name === "runtime") sections["runtime"] = section;
  }
  return sections;
}

function localCounts({ local }: ConsulAgent): Json {
  const checks = [...(local?.checks().values() ?? [])];
  const count = (...kinds: readonly string[]): string => String(checks.filter(({ plan }) => kinds.includes(plan.kind)).length);
  return { check_monitors: "0", check_ttls: count("ttl"), checks: String(checks.length), services: String(local?.services().size ?? 0) };
}

function raftStats(agent: ConsulAgent): Json {
  const status = agent.server?.driver.status();
  if (status === undefined) return {};
  const servers = status.configuration.servers.map(({ id, address, suffrage }) => `{Suffrage:${suffrage === "voter" ? "Voter" : "Nonvoter"} ID:${id} Address:${address}}`);
  const state = status.role === "leader" ? "Leader" : status.role === "follower" ? "Follower" : "Candidate";
  return {
    applied_index: String(status.appliedIndex),
    commit_index: String(status.commitIndex),
    fsm_pending: "0",
    last_contact: state === "Leader" ? "0" : status.lastContactMs === null ? "never" : `${status.lastContactMs}ms`,
    last_log_index: String(status.lastIndex),
    last_log_term: String(status.lastTerm),
    last_snapshot_index: String(status.snapshotIndex),
    last_snapshot_term: String(status.snapshotTerm),
    latest_configuration: `[${servers.join(" ")}]`,
    latest_configuration_index: String(status.configurationIndex),
    num_peers: String(Math.max(0, servers.length - 1)),
    protocol_version: "3",
    protocol_version_max: "3",
    protocol_version_min: "0",
    snapshot_version_max: "1",
    snapshot_version_min: "0",
    state,
    term: String(status.term),
  };
}
