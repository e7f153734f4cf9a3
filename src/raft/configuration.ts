/** Configurations as values: who votes, and what one change makes of one. A change touches one server, so old and new majorities overlap. */
import { fail, ok, type Result } from "../base/result.ts";
import type { RaftConfiguration, RaftServer } from "../wire/raft-messages.ts";
import type { ConfigurationCommand, PeerAddress } from "./types.ts";

export const EMPTY_CONFIGURATION: RaftConfiguration = { servers: [] };

export function voters({ servers }: RaftConfiguration): readonly RaftServer[] {
  return servers.filter((server) => server.suffrage === "voter");
}

export function serverById({ servers }: RaftConfiguration, id: string): RaftServer | null {
  return servers.find((server) => server.id === id) ?? null;
}

export function isVoter(configuration: RaftConfiguration, id: string): boolean {
  return serverById(configuration, id)?.suffrage === "voter";
}

/** The sender of a message: by the id when the header has one, else by the address. */
export function peerOf(configuration: RaftConfiguration, { id, address }: PeerAddress): PeerAddress {
  const known = id === "" ? configuration.servers.find((server) => server.address === address) : undefined;
  return { id: known?.id ?? id, address };
}

/** What the command makes of the configuration; fails when that would be none. */
export function changed(current: RaftConfiguration, command: ConfigurationCommand): Result<RaftConfiguration> {
  const next = changedServers(current, command);
  if (!next.ok) return next;
  return checkConfiguration({ servers: next.value });
}

/** A configuration that a cluster can run with. */
export function checkConfiguration(configuration: RaftConfiguration): Result<RaftConfiguration> {
  const { servers } = configuration;
  if (voters(configuration).length === 0) return fail("need at least one voter in configuration");
  const ids = new Set<string>();
  const addresses = new Set<string>();
  for (const { id, address } of servers) {
    if (id === "") return fail("empty ID in configuration");
    if (address === "") return fail(`empty address in configuration: ${id}`);
    if (ids.has(id)) return fail(`found duplicate ID in configuration: ${id}`);
    if (addresses.has(address)) return fail(`found duplicate address in configuration: ${address}`);
    ids.add(id);
    addresses.add(address);
  }
  return ok(configuration);
}

function changedServers({ servers }: RaftConfiguration, command: ConfigurationCommand): Result<readonly RaftServer[]> {
  const { id } = command;
  const present = servers.find((server) => server.id === id);
  switch (command.kind) {
    case "addVoter":
    case "addNonvoter": {
      const suffrage = command.kind === "addVoter" || present?.suffrage === "voter" ? "voter" : "nonvoter";
      const server: RaftServer = { id, address: command.address, suffrage };
      if (present === undefined) return ok([...servers, server]);
      return ok(servers.map((other) => (other.id === id ? server : other)));
    }
    case "demoteVoter":
      if (present === undefined) return fail(`server ${id} is not in the configuration`);
      return ok(servers.map((other) => (other.id === id ? { ...other, suffrage: "nonvoter" } : other)));
    case "removeServer":
      if (present === undefined) return fail(`server ${id} is not in the configuration`);
      return ok(servers.filter((other) => other.id !== id));
  }
}
