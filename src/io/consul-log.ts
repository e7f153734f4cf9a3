/** Log lines as the Consul agent writes them: `    2026-01-02T15:04:05.000Z [INFO]  agent.server: text: key=value`, or one JSON object each. */
import type { LogLevel } from "../swim/types.ts";
import { logText, type LogSink, type LogText } from "./serf-agent-api.ts";

const RANKS: Readonly<Record<LogLevel, number>> = { trace: 0, debug: 1, info: 2, warn: 3, err: 4 };
const LABELS: Readonly<Record<LogLevel, string>> = { trace: "[TRACE]", debug: "[DEBUG]", info: "[INFO] ", warn: "[WARN] ", err: "[ERROR]" };
const NAMES: Readonly<Record<LogLevel, string>> = { trace: "trace", debug: "debug", info: "info", warn: "warn", err: "error" };
/** A peer's name or error text may be in it. */
const LINE_LENGTH_MAX = 8192;

export interface ConsulLogOptions {
  readonly level: LogLevel;
  readonly json: boolean;
  readonly write: (line: string) => void;
  /** The wall clock, replaced in tests. */
  readonly now?: () => Date;
}

export class ConsulLog implements LogSink {
  readonly #options: ConsulLogOptions;
  #level: LogLevel;

  constructor(options: ConsulLogOptions) {
    this.#options = options;
    this.#level = options.level;
  }

  setLevel(level: LogLevel): void {
    this.#level = level;
  }

  /** `text` begins with the logger's name: "agent.server.raft: election won: tally=1". */
  write(level: LogLevel, text: LogText): void {
    if (RANKS[level] < RANKS[this.#level]) return;
    const whole = logText(text);
    const cut = whole.length > LINE_LENGTH_MAX ? `${whole.slice(0, LINE_LENGTH_MAX)}…` : whole;
    const stamp = (this.#options.now?.() ?? new Date()).toISOString();
    this.#options.write(this.#options.json ? jsonLine(level, cut, stamp) : `    ${stamp} ${LABELS[level]} ${cut.replaceAll("\n", "\n  ")}`);
  }
}

function jsonLine(level: LogLevel, text: string, stamp: string): string {
  const colon = text.indexOf(": ");
  const module = colon < 0 ? "agent" : text.slice(0, colon);
  return JSON.stringify({ "@level": NAMES[level], "@message": colon < 0 ? text : text.slice(colon + 2), "@module": module, "@timestamp": stamp });
}
