/**
 * All log records of a process pass here once and go to whoever listens, each listener at its own level: the agent's own output, RPC
 * monitors, syslog. The last records are kept for late listeners, at all levels: a monitor may look finer than the agent prints.
 */
import type { LogLevel } from "../swim/types.ts";
import { wallMs } from "./clock.ts";
import { LogLimiter } from "./log-limiter.ts";
import { logText, type LogSink, type LogText, type Unsubscribe } from "./serf-agent-api.ts";

/** Records kept for replay; the original's number. */
export const LOG_BACKLOG_MAX = 512;
/** Longest line kept and delivered; a peer's name or error text may be in it. */
export const LOG_LINE_LENGTH_MAX = 8192;

const RANKS: Readonly<Record<LogLevel, number>> = { trace: 0, debug: 1, info: 2, warn: 3, err: 4 };
const LABELS: Readonly<Record<LogLevel, string>> = { trace: "TRACE", debug: "DEBUG", info: "INFO", warn: "WARN", err: "ERR" };

/** Valid level names as users write them, in the original's order. */
export const LOG_LEVEL_NAMES: readonly string[] = Object.values(LABELS);

/** The level of a user's word, in any case; null when there is none of that name. */
export function parseLogLevel(text: string): LogLevel | null {
  const level = text.toLowerCase();
  return Object.hasOwn(RANKS, level) ? (level as LogLevel) : null;
}

/** `line` is complete: "2006/01/02 15:04:05 [INFO] serf: …", without a newline at its end. A multi-line message is one line here. */
export type LogListener = (line: string, level: LogLevel) => void;

interface Subscriber {
  rank: number;
  readonly listener: LogListener;
}

export interface LogSubscription {
  /** Changes the level from now on; what was skipped before is not delivered later. */
  setLevel(level: LogLevel): void;
  readonly close: Unsubscribe;
}

export class LogHub implements LogSink {
  readonly #now: () => number;
  // What is kept, in columns. A line is made when somebody wants it: most of those of a busy agent are below every listener's level.
  readonly #stamps: string[] = [];
  readonly #levels: LogLevel[] = [];
  readonly #texts: LogText[] = [];
  #next = 0; // Index of the next record; once the ring is full, of the oldest one.
  readonly #subscribers = new Set<Subscriber>();
  readonly #limiter = new LogLimiter((level, text) => this.#deliver(level, text));
  #second = NaN;
  #stamp = "";

  /** `now`: the wall clock in ms, replaced in tests. */
  constructor(now: () => number = wallMs) {
    this.#now = now;
  }

  /** Records `text` ("serf: EventMemberJoin: a 10.0.0.1"). Listeners run inside the call and must not throw. A flood of warnings is cut (`LogLimiter`). */
  write(level: LogLevel, text: LogText): void {
    if (this.#limiter.passes(level, text)) this.#deliver(level, text);
  }

  #deliver(level: LogLevel, text: LogText): void {
    const at = this.#next;
    this.#stamps[at] = this.#timestamp();
    this.#levels[at] = level;
    this.#texts[at] = typeof text === "string" ? cut(text) : text;
    this.#next = (at + 1) % LOG_BACKLOG_MAX;
    const rank = rankOf(level);
    let line: string | null = null;
    for (const subscriber of this.#subscribers) {
      if (rank < subscriber.rank) continue;
      line ??= this.#lineAt(at);
      subscriber.listener(line, level);
    }
  }

  /** Delivers every record from `level` up; first, when asked for, what is still kept of the past. */
  subscribe(level: LogLevel, listener: LogListener, options: { readonly replay: boolean }): LogSubscription {
    const subscriber: Subscriber = { rank: RANKS[level], listener };
    if (options.replay) {
      for (const record of this.backlog()) if (RANKS[record.level] >= subscriber.rank) listener(record.line, record.level);
    }
    this.#subscribers.add(subscriber);
    return {
      setLevel: (next) => {
        subscriber.rank = RANKS[next];
      },
      close: () => {
        this.#subscribers.delete(subscriber);
      },
    };
  }

  /** What is kept, oldest first. */
  backlog(): readonly { readonly line: string; readonly level: LogLevel }[] {
    const count = this.#texts.length;
    return Array.from({ length: count }, (_, i) => {
      const at = (this.#next + i) % count;
      return { line: this.#lineAt(at), level: this.#levels[at] as LogLevel };
    });
  }

  #lineAt(at: number): string {
    return `${this.#stamps[at]} [${LABELS[this.#levels[at] as LogLevel]}] ${cut(logText(this.#texts[at] as LogText))}`;
  }

  /** Local time as Go's standard logger prints it. Kept for the second: a burst of lines formats it once. */
  #timestamp(): string {
    const second = Math.floor(this.#now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      const now = new Date(second * 1000);
      const two = (value: number): string => String(value).padStart(2, "0");
      this.#stamp =
        `${now.getFullYear()}/${two(now.getMonth() + 1)}/${two(now.getDate())} ` +
        `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
    }
    return this.#stamp;
  }
}

/** `RANKS`, for lines that come by the ten thousand: a look-up by name that varies is no machine code. */
function rankOf(level: LogLevel): number {
  if (level === "info") return RANKS.info;
  return level === "debug" ? RANKS.debug : RANKS[level];
}

function cut(text: string): string {
  return text.length > LOG_LINE_LENGTH_MAX ? `${text.slice(0, LOG_LINE_LENGTH_MAX)}…` : text;
}
