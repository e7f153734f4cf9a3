import type { Applier } from "./applier.ts";
import type { Context } from "./context.ts";
import type { Replicator } from "./replicator.ts";
import type { PeerStatus, RaftStatus } from "./types.ts";

export function raftStatus(context: Context, applier: Applier, replicator: Replicator, nowMs: number): RaftStatus {
  const { log, configurations, role } = context;
  const { latest, committed } = configurations;
  return {
    role,
    term: context.term,
    leader: context.leader,
    commitIndex: context.commitIndex,
    appliedIndex: applier.appliedIndex,
    firstIndex: log.firstIndex,
    lastIndex: log.lastIndex,
    lastTerm: log.lastTerm,
    durableIndex: context.writes.durableIndex,
    snapshotIndex: context.snapshotIndex,
    snapshotTerm: context.snapshot?.term ?? 0,
    configuration: latest.configuration,
    configurationIndex: latest.index,
    committedConfiguration: committed.configuration,
    committedConfigurationIndex: committed.index,
    lastContactMs: role === "leader" ? 0 : context.lastContactMs === -Infinity ? null : nowMs - context.lastContactMs,
    peers: role === "leader" ? latest.configuration.servers.map((server): PeerStatus => {
      const peer = replicator.peer(server.id);
      if (peer === null) return { server, matchIndex: context.writes.durableIndex, nextIndex: log.lastIndex + 1, lastContactMs: 0 };
      return { server, matchIndex: peer.matchIndex, nextIndex: peer.nextIndex, lastContactMs: peer.hasAnswered ? nowMs - peer.heardMs : null };
    }) : [],
  };
}
