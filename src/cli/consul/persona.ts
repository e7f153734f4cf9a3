/** The Consul persona: finds the command among the words and runs it, with the original's treatment of help, version and mistakes. */
import { CONSUL_VERSION } from "../../io/consul-agent-options.ts";
import type { CliContext, CommandEntry } from "../context.ts";

/** Exit code for a missing or unknown command. */
const NO_COMMAND = 127;
const HELP_FLAGS: readonly string[] = ["-h", "-help", "--help"];

export const CONSUL_COMMANDS: readonly CommandEntry[] = [
  { name: "agent", synopsis: "Runs a Consul agent", load: async () => (await import("./agent.ts")).consulAgentCommand },
  { name: "validate", synopsis: "Validate config files/directories", load: async () => (await import("./validate.ts")).validateCommand },
];

/** Runs `words` (those after the program's name) and resolves with the exit code. */
export async function runConsul(context: CliContext, words: readonly string[]): Promise<number> {
  const [name, ...rest] = words;
  if (name === "version" || name === "-v" || name === "--version") {
    context.out(`Consul v${CONSUL_VERSION}\nProtocol 2 spoken by default, understands 2 to 3 (agent will automatically use protocol >2 when speaking to compatible agents)\n`);
    return 0;
  }
  const entry = CONSUL_COMMANDS.find((known) => known.name === name);
  if (entry === undefined) {
    context.err(usage());
    if (name !== undefined && HELP_FLAGS.includes(name)) return 0;
    if (name !== undefined) context.err(`hint: there is no command ${name} here yet; the commands of the original work with this agent's HTTP API`);
    return NO_COMMAND;
  }
  const command = await entry.load();
  if (rest.some((word) => HELP_FLAGS.includes(word))) {
    context.out(command.usage);
    return 0;
  }
  return command.run(context, rest);
}

function usage(): string {
  const width = Math.max(...CONSUL_COMMANDS.map(({ name }) => name.length), "version".length) + 4;
  const lines = [...CONSUL_COMMANDS.map(({ name, synopsis }) => `    ${name.padEnd(width)}${synopsis}`), `    ${"version".padEnd(width)}Prints the Consul version`];
  return `Usage: consul [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n${lines.join("\n")}\n\nExample:\n\n  consul agent -dev`;
}
