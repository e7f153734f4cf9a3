#!/usr/bin/env node
/** The program: chooses the persona and the command. */
import { agentCommand } from "./cli/serf/agent.ts";
import type { CliContext } from "./cli/context.ts";

const context: CliContext = {
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
  env: process.env,
  onInterrupt: (listener) => void process.once("SIGINT", listener),
};

const [persona, command, ...words] = process.argv.slice(2);
if (persona !== "serf" || command !== "agent") {
  context.err("Usage: muster serf agent [options]");
  process.exitCode = 127;
} else if (words.some((word) => /^--?h(elp)?$/.test(word))) context.err(agentCommand.usage);
else {
  const exitCode = await agentCommand.run(context, words);
  // Handlers that still run and idle children must not hold the process; what was written goes out first.
  process.stdout.write("", () => process.exit(exitCode));
}
