/** How well each server does, as the leader sees it, and since when (reference: consul-agent §2.7, §5.5). */
import type { ClusterHealth, ServerHealth } from "../../api/rpc/types.ts";
import type { PeerStatus, RaftStatus } from "../../raft/types.ts";
import type { AutopilotConfig, ServerMember } from "./types.ts";

const NS_PER_MS = 1e6;

interface Known {
  readonly healthy: boolean;
  readonly sinceMs: number;
}

export class HealthWatch {
  #known = new Map<string, Known>();

  /** A new leader knows nothing of earlier health. */
  reset(): void {
    this.#known = new Map();
  }

  /** Call it regularly: what changed between two looks is dated to the second. `epochOffsetMs` turns `nowMs` into ms since 1970. */
  look(members: readonly ServerMember[], status: RaftStatus, settings: AutopilotConfig, nowMs: number, epochOffsetMs: number): ClusterHealth {
    const known = new Map<string, Known>();
    const servers = status.peers.map((peer): ServerHealth => {
      const member = members.find(({ id }) => id === peer.server.id);
      const seen = lastSeen(peer, status);
      const healthy = member?.status === "alive" && seen.lastContactMs !== null && seen.lastContactMs <= settings.lastContactThresholdMs
        && seen.lastTerm === status.lastTerm && status.lastIndex - seen.lastIndex <= settings.maxTrailingLogs;
      const before = this.#known.get(peer.server.id);
      const now = before !== undefined && before.healthy === healthy ? before : { healthy, sinceMs: nowMs };
      known.set(peer.server.id, now);
      return {
        id: peer.server.id, name: member?.name ?? "", address: peer.server.address, status: member?.status ?? "none", version: member?.server?.version ?? "",
        leader: status.leader?.id === peer.server.id, ...seen, healthy, voter: peer.server.suffrage === "voter", stableSinceNs: BigInt(Math.round((now.sinceMs + epochOffsetMs) * NS_PER_MS)),
      };
    });
    this.#known = known;
    const voters = servers.filter(({ voter }) => voter);
    const quorum = Math.trunc(voters.length / 2) + 1;
    return {
      healthy: servers.length > 0 && servers.every(({ healthy }) => healthy),
      failureTolerance: Math.max(0, voters.filter(({ healthy }) => healthy).length - quorum),
      servers,
    };
  }
}

function lastSeen({ server, matchIndex, lastContactMs }: PeerStatus, status: RaftStatus): Pick<ServerHealth, "lastContactMs" | "lastTerm" | "lastIndex"> {
  if (status.leader?.id === server.id) return { lastContactMs: 0, lastTerm: status.lastTerm, lastIndex: status.lastIndex };
  // A leader's entries are of its term, and a follower that has one of them has that term.
  return { lastContactMs, lastTerm: matchIndex > 0 ? status.lastTerm : 0, lastIndex: matchIndex };
}
