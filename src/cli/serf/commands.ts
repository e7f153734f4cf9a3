/** The commands of the Serf persona, in the order of the help. Each file is read only when its command runs. */
import type { Command, CommandEntry } from "../context.ts";

const entry = (name: string, synopsis: string, load: () => Promise<{ readonly command: Command }>): CommandEntry => ({
  name,
  synopsis,
  load: async () => (await load()).command,
});

export const SERF_COMMANDS: readonly CommandEntry[] = [
  entry("agent", "Runs a node of the cluster", async () => ({ command: (await import("./agent.ts")).agentCommand })),
  entry("completion", "Prints a completion script for bash, zsh or fish", () => import("./completion.ts")),
  entry("event", "Sends a user event through the cluster", () => import("./event.ts")),
  entry("force-leave", "Moves a failed member to the state left", () => import("./force-leave.ts")),
  entry("info", "Prints figures about a running agent", () => import("./info.ts")),
  entry("join", "Makes a running agent join a cluster", () => import("./join.ts")),
  entry("keygen", "Prints a new gossip encryption key", () => import("./keygen.ts")),
  entry("keys", "Manages the gossip encryption keys of the cluster", () => import("./keys.ts")),
  entry("leave", "Makes a running agent leave the cluster and stop", () => import("./leave.ts")),
  entry("members", "Lists the members of the cluster", () => import("./members.ts")),
  entry("monitor", "Shows the log of a running agent as it grows", () => import("./monitor.ts")),
  entry("query", "Asks the nodes of the cluster and prints their answers", () => import("./query.ts")),
  entry("reachability", "Tests whether all live members can be reached", () => import("./reachability.ts")),
  entry("rtt", "Estimates the round trip time between two nodes", () => import("./rtt.ts")),
  entry("tags", "Changes the tags of a running agent", () => import("./tags.ts")),
  entry("version", "Prints the version", () => import("./version.ts")),
];
