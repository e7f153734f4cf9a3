/**
 * Who belongs into the Raft configuration: new servers join as non-voters and are promoted once they have been healthy for a while; dead ones are removed
 * when a majority stays (reference: consul-agent §5.5). Pure: looks at members and Raft's status, answers with at most one change at a time.
 */
import type { ConfigurationCommand, RaftStatus } from "../../raft/types.ts";
import type { AutopilotConfig, ServerMember } from "./types.ts";

export class Autopilot {
  /** Since when a server has looked healthy without a break. */
  readonly #healthySince = new Map<string, number>();

  /** A new leader knows nothing of earlier health. */
  reset(): void {
    this.#healthySince.clear();
  }

  /** The next change of the configuration, or null. `selfId` is never removed. */
  nextChange(members: readonly ServerMember[], status: RaftStatus, selfId: string, config: AutopilotConfig, nowMs: number): ConfigurationCommand | null {
    const servers = members.filter((member) => member.server !== null);
    return this.#add(servers, status) ?? this.#promote(servers, status, config, nowMs) ?? this.#remove(servers, status, selfId, config);
  }

  #add(servers: readonly ServerMember[], status: RaftStatus): ConfigurationCommand | null {
    for (const member of servers) {
      if (member.status !== "alive" || member.server === null || member.id === "") continue;
      const address = `${member.ip}:${member.server.port}`;
      const known = status.configuration.servers.find(({ id }) => id === member.id);
      if (known?.address === address) continue;
      const claimed = status.configuration.servers.find((server) => server.address === address);
      if (claimed !== undefined) return { kind: "removeServer", id: claimed.id };
      return { kind: "addNonvoter", id: member.id, address };
    }
    return null;
  }

  #promote(servers: readonly ServerMember[], status: RaftStatus, config: AutopilotConfig, nowMs: number): ConfigurationCommand | null {
    for (const peer of status.peers) {
      const { id, address, suffrage } = peer.server;
      if (suffrage === "voter") continue;
      const member = servers.find((candidate) => candidate.id === id);
      const healthy =
        member?.status === "alive" &&
        member.server?.nonVoter === false &&
        peer.lastContactMs !== null &&
        peer.lastContactMs <= config.lastContactThresholdMs &&
        status.lastIndex - peer.matchIndex <= config.maxTrailingLogs;
      if (!healthy) {
        this.#healthySince.delete(id);
        continue;
      }
      const since = this.#healthySince.get(id) ?? nowMs;
      this.#healthySince.set(id, since);
      if (nowMs - since >= config.serverStabilizationMs) return { kind: "addVoter", id, address };
    }
    return null;
  }

  /** Left servers go at once; failed ones only while those that stay are a majority and at least `minQuorum`. */
  #remove(servers: readonly ServerMember[], status: RaftStatus, selfId: string, config: AutopilotConfig): ConfigurationCommand | null {
    const configured = status.configuration.servers;
    const gone = configured.filter(({ id }) => id !== selfId && servers.some((member) => member.id === id && member.status !== "alive"));
    const left = gone.find(({ id }) => servers.some((member) => member.id === id && member.status === "left"));
    if (left !== undefined) return { kind: "removeServer", id: left.id };
    if (!config.cleanupDeadServers) return null;
    const voters = configured.filter(({ suffrage }) => suffrage === "voter");
    const failed = gone.filter(({ suffrage }) => suffrage === "voter");
    const dead = gone.find(({ suffrage }) => suffrage !== "voter");
    if (dead !== undefined) return { kind: "removeServer", id: dead.id };
    const first = failed[0];
    if (first === undefined || failed.length > Math.trunc((voters.length - 1) / 2)) return null;
    return voters.length - failed.length >= Math.max(2, config.minQuorum) ? { kind: "removeServer", id: first.id } : null;
  }
}
