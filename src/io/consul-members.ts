/** Members of a Consul pool: the tags an agent announces, and what they say of another (reference: consul-agent §5.4). */
import type { ServerMember } from "../node/server/types.ts";
import type { Member } from "../serf/types.ts";
import { CONSUL_VERSION, type ConsulAgentOptions } from "./consul-agent-options.ts";

export function lanTags(options: ConsulAgentOptions): Map<string, string> {
  const tags = new Map([
    ["role", options.server === null ? "node" : "consul"],
    ["dc", options.datacenter],
    ["segment", ""],
    ["id", options.nodeId],
    ["vsn", "2"],
    ["vsn_min", "2"],
    ["vsn_max", "3"],
    ["build", `${CONSUL_VERSION}:`],
    ["acls", "0"],
  ]);
  const { server } = options;
  if (server === null) return tags;
  tags.set("port", String(options.ports.server));
  tags.set("raft_vsn", "3");
  tags.set("ft_fs", "1");
  if (server.bootstrapExpect === 1 && !options.dev) tags.set("bootstrap", "1");
  if (server.bootstrapExpect > 1) tags.set("expect", String(server.bootstrapExpect));
  if (server.nonVoter) tags.set("nonvoter", "1");
  return tags;
}

/** Null when it does not belong to this datacenter. */
export function serverMember(member: Member, datacenter: string): ServerMember | null {
  const tag = (name: string): string => member.tags.get(name) ?? "";
  if (tag("dc") !== datacenter) return null;
  const port = Number(tag("port"));
  const isServer = tag("role") === "consul" && Number.isInteger(port) && port > 0 && port < 65_536;
  const status = member.status === "failed" ? "failed" : member.status === "left" ? "left" : "alive";
  return {
    name: member.name,
    id: tag("id"),
    ip: member.ip,
    status,
    server: isServer
      ? {
          port,
          expect: tag("bootstrap") === "1" ? 1 : Number(tag("expect")) || 0,
          nonVoter: member.tags.has("nonvoter"),
          raftVersion: tag("raft_vsn"),
          version: tag("build").split(":")[0] ?? "",
          protocolCur: member.protocolCur,
          protocolMin: member.protocolMin,
          protocolMax: member.protocolMax,
        }
      : null,
  };
}
