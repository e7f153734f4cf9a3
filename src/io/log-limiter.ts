/**
 * Limits how often warnings and errors of one kind are written: whoever reaches a port can cause a line per packet, which costs more than the packet
 * does, fills disks, and pushes everything else out of the backlog. Counters keep the truth. What was left out is told once the second is over.
 */
import type { LogLevel } from "../swim/types.ts";
import { logText, type LogText } from "./serf-agent-api.ts";

/** Lines of one kind per second; far more than a cluster in trouble writes of one kind, except where every member is in it. */
export const LINES_PER_SECOND_MAX = 20;
/** A kind is a level and the beginning of a text: the original's words stand there, and what differs (addresses, names, reasons) comes later. */
export const KIND_LENGTH = 24;
/** Kinds told apart within a second; a text that begins with what a peer sent must not fill memory. All others share one limit. */
export const KINDS_MAX = 256;
const OTHER_KINDS = "";
const WINDOW_MS = 1000;

interface Kind {
  readonly level: LogLevel;
  lines: number;
}

export class LogLimiter {
  readonly #kinds = new Map<string, Kind>();
  readonly #tell: (level: LogLevel, text: string) => void;
  #timer: NodeJS.Timeout | null = null;

  /** `tell` is given the line about what was left out. */
  constructor(tell: (level: LogLevel, text: string) => void) {
    this.#tell = tell;
  }

  /** Whether this line may be written. Always true below `warn`: those lines report what members do, each of them once. */
  passes(level: LogLevel, text: LogText): boolean {
    if (level !== "warn" && level !== "err") return true;
    const key = `${level} ${logText(text).slice(0, KIND_LENGTH)}`;
    const kind = this.#kinds.get(key) ?? this.#add(key, level);
    kind.lines += 1;
    return kind.lines <= LINES_PER_SECOND_MAX;
  }

  /** Ends the second now: tells what was left out and starts anew. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const kinds = [...this.#kinds];
    this.#kinds.clear();
    for (const [key, { level, lines }] of kinds) {
      if (lines <= LINES_PER_SECOND_MAX) continue;
      const like = key === OTHER_KINDS ? "of many kinds" : `like "${key.slice(level.length + 1)}…"`;
      this.#tell(level, `agent: suppressed ${lines - LINES_PER_SECOND_MAX} more lines ${like} within a second`);
    }
  }

  #add(key: string, level: LogLevel): Kind {
    const shared = this.#kinds.size < KINDS_MAX ? key : OTHER_KINDS;
    const known = this.#kinds.get(shared);
    if (known !== undefined) return known;
    const kind = { level, lines: 0 };
    this.#kinds.set(shared, kind);
    // One timer per second with warnings in it, none in a quiet one.
    this.#timer ??= setTimeout(() => this.flush(), WINDOW_MS).unref();
    return kind;
  }
}
