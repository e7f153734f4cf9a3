/** `consul agent`: the command that runs a node. */
import type { CliContext, Command } from "../context.ts";
import { flagNames, usageText } from "../command.ts";
import { parseFlags } from "../flags.ts";
import { runConsulAgent, type ConsulWorld } from "./agent-run.ts";
import { AGENT_FLAGS } from "./settings.ts";

const SIGNALS = { SIGINT: "interrupt", SIGTERM: "terminated", SIGHUP: "hangup" } as const;

const world: ConsulWorld = {
  onSignal(listener) {
    const removals = Object.entries(SIGNALS).map(([name, signal]) => {
      const handle = (): void => listener(signal);
      process.on(name, handle);
      return () => process.off(name, handle);
    });
    return () => {
      for (const remove of removals) remove();
    };
  },
};

const usage = (): string => usageText({
  synopsis: "consul agent [options]",
  about: [
    "Starts the Consul agent and runs until an interrupt is received. The",
    "agent represents a single node in a cluster.",
    "",
    "Settings come from JSON files, then from flags; scalars override, lists",
    "append. A setting that this version does not offer is an error.",
  ],
  flags: AGENT_FLAGS,
  examples: [
    "consul agent -dev",
    "consul agent -server -bootstrap-expect=3 -data-dir=/var/lib/muster -bind=10.0.0.1 -retry-join=10.0.0.2",
    "consul agent -config-dir=/etc/consul.d",
  ],
});

export const consulAgentCommand: Command = {
  get usage() {
    return usage();
  },
  flagNames: flagNames(AGENT_FLAGS),
  async run(context: CliContext, words) {
    const parsed = parseFlags(AGENT_FLAGS, words);
    if (!parsed.ok) {
      context.err(parsed.error);
      context.err(usage());
      return 1;
    }
    if (parsed.args.length > 0) {
      context.err(`==> Unexpected extra arguments: [${parsed.args.join(" ")}]`);
      return 1;
    }
    return runConsulAgent(context, parsed.flags, world);
  },
};
