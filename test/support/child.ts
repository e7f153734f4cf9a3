import { spawn, type ChildProcess } from "node:child_process";

/** Output kept per child; the beginning is dropped, since failures are explained by the end. */
const OUTPUT_CHARS_MAX = 1 << 20;
const STOP_DEADLINE_MS = 8_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A child process whose output is collected and can be waited for. */
export class Child {
  readonly label: string;
  readonly exited: Promise<Exit>;
  readonly #process: ChildProcess;
  #output = "";
  readonly #streams = { stdout: "", stderr: "" };
  #exit: Exit | null = null;
  #watchers = new Set<() => void>();

  constructor(label: string, command: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.label = label;
    const [program = "", ...args] = command;
    this.#process = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    for (const name of ["stdout", "stderr"] as const) {
      this.#process[name]?.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_CHARS_MAX);
        this.#streams[name] = (this.#streams[name] + text).slice(-OUTPUT_CHARS_MAX);
        this.#wake();
      });
    }
    this.exited = new Promise((resolve) => {
      const end = (exit: Exit): void => {
        this.#exit ??= exit;
        this.#wake();
        resolve(this.#exit);
      };
      this.#process.on("error", (error) => {
        this.#output += `${error.message}\n`;
        end({ code: null, signal: null });
      });
      this.#process.on("close", (code, signal) => end({ code, signal }));
    });
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  /** Standard output and standard error together, in order of arrival. */
  get output(): string {
    return this.#output;
  }

  /** Standard error, then standard output: the same however the two pipes were read. */
  get errorsThenOutput(): string {
    return this.#streams.stderr + this.#streams.stdout;
  }

  /** Null while it runs. */
  get exit(): Exit | null {
    return this.#exit;
  }

  /** Resolves once `found` holds for the output so far; fails with the output when the child ends first or the deadline passes. */
  async waitFor(what: string, found: (output: string) => boolean, deadlineMs: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const settle = (error: string | null): void => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        if (error === null) resolve();
        else reject(new Error(`${this.label}: ${error} before ${what}\n${this.describe()}`));
      };
      const look = (): void => {
        if (found(this.#output)) settle(null);
        else if (this.#exit !== null) settle("ended");
      };
      const timer = setTimeout(() => settle(`${deadlineMs} ms passed`), deadlineMs);
      this.#watchers.add(look);
      look();
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Asks with `signal`, then insists with SIGKILL. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Exit> {
    if (this.#exit === null) {
      this.kill(signal);
      const insist = setTimeout(() => this.kill("SIGKILL"), STOP_DEADLINE_MS);
      await this.exited;
      clearTimeout(insist);
    }
    return this.exited;
  }

  /** The last lines of its output, for failure messages. */
  describe(lines = 40): string {
    const state = this.#exit === null ? `running, pid ${this.pid}` : `exit code ${this.#exit.code} signal ${this.#exit.signal}`;
    return `--- ${this.label} (${state})\n${this.#output.trimEnd().split("\n").slice(-lines).join("\n")}\n`;
  }

  #wake(): void {
    for (const look of this.#watchers) look();
  }
}

/** Runs a command to its end. Its output is standard error, then standard output: two pipes have no order between them. */
export async function runCommand(command: readonly string[], deadlineMs: number, env: NodeJS.ProcessEnv = process.env): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = new Child(command.join(" "), command, env);
  const timer = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
  const { code } = await child.exited;
  clearTimeout(timer);
  return { code, output: child.errorsThenOutput };
}
