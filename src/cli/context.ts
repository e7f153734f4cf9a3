/** What a command sees of the process it runs in, so that tests run one without a process. */
export interface CliContext {
  /** Writes one line to stdout (a newline is added). */
  out(text: string): void;
  /** Writes one line to stderr. */
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Calls `listener` on SIGINT instead of dying of it. */
  onInterrupt(listener: () => void): void;
}

/** A command of a persona. */
export interface Command {
  /** Help text. */
  readonly usage: string;
  /** Its flags with their values, as completion offers them. */
  readonly flagNames: readonly string[];
  /** Resolves with the exit code; `args` are the words after the command's name. */
  run(context: CliContext, args: readonly string[]): Promise<number>;
}

/** How a command is found. `load` reads its file only when it is needed: a command that talks RPC must not load the agent. */
export interface CommandEntry {
  readonly name: string;
  /** One line for the list of commands. */
  readonly synopsis: string;
  load(): Promise<Command>;
}

/** Prints an error as the original does, on stdout, and the next step on stderr. Returns the exit code 1. */
export function fail(context: CliContext, error: string, nextStep: string): number {
  context.out(error);
  context.err(`hint: ${nextStep}`);
  return 1;
}
