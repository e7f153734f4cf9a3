/** `serf agent`: the command that runs a node. */
import { startRpcServer } from "../../io/rpc-server.ts";
import { SerfAgent } from "../../io/serf-agent.ts";
import { optimizeLateWhenStarved } from "../../io/late-optimizing.ts";
import type { Command, CliContext } from "../context.ts";
import { flagNames } from "../command.ts";
import { AGENT_FLAGS } from "./agent-flags.ts";
import { runAgent, type AgentSignal, type AgentWorld } from "./agent-run.ts";
import { BoundedOutput } from "./agent-output.ts";
import { AgentUi } from "./agent-ui.ts";

const SIGNALS: Readonly<Record<string, AgentSignal>> = {
  SIGINT: "interrupt",
  SIGTERM: "terminated",
  SIGHUP: "hangup",
  SIGUSR1: "user defined signal 1",
};

const world: AgentWorld = {
  startAgent: (options) => SerfAgent.start(options),
  startRpc: startRpcServer,
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

function flagLines(): string {
  return Object.entries(AGENT_FLAGS)
    .map(([name, { value, help }]) => `  ${`-${name}${value === "" ? "" : `=${value}`}`.padEnd(35)} ${help}`)
    .join("\n");
}

const USAGE = `Usage: serf agent [options]

  Runs a node of the cluster until it is told to leave: by an interrupt, by
  "leave", or by the service manager.

Options:

${flagLines()}

Event handlers:

  -event-handler=[filter=]command runs the command with /bin/sh for every event
  that passes the filter: a comma list of member-join, member-leave,
  member-failed, member-update, member-reap, user, user:NAME, query, query:NAME.
  Without a filter it runs for all. The event is in the environment (SERF_EVENT
  and others), its members or payload on standard input; what the command prints
  answers a query. A command with "=" in it needs a filter, at least "*=".

Signals:

  INT leaves the cluster and ends; TERM ends (leaves with leave_on_terminate);
  HUP reads log level, tags and event handlers again; USR1 prints measurements.

Example:

  serf agent -node=web-1 -bind=10.0.0.1 -join=10.0.0.2 -tag role=web -event-handler=member-failed=./alert.sh`;

export const agentCommand: Command = {
  usage: USAGE,
  flagNames: flagNames(AGENT_FLAGS),
  async run(context: CliContext, args) {
    optimizeLateWhenStarved();
    const output = new BoundedOutput(context);
    const exitCode = await runAgent(args, USAGE, new AgentUi(output), world);
    if (!(await output.drain())) process.exit(exitCode);
    return exitCode;
  },
};
