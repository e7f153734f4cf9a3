/**
 * Entry file of the spawner: a process that stays small, so that starting a script costs what it costs a small process, however much memory the
 * agent holds (reference figures: 1–13 ms of the agent's main thread otherwise). It loads nothing but `child_process`.
 */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { EXIT_GRACE_MS, OUTPUT_BYTES_MAX, type ScriptOutcome, type ScriptRequest } from "./spawner-messages.ts";

// A terminal's Ctrl-C and a service manager's stop reach the whole group. The agent decides when we end: by closing the channel.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"] as const) process.on(signal, () => {});
process.on("message", (request: ScriptRequest) => runScript(request));
process.on("disconnect", () => process.exit(0));

/**
 * Both outputs of the command into one pipe, so that their order is kept; Node itself cannot give a child one pipe twice. The command is the user's
 * own configuration and arrives as an argument; what comes from the network is in the environment and on standard input only.
 */
const ONE_OUTPUT = 'exec /bin/sh -c "$1" 2>&1';

function runScript({ id, command, env, stdin }: ScriptRequest): void {
  const output = new Tail();
  const answer = (status: string): void => {
    const outcome: ScriptOutcome = { id, status, output: output.bytes(), outputBytes: output.total };
    process.send?.(outcome);
  };
  let child: ChildProcessByStdio<Writable, Readable, null>;
  try {
    child = spawn("/bin/sh", ["-c", ONE_OUTPUT, "sh", command], { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "ignore"] });
  } catch (error) {
    answer(startFailure(error));
    return;
  }
  let answered = false;
  let grace: NodeJS.Timeout | undefined;
  const finish = (status: string): void => {
    if (answered) return;
    answered = true;
    clearTimeout(grace);
    child.stdout.destroy();
    answer(status);
  };
  child.on("error", (error) => finish(startFailure(error)));
  child.on("close", (code, signal) => finish(exitText(code, signal)));
  child.on("exit", (code, signal) => {
    // A process that the script left in the background may hold its output open for ever.
    grace = setTimeout(finish, EXIT_GRACE_MS, exitText(code, signal));
  });
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stdin.on("error", () => {}); // The script need not read its input.
  child.stdin.end(stdin);
}

/** The last bytes of a stream. */
class Tail {
  total = 0;
  #chunks: Buffer[] = [];
  #length = 0;

  push(chunk: Buffer): void {
    this.total += chunk.length;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    // Joined only once twice the size has gathered: each byte is copied a bounded number of times.
    if (this.#length <= 2 * OUTPUT_BYTES_MAX) return;
    const tail = this.bytes();
    this.#chunks = [tail];
    this.#length = tail.length;
  }

  bytes(): Buffer {
    // A copy: a small slice would keep the whole read buffer alive.
    return Buffer.from(Buffer.concat(this.#chunks).subarray(-OUTPUT_BYTES_MAX));
  }
}

/** "" for success, else as Go's `os.ProcessState` prints it. */
function exitText(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal !== null) return `signal: ${SIGNAL_TEXTS[signal] ?? signal.toLowerCase()}`;
  return code === 0 ? "" : `exit status ${code}`;
}

function startFailure(error: unknown): string {
  return `fork/exec /bin/sh: ${error instanceof Error ? error.message : String(error)}`;
}

const SIGNAL_TEXTS: Partial<Record<NodeJS.Signals, string>> = {
  SIGABRT: "aborted",
  SIGALRM: "alarm clock",
  SIGBUS: "bus error",
  SIGFPE: "floating point exception",
  SIGHUP: "hangup",
  SIGILL: "illegal instruction",
  SIGINT: "interrupt",
  SIGKILL: "killed",
  SIGPIPE: "broken pipe",
  SIGQUIT: "quit",
  SIGSEGV: "segmentation fault",
  SIGTERM: "terminated",
  SIGUSR1: "user defined signal 1",
  SIGUSR2: "user defined signal 2",
};
