/** Log lines and counters of one pool as effects. A line below the configured level is not built: callers ask `wants` first where text is costly. */
import { countOf } from "../swim/core.ts";
import type { LogLevel } from "../swim/types.ts";
import type { PoolEffect } from "./types.ts";

const SEVERITY: Readonly<Record<LogLevel, number>> = { trace: 0, debug: 1, info: 2, warn: 3, err: 4 };

export class Reporter {
  readonly #severity: number;
  /** As `wants("debug")`, which each message asks. */
  readonly wantsDebug: boolean;

  constructor(level: LogLevel) {
    this.#severity = SEVERITY[level];
    this.wantsDebug = this.wants("debug");
  }

  wants(level: LogLevel): boolean {
    return SEVERITY[level] >= this.#severity;
  }

  log(level: LogLevel, text: string, out: PoolEffect[]): void {
    if (this.wants(level)) out.push({ kind: "log", level, text });
  }

  count(name: string, out: PoolEffect[]): void {
    out.push(countOf(name));
  }
}
