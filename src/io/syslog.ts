/**
 * Log records to syslog through one long-lived `logger` process: Node has no datagram sockets in the file system's namespace, which syslog
 * listens on. Records go to its standard input, each with its priority in front.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { statSync } from "node:fs";
import { fail, ok, type Result } from "../base/result.ts";
import type { LogLevel } from "../swim/types.ts";

/** Facility numbers of RFC 5424, section 6.2.1, under the names that Go's syslog package and its users know. */
const FACILITIES: readonly string[] = [
  "KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON", "AUTHPRIV", "FTP",
  "", "", "", "",
  "LOCAL0", "LOCAL1", "LOCAL2", "LOCAL3", "LOCAL4", "LOCAL5", "LOCAL6", "LOCAL7",
];
const SEVERITIES: Readonly<Record<LogLevel, number>> = { trace: 7, debug: 7, info: 6, warn: 4, err: 3 };
/** Where a syslog daemon listens. */
const SOCKETS: readonly string[] = ["/dev/log", "/var/run/syslog", "/var/run/log"];
/** Bytes that may wait for a `logger` that does not read; more is dropped and counted. */
const PENDING_BYTES_MAX = 1024 * 1024;

export interface SyslogOptions {
  /** "LOCAL0", in any case. */
  readonly facility: string;
  /** The name in front of each message. */
  readonly tag: string;
  /** Program to start; replaced in tests. */
  readonly logger?: string;
  /** Where a daemon may listen; replaced in tests. */
  readonly sockets?: readonly string[];
  /** Told when `logger` ends by itself or cannot be started. */
  readonly onFailure: (reason: string) => void;
}

export class Syslog {
  readonly #child: ChildProcess;
  readonly #facility: number;
  #open = true;
  /** Records dropped because `logger` was too slow or gone. */
  dropped = 0;

  private constructor(child: ChildProcess, facility: number, onFailure: (reason: string) => void) {
    this.#child = child;
    this.#facility = facility;
    const ended = (reason: string): void => {
      if (this.#open) onFailure(reason);
      this.#open = false;
    };
    child.on("error", (error) => ended(error.message));
    child.on("exit", (code, signal) => ended(signal === null ? `exit status ${code}` : `signal ${signal}`));
    child.stdin?.on("error", () => {}); // The exit says it.
    child.unref();
  }

  /** Starts `logger`, or says why not in the original's words. */
  static start(options: SyslogOptions): Result<Syslog> {
    const facility = FACILITIES.indexOf(options.facility.toUpperCase());
    if (facility < 0 || options.facility === "") return fail(`invalid syslog facility: ${options.facility.toUpperCase()}`);
    if (!(options.sockets ?? SOCKETS).some(isSocket)) return fail("Unix syslog delivery error");
    const child = spawn(options.logger ?? "logger", ["--prio-prefix", "-t", options.tag], { stdio: ["pipe", "ignore", "ignore"] });
    return ok(new Syslog(child, facility, options.onFailure));
  }

  /** Sends one record; `message` without date and level. Further lines of it become records of their own. */
  write(level: LogLevel, message: string): void {
    const { stdin } = this.#child;
    if (!this.#open || stdin === null || stdin.writableLength > PENDING_BYTES_MAX) {
      this.dropped += 1;
      return;
    }
    const priority = `<${8 * this.#facility + SEVERITIES[level]}>`;
    for (const line of message.split("\n")) if (line !== "") stdin.write(`${priority}${line}\n`);
  }

  /** Lets `logger` send what it has and end. */
  stop(): void {
    this.#open = false;
    this.#child.stdin?.end();
  }
}

function isSocket(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isSocket() === true;
}
