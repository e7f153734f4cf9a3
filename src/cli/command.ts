/** Builds a command from its flags: help text, parsing with Go's complaints, completion. */
import type { CliContext, Command } from "./context.ts";
import { parseFlags, type FlagSpecs, type FlagValues } from "./flags.ts";

interface CommandSpec<S extends FlagSpecs> {
  /** "serf members [options]". */
  readonly synopsis: string;
  /** What it does, in lines of at most 76 characters. */
  readonly about: readonly string[];
  readonly flags: S;
  /** At least one line a user can type. */
  readonly examples: readonly string[];
  run(context: CliContext, flags: FlagValues<S>, args: readonly string[], usage: () => string): Promise<number>;
}

export function defineCommand<S extends FlagSpecs>(spec: CommandSpec<S>): Command {
  const usage = (): string => usageText(spec);
  return {
    // Made when they are asked for: most runs never are.
    get usage() {
      return usage();
    },
    get flagNames() {
      return flagNames(spec.flags);
    },
    async run(context, words) {
      const parsed = parseFlags(spec.flags, words);
      if (!parsed.ok) {
        context.err(parsed.error);
        context.out(usage());
        return 1;
      }
      return spec.run(context, parsed.flags, parsed.args, usage);
    },
  };
}

/** Flags as completion offers them: "-verbose", "-format=" when a value follows. */
export function flagNames(flags: FlagSpecs): readonly string[] {
  return Object.entries(flags).map(([name, { kind }]) => `-${name}${kind === "bool" ? "" : "="}`);
}

const HELP_COLUMN = 28;
const HELP_WIDTH = 80;

export function usageText({ synopsis, about, flags, examples }: Pick<CommandSpec<FlagSpecs>, "synopsis" | "about" | "flags" | "examples">): string {
  const options = Object.entries(flags).flatMap(([name, { value, help }]) => optionLines(`-${name}${value === "" ? "" : `=${value}`}`, help));
  return [
    `Usage: ${synopsis}`,
    "",
    ...about.map((line) => `  ${line}`),
    ...(options.length > 0 ? ["", "Options:", "", ...options] : []),
    "",
    examples.length === 1 ? "Example:" : "Examples:",
    "",
    ...examples.map((line) => `  ${line}`),
  ].join("\n");
}

/** The flag, and its help wrapped in a column beside it. */
function optionLines(flag: string, help: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of help.split(" ")) {
    if (line !== "" && HELP_COLUMN + line.length + 1 + word.length > HELP_WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(line);
  const head = `  ${flag}`;
  if (head.length > HELP_COLUMN - 2) return [head, ...lines.map((text) => " ".repeat(HELP_COLUMN) + text)];
  return lines.map((text, i) => (i === 0 ? head : "").padEnd(HELP_COLUMN) + text);
}
