/** `consul validate`: are these configuration files right? */
import type { Command } from "../context.ts";
import { defineCommand } from "../command.ts";
import { consulSettings } from "./agent-options.ts";
import { readConfigFiles } from "./config-files.ts";

export const validateCommand: Command = defineCommand({
  synopsis: "consul validate [options] FILE_OR_DIRECTORY...",
  about: [
    "Checks configuration files as the agent would read them, without starting",
    "one. Exit code 0 when they are right, 1 otherwise.",
  ],
  flags: { quiet: { kind: "bool", value: "", help: "Say nothing when the files are right" } },
  examples: ["consul validate /etc/consul.d"],
  async run(context, flags, args) {
    if (args.length === 0) {
      context.err("Must specify at least one config file or directory");
      return 1;
    }
    const values = readConfigFiles(args);
    const settings = values.ok ? consulSettings(values.value, false) : values;
    if (!settings.ok) {
      context.err(`Config validation failed: ${settings.error}`);
      return 1;
    }
    for (const warning of settings.value.warnings) context.err(warning);
    if (flags.quiet !== true) context.out("Configuration is valid!");
    return 0;
  },
});
