/** `/v1/status` and `/v1/operator/raft` (reference: consul-agent §2.7). */
import { badRequest, jsonAnswer, refuse, textAnswer } from "./answers.ts";
import { readOptions } from "./read-options.ts";
import { callOrFail } from "./rpc-plan.ts";
import { datacenterOf, type Parsed } from "./parsed.ts";
import type { HttpPlan } from "./types.ts";

export function handleStatusLeader(parsed: Parsed): HttpPlan {
  const read = readOptions(parsed.request, parsed.query);
  if (!read.ok) return refuse(400, read.error);
  return callOrFail("Status.Leader", { datacenter: datacenterOf(parsed) }, (leader) => jsonAnswer(leader, parsed.pretty));
}

export function handleStatusPeers(parsed: Parsed): HttpPlan {
  const read = readOptions(parsed.request, parsed.query);
  if (!read.ok) return refuse(400, read.error);
  return callOrFail("Status.Peers", { datacenter: datacenterOf(parsed) }, (peers) => jsonAnswer(peers, parsed.pretty));
}

export function handleRaftConfiguration(parsed: Parsed): HttpPlan {
  const read = readOptions(parsed.request, parsed.query);
  if (!read.ok) return refuse(400, read.error);
  const args = { datacenter: datacenterOf(parsed), options: read.options };
  return callOrFail("Operator.RaftGetConfiguration", args, ({ servers, index }) => {
    const list = servers.map((server) => ({
      ID: server.id, Node: server.node, Address: server.address, Leader: server.leader, ProtocolVersion: server.protocolVersion, Voter: server.voter,
    }));
    return jsonAnswer({ Servers: list, Index: index }, parsed.pretty);
  });
}

export function handleRaftPeer(parsed: Parsed): HttpPlan {
  const id = parsed.query.get("id");
  const address = parsed.query.get("address");
  const byId = parsed.query.has("id");
  const byAddress = parsed.query.has("address");
  if (!byId && !byAddress) return badRequest("Must specify either ?id with the server's ID or ?address with IP:port of peer to remove");
  if (byId && byAddress) return badRequest("Must specify only one of ?id or ?address");
  const datacenter = datacenterOf(parsed);
  if (byId) return callOrFail("Operator.RaftRemovePeerByID", { datacenter, id }, () => textAnswer(200, ""));
  return callOrFail("Operator.RaftRemovePeerByAddress", { datacenter, address }, () => textAnswer(200, ""));
}
