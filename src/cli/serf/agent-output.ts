/**
 * Standard output of an agent. Node keeps what the reader of a pipe (a journal, a pager) does not take, without bound, and does not end before it
 * has taken it: a reader that stops would fill memory and keep a stopped agent alive. Here a bounded number of bytes waits, and what does not fit is
 * dropped and counted.
 */
import type { CliContext } from "../context.ts";
import type { LineOutputs } from "./agent-ui.ts";

/** Bytes that may wait for the reader. */
const PENDING_BYTES_MAX = 1024 * 1024;
/** At the end, how long the reader may take for what waits, in ms. */
const DRAIN_MS_MAX = 1000;

export class BoundedOutput implements LineOutputs {
  readonly #context: CliContext;
  readonly #stream: NodeJS.WriteStream;
  #dropped = 0;

  constructor(context: CliContext, stream: NodeJS.WriteStream = process.stdout) {
    this.#context = context;
    this.#stream = stream;
  }

  out(line: string): void {
    if (this.#stream.writableLength > PENDING_BYTES_MAX) {
      this.#dropped += 1;
      return;
    }
    const dropped = this.#dropped;
    this.#dropped = 0;
    if (dropped > 0) this.#context.out(`    [WARN] agent: ${dropped} lines were dropped here: the reader of the log is too slow`);
    this.#context.out(line);
  }

  err(line: string): void {
    this.#context.err(line);
  }

  /** Resolves once everything is written, or the reader has had its time. False: something is left that would keep the process alive. */
  drain(): Promise<boolean> {
    if (this.#stream.writableLength === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const limit = setTimeout(() => resolve(false), DRAIN_MS_MAX);
      this.#stream.write("", () => {
        clearTimeout(limit);
        resolve(true);
      });
    });
  }
}
