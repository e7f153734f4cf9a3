#!/usr/bin/env node
/** Chooses the persona and runs the command. Reads nothing that the command does not need: `members` must be as quick as an empty program. */
import { basename } from "node:path";
import { encodeUtf8 } from "./base/utf8.ts";
import type { CliContext } from "./cli/context.ts";

const USAGE = `Usage: muster <persona> <command> [<args>]
       muster sim [options]

Personas:
    serf      The Serf agent and its commands
    consul    The Consul agent: servers with a replicated key-value store

Simulator:
    sim       What would a cluster do? Thousands of these nodes in one process

A link to this program named serf or consul acts as that persona.

Examples:

  muster serf agent -node=web-1 -bind=127.0.0.1
  muster serf members
  muster serf --help
  muster consul agent -dev
  muster sim -scenario=partition-heal -nodes=40
`;

void main(process.argv.slice(2), basename(process.argv[1] ?? "")).then((exitCode) => {
  // Handlers that still run and idle children must not hold the process; what was written goes out first.
  process.stdout.write("", () => process.exit(exitCode));
});

async function main(words: readonly string[], program: string): Promise<number> {
  // A reader that went away, as in `muster serf monitor | head -1`, is no error.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  const named = program === "serf" || program === "consul";
  const persona = named ? program : words[0];
  const rest = named ? words : words.slice(1);
  switch (persona) {
    case "serf":
      return (await import("./cli/serf/persona.ts")).runSerf(processContext(), rest);
    case "sim":
      return (await import("./cli/sim/thread.ts")).runSimApart(processContext(), rest);
    case "consul":
      return (await import("./cli/consul/persona.ts")).runConsul(processContext(), rest);
    case "-h":
    case "-help":
    case "--help":
      process.stderr.write(USAGE);
      return 0;
    case "-v":
    case "--version":
      return (await import("./cli/serf/version.ts")).printVersion(processContext());
    case undefined:
      process.stderr.write(USAGE);
      return 127;
    default:
      process.stderr.write(`${USAGE}\nhint: there is no persona ${persona}\n`);
      return 127;
  }
}

function processContext(): CliContext {
  return {
    // By bytes: a name that is no UTF-8 leaves as it came.
    out: (text) => void process.stdout.write(encodeUtf8(`${text}\n`)),
    err: (text) => void process.stderr.write(encodeUtf8(`${text}\n`)),
    env: process.env,
    onInterrupt: (listener) => void process.once("SIGINT", listener),
  };
}
