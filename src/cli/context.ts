/** What a command sees of the process it runs in, so that tests can run one without a process. */
export interface CliContext {
  /** Writes one line (a newline is added). */
  out(text: string): void;
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by the first SIGINT. A command that listens decides how to end; without a listener the process dies of the signal as usual. */
  onInterrupt(listener: () => void): void;
}

/** A command of a persona. `run` resolves with the exit code. */
export interface Command {
  /** Help text, without a final newline. */
  readonly usage: string;
  run(context: CliContext, args: readonly string[]): Promise<number>;
}

/** How a command is found: `load` reads its file only when it runs. */
export interface CommandEntry {
  readonly name: string;
  /** One line for the list of commands. */
  readonly synopsis: string;
  /** Flag names with their values, for completion. */
  load(): Promise<Command>;
}
