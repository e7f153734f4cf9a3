/** The Serf persona: finds the command among the words and runs it, with the original's treatment of help, version and mistakes. */
import type { CliContext } from "../context.ts";
import { SERF_COMMANDS } from "./commands.ts";

/** Exit code for a missing or unknown command. */
const NO_COMMAND = 127;
const HELP_FLAGS: readonly string[] = ["-h", "-help", "--help"];

/** Runs `words` (those after the program's name) and resolves with the exit code. */
export async function runSerf(context: CliContext, words: readonly string[]): Promise<number> {
  if (words.some((word) => word === "-v" || word === "--version")) return (await import("./version.ts")).printVersion(context);
  const at = words.findIndex((word) => !word.startsWith("-"));
  const before = words.slice(0, at < 0 ? words.length : at);
  const end = words.indexOf("--");
  const wantsHelp = words.slice(0, end < 0 ? words.length : end).some((word) => HELP_FLAGS.includes(word));
  const entry = at < 0 ? undefined : SERF_COMMANDS.find(({ name }) => name === words[at]);
  if (entry === undefined) {
    context.err(usage());
    if (wantsHelp && at < 0) return 0;
    if (at >= 0) context.err(`hint: there is no command ${words[at] as string}; the list above has them all`);
    return NO_COMMAND;
  }
  const command = await entry.load();
  if (wantsHelp) {
    context.err(command.usage);
    return 0;
  }
  if (before.length > 0) {
    context.err(`Invalid flags before the subcommand. If these flags are for\nthe subcommand, please put them after the subcommand.\n\n${command.usage}`);
    return 1;
  }
  return command.run(context, words.slice(at + 1));
}

/** What `serf` alone prints. */
export function usage(): string {
  const width = Math.max(...SERF_COMMANDS.map(({ name }) => name.length)) + 4;
  const lines = SERF_COMMANDS.map(({ name, synopsis }) => `    ${name.padEnd(width)}${synopsis}`);
  return `Usage: serf [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n${lines.join("\n")}\n\nExample:\n\n  serf agent -node=web-1 -join=10.0.0.5`;
}
